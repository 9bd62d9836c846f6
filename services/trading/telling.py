"""What is told of decisions: trade frames, then balance frames, then notices, as facts for the outbox. Pure.

Every fact with a code is an ``o`` frame; a partial close is two, the closed part first. An account whose
money or margin moved gets one ``b`` frame after all its ``o`` frames, with its numbers at the end of the
commit. Margin call, stop-out and the rejection of a pending order are notices, which the notifier turns
into ``n`` frames and messages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from libs.common.ids import Ids
from libs.common.messages.notifier import Notice
from libs.common.money import from_minor
from libs.common.outbox import Fact, fact
from libs.common.subjects import BALANCE_PUSH, TRADE_PUSH, TRADING_NOTICE
from services.trading import events as e
from services.trading.floor import Decision, Floor
from services.trading.frames import balance_frame, trade_frame
from services.trading.state import Account
from services.trading.trades import Change

INFO, WARNING, ERROR = 10, 20, 30
_BALANCE, _TRADE = 0, 1  # categories of broker 10.7
# What moves neither money nor margin.
_STILL = (
    e.AccountChanged,
    e.PendingPlaced,
    e.PendingModified,
    e.PendingCancelled,
    e.PendingExpired,
    e.ActivationDeferred,
    e.TradeModified,
    e.TradeRejected,
    e.DayRolled,
    e.OrderRejected,
    e.AccountLimited,
)


def facts_of(decisions: Iterable[Decision], floor: Floor, ids: Ids) -> list[Fact]:
    """What to append to the outbox, in order: the relay sends what is in a row for one stream together."""
    told: list[tuple[Any, Any, int]] = []
    notices: list[tuple[Any, Account]] = []
    moved: dict[int, Account] = {}
    for account, outcome in decisions:
        for event in outcome.events:
            told += [(TRADE_PUSH, frame, account.login) for frame in _frames(event, account, floor)]
            if not isinstance(event, _STILL):
                moved[account.login] = account
            if isinstance(event, e.MarginCalled | e.StoppedOut | e.TradeRejected):
                notices.append((event, account))
    for login, account in moved.items():
        now = floor.accounts.get(login, account)
        told.append((BALANCE_PUSH, balance_frame(now, floor.numbers(now)), login))
    names = ids.event_ids(len(told) + len(notices))
    facts = [
        fact(subject, body, name, login=login)
        for (subject, body, login), name in zip(told, names[: len(told)], strict=True)
    ]
    for (event, account), name in zip(notices, names[len(told) :], strict=True):
        facts.append(fact(TRADING_NOTICE, _notice(event, account, name), name, login=account.login))
    return facts


def _frames(event: e.AccountEvent, account: Account, floor: Floor) -> Iterator[Any]:
    if event.code is None:
        return
    market = floor.market_of(account)
    yield trade_frame(event.trade, account, market, event.code)  # type: ignore[union-attr]
    rest = getattr(event, "remainder", None)
    if rest is not None:
        yield trade_frame(rest, account, market, Change.ADD.value)


def _notice(event: Any, account: Account, event_id: str) -> Notice:
    if isinstance(event, e.TradeRejected):
        return Notice(
            event_id=event_id,
            login=account.login,
            token="TRADE_REJECTED",  # noqa: S106 - the key of a message
            raised_ms=event.at_ms,
            level=ERROR,
            code=400,
            category=_TRADE,
            data={"order": event.order, "error": event.error},
        )
    stopped = isinstance(event, e.StoppedOut)
    currency = account.currency
    return Notice(
        event_id=event_id,
        login=account.login,
        token="STOP_OUT" if stopped else "MARGIN_CALL",
        raised_ms=event.at_ms,
        level=ERROR if stopped else WARNING,
        category=_BALANCE,
        data={
            "margin_level": event.level_percent_hundredths / 100,
            "equity": from_minor(event.equity_minor, currency),
            "margin": from_minor(event.margin_minor, currency),
            "currency": currency,
        },
    )
