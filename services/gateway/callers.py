"""Who calls, and about which trading account: from headers to a ``Caller``, by the rules of the row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol
from urllib.parse import urlsplit

from msgspec.structs import replace

from libs.common.errors import AppError, NotAuthenticated, PermissionDenied, RemoteError
from libs.common.messages.auth import Account
from libs.common.principal import ANONYMOUS, Principal
from services.gateway.accounts import account_named
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.errors import ForeignOrigin, MissingAgentKey
from services.gateway.surfaces.base import Surface

AccountOf = Callable[[int], Awaitable[Account]]


class Verify(Protocol):
    """Whose credential this is; a 401 for nobody's."""

    async def __call__(self, credential: str, *, address: str = "", cookie: bool = False) -> Principal: ...


class Callers:
    """Identifies and resolves callers. ``public_origin`` is the address clients use, if it was set."""

    def __init__(self, verify: Verify, account_of: AccountOf, public_origin: str = "") -> None:
        self.verify = verify
        self._account_of = account_of
        self._public_origin = public_origin.rstrip("/").lower()

    async def identify(
        self, row: Endpoint, surface: Surface, headers: Mapping[str, str], cookie: str, address: str
    ) -> tuple[Principal, str]:
        """The principal and its token; NotAuthenticated without a good one, PermissionDenied when the
        row is not for this kind of session."""
        anonymous = replace(ANONYMOUS, address=address)
        if row.access.public and not row.access.optional:
            return await self._guest(row, surface, headers, cookie, anonymous), ""
        authorization = headers.get("Authorization")
        if authorization is not None:
            token = surface.token_in(authorization)
        else:
            token = cookie
            if token and row.method != "GET":
                self._refuse_foreign(headers)
        if row.access.public:
            return anonymous, token
        if not token:
            if row.agents and authorization is None:
                raise MissingAgentKey
            raise NotAuthenticated("a token is needed")
        opaque = authorization is None and surface.name == "scan"  # its cookie is no token of ours
        principal = await self._whose(surface, token, address, cookie=opaque)
        admit(row, principal)
        return replace(principal, address=address), token

    async def _guest(
        self, row: Endpoint, surface: Surface, headers: Mapping[str, str], cookie: str, anonymous: Principal
    ) -> Principal:
        """Who reads an open row of the scan surface: whoever says so keeps the limits of their tier there,
        too. A credential that does not count changes nothing: the row is open."""
        authorization = headers.get("Authorization")
        token = cookie if authorization is None else surface.token_in(authorization)
        if surface.name != "scan" or row.method != "GET" or not token:
            return anonymous
        try:
            principal = await self._whose(surface, token, anonymous.address, cookie=authorization is None)
        except AppError:
            return anonymous
        return replace(principal, address=anonymous.address)

    async def _whose(self, surface: Surface, token: str, address: str, *, cookie: bool) -> Principal:
        try:
            principal = await self.verify(token, address=address, cookie=cookie)
        except RemoteError as e:
            if e.http_status == 401 and surface.name != "scan":
                raise NotAuthenticated from e  # auth says it in the scan surface's words
            raise
        if principal.resource:  # it was given for our MCP address and counts nowhere else
            raise NotAuthenticated("this token counts for another resource")
        return principal

    async def resolve(self, row: Endpoint, principal: Principal, token: str, request: Any) -> Caller:
        """The caller with the account the call is about and its group."""
        if not row.access.account:
            return Caller(principal, principal.login or 0, principal.group, token)
        login = account_named(principal, request.login)
        group = principal.group
        if principal.kind != "account":
            group = (await self._account_of(login)).group
        return Caller(principal, login, group, token)

    def _refuse_foreign(self, headers: Mapping[str, str]) -> None:
        """A cookie goes along by itself: only pages of our own origin may write with it."""
        if not self.is_own(headers):
            raise ForeignOrigin

    def is_own(self, headers: Mapping[str, str]) -> bool:
        """Whether a page of our own origin asks, or no page at all."""
        origin = headers.get("Origin")
        if origin is None:
            return True
        if urlsplit(origin).netloc.lower() == headers.get("Host", "").lower():
            return True
        return bool(self._public_origin) and origin.lower() == self._public_origin


def admit(row: Endpoint, principal: Principal) -> None:
    """PermissionDenied when the row is not for this kind of session, or the key lacks the scope."""
    if principal.kind == "key":
        if not row.key_scope:
            raise PermissionDenied("an API key may not do this")
        if row.key_scope not in principal.scopes:
            raise PermissionDenied(f"the API key needs the scope {row.key_scope}")
    elif principal.session_type not in row.access.sessions:
        raise PermissionDenied("this kind of session may not do this")
