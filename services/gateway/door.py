"""The way of a request: row, caller, limits, body, account, audit, command, answer.

Every outcome is an answer in the dialect of the surface that was called. A client that goes away does
not cancel what it asked for: aiohttp leaves the handler running. Agents may (``mcp/watch.py``).
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import msgspec
import structlog
from aiohttp import web

from libs.common import telemetry
from libs.common.bus import HEADER_CORRELATION, HEADER_TRACE, NO_HEADERS, Bus, encode
from libs.common.clock import Clock
from libs.common.errors import AppError, InternalError, InvalidData, NotAuthenticated, PermissionDenied
from libs.common.ids import Ids
from libs.common.plans import TIERS
from libs.common.principal import ANONYMOUS, Principal
from services.gateway import metrics
from services.gateway.addresses import Addresses, limit_key
from services.gateway.audit import Audit
from services.gateway.bodies import body_of
from services.gateway.callers import Callers, admit
from services.gateway.endpoints.row import Caller, Endpoint, Limit, Sent, Then
from services.gateway.errors import (
    BodyTooLarge,
    BodyTooSlow,
    MethodNotAllowed,
    PathUnknown,
    TierInsufficient,
    TooFrequent,
)
from services.gateway.geo import Geo
from services.gateway.keyed import HEADER as KEY_HEADER
from services.gateway.keyed import Asked, Keyed, fingerprint_of, holder_of, read_key
from services.gateway.limits.limiter import Limiter
from services.gateway.limits.tables import Bucket
from services.gateway.limits.windows import rule_of
from services.gateway.mcp.calls import RowCall
from services.gateway.mcp.watch import Watch
from services.gateway.metering import Done, Metering, Order, payment_in, refusal
from services.gateway.open_data import OpenData, Question
from services.gateway.pacing import Paced, Pacing, holder
from services.gateway.ready import Ready
from services.gateway.requests import RequestReader
from services.gateway.router import Match, Router, WrongMethod
from services.gateway.socket import Upgrade
from services.gateway.stays import Host, Stay
from services.gateway.surfaces.base import Reply, Surface
from services.gateway.surfaces.dialects import SURFACES, dialect_of

log = structlog.get_logger()

Local = Callable[[Any, Caller], Awaitable[Reply]]
StreamHandler = Callable[[web.BaseRequest, Upgrade], Awaitable[web.StreamResponse]]

COOKIE_MAX_AGE_S = 86_400
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_EVERY_ANSWER = {"Server": "tradewind", "X-Content-Type-Options": "nosniff"}
_CLOSING = frozenset((408, 413))
_HTTP_ERRORS = {400: InvalidData, 404: PathUnknown, 405: MethodNotAllowed, 413: BodyTooLarge}


class _Token(msgspec.Struct):
    """The part of a sign-in object that goes into the cookie."""

    token: str = msgspec.field(name="__token", default="")


_token_in = msgspec.json.Decoder(_Token)


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What the door needs of the rest of the gateway."""

    bus: Bus
    clock: Clock
    ids: Ids
    router: Router
    readers: Mapping[str, RequestReader]
    callers: Callers
    addresses: Addresses
    geo: Geo
    limiter: Limiter
    audit: Audit
    keyed: Keyed
    metering: Metering
    pacing: Pacing
    locals: Mapping[str, Local]
    sockets: Mapping[str, StreamHandler]
    hosts: Mapping[str, Host]
    refresh_market: Callable[[], Awaitable[None]]
    learn_revocations: Callable[[], Awaitable[None]]
    follow_account: Callable[[int], Awaitable[None]]
    forget_people: Callable[[], None]
    tls: bool = False
    public_url: str = ""
    scan_pro_only: bool = False
    metered: bool = True


@dataclass(slots=True)
class _Call:
    """One request on its way."""

    request: web.BaseRequest
    path: str
    request_id: str
    surface: Surface
    route: str = metrics.UNMATCHED
    address: str = ""
    cookies: list[str] = field(default_factory=list)
    untimed: bool = False  # the answer lasted as long as the client liked
    paced: Paced | None = None
    watch: Watch | None = None


