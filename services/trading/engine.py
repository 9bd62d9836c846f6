"""The engine of margin trading: an account, what is asked or what the market did, and the time, give
facts. Pure: no I/O, no clock, no randomness; the same arguments give the same facts.

One decision runs like this: the days that ended are dealt with (``rollover.py``), then the command,
quote or clock itself, then margin call and stop-out (``risk.py``). A refused command changes nothing
and comes back as the outcome's ``refusal`` (``refusals.py``), beside what the ended days did.

``state.apply`` folds the facts; ``postings.py`` turns them into ledger entries. Where the rules stand:
checks and their order ``orders.py`` · opening ``opening.py`` · closing ``closing.py`` · changing and
cancelling ``modifying.py`` · SL, TP and pending orders on a quote ``activation.py`` · margin call and
stop-out ``risk.py`` · end of day ``rollover.py`` · money in and out ``finance.py`` · staff ``staff.py`` ·
profit, margin, commission, swap, conversion: each in the file of its name. Beyond the contract, off until
asked for: ``trailing.py`` ``links.py`` ``netting.py`` ``limits.py`` ``fills.py``; ``preview.py`` asks the
engine and keeps nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from libs.common.errors import AppError, invariant
from libs.common.sessions import DAY_MS
from services.trading import commands as c
from services.trading.activation import expire_due, on_quote
from services.trading.closing import close_by, close_group, close_trade
from services.trading.draft import Draft, Outcome
from services.trading.finance import change_balance
from services.trading.instrument import Market
from services.trading.limits import halt, limit_account
from services.trading.modifying import cancel_group, cancel_pending, modify_pending, modify_trade
from services.trading.opening import open_trade, place_linked, place_pending
from services.trading.risk import assess
from services.trading.rollover import roll_days
from services.trading.staff import change_account, staff_close, staff_open, staff_update
from services.trading.state import Account
from services.trading.trailing import trail_trade


def decide(
    account: Account, asked: c.Input, market: Market, now_ms: int, take_order: Callable[[], int]
) -> Outcome:
    """What ``asked`` does to ``account``, or why it is refused.

    ``take_order`` gives the next order number of the house; a refused command may leave a gap.
    """
    draft = Draft(account, market, now_ms, take_order)
    if now_ms >= (account.rolled_day + 1) * DAY_MS and not account.is_idle:
        roll_days(draft)
    due = len(draft.events)
    try:
        _DECISIONS[type(asked)](draft, asked)
    except AppError as refusal:
        invariant(len(draft.events) == due, "every check of a command stands before its first fact")
        draft.refusal = refusal
    assess(draft)
    return draft.outcome()


def _on_quote(draft: Draft, asked: c.OnQuote) -> None:
    on_quote(draft, asked.symbol, asked.orders)


def _on_clock(draft: Draft, asked: c.OnClock) -> None:
    expire_due(draft)


_DECISIONS: dict[type[Any], Callable[[Draft, Any], None]] = {
    c.OpenTrade: open_trade,
    c.PlacePending: place_pending,
    c.CloseTrade: close_trade,
    c.CloseBy: close_by,
    c.CloseGroup: close_group,
    c.CancelPending: cancel_pending,
    c.CancelGroup: cancel_group,
    c.ModifyTrade: modify_trade,
    c.ModifyPending: modify_pending,
    c.TrailTrade: trail_trade,
    c.PlaceLinked: place_linked,
    c.Halt: halt,
    c.LimitAccount: limit_account,
    c.ChangeBalance: change_balance,
    c.StaffOpen: staff_open,
    c.StaffClose: staff_close,
    c.StaffUpdate: staff_update,
    c.ChangeAccount: change_account,
    c.OnQuote: _on_quote,
    c.OnClock: _on_clock,
}
