"""The end of a day, 00:00 UTC by the server's clock. Pure.

For every day that ended since the account was last dealt with, in order: each position that was open
at that midnight is charged its swap (``swap.py``); then, by the symbol's gtc_pendings, 0 (daily)
expires pending orders and takes SL and TP off positions, 2 (daily, without stops) expires pending
orders only, 1 leaves everything. A day is dealt with as a whole: while a rate that one of its swaps
needs is missing, it waits.

Every decision deals with the days that are due first, so nobody trades past a midnight unseen.
"""

from __future__ import annotations

import msgspec

from libs.common.sessions import DAY_MS, day_of
from services.trading.activation import expire
from services.trading.draft import Draft
from services.trading.events import DayRolled, SwapCharged, TradeModified
from services.trading.instrument import GTC, GTC_DAILY
from services.trading.position import Trade, with_stops
from services.trading.swap import days_charged, swap_of


def roll_days(draft: Draft) -> None:
    """Deal with every midnight since ``rolled_day``."""
    today = day_of(draft.now_ms)
    while draft.account.rolled_day < today and not draft.account.is_idle:
        day = draft.account.rolled_day + 1
        held = sorted(
            (t for t in draft.account.positions() if t.open_ms < day * DAY_MS), key=lambda trade: trade.order
        )
        swaps = _swaps(draft, held, day - 1)
        if swaps is None:
            return
        login, at_ms = draft.account.login, draft.now_ms
        for trade, amount in swaps:
            charged = msgspec.structs.replace(trade, storage_minor=trade.storage_minor + amount)
            draft.record(
                SwapCharged(login=login, at_ms=at_ms, trade=charged, day=day - 1, amount_minor=amount)
            )
        _end_daily_orders(draft, held, day)
        draft.record(DayRolled(login=login, at_ms=at_ms, day=day))


def _swaps(draft: Draft, held: list[Trade], day: int) -> list[tuple[Trade, int]] | None:
    """Who pays or receives how much for ``day``; None while a rate is missing."""
    found = []
    for trade in held:
        terms = draft.market.terms.get(trade.symbol)
        if terms is None:
            continue
        amount = swap_of(
            draft.market,
            terms,
            trade.cmd,
            trade.volume,
            trade.open_points,
            days_charged(terms, day),
            draft.account.currency,
        )
        if amount is None:
            return None
        if amount:
            found.append((trade, amount))
    return found


def _end_daily_orders(draft: Draft, held: list[Trade], day: int) -> None:
    login, at_ms = draft.account.login, draft.now_ms
    for trade in held:
        terms = draft.market.terms.get(trade.symbol)
        if terms is not None and terms.gtc == GTC_DAILY and (trade.sl_points or trade.tp_points):
            now = draft.account.position(trade.order) or trade
            bare = with_stops(now, 0, 0)
            draft.record(TradeModified(login=login, at_ms=at_ms, trade=bare))
    for trade in sorted(draft.account.pendings, key=lambda trade: trade.order):
        terms = draft.market.terms.get(trade.symbol)
        ends = terms is not None and terms.gtc != GTC and trade.open_ms < day * DAY_MS
        if ends and draft.account.pendings.get(trade.order) is not None:  # else it went with another
            expire(draft, trade)
