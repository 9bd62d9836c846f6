"""Who is calling: one value behind every door."""

from __future__ import annotations

from enum import IntEnum
from typing import Literal

import msgspec


class SessionType(IntEnum):
    """Session types of the broker surface (contract 10.1)."""

    USER = 0
    MANAGER = 1
    DEALER = 2
    ADMIN = 3
    CUSTOMER = 9


STAFF = frozenset({SessionType.MANAGER, SessionType.DEALER, SessionType.ADMIN})


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """The caller of a request or the owner of a socket.

    ``login`` is the trading account the token was made for; ``logins`` are all accounts it may
    name. ``group`` is the account's group (market visibility and price profile). ``expires_at``
    is in Unix seconds, 0 = never. ``address`` is the caller's network address. ``subject`` and
    ``version`` are those of the token (``libs.common.tokens``): a revocation names them. ``mode`` is
    ``test`` for an API key that sees the same data and spends from a balance of its own. ``resource`` is
    the only address the credential counts for, where it was given for one (RFC 8707).
    """

    kind: Literal["anonymous", "account", "customer", "staff", "key"] = "anonymous"
    login: int | None = None
    logins: tuple[int, ...] = ()
    person_id: int | None = None
    session_type: int = -1
    group: str = ""
    read_only: bool = False
    jti: str = ""
    expires_at: int = 0
    scopes: frozenset[str] = frozenset()
    tier: str = "free"
    address: str = ""
    subject: str = ""
    version: int = 0
    mode: str = "live"
    resource: str = ""

    @property
    def is_staff(self) -> bool:
        return self.session_type in STAFF


ANONYMOUS = Principal()
