"""Requests of the broker surface, as clients send them: body or query, unknown fields are ignored."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from services.gateway.endpoints.fields import (
    Count,
    Email,
    Flag,
    GroupName,
    Integer,
    Line,
    Login,
    Password,
    Seconds,
    Small,
    Symbol,
    Text,
)

Leverage = Annotated[int, Meta(ge=1, le=10_000)]
Colour = Annotated[str, Meta(pattern="^#[0-9A-Fa-f]{6}$", description="#RRGGBB")]
Frame = Annotated[
    str, Meta(min_length=1, max_length=8, description="1M 5M 15M 30M 1H 4H 1D 1W MN1, or M1 H1 D1")
]
LogLimit = Annotated[int, Meta(ge=0, le=10_000)]


class SignUpRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Open a person and a demo account."""

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    email: Email
    password: Password
    group: GroupName | None = None
    leverage: Leverage | None = None
    phone: Line = ""
    country: Line = ""
    city: Line = ""
    address: Line = ""
    state: Line = ""
    zipcode: Line = ""
    comment: Line = ""
    lead_source: Line = ""


class SignInRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Sign in to a trading account, or as staff."""

    login: Login
    password: Password


class RefreshRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Exchange a refresh token; it counts once."""

    refresh_token: Annotated[str, Meta(min_length=1, max_length=256)]


class SignOutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """End every session of the account, or with ``only_this`` the one of this token."""

    only_this: Flag = 0


class AccountRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request about one trading account. Its own session may leave ``login`` out."""

    login: Login | None = None


class SymbolRequest(AccountRequest, frozen=True, kw_only=True):
    """A request about one symbol as an account's group sees it."""

    symbol: Symbol


class CandlesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Candles with open time in [from, to]. ``count`` is accepted and ignored."""

    symbol: Symbol
    from_: Seconds = msgspec.field(name="from")
    to: Seconds
    frame: Frame


class WatchListRequest(AccountRequest, frozen=True, kw_only=True):
    """The market watch; ``prefix`` is the client's context and changes nothing."""

    prefix: Line = ""


class WatchUpdateRequest(SymbolRequest, frozen=True, kw_only=True):
    """Change place or colour of a watched symbol; one of the two at least."""

    sort_index: Small | None = None
    color: Colour | None = None


class AlertCreateRequest(SymbolRequest, frozen=True, kw_only=True):
    """Arm a price alert. Which of the numbers are needed depends on ``condition``."""

    side: Small
    condition: Small
    repeat_mode: Small
    target_price: float | None = None
    channel_low: float | None = None
    channel_high: float | None = None
    move_threshold: float | None = None
    expires_at: Integer | None = None
    reference_price: float | None = None
    reference_time: Integer | None = None
    indicator_name: Line | None = None
    message: Text | None = None
    comment: Text | None = None


class AlertUpdateRequest(AccountRequest, frozen=True, kw_only=True):
    """Change a price alert; absent fields stay. Status 0 arms it again."""

    id: Count
    symbol: Symbol | None = None
    side: Small | None = None
    condition: Small | None = None
    repeat_mode: Small | None = None
    status: Small | None = None
    target_price: float | None = None
    channel_low: float | None = None
    channel_high: float | None = None
    move_threshold: float | None = None
    expires_at: Integer | None = None
    reference_price: float | None = None
    reference_time: Integer | None = None
    indicator_name: Line | None = None
    message: Text | None = None
    comment: Text | None = None


class AlertDeleteRequest(AccountRequest, frozen=True, kw_only=True):
    """Remove a price alert, or a row of its log."""

    id: Count


class AlertLogsRequest(AccountRequest, frozen=True, kw_only=True):
    """A page of the alert log, newest first."""

    limit: LogLimit = 10_000
    offset: Count = 0
