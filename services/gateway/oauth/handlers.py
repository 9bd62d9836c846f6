"""What OAuth's addresses answer. Consent is asked on our own page, for one form of one browser at a time.

Never: an answer to an address that is not the client's own, a decision without the token of the page that
asked, a page inside somebody else's frame.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hmac import compare_digest
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import msgspec

from libs.common.bus import Bus
from libs.common.errors import AppError, RemoteError
from libs.common.ids import Ids
from libs.common.messages.auth_oauth import (
    OAuthAsk,
    OAuthAsked,
    OAuthConsent,
    OAuthExchange,
    OAuthRevoke,
)
from libs.common.messages.auth_people import CustomerAsk, KeyListAsk, KeyRevoke, ScanLogin
from libs.common.messages.billing import StarterGrant
from libs.common.principal import Principal
from libs.common.subjects import (
    API_KEY_LIST,
    API_KEY_REVOKE,
    OAUTH_ASK,
    OAUTH_CONSENT,
    OAUTH_EXCHANGE,
    OAUTH_REVOKE,
    SCAN_LOGIN,
    SCAN_ME,
    STARTER_GRANT,
)
from services.gateway.endpoints.oauth import AuthorizationServer, AuthorizeRequest, ProtectedResource
from services.gateway.endpoints.row import Caller
from services.gateway.errors import BodyUnreadable
from services.gateway.oauth import consent
from services.gateway.oauth.documents import Documents
from services.gateway.surfaces.base import NO_STORE, Reply

Local = Callable[[Any, Caller], Awaitable[Reply]]
SCOPES = ["read", "scan", "trade"]
CSRF_COOKIE = "tw_consent"
CSRF_S = 3_600
_TOKEN = re.compile(r"[A-Za-z0-9_-]{20,100}")
_DISCOVERED: Mapping[str, str] = {"Cache-Control": "max-age=300", "Access-Control-Allow-Origin": "*"}
_TEXT = "text/plain; charset=utf-8"
_FORM_FIELDS_MAX = 30


@dataclass(frozen=True, slots=True)
class OAuthPorts:
    """What the pages need: the bus, who a session cookie is, whether a page of ours asks, documents, ids, and
    a way to hear at once of what was just revoked."""

    bus: Bus
    of_cookie: Callable[[str], Awaitable[Principal]]
    is_own: Callable[[Mapping[str, str]], bool]
    documents: Documents
    ids: Ids
    learn_revocations: Callable[[], Awaitable[None]]


def base_of(caller: Caller) -> str:
    """Our address as the caller sees it, the issuer of what we give."""
    parts = urlsplit(caller.sent.url)
    return f"{parts.scheme}://{parts.netloc}"


def handlers_of(ports: OAuthPorts) -> Mapping[str, Local]:
    """Every local handler by the name its row gives."""
    pages = Pages(ports)
    return {
        "oauth_resource": _protected_resource,
        "oauth_server": _authorization_server,
        "oauth_authorize": pages.authorize,
        "oauth_decide": pages.decide,
        "oauth_sign_in": pages.sign_in,
        "oauth_token": pages.token,
        "oauth_revoke": pages.revoke,
        "oauth_grants": pages.grants,
        "oauth_end": pages.end,
    }


async def _protected_resource(asked: Any, caller: Caller) -> Reply:
    base = base_of(caller)
    said = ProtectedResource(
        resource=f"{base}/mcp",
        authorization_servers=[base],
        bearer_methods_supported=["header"],
        scopes_supported=SCOPES[:1],  # what a client begins with; more is asked for when a call needs it
        resource_name="Tradewind",
        resource_documentation=f"{base}/docs",
    )
    return Reply(200, msgspec.json.encode(said), _DISCOVERED)


async def _authorization_server(asked: Any, caller: Caller) -> Reply:
    base = base_of(caller)
    said = AuthorizationServer(
        issuer=base,
        authorization_endpoint=f"{base}/oauth/authorize",
        token_endpoint=f"{base}/oauth/token",
        registration_endpoint=f"{base}/oauth/register",
        revocation_endpoint=f"{base}/oauth/revoke",
        jwks_uri=f"{base}/.well-known/jwks.json",
        service_documentation=f"{base}/docs",
        scopes_supported=SCOPES,
        response_types_supported=["code"],
        response_modes_supported=["query"],
        grant_types_supported=["authorization_code"],
        code_challenge_methods_supported=["S256"],
        token_endpoint_auth_methods_supported=["none"],
        revocation_endpoint_auth_methods_supported=["none"],
        authorization_response_iss_parameter_supported=True,
        client_id_metadata_document_supported=True,
    )
    return Reply(200, msgspec.json.encode(said), _DISCOVERED)


class Pages:
    """The handlers that ask auth."""

    def __init__(self, ports: OAuthPorts) -> None:
        self._ports = ports

    # ── consent ──

    async def authorize(self, asked: AuthorizeRequest, caller: Caller) -> Reply:
        """The consent page; an error to the client, or a page that says why there is neither."""
        return await self._consent_page(asked, caller)

    async def _consent_page(self, asked: AuthorizeRequest, caller: Caller, failed: str = "") -> Reply:
        person = await self._person(caller)
        try:
            found, _ = await self._ask(asked, caller, person)
        except RemoteError as e:
            if e.http_status != 400:
                raise
            return consent.refused(str(e))
        if found.error:
            return _redirect(asked, caller, error=found.error, error_description=found.error_description)
        fields = _fields(asked)
        csrf = self._csrf(caller)
        page = consent.consent_page(
            found,
            fields,
            csrf=csrf,
            email=await self._email(person),
            back=f"/oauth/authorize?{urlencode(fields)}",
            failed=failed,
        )
        return _with_cookie(page, caller, CSRF_COOKIE, csrf, CSRF_S, "/oauth", "Strict")

    async def decide(self, nothing: Any, caller: Caller) -> Reply:
        """The person pressed a button of that page."""
        form = _form(caller)
        if not self._is_from_our_page(form, caller):
            return consent.refused("This page is too old, or another one asked. Nothing was agreed to.")
        asked = _asked(form)
        person = await self._person(caller)
        try:
            found, ask = await self._ask(asked, caller, person)
            if found.error:
                return _redirect(asked, caller, error=found.error, error_description=found.error_description)
            if form.get("decision") != "allow":
                return _redirect(
                    asked, caller, error="access_denied", error_description="it was not agreed to"
                )
            agreed = OAuthConsent(ask=ask, ip=caller.principal.address)
            code = await self._ports.bus.request(OAUTH_CONSENT, agreed)
        except RemoteError as e:
            if e.http_status != 400:
                raise
            return consent.refused(str(e))
        return _redirect(asked, caller, code=code.code)

    async def _ask(
        self, asked: AuthorizeRequest, caller: Caller, person: Principal | None
    ) -> tuple[OAuthAsked, OAuthAsk]:
        is_url = asked.client_id.startswith("https://")
        ask = OAuthAsk(
            client_id=asked.client_id,
            redirect_uri=asked.redirect_uri,
            response_type=asked.response_type,
            challenge=asked.code_challenge,
            challenge_method=asked.code_challenge_method,
            own_resource=f"{base_of(caller)}/mcp",
            resource=asked.resource,
            scope=asked.scope,
            document=await self._ports.documents.of(asked.client_id) if is_url else None,
            person_id=person.person_id if person else None,
        )
        return await self._ports.bus.request(OAUTH_ASK, ask), ask

    # ── who is there ──

    async def _person(self, caller: Caller) -> Principal | None:
        session = _cookies(caller).get("session", "")
        if not session:
            return None
        try:
            principal = await self._ports.of_cookie(session)
        except AppError as e:
            if e.http_status != 401:
                raise
            return None
        return principal if principal.person_id is not None else None

    async def _email(self, person: Principal | None) -> str:
        if person is None:
            return ""
        me = await self._ports.bus.request(SCAN_ME, CustomerAsk(customer_id=person.person_id or 0))
        return me.user.email

    def _csrf(self, caller: Caller) -> str:
        held = _cookies(caller).get(CSRF_COOKIE, "")
        return held if _TOKEN.fullmatch(held) else self._ports.ids.token(24)

    def _is_from_our_page(self, form: Mapping[str, str], caller: Caller) -> bool:
        sent = caller.sent.headers
        own = {name.title(): value for name, value in sent.items() if name in ("origin", "host")}
        held, given = _cookies(caller).get(CSRF_COOKIE, ""), form.get("csrf", "")
        if not (_TOKEN.fullmatch(held) and given.isascii() and self._ports.is_own(own)):
            return False
        return compare_digest(held, given)

    async def sign_in(self, nothing: Any, caller: Caller) -> Reply:
        """Sign in, and back to the page that asked for it."""
        form = _form(caller)
        if not self._is_from_our_page(form, caller):
            return consent.refused("This page is too old, or another one asked. Nobody was signed in.")
        back = form.get("back", "")
        path, _, query = back.partition("?")
        if path not in ("/oauth/authorize", "/oauth/grants") or not (back.isascii() and back.isprintable()):
            return consent.refused("There is no page to go back to.")
        message = ScanLogin(
            email=form.get("email", ""), password=form.get("password", ""), ip=caller.principal.address
        )
        try:
            came_in = await self._ports.bus.request(SCAN_LOGIN, message)
        except RemoteError as e:
            if e.http_status not in (400, 401, 429):
                raise
            failed = "Too many tries: wait a while." if e.http_status == 429 else "That is not right."
            if path == "/oauth/grants":
                page = consent.grants_sign_in(csrf=form["csrf"], failed=failed)
            else:
                fields = dict(parse_qsl(query, keep_blank_values=True))
                page = await self._consent_page(_asked(fields), caller, failed)
            return page._replace(status=e.http_status if page.status == 200 else page.status)
        gone = Reply(303, b"", {**NO_STORE, "Location": back}, _TEXT)
        return _with_cookie(gone, caller, "session", came_in.session, came_in.max_age_s, "/", "Lax")

    # ── tokens ──

    async def token(self, nothing: Any, caller: Caller) -> Reply:
        """A code for a token."""
        form = _form(caller)
        message = OAuthExchange(
            grant_type=form.get("grant_type", ""),
            code=form.get("code", ""),
            redirect_uri=form.get("redirect_uri", ""),
            client_id=form.get("client_id", ""),
            verifier=form.get("code_verifier", ""),
            own_resource=f"{base_of(caller)}/mcp",
            resource=form.get("resource"),
        )
        try:
            given = await self._ports.bus.request(OAUTH_EXCHANGE, message)
        except RemoteError:
            await self._learn()  # a code that was used twice has just ended its grant
            raise
        with suppress(AppError):  # the fact of the key gives it its wallet, too; asking makes it be there
            starter = StarterGrant(key_id=given.key_id, person_id=given.person_id, address=given.address)
            await self._ports.bus.request(STARTER_GRANT, starter)
        return Reply(200, msgspec.json.encode(given.token), {**NO_STORE, "Pragma": "no-cache"})

    async def revoke(self, nothing: Any, caller: Caller) -> Reply:
        """A token counts no more; one we don't know did not count before."""
        form = _form(caller)
        if not form.get("token"):
            raise BodyUnreadable("token is needed")
        message = OAuthRevoke(token=form["token"], client_id=form.get("client_id"))
        await self._ports.bus.request(OAUTH_REVOKE, message)
        await self._learn()
        return Reply(200, b"", NO_STORE)

    # ── grants ──

    async def grants(self, nothing: Any, caller: Caller) -> Reply:
        """What may act for a person."""
        csrf, person = self._csrf(caller), await self._person(caller)
        if person is None:
            page = consent.grants_sign_in(csrf=csrf)
        else:
            held = await self._ports.bus.request(API_KEY_LIST, KeyListAsk(person_id=person.person_id or 0))
            page = consent.grants_page(held.keys, csrf=csrf, email=await self._email(person))
        return _with_cookie(page, caller, CSRF_COOKIE, csrf, CSRF_S, "/oauth", "Strict")

    async def end(self, nothing: Any, caller: Caller) -> Reply:
        """End one of them; one that is over already is fine."""
        form = _form(caller)
        person = await self._person(caller)
        if person is None or not self._is_from_our_page(form, caller):
            return consent.refused("This page is too old, or another one asked. Nothing was ended.")
        try:
            message = KeyRevoke(person_id=person.person_id or 0, id=form.get("id", ""))
            await self._ports.bus.request(API_KEY_REVOKE, message)
        except RemoteError as e:
            if e.http_status != 404:
                raise
        await self._learn()
        return Reply(303, b"", {**NO_STORE, "Location": "/oauth/grants"}, _TEXT)

    async def _learn(self) -> None:
        with suppress(AppError):  # it is over anyway, and the facts say so
            await self._ports.learn_revocations()


