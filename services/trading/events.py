"""What happened to an account: facts in the past tense. Pure.

The engine decides them, ``state.apply`` folds them, the ledger turns them into postings, the store
writes their trades, the stream shows them. So each carries the whole trade as it is afterwards;
``at_ms`` is the server's clock. ``code`` is the record's change as the ``o`` frame tells it
(broker 10.7), None where there is no frame.
"""

from __future__ import annotations

from typing import ClassVar, TypeAlias

import msgspec

from services.trading.account import Limits
from services.trading.fills import PaperFill
from services.trading.position import Trade


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Base of all facts of one account."""

    code: ClassVar[int | None] = None

    login: int
    at_ms: int


class AccountOpened(Event, frozen=True, kw_only=True):
    """An account came to be, without money."""

    group: str
    currency: str
    leverage: int


class AccountChanged(Event, frozen=True, kw_only=True):
    """Staff changed what the account may do. Margins of open positions stay as they were fixed."""

    group: str
    leverage: int
    enabled: bool
    read_only: bool


class AccountLimited(Event, frozen=True, kw_only=True):
    """What the account allows itself changed: its limits, its kill switch, how its fills are simulated."""

    limits: Limits
    halted: int
    fill_profile: str


class TradeOpened(Event, frozen=True, kw_only=True):
    """A market order was filled."""

    code: ClassVar[int | None] = 0

    trade: Trade
    fill: PaperFill | None = None


class OrderRejected(Event, frozen=True, kw_only=True):
    """A market order that passed every check was rejected by the simulated venue; it never was open."""

    code: ClassVar[int | None] = 2

    trade: Trade
    fill: PaperFill


class PendingPlaced(Event, frozen=True, kw_only=True):
    """A pending order waits for its price."""

    code: ClassVar[int | None] = 0

    trade: Trade


class PendingActivated(Event, frozen=True, kw_only=True):
    """A pending order became a position under the same order number."""

    code: ClassVar[int | None] = 5

    trade: Trade
    fill: PaperFill | None = None


class ActivationDeferred(Event, frozen=True, kw_only=True):
    """A pending order was met but can't be filled yet; it is tried again on later ticks.

    Told once per reason; ``trade.deferred`` is its code.
    """

    trade: Trade


class PendingModified(Event, frozen=True, kw_only=True):
    """A pending order was changed."""

    code: ClassVar[int | None] = 1

    trade: Trade


class PendingCancelled(Event, frozen=True, kw_only=True):
    """A pending order was cancelled: by its owner, or because it may not be filled (activation 5)."""

    code: ClassVar[int | None] = 2

    trade: Trade


class PendingExpired(Event, frozen=True, kw_only=True):
    """A pending order came to its expiration, or to the end of its day."""

    code: ClassVar[int | None] = 2

    trade: Trade


class TradeModified(Event, frozen=True, kw_only=True):
    """The stop loss or take profit of a position was changed, by its owner or by its trailing stop."""

    code: ClassVar[int | None] = 1

    trade: Trade


class SwapCharged(Event, frozen=True, kw_only=True):
    """A position was held over the end of ``day`` (days since 1970); the swap is in its storage."""

    code: ClassVar[int | None] = 1

    trade: Trade
    day: int
    amount_minor: int


class DayRolled(Event, frozen=True, kw_only=True):
    """The end of the day before ``day`` has been dealt with: swaps, daily orders and stops."""

    day: int


class TradeClosed(Event, frozen=True, kw_only=True):
    """A position was closed as a whole; its profit, commission and swap are posted."""

    code: ClassVar[int | None] = 6

    trade: Trade
    fill: PaperFill | None = None


class TradePartlyClosed(Event, frozen=True, kw_only=True):
    """A part of a position was closed under its order number; the rest goes on as ``remainder``."""

    code: ClassVar[int | None] = 6

    trade: Trade
    remainder: Trade
    fill: PaperFill | None = None


class TradeCorrected(Event, frozen=True, kw_only=True):
    """Staff changed a record. For a closed one the difference of its net amount is posted."""

    code: ClassVar[int | None] = 1

    before: Trade
    trade: Trade


class BalanceChanged(Event, frozen=True, kw_only=True):
    """Money or credit came in or went out; the trade's profit is the amount."""

    code: ClassVar[int | None] = 0

    trade: Trade


class TradeRejected(Event, frozen=True, kw_only=True):
    """A pending order was met but may not be filled at all: ``error`` says why."""

    order: int
    error: str


class MarginCalled(Event, frozen=True, kw_only=True):
    """The margin level fell to the group's margin call; told once per crossing."""

    level_percent_hundredths: int
    equity_minor: int
    margin_minor: int


class StoppedOut(Event, frozen=True, kw_only=True):
    """The margin level fell to the group's stop-out; positions close from here on."""

    level_percent_hundredths: int
    equity_minor: int
    margin_minor: int


class LevelEased(Event, frozen=True, kw_only=True):
    """The margin level rose above what held it: ``level_type`` is 1 or 0 again."""

    level_type: int


AccountEvent: TypeAlias = (
    AccountOpened
    | AccountChanged
    | AccountLimited
    | TradeOpened
    | OrderRejected
    | PendingPlaced
    | PendingActivated
    | ActivationDeferred
    | PendingModified
    | PendingCancelled
    | PendingExpired
    | TradeModified
    | SwapCharged
    | DayRolled
    | TradeClosed
    | TradePartlyClosed
    | TradeCorrected
    | BalanceChanged
    | TradeRejected
    | MarginCalled
    | StoppedOut
    | LevelEased
)
