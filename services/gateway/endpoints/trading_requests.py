"""Requests about orders, as clients send them (broker 5): body or query, unknown fields are ignored."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from services.gateway.endpoints.broker_requests import AccountRequest
from services.gateway.endpoints.fields import Count, Line, Login, Seconds, Small, Symbol

Volume = Annotated[int, Meta(ge=1, le=2**53 - 1, description="Lots x 100: 100 is one lot.")]
Price = Annotated[float, Meta(ge=0, le=1e15, description="Absolute price; 0 is none.")]
Order = Annotated[int, Meta(ge=0, le=2**53 - 1, description="Order number.")]
Cmd = Annotated[int, Meta(ge=-1, le=99, description="0 buy, 1 sell, 2/3 limit, 4/5 stop.")]
OwnId = Annotated[str, Meta(max_length=255, description="The client's own id: the order happens once.")]
Amount = Annotated[float, Meta(ge=-1e15, le=1e15)]
PageLimit = Annotated[int, Meta(ge=0, le=1000)]
Logins = Annotated[list[Count], Meta(min_length=1, max_length=1000)]
Condition = Annotated[tuple[str, Any], Meta(description="[field, value]")]
Conditions = Annotated[list[tuple[str, Any]], Meta(max_length=50)]


class OpenRequest(AccountRequest, frozen=True, kw_only=True):
    """Buy or sell at the market. ``expiration`` and ``open_time`` are read and change nothing."""

    cmd: Cmd
    volume: Volume
    symbol: Symbol
    sl: Price
    tp: Price
    open_price: Price | None = None
    expiration: Seconds | None = None
    comment: Line | None = None
    open_time: Seconds | None = None
    client_order_id: OwnId | None = None


class OpenPendingRequest(AccountRequest, frozen=True, kw_only=True):
    """Place a pending order; without ``expiration`` it waits until it is cancelled."""

    cmd: Cmd
    volume: Volume
    symbol: Symbol
    open_price: Price
    sl: Price
    tp: Price
    expiration: Seconds | None = None
    comment: Line | None = None
    client_order_id: OwnId | None = None


class CloseRequest(AccountRequest, frozen=True, kw_only=True):
    """Close a position; with ``volume`` a part of it."""

    order: Order
    volume: Volume | None = None
    comment: Line | None = None
    expiration: Seconds | None = None


class CloseByRequest(AccountRequest, frozen=True, kw_only=True):
    """Close a position by an opposite one on the same symbol."""

    order: Order
    order_by: Order


class CloseGroupRequest(AccountRequest, frozen=True, kw_only=True):
    """Close all positions (0), those in profit (1) or in loss (-1)."""

    type: Annotated[int, Meta(ge=-1, le=1)]
    symbol: Annotated[str, Meta(max_length=64)] | None = None
    comment: Line | None = None


class CancelRequest(AccountRequest, frozen=True, kw_only=True):
    """Cancel a pending order."""

    order: Order


class CancelGroupRequest(AccountRequest, frozen=True, kw_only=True):
    """Cancel the pending orders of one symbol, or all."""

    symbol: Annotated[str, Meta(max_length=64)] | None = None


class ModifyRequest(AccountRequest, frozen=True, kw_only=True):
    """Change levels of a position; 0 removes one, an absent one stays."""

    order: Order
    sl: Price | None = None
    tp: Price | None = None


class ModifyPendingRequest(AccountRequest, frozen=True, kw_only=True):
    """Change a pending order; absent fields stay, an ``expiration`` of 0 clears it."""

    order: Order
    open_price: Price | None = None
    sl: Price | None = None
    tp: Price | None = None
    expiration: Seconds | None = None


class TradesRequest(AccountRequest, frozen=True, kw_only=True):
    """A page of trades. Conditions are ``[[field, value], ...]`` and hold all at once."""

    limit: PageLimit = 100
    offset: Count = 0
    trade_type: Annotated[int, Meta(ge=0, le=4)] = msgspec.field(name="tradeType", default=0)
    where: Conditions | None = None
    where_not: Conditions | None = msgspec.field(name="whereNot", default=None)
    where_in: Conditions | None = msgspec.field(name="whereIn", default=None)
    where_not_in: Conditions | None = msgspec.field(name="whereNotIn", default=None)
    where_between: Conditions | None = msgspec.field(name="whereBetween", default=None)
    where_not_between: Conditions | None = msgspec.field(name="whereNotBetween", default=None)


class HistoryRequest(AccountRequest, frozen=True, kw_only=True):
    """What closed between two times, inclusive."""

    from_: Seconds = msgspec.field(name="from")
    to: Seconds


class BalancesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of many accounts."""

    logins: Logins


# ── staff ─────────────────────────────────────────────────────────────────────────────────────────


class StaffRequest(msgspec.Struct, frozen=True, kw_only=True):
    """About one trading account, named by staff."""

    login: Login | None = None


class BalanceRequest(StaffRequest, frozen=True, kw_only=True):
    """A balance (cmd 6, 8) or credit (7, 9) operation; out is negative."""

    cmd: Small
    amount: Amount
    comment: Line = ""


class MoneyRequest(StaffRequest, frozen=True, kw_only=True):
    """BalanceIn, BalanceOut, CreditIn, CreditOut; with ``order`` such an operation is corrected."""

    amount: Amount
    comment: Line | None = None
    order: Order | None = None
    open_time: Seconds | None = None
    close_time: Seconds | None = None


class MngOpenRequest(StaffRequest, frozen=True, kw_only=True):
    """Open a position or place a pending order for a client; without ``open_price`` at the market.

    ``commission`` replaces the computed one, ``storage`` is the swap a position brings along.
    """

    cmd: Cmd
    volume: Volume
    symbol: Symbol
    open_price: Price = 0.0
    open_time: Seconds | None = None
    sl: Price = 0.0
    tp: Price = 0.0
    expiration: Seconds = 0
    commission: Amount | None = None
    storage: Amount = 0.0
    comment: Line = ""


class MngCloseRequest(StaffRequest, frozen=True, kw_only=True):
    """Close a client's position or a part of it; amounts given replace the computed ones."""

    order: Order
    volume: Volume | None = None
    close_price: Price = 0.0
    close_time: Seconds | None = None
    commission: Amount | None = None
    storage: Amount | None = None
    profit: Amount | None = None
    comment: Line = ""


class MngUpdateRequest(StaffRequest, frozen=True, kw_only=True):
    """Correct a record; absent fields stay."""

    order: Order
    volume: Volume | None = None
    open_price: Price | None = None
    open_time: Seconds | None = None
    close_price: Price | None = None
    close_time: Seconds | None = None
    sl: Price | None = None
    tp: Price | None = None
    expiration: Seconds | None = None
    commission: Amount | None = None
    storage: Amount | None = None
    profit: Amount | None = None
    comment: Line | None = None


class SwapRequest(StaffRequest, frozen=True, kw_only=True):
    """What a position would have been charged; ``close_time`` absent is now."""

    cmd: Cmd
    symbol: Symbol
    volume: Volume
    open_price: Price
    open_time: Seconds
    close_time: Seconds | None = None
