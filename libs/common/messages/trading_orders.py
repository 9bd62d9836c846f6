"""Messages owned by trading about orders: what is asked, what was accepted, what is listed. Major 1 of each.

Prices are JSON numbers, volume is lots x 100, times are Unix seconds, as on the broker surface (broker 5).
``read_only`` says that the caller's session may only look.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

# ── what a client asks ────────────────────────────────────────────────────────────────────────────


class OrderAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is asked about the orders of one account."""

    login: int
    read_only: bool = False


class TradeOpen(OrderAsk, frozen=True, kw_only=True):
    """Buy or sell at the market (5.1). ``client_order_id`` makes it happen once."""

    cmd: int
    volume: int
    symbol: str
    sl: float = 0.0
    tp: float = 0.0
    open_price: float = 0.0
    comment: str = ""
    reason: int = 0
    client_order_id: str = ""


class PendingOpen(OrderAsk, frozen=True, kw_only=True):
    """Place a pending order (5.2). ``expiration`` 0 is until cancelled."""

    cmd: int
    volume: int
    symbol: str
    open_price: float
    sl: float = 0.0
    tp: float = 0.0
    expiration: int = 0
    comment: str = ""
    reason: int = 0
    client_order_id: str = ""


class TradeClose(OrderAsk, frozen=True, kw_only=True):
    """Close a position or ``volume`` of it (5.3)."""

    order: int
    volume: int | None = None
    comment: str = ""


class TradeCloseBy(OrderAsk, frozen=True, kw_only=True):
    """Close two opposite positions against each other (5.4)."""

    order: int
    order_by: int


class TradeCloseGroup(OrderAsk, frozen=True, kw_only=True):
    """Close all positions, those in profit (1) or in loss (-1) (5.5)."""

    type: int
    symbol: str | None = None
    comment: str | None = None


class PendingCancel(OrderAsk, frozen=True, kw_only=True):
    """Cancel a pending order (5.6)."""

    order: int


class PendingCancelGroup(OrderAsk, frozen=True, kw_only=True):
    """Cancel pending orders (5.7)."""

    symbol: str | None = None


class TradeModify(OrderAsk, frozen=True, kw_only=True):
    """Change the levels of a position (5.8); 0 removes one, None keeps it."""

    order: int
    sl: float | None = None
    tp: float | None = None


class PendingModify(OrderAsk, frozen=True, kw_only=True):
    """Change a pending order (5.9); an expiration of 0 clears it, None keeps what is there."""

    order: int
    open_price: float | None = None
    sl: float | None = None
    tp: float | None = None
    expiration: int | None = None


# ── what was accepted ─────────────────────────────────────────────────────────────────────────────


class TradeAck(msgspec.Struct, frozen=True, kw_only=True):
    """The order was accepted, and what it does is committed; ``state`` is that of the request."""

    accepted: bool = True
    order: int
    state: int
    login: int
    symbol: str
    cmd: int
    volume: int


class CloseAck(TradeAck, frozen=True, kw_only=True):
    """A close was accepted: ``volume`` is what stays open, ``close_volume`` what was closed."""

    close_volume: int


