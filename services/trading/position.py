"""The record of an order: a pending one, an open position, or what became of it (broker 9.1). Pure.

Prices are integer points of the symbol's digits, money is minor units of the account's currency,
volume is hundredths of a lot. Costs are negative in ``commission_minor`` and ``storage_minor``.
"""

from __future__ import annotations

import msgspec

# cmd (broker 10.2), as plain integers: they are compared on every tick
BUY, SELL, BUY_LIMIT, SELL_LIMIT, BUY_STOP, SELL_STOP = range(6)
BALANCE_IN, CREDIT_IN, BALANCE_OUT, CREDIT_OUT = range(6, 10)
MARKET_CMDS = (BUY, SELL)
PENDING_CMDS = (BUY_LIMIT, SELL_LIMIT, BUY_STOP, SELL_STOP)
FINANCE_CMDS = (BALANCE_IN, CREDIT_IN, BALANCE_OUT, CREDIT_OUT)

# state (10.3)
OPEN_NORMAL, CLOSED_NORMAL, CLOSED_PART, CLOSED_BY, DELETED = 0, 3, 4, 5, 6

# activation (10.3)
ACTIVATION_NONE, ACTIVATION_SL, ACTIVATION_TP, ACTIVATION_PENDING, ACTIVATION_STOPOUT, ACTIVATION_CANCEL = (
    range(6)
)


class Trade(msgspec.Struct, frozen=True, kw_only=True, gc=False):  # numbers and text: never in a cycle
    """One order. ``margin_unit`` is the exact margin of one volume unit in minor units, as two integers,
    fixed when the position opened; ``margin_minor`` is that of the whole volume, rounded once.

    ``rate_num / rate_den`` is the conversion rate its profit was closed at, ``open_rate`` the mid rate when
    it opened, which nothing is computed from (0 is unknown); ``parent`` the order whose remainder it is;
    ``deferred`` the code for which a triggered pending order waits. ``trail_points`` is how far its stop loss
    trails the price, in steps of ``trail_step_points``; of the pending orders of one ``oco`` number only one
    is filled; one with ``after`` is held until that order is filled.
    """

    order: int
    login: int
    symbol: str
    digits: int
    cmd: int
    volume: int
    open_ms: int
    open_points: int
    state: int = OPEN_NORMAL
    reason: int = 0
    activation: int = ACTIVATION_NONE
    close_ms: int = 0
    close_points: int = 0
    sl_points: int = 0
    tp_points: int = 0
    expiration_ms: int = 0
    margin_minor: int = 0
    margin_num: int = 0
    margin_den: int = 1
    profit_minor: int = 0
    commission_minor: int = 0
    storage_minor: int = 0
    rate_num: int = 0
    rate_den: int = 1
    open_rate: float = 1.0
    comment: str = ""
    parent: int = 0
    deferred: str = ""
    trail_points: int = 0
    trail_step_points: int = 0
    oco: int = 0
    after: int = 0

    @property
    def is_pending(self) -> bool:
        """Whether it waits for its price."""
        return BUY_LIMIT <= self.cmd <= SELL_STOP

    @property
    def is_linked(self) -> bool:
        """Whether it knows of other orders."""
        return bool(self.oco or self.after)

    @property
    def net_minor(self) -> int:
        """What closing posts: profit, commission and swap."""
        return self.profit_minor + self.commission_minor + self.storage_minor


def side_of(cmd: int) -> int:
    """BUY or SELL, whichever a market or pending command comes to."""
    return cmd & 1


def with_stops(trade: Trade, sl_points: int, tp_points: int) -> Trade:
    """The trade with other levels; without a stop loss nothing trails."""
    trail, step = (trade.trail_points, trade.trail_step_points) if sl_points else (0, 0)
    return msgspec.structs.replace(
        trade, sl_points=sl_points, tp_points=tp_points, trail_points=trail, trail_step_points=step
    )


def noted(comment: str, note: str) -> str:
    """``note`` appended to a comment after a space."""
    return f"{comment} {note}" if comment and note else comment or note
