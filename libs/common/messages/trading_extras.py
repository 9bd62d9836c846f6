"""Messages owned by trading beyond the broker contract: dry runs, trailing stops, linked orders, limits, the
kill switch, simulated fills and notes. Major 1 of each. Units are those of ``trading_orders``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from libs.common.messages.trading_orders import BatchFailure, OrderAsk, TradeAck


class OrderCheck(OrderAsk, frozen=True, kw_only=True):
    """What would this order come to? cmd 0, 1 at the market, 2 to 5 as if filled at ``open_price``."""

    cmd: int
    volume: int
    symbol: str
    open_price: float = 0.0
    sl: float = 0.0
    tp: float = 0.0
    expiration: int = 0


class OrderChecked(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was done. ``error`` says why the order would be refused, "" when it would not.

    ``margin`` and ``commission`` are the order's own; the account's numbers are those with it. ``stop_price``
    is the price of the symbol that would stop the account out with all else as it is, 0 when none does.
    Under a ``fill_profile`` the numbers are those of a fill at the quote; ``worst_price`` is the worst the
    profile may make of it, and it may be filled in part or rejected. ``venue`` is "paper".
    """

    accepted: bool
    error: str
    message: str
    login: int
    symbol: str
    cmd: int
    volume: int
    price: float
    margin: float
    commission: float
    margin_free: float
    margin_level: float
    equity: float
    stop_price: float
    fill_profile: str = ""
    worst_price: float = 0.0
    may_be_partial: bool = False
    may_be_rejected: bool = False
    venue: Literal["paper"] = "paper"


class TradeTrail(OrderAsk, frozen=True, kw_only=True):
    """Let a position's stop loss trail its price at ``distance`` (a price difference); 0 ends it.

    It moves by ``step`` at least; 0 is a tenth of the distance.
    """

    order: int
    distance: float
    step: float = 0.0


class LinkedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One pending order of a linked group."""

    cmd: int
    volume: int
    symbol: str
    open_price: float
    sl: float = 0.0
    tp: float = 0.0
    expiration: int = 0
    comment: str = ""


class LinkedOpen(OrderAsk, frozen=True, kw_only=True):
    """Place linked pending orders, all or none: ``then`` are held until ``first`` is filled; with
    ``one_cancels_other`` the first of ``then`` that is filled cancels the rest."""

    first: LinkedOrder | None
    then: Sequence[LinkedOrder]
    one_cancels_other: bool = False
    reason: int = 0


class LinkedAck(msgspec.Struct, frozen=True, kw_only=True):
    """The orders in the order they were given."""

    accepted: bool = True
    rows: Sequence[TradeAck]


class LimitsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The limits an account set itself."""

    login: int


class LimitsPut(msgspec.Struct, frozen=True, kw_only=True):
    """Set limits; None keeps what is there, 0 is no limit, the profile "" fills at the quote."""

    login: int
    max_daily_loss: float | None = None
    max_open_volume: int | None = None
    max_orders_per_minute: int | None = None
    fill_profile: str | None = None


class LimitsView(msgspec.Struct, frozen=True, kw_only=True):
    """An account's limits. ``halted``: 0 no, 1 by its owner, 2 by the house; ``venue``: "paper"."""

    login: int
    max_daily_loss: float
    max_open_volume: int
    max_orders_per_minute: int
    fill_profile: str
    fill_profiles: Sequence[str]
    halted: int
    venue: Literal["paper"] = "paper"


class HaltPut(OrderAsk, frozen=True, kw_only=True):
    """Pull an account's kill switch, or let go of it. ``by``: 1 its owner, 2 the house."""

    on: bool
    flatten: bool = False
    by: int = 1


class Halted(msgspec.Struct, frozen=True, kw_only=True):
    """Where the switch stands, and what flattening could not close."""

    login: int
    halted: int
    matched: int
    failed: int
    failures: Sequence[BatchFailure]


class HouseHaltAsk(msgspec.Struct, frozen=True):
    """Where the house's kill switch stands."""


class HouseHaltPut(msgspec.Struct, frozen=True, kw_only=True):
    """Pull the kill switch of the whole house, or let go of it; ``flatten`` closes and cancels everything."""

    on: bool
    flatten: bool = False


class HouseHalted(msgspec.Struct, frozen=True, kw_only=True):
    """Where the switch stands; of a flattening how many orders went and how many could not."""

    halted: bool
    flattened: int = 0
    failed: int = 0


class NotePut(msgspec.Struct, frozen=True, kw_only=True):
    """Write a journal note to an order; "" takes it away."""

    login: int
    order: int
    note: str


class NotesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Journal notes, newest order first; of one order when it is given."""

    login: int
    order: int | None = None
    limit: int = 100
    offset: int = 0


class FillsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How an order was filled by a simulation profile."""

    login: int
    order: int


class Table(msgspec.Struct, frozen=True):
    """``{"structure":[…],"rows":[[…]]}``."""

    structure: Sequence[str]
    rows: Sequence[Sequence[Any]]