class BatchFailure(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a batch that was refused."""

    order: int
    error: str
    message: str


class CloseBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch of closes came to. ``error`` and ``message`` are there when none was accepted."""

    rows: Sequence[CloseAck]
    matched: int
    closed: int
    failed: int
    failures: Sequence[BatchFailure]
    error: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


class CancelBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What a batch of cancellations came to."""

    rows: Sequence[TradeAck]
    matched: int
    cancelled: int
    failed: int
    failures: Sequence[BatchFailure]
    error: str | UnsetType = UNSET
    message: str | UnsetType = UNSET


# ── what is listed ────────────────────────────────────────────────────────────────────────────────

Condition = tuple[str, Any]


class TradesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """A page of an account's trades (5.10). Conditions are ``(field, value)`` and hold all at once."""

    login: int
    limit: int = 100
    offset: int = 0
    trade_type: int = 0
    where: Sequence[Condition] = ()
    where_not: Sequence[Condition] = ()
    where_in: Sequence[Condition] = ()
    where_not_in: Sequence[Condition] = ()
    where_between: Sequence[Condition] = ()
    where_not_between: Sequence[Condition] = ()


class TradeTable(msgspec.Struct, frozen=True, kw_only=True):
    """The page, and count and totals over every match."""

    structure: Sequence[str]
    rows: Sequence[Sequence[Any]]
    count: int
    total_profit: float
    total_net_profit: float
    total_storage: float
    total_commission: float
    total_volume: int


class HistoryAsk(msgspec.Struct, frozen=True, kw_only=True):
    """What closed from ``from_s`` to ``to_s``, inclusive (5.11)."""

    login: int
    from_s: int
    to_s: int


class HistoryTable(msgspec.Struct, frozen=True):
    """The columns of ``TradeTable`` without ``net_profit``."""

    structure: Sequence[str]
    rows: Sequence[Sequence[Any]]


# ── accounts ──────────────────────────────────────────────────────────────────────────────────────


class AccountMeAsk(msgspec.Struct, frozen=True, kw_only=True):
    """An account with its profile and numbers (4.1)."""

    login: int


class AccountMe(msgspec.Struct, frozen=True, kw_only=True):
    """The flat object of 4.1, in its order; ``profit`` and ``level_type`` are ours, at the end."""

    id: int
    login: int
    currency: str
    group: str
    comment: str
    enable: int
    enable_read_only: int
    enable_change_password: int
    leverage: int
    avatar: str
    email: str
    name: str
    phone: str
    address: str
    city: str
    country: str
    zipcode: str
    regdate: int
    prevbalance: float
    prevmonthbalance: float
    balance: float
    storage: float
    commission: float
    credit: float
    margin: float
    margin_free: float
    margin_level: float
    equity: float
    profit: float
    level_type: int


class BalancesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of many accounts (4.3)."""

    logins: Sequence[int]


class BalanceRow(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one of them; ``login`` is ours, at the end."""

    balance: float
    credit: float
    profit: float
    commission: float
    storage: float
    margin: float
    margin_free: float
    margin_level: float
    equity: float
    level_type: int
    login: int


class Balances(msgspec.Struct, frozen=True):
    """``{"rows":[…]}`` in the order of the logins."""

    rows: Sequence[BalanceRow]


# ── staff (9.5) ───────────────────────────────────────────────────────────────────────────────────


class BalanceChange(msgspec.Struct, frozen=True, kw_only=True):
    """Money (cmd 6, 8) or credit (7, 9) in or out; out is negative. ``order`` corrects an operation."""

    login: int
    cmd: int
    amount: float
    comment: str = ""
    order: int | None = None
    open_time: int | None = None
    close_time: int | None = None


class BalanceAck(msgspec.Struct, frozen=True, kw_only=True):
    """The operation is booked."""

    accepted: bool = True
    order: int
    state: int
    login: int
    cmd: int
    amount: float


class StaffOpenAsk(msgspec.Struct, frozen=True, kw_only=True):
    """MngOpenTrade: open a position or place a pending order for a client.

    1.1 added ``storage``, the swap a position brings along.
    """

    login: int
    cmd: int
    volume: int
    symbol: str
    open_price: float = 0.0
    open_time: int | None = None
    sl: float = 0.0
    tp: float = 0.0
    expiration: int = 0
    commission: float | None = None
    comment: str = ""
    storage: float = 0.0


class StaffCloseAsk(msgspec.Struct, frozen=True, kw_only=True):
    """MngCloseTrade: close a client's position, or a part of it."""

    login: int
    order: int
    volume: int | None = None
    close_price: float = 0.0
    close_time: int | None = None
    commission: float | None = None
    storage: float | None = None
    profit: float | None = None
    comment: str = ""


class StaffUpdateAsk(msgspec.Struct, frozen=True, kw_only=True):
    """MngUpdate…Trade: correct a record. ``kind``: any, open, close or pending; another kind is refused."""

    login: int
    order: int
    kind: str = "any"
    volume: int | None = None
    open_price: float | None = None
    open_time: int | None = None
    close_price: float | None = None
    close_time: int | None = None
    sl: float | None = None
    tp: float | None = None
    expiration: int | None = None
    commission: float | None = None
    storage: float | None = None
    profit: float | None = None
    comment: str | None = None


class TradeRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An order as staff see it (9.1). ``conv_rates`` are those of its profit when it opened and when it
    closed, 0 where it did not; ``margin_initial`` is the margin fixed when it opened."""

    order: int
    login: int
    symbol: str
    digits: int
    cmd: int
    volume: int
    open_time: int
    state: int
    open_price: float
    sl: float
    tp: float
    close_time: int
    expiration: int
    reason: int
    activation: int
    commission: float
    storage: float
    profit: float
    close_price: float
    margin_initial: float
    conv_rates: Sequence[float]
    comment: str


class SwapAsk(msgspec.Struct, frozen=True, kw_only=True):
    """CalculateSwap: what a position would have been charged from ``open_time`` to ``close_time``."""

    login: int
    cmd: int
    symbol: str
    volume: int
    open_price: float
    open_time: int
    close_time: int | None = None


class SwapAmount(msgspec.Struct, frozen=True):
    """``{"swap": amount}`` in the account's currency; negative is a cost."""

    swap: float


class AccountSync(msgspec.Struct, frozen=True, kw_only=True):
    """Look up again what an account may do; answers when it is in force."""

    login: int


class MarketSync(msgspec.Struct, frozen=True):
    """Look up again what instruments and groups say; answers when it is in force."""