# ── reading and writing ──


def _form(caller: Caller) -> dict[str, str]:
    """The fields of a form body, each given once."""
    try:
        pairs = parse_qsl(
            caller.sent.body.decode(),
            keep_blank_values=True,
            strict_parsing=bool(caller.sent.body),
            errors="strict",
            max_num_fields=_FORM_FIELDS_MAX,
        )
    except ValueError as e:
        raise BodyUnreadable("the body is no form (application/x-www-form-urlencoded)") from e
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise BodyUnreadable("a field was given twice")
    if any("\x00" in text for text in fields.values()):
        raise BodyUnreadable("a text may not hold a NUL character")
    return fields


def _asked(fields: Mapping[str, str]) -> AuthorizeRequest:
    """The request that a form hid."""
    try:
        return msgspec.convert(fields, AuthorizeRequest)
    except msgspec.ValidationError as e:
        raise BodyUnreadable("the request can't be read") from e


def _fields(asked: AuthorizeRequest) -> dict[str, str]:
    """The request as its own query."""
    return {name: text for name, text in msgspec.structs.asdict(asked).items() if text}


def _cookies(caller: Caller) -> dict[str, str]:
    try:
        jar = SimpleCookie(caller.sent.headers.get("cookie", ""))
    except CookieError:
        return {}
    return {name: morsel.value for name, morsel in jar.items()}


def _redirect(asked: AuthorizeRequest, caller: Caller, **said: str) -> Reply:
    """Back to the client, with the state it gave and who we are (RFC 9207)."""
    if asked.state is not None:
        said["state"] = asked.state
    said["iss"] = base_of(caller)
    joint = "&" if "?" in asked.redirect_uri else "?"
    location = f"{asked.redirect_uri}{joint}{urlencode(said, quote_via=quote)}"
    return Reply(302, b"", {**NO_STORE, "Location": location, "Referrer-Policy": "no-referrer"}, _TEXT)


def _with_cookie(
    page: Reply, caller: Caller, name: str, value: str, max_age_s: int, path: str, same_site: str
) -> Reply:
    secure = "; Secure" if caller.sent.url.startswith("https://") else ""
    cookie = f"{name}={value}; Max-Age={max_age_s}; Path={path}; HttpOnly; SameSite={same_site}{secure}"
    return page._replace(headers={**page.headers, "Set-Cookie": cookie})