class Door:
    """The handler of every request of this process."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self.open_data = OpenData(ports.bus, ports.clock, ports.ids, ports.pacing, ports.readers)

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer a request."""
        begun_s = self._ports.clock.monotonic_s()
        kept = self._kept(request, begun_s)
        if kept is not None:
            return kept
        telemetry.adopt_traceparent(request.headers.get("traceparent"))
        path = request.rel_url.raw_path
        call = _Call(request, path, self._request_id(request), dialect_of(path))
        try:
            response = await self._serve(call)
        except AppError as e:
            response = self._refusal(call, e)
        except web.HTTPException as e:  # a broken WebSocket handshake
            response = self._refusal(call, _HTTP_ERRORS.get(e.status, InvalidData)(e.text or e.reason))
        except ConnectionError:
            raise  # the client went away; nobody is there to be answered
        except Exception:
            log.exception("request failed", route=call.route, request_id=call.request_id)
            response = self._refusal(call, InternalError())
        if not isinstance(response, web.WebSocketResponse) and not call.untimed:
            seconds = self._ports.clock.monotonic_s() - begun_s
            metrics.observe(call.route, response.status, seconds)
            telemetry.span(f"http {call.route}", seconds, status=response.status, request_id=call.request_id)
            log.debug(
                "request",
                method=request.method,
                path=path,
                status=response.status,
                ms=round(seconds * 1000, 3),
                address=call.address,
                request_id=call.request_id,
            )
        return response

    # ── the way ───────────────────────────────────────────────────────────────────────────────────

    async def _serve(self, call: _Call) -> web.StreamResponse:
        request, ports = call.request, self._ports
        if request.method == "OPTIONS" and call.surface.preflight:
            return self._response(call, Reply(204, b"", {**call.surface.headers, **call.surface.preflight}))
        row, parameters = self._match(request.method, call.path)
        surface = call.surface = SURFACES[row.surface]
        call.route = row.name
        call.address = ports.addresses.client(request.remote or "", request.headers.get("X-Forwarded-For"))
        ports.geo.check(row, request.remote or "", request.headers)
        if row.fresh is not None:
            return await self._open(call, row, parameters)
        if row.limits:
            await self._count(call, row, "address", limit_key(call.address))
        sockets = ports.sockets.get(row.local)
        if sockets is not None and _wants_upgrade(request):
            return await sockets(request, self._upgrade(call))
        cookie = (
            request.cookies.get(surface.cookie, "") if surface.cookie and "Cookie" in request.headers else ""
        )
        principal, token = await self._identify(call, row, cookie)
        if not row.raw:  # a provider's callbacks are never too many
            await self._pace(call, principal)
        if row.limits:
            await self._count(call, row, "principal", _principal_key(principal), principal)
        self._check_tier(row, principal)
        body = await body_of(request, row)
        asked = ports.readers[row.name].read(
            b"" if row.raw else body, request.rel_url.raw_query_string, parameters
        )
        if row.limits:
            await self._count_asked(call, row, asked, principal)
        caller = await ports.callers.resolve(row, principal, token, asked)
        if row.metered is not None or row.headers or row.raw or row.keyless:
            caller = replace(caller, sent=self._sent(call, row, body))
        if row.local in ports.hosts:
            return await self._host(call, row, asked, caller)
        if row.local:
            reply = await ports.locals[row.local](asked, caller)
        elif KEY_HEADER in request.headers and row.keyed:
            query = request.rel_url.raw_query_string
            print_ = fingerprint_of(row.method, call.path, query, body)
            reply = await self._once(call, row, request.headers[KEY_HEADER], print_, asked, caller)
        else:
            reply = await self._command(call, row, asked, caller)
        return self._response(call, reply)

    async def _host(self, call: _Call, row: Endpoint, asked: Any, caller: Caller) -> web.StreamResponse:
        """The answer of a row that has a host."""
        paced = call.paced.headers if call.paced else {}
        headers = {**_EVERY_ANSWER, "X-Request-Id": call.request_id, **call.surface.headers, **paced}
        stay = Stay(call.request, headers, partial(self._perform, call))
        answer = await self._ports.hosts[row.local](asked, caller, stay)
        if not isinstance(answer, web.StreamResponse):
            return self._response(call, answer)
        call.untimed = stay.lasts
        return answer

    async def _perform(self, outer: _Call, inner: RowCall) -> Reply:
        """A call of a row that came inside another request, as if it had come by itself; raises refusals."""
        row, principal, ports = inner.row, inner.principal, self._ports
        surface = SURFACES[row.surface]
        call = replace(outer, path=row.path, surface=surface, route=row.name, cookies=[], watch=inner.watch)
        ports.geo.check(row, call.request.remote or "", call.request.headers)
        if not row.access.public and principal.kind != "anonymous":
            admit(row, principal)
        if not inner.counted:
            await self._pace(call, principal)
        if row.limits:
            await self._count(call, row, "address", limit_key(call.address))
            await self._count(call, row, "principal", _principal_key(principal), principal)
        self._check_tier(row, principal)
        asked = ports.readers[row.name].read(inner.arguments, "", {})
        if principal.kind == "anonymous" and not row.access.public and inner.payment is None:
            terms = row.metered and await ports.metering.terms(row.metered, self._url(call))
            raise refusal(terms) if terms else NotAuthenticated("a key is needed")
        caller = await ports.callers.resolve(row, principal, "", asked)
        caller = replace(caller, sent=Sent(url=self._url(call), payment=inner.payment))
        if row.local:
            return await ports.locals[row.local](asked, caller)
        if inner.key is not None and row.keyed:
            print_ = fingerprint_of(row.method, row.path, "mcp", inner.arguments)
            return await self._once(call, row, inner.key, print_, asked, caller)
        return await self._command(call, row, asked, caller)

    def _kept(self, request: web.BaseRequest, begun_s: float) -> Ready | None:
        """An open answer that is at hand, without the way of all others; None when it has to be gone."""
        known = self.open_data.at_hand(request)
        if known is None:
            return None
        address = self._ports.addresses.client(request.remote or "", request.headers.get("X-Forwarded-For"))
        response = self.open_data.give(known, address, _given_id(request))
        if response is not None:
            metrics.observe(known.route, 200, self._ports.clock.monotonic_s() - begun_s)
        return response

    async def _open(self, call: _Call, row: Endpoint, parameters: Mapping[str, str]) -> web.Response:
        """What is the same for everybody: no caller is looked for, and the answer may be a kept one."""
        body = await body_of(call.request, row) if row.method != "GET" else b""
        headers = {**_EVERY_ANSWER, "X-Request-Id": call.request_id}
        question = Question(row, parameters, body, call.address, headers)
        return await self.open_data.answer(call.request, question, lambda: self._is_staff(call))

    def _upgrade(self, call: _Call) -> Upgrade:
        request = call.request
        if "Cookie" not in request.headers or not self._ports.callers.is_own(request.headers):
            return Upgrade(call.address)
        cookies = request.cookies
        return Upgrade(
            call.address,
            cookies.get(SURFACES["broker"].cookie, ""),
            cookies.get(SURFACES["scan"].cookie, ""),
        )

    def _match(self, method: str, path: str) -> Match:
        found = self._ports.router.find(method, path)
        if found is None:
            raise PathUnknown
        if isinstance(found, WrongMethod):
            raise MethodNotAllowed(allow=", ".join(found.allowed))
        return found

    async def _identify(self, call: _Call, row: Endpoint, cookie: str) -> tuple[Principal, str]:
        """Who calls. Where a call may be paid for, somebody without a key may bring the money along, and
        who brings nothing is told the terms."""
        headers = call.request.headers
        try:
            return await self._ports.callers.identify(row, call.surface, headers, cookie, call.address)
        except NotAuthenticated:
            if row.keyless and not cookie and "Authorization" not in headers:
                return Principal(address=call.address), ""
            if row.metered is None or not row.metered.payable or cookie or "Authorization" in headers:
                raise
            if payment_in(headers) is not None and row.metered.keyless:
                return Principal(address=call.address), ""
            terms = await self._ports.metering.terms(row.metered, self._url(call))
            if terms is None:
                raise
            raise refusal(terms) from None

    def _check_tier(self, row: Endpoint, principal: Principal) -> None:
        """A row may need a tier, an API key a higher one; staff has them all."""
        needed = row.key_tier if principal.kind == "key" and row.key_tier else row.tier
        if row.metered is not None and row.metered.quota == "scan" and self._ports.scan_pro_only:
            needed = TIERS[-1]
        if not needed or principal.is_staff or TIERS.index(principal.tier) >= TIERS.index(needed):
            return
        raise TierInsufficient(
            f"This needs the {needed} tier.", required_tier=needed, current_tier=principal.tier
        )

    def _sent(self, call: _Call, row: Endpoint, body: bytes) -> Sent:
        headers = call.request.headers
        return Sent(
            url=self._url(call),
            payment=payment_in(headers),
            headers={name: ", ".join(headers.getall(name)) for name in row.headers if name in headers},
            body=body if row.raw else b"",
        )

    def _url(self, call: _Call) -> str:
        """Where the request was sent to: what an x402 payment is for."""
        if self._ports.public_url:
            return self._ports.public_url.rstrip("/") + call.path
        request = call.request
        secure = self._ports.addresses.secure(
            request.remote or "", request.headers.get("X-Forwarded-Proto"), tls=self._ports.tls
        )
        return f"{'https' if secure else 'http'}://{request.headers.get('Host', '')}{call.path}"

    async def _once(
        self, call: _Call, row: Endpoint, key: str, fingerprint: bytes, asked: Any, caller: Caller
    ) -> Reply:
        keyed = Asked(
            surface=call.surface,
            principal=holder_of(caller.principal, call.address),
            key=read_key(key),
            fingerprint=fingerprint,
        )
        return await self._ports.keyed.once(keyed, lambda: self._command(call, row, asked, caller))

    async def _command(self, call: _Call, row: Endpoint, asked: Any, caller: Caller) -> Reply:
        if row.metered is None or not self._ports.metered:
            return (await self._done(call, row, asked, caller)).reply
        order = Order(
            metered=row.metered,
            operation=row.name,
            request_id=self._ports.ids.event_id(),
            asked=asked,
            caller=caller,
            resource=caller.sent.url,
            subject=holder(caller.principal, call.address),
        )
        return await self._ports.metering.run(order, lambda caller: self._done(call, row, asked, caller))

    async def _done(self, call: _Call, row: Endpoint, asked: Any, caller: Caller) -> Done:
        if row.command is None or row.message is None:
            raise InternalError
        payload = encode(row.message(asked, caller))
        if row.audited and caller.principal.is_staff:
            answer = await self._audited(call, row, asked, caller, payload)
        else:
            asking = self._ports.bus.request_bytes(row.command, payload, headers=self._headers(call))
            answer = await (asking if call.watch is None else call.watch.asked(row.command, asking))
        if row.then is not None:
            answer = await self._then(row.then, answer, caller)
        given = answer
        if row.starts_session:
            call.cookies.append(self._session_cookie(call, _token_in.decode(answer).token, COOKIE_MAX_AGE_S))
        if row.ends_session:
            call.cookies.append(self._session_cookie(call, "", 0))
        if row.ends_session or row.revokes:
            with contextlib.suppress(AppError):  # the session is over anyway, and the facts say so
                await self._ports.learn_revocations()
        status, more = row.status, NO_HEADERS
        if row.render is not None:
            made = row.render(answer)
            more = made.headers
            if made.cookie is not None:
                call.cookies.append(self._session_cookie(call, made.cookie, made.max_age_s))
            given = made.body
            status = status if made.status is None else made.status
        reply = call.surface.success(given)
        headers = {**reply.headers, **more} if more else reply.headers
        kind = row.content_type
        return Done(answer, reply._replace(status=status, headers=headers, content_type=kind))

    async def _then(self, then: Then, answer: bytes, caller: Caller) -> bytes:
        """A second owner adds to the answer; what the first has done stands, whatever becomes of it."""
        try:
            more = await self._ports.bus.request(then.command, then.message(answer, caller))
        except AppError as e:
            log.warning("a second owner did not answer", command=then.command.name, error=str(e))
            more = None
        return then.merge(answer, more)

    async def _audited(self, call: _Call, row: Endpoint, asked: Any, caller: Caller, payload: bytes) -> bytes:
        ports = self._ports
        intent = await ports.audit.intend(row, call.path, asked, caller)
        status, code = 500, InternalError.code
        try:
            if row.command is None:
                raise InternalError
            answer = await ports.bus.request_bytes(row.command, payload, headers=self._headers(call))
            if row.changes_prices:
                self.open_data.drop()
            if row.changes_market:
                await ports.refresh_market()
            if row.changes_person:
                ports.forget_people()
            if row.changes_account:
                await ports.follow_account(asked.login)
            status, code = row.status, "OK"
        except AppError as e:
            status, code = call.surface.render(e)[0], e.code
            raise
        finally:
            await ports.audit.conclude(row, call.path, caller, intent, status, code)
        return answer

    def _headers(self, call: _Call) -> dict[str, str]:
        return {HEADER_TRACE: telemetry.current_traceparent(), HEADER_CORRELATION: call.request_id}

    def _request_id(self, request: web.BaseRequest) -> str:
        return _given_id(request) or self._ports.ids.event_id()

    # ── limits ────────────────────────────────────────────────────────────────────────────────────

    async def _count(
        self, call: _Call, row: Endpoint, per: str, key: str, principal: Principal | None = None
    ) -> None:
        for limit in row.limits:
            if limit.per == per and not limit.when:
                await self._hit(call, limit, key, principal)

    async def _count_asked(self, call: _Call, row: Endpoint, asked: Any, principal: Principal) -> None:
        for limit in row.limits:
            if limit.when and getattr(asked, limit.when) is not None:
                key = limit_key(call.address) if limit.per == "address" else _principal_key(principal)
                await self._hit(call, limit, key, principal)

    async def _hit(self, call: _Call, limit: Limit, key: str, principal: Principal | None) -> None:
        if principal is not None and principal.is_staff:
            return
        count = self._ports.pacing.count_of(limit)
        rule = rule_of(count, limit.window_s * 1000, aligned=limit.aligned)
        counted = await self._ports.limiter.count((Bucket(f"{limit.name}|{key}", rule),))
        if counted.taken or await self._is_staff(call):
            return
        left_ms = counted.resets_ms - self._ports.clock.now_ms()
        raise TooFrequent(retry_after_s=max(-(-left_ms // 1000), 1), limit=count)

    async def _pace(self, call: _Call, principal: Principal) -> None:
        """The limits of the surface; its headers go with whatever the answer is."""
        paced = await self._ports.pacing.count(call.surface.name, principal, call.address)
        if paced is None or paced.taken or await self._is_staff(call):
            call.paced = paced
            return
        call.paced = paced
        raise TooFrequent(retry_after_s=paced.retry_after_s, limit=paced.limit)

    async def _is_staff(self, call: _Call) -> bool:
        """Staff is exempt where nobody has to say who they are, too; asked only at the limit."""
        token = call.surface.token_in(call.request.headers.get("Authorization", ""))
        if not token:
            return False
        try:
            return (await self._ports.callers.verify(token)).is_staff
        except AppError:
            return False

    # ── answering ─────────────────────────────────────────────────────────────────────────────────

    def _refusal(self, call: _Call, error: AppError) -> web.Response:
        metrics.refused(_reason(error))
        response = self._response(call, call.surface.error(error))
        if response.status in _CLOSING:
            response.force_close()
        return response

    def _response(self, call: _Call, reply: Reply) -> web.Response:
        headers = {**_EVERY_ANSWER, "X-Request-Id": call.request_id, **reply.headers}
        headers["Content-Type"] = reply.content_type
        paced = call.paced or self._ports.pacing.look(call.surface.name, ANONYMOUS, call.address)
        if paced is not None:
            headers.update(paced.headers)
        response = web.Response(status=reply.status, body=reply.body, headers=headers)
        for cookie in call.cookies:
            response.headers.add("Set-Cookie", cookie)
        return response

    def _session_cookie(self, call: _Call, token: str, max_age_s: int) -> str:
        request = call.request
        secure = self._ports.public_url.startswith("https://") or self._ports.addresses.secure(
            request.remote or "", request.headers.get("X-Forwarded-Proto"), tls=self._ports.tls
        )
        flags = "; Path=/; HttpOnly; SameSite=Lax" + ("; Secure" if secure else "")
        return f"{call.surface.cookie}={token}; Max-Age={max_age_s}{flags}"


def _given_id(request: web.BaseRequest) -> str | None:
    """The request id the client gave, if it is one."""
    given = request.headers.get("X-Request-Id")
    return given if given and _REQUEST_ID.fullmatch(given) else None


def _wants_upgrade(request: web.BaseRequest) -> bool:
    return "websocket" in request.headers.get("Upgrade", "").lower()


def _principal_key(principal: Principal) -> str:
    if principal.kind == "key":
        return principal.subject
    number = principal.login if principal.kind != "customer" else principal.person_id
    return f"{principal.kind}:{number}"


def _reason(error: AppError) -> str:
    match error:
        case PathUnknown():
            return "path"
        case MethodNotAllowed():
            return "method"
        case TooFrequent():
            return "limit"
        case NotAuthenticated():
            return "token"
        case PermissionDenied():
            return "permission"
        case BodyTooLarge() | BodyTooSlow() | InvalidData():
            return "body"
        case _:
            return ""
