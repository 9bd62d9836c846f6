"""Which trading account a call is about."""

from __future__ import annotations

from libs.common.errors import PermissionDenied
from libs.common.principal import Principal
from services.gateway.errors import InvalidLogin


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
