"""Who calls, and about which trading account: from headers to a ``Caller``, by the rules of the row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec.structs import replace

from libs.common.errors import NotAuthenticated, PermissionDenied
from libs.common.messages.auth import Account
from libs.common.principal import ANONYMOUS, Principal
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.errors import ForeignOrigin, InvalidLogin
from services.gateway.surfaces.base import Surface

Verify = Callable[[str], Awaitable[Principal]]
AccountOf = Callable[[int], Awaitable[Account]]


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
        if row.access.public:
            return replace(ANONYMOUS, address=address), ""
        authorization = headers.get("Authorization")
        if authorization is not None:
            token = surface.token_in(authorization)
        else:
            token = cookie
            if token and row.method != "GET":
                self._refuse_foreign(headers)
        if not token:
            raise NotAuthenticated("a token is needed")
        principal = await self.verify(token)
        if principal.session_type not in row.access.sessions:
            raise PermissionDenied("this kind of session may not do this")
        return replace(principal, address=address), token

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
        origin = headers.get("Origin")
        if origin is None:
            return
        if urlsplit(origin).netloc.lower() == headers.get("Host", "").lower():
            return
        if self._public_origin and origin.lower() == self._public_origin:
            return
        raise ForeignOrigin


def account_named(principal: Principal, given: int | None) -> int:
    """The trading account a call is about (broker contract 1, login resolution)."""
    if principal.kind == "account" and principal.login is not None:
        if given is not None and given != principal.login:
            raise PermissionDenied("login is another account than the token's")
        return principal.login
    if given is None:
        raise InvalidLogin
    if not principal.is_staff and given not in principal.logins:
        raise PermissionDenied("login is not linked to this customer")
    return given
