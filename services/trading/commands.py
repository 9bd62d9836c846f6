"""What may be asked of an account: commands, which may be refused, quotes and the clock. Pure.

Prices are integer points of the symbol, money minor units of the account's currency; who reads them
from a request makes them so. ``read_only`` says that the caller's session may only look. None keeps
what is there.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from services.trading.account import Limits
from services.trading.position import Trade


class ClientCommand(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what a client asks."""

    read_only: bool = False


class OpenTrade(ClientCommand, frozen=True, kw_only=True):
    """Buy or sell at the market. ``requested_points`` counts where execution is not at market."""

    cmd: int
    symbol: str
    volume: int
    sl_points: int = 0
    tp_points: int = 0
    requested_points: int = 0
    comment: str = ""
    reason: int = 0


class PlacePending(ClientCommand, frozen=True, kw_only=True):
    """Buy or sell when the price comes to ``open_points``. ``expiration_ms`` 0 is until cancelled."""

    cmd: int
    symbol: str
    volume: int
    open_points: int
    sl_points: int = 0
    tp_points: int = 0
    expiration_ms: int = 0
    comment: str = ""
    reason: int = 0


class CloseTrade(ClientCommand, frozen=True, kw_only=True):
    """Close a position, or ``volume`` of it."""

    order: int
    volume: int | None = None
    comment: str = ""


class CloseBy(ClientCommand, frozen=True, kw_only=True):
    """Close two opposite positions on one symbol against each other."""

    order: int
    order_by: int


class CloseGroup(ClientCommand, frozen=True, kw_only=True):
    """Close all positions (type 0), those in profit (1) or in loss (-1), of one symbol or of all."""

    type: int
    symbol: str | None = None
    comment: str | None = None


class CancelPending(ClientCommand, frozen=True, kw_only=True):
    """Cancel a pending order."""

    order: int


class CancelGroup(ClientCommand, frozen=True, kw_only=True):
    """Cancel the pending orders of one symbol or of all."""

    symbol: str | None = None


class ModifyTrade(ClientCommand, frozen=True, kw_only=True):
    """Change the levels of a position; 0 removes one."""

    order: int
    sl_points: int | None = None
    tp_points: int | None = None


class ModifyPending(ClientCommand, frozen=True, kw_only=True):
    """Change a pending order; an ``expiration_ms`` of 0 clears it."""

    order: int
    open_points: int | None = None
    sl_points: int | None = None
    tp_points: int | None = None
    expiration_ms: int | None = None


class TrailTrade(ClientCommand, frozen=True, kw_only=True):
    """Let the stop loss of a position trail its price at a distance; 0 stops it where it stands.

    It moves by ``step_points`` at least (0: a tenth of the distance), always in the client's favour.
    """

    order: int
    distance_points: int
    step_points: int = 0


class PlaceLinked(ClientCommand, frozen=True, kw_only=True):
    """Place pending orders that know of each other, all of them or none.

    ``first`` waits for its price at once, when there is one; ``then`` are held until it is filled and go
    with it when it ends unfilled. With ``one_cancels_other`` the first of ``then`` that is filled cancels
    the rest of them.
    """

    first: PlacePending | None
    then: tuple[PlacePending, ...]
    one_cancels_other: bool = False


class Halt(ClientCommand, frozen=True, kw_only=True):
    """Pull the kill switch, or let go of it: nothing opens while it is pulled.

    Who pulled it must let go: 1 the account's owner, 2 the house, which may do both. ``flatten`` closes
    what is open at the market and cancels what waits.
    """

    on: bool
    by: int = 1
    flatten: bool = False


class LimitAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Set an account's own limits, or the profile its fills are simulated by."""

    limits: Limits | None = None
    fill_profile: str | None = None


class ChangeBalance(msgspec.Struct, frozen=True, kw_only=True):
    """Money (cmd 6, 8) or credit (7, 9) in or out; out is negative."""

    cmd: int
    amount_minor: int
    comment: str = ""
    booked_ms: int | None = None


class StaffOpen(msgspec.Struct, frozen=True, kw_only=True):
    """Open a position or place a pending order for a client, at a stated price and time if given.

    Sessions, quotes' age and distances are the dealer's business; volume limits, stops on their side
    and margin are not. ``commission_minor`` replaces the computed one, ``storage_minor`` is the swap a
    position brings along.
    """

    cmd: int
    symbol: str
    volume: int
    open_points: int = 0
    open_ms: int | None = None
    sl_points: int = 0
    tp_points: int = 0
    expiration_ms: int = 0
    commission_minor: int | None = None
    storage_minor: int = 0
    comment: str = ""
    reason: int = 2


class StaffClose(msgspec.Struct, frozen=True, kw_only=True):
    """Close a client's position, or a part of it; stated amounts replace the computed ones."""

    order: int
    volume: int | None = None
    close_points: int = 0
    close_ms: int | None = None
    profit_minor: int | None = None
    commission_minor: int | None = None
    storage_minor: int | None = None
    comment: str = ""


class StaffUpdate(msgspec.Struct, frozen=True, kw_only=True):
    """Correct the record of an open, pending, closed or finance order.

    ``before`` is the record as stored when the order is not open any more.
    """

    order: int
    before: Trade | None = None
    open_points: int | None = None
    close_points: int | None = None
    open_ms: int | None = None
    close_ms: int | None = None
    volume: int | None = None
    sl_points: int | None = None
    tp_points: int | None = None
    expiration_ms: int | None = None
    profit_minor: int | None = None
    commission_minor: int | None = None
    storage_minor: int | None = None
    comment: str | None = None


class ChangeAccount(msgspec.Struct, frozen=True, kw_only=True):
    """Change what an account may do."""

    group: str | None = None
    leverage: int | None = None
    enabled: bool | None = None
    read_only: bool | None = None


class OnQuote(msgspec.Struct, frozen=True, kw_only=True):
    """The market's quote of ``symbol`` has changed.

    ``orders``: those whose level the trigger book says was met; None asks of all. They are judged anew.
    """

    symbol: str
    orders: tuple[int, ...] | None = None


class OnClock(msgspec.Struct, frozen=True, kw_only=True):
    """Time has passed: expirations, the end of a day, and what a closed market had held up."""


Input: TypeAlias = (
    OpenTrade
    | PlacePending
    | CloseTrade
    | CloseBy
    | CloseGroup
    | CancelPending
    | CancelGroup
    | ModifyTrade
    | ModifyPending
    | TrailTrade
    | PlaceLinked
    | Halt
    | LimitAccount
    | ChangeBalance
    | StaffOpen
    | StaffClose
    | StaffUpdate
    | ChangeAccount
    | OnQuote
    | OnClock
)
