"""Balance and credit operations. Pure.

cmd 6 and 7 (in) take an amount above 0, 8 and 9 (out) one below. Out of the balance goes at most the
free margin (by the group's margin_mode), out of the credit at most the credit. The operation is a
closed trade whose profit is the amount.
"""

from __future__ import annotations

from libs.common.errors import InvalidData
from services.trading import refusals as no
from services.trading.commands import ChangeBalance
from services.trading.draft import Draft
from services.trading.events import BalanceChanged
from services.trading.position import (
    BALANCE_IN,
    BALANCE_OUT,
    CLOSED_NORMAL,
    CREDIT_IN,
    CREDIT_OUT,
    FINANCE_CMDS,
    Trade,
)

AMOUNT_MAX = 10**15
_REASON_DEALER = 2


def change_balance(draft: Draft, asked: ChangeBalance) -> None:
    """Book money or credit in or out, or refuse it."""
    if asked.cmd not in FINANCE_CMDS:
        raise no.IncorrectCmd(f"cmd was {asked.cmd}")
    check_amount(asked.cmd, asked.amount_minor)
    check_covered(draft, asked.cmd, asked.amount_minor)
    booked_ms = draft.now_ms if asked.booked_ms is None else asked.booked_ms
    trade = Trade(
        order=draft.take_order(),
        login=draft.account.login,
        symbol="",
        digits=0,
        cmd=asked.cmd,
        volume=0,
        open_ms=booked_ms,
        open_points=0,
        close_ms=booked_ms,
        state=CLOSED_NORMAL,
        reason=_REASON_DEALER,
        profit_minor=asked.amount_minor,
        comment=asked.comment,
    )
    draft.record(BalanceChanged(login=draft.account.login, at_ms=draft.now_ms, trade=trade))


def check_amount(cmd: int, amount_minor: int) -> None:
    """The sign of an amount is that of its command."""
    inwards = cmd in (BALANCE_IN, CREDIT_IN)
    if not 0 < (amount_minor if inwards else -amount_minor) <= AMOUNT_MAX:
        raise InvalidData(f"amount was {amount_minor} minor units")


def check_covered(draft: Draft, cmd: int, amount_minor: int) -> None:
    """What goes out is there."""
    if cmd == CREDIT_OUT and -amount_minor > draft.account.credit_minor:
        raise no.NoMoney
    if cmd == BALANCE_OUT:
        numbers = draft.numbers()
        if numbers is None:
            raise no.OffQuotes
        if -amount_minor > numbers.margin_free_minor:
            raise no.NoMoney
