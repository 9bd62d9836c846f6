"""Swap of a position and day (broker 9.4). Pure.

The day ends at 00:00 UTC. Who is open then is charged for the day that ended: nothing for Saturday
and Sunday, three days on swap_rollover3days, one otherwise; with swap_daily one on every calendar day
and never three. By swap_type, s being swap_long or swap_short: 0 points lots·CS·point·s in the quote
currency · 1 money lots·s in the account's · 2 interest lots·CS·s/100/360 in the margin currency ·
3 lots·s in the margin currency · 4 as 2 times the open price, 5 as 2 times the current closing price,
both in the quote currency. Positive is the client's. Converted against the client; what a position is
charged for a day, threefold or not, is rounded once.
"""

from __future__ import annotations

from libs.common.sessions import day_of, weekday_of
from services.trading.conversion import Tick
from services.trading.instrument import PRICE_CURRENT, PRICE_OPEN, Market, Terms
from services.trading.position import BUY, side_of
from services.trading.profit import cash

_SATURDAY, _SUNDAY = 6, 0


def days_charged(terms: Terms, day: int) -> int:
    """How many days' swap the end of ``day`` (days since 1970) costs."""
    if terms.swap_daily:
        return 1
    weekday = weekday_of(day)
    if weekday in (_SATURDAY, _SUNDAY):
        return 0
    return 3 if weekday == terms.swap_rollover3days else 1


def swap_of(
    market: Market, terms: Terms, cmd: int, volume: int, open_points: int, days: int, currency: str
) -> int | None:
    """Minor units of ``days`` days' swap; None while a price or a rate is missing."""
    numerator, denominator = terms.swap_long if side_of(cmd) == BUY else terms.swap_short
    if not numerator or not days:
        return 0
    numerator *= volume * days
    if terms.swap_price == PRICE_OPEN:
        numerator *= open_points
    elif terms.swap_price == PRICE_CURRENT:
        tick: Tick | None = market.quotes.get(terms.symbol)
        if tick is None or tick.bid <= 0:
            return None
        numerator *= tick.bid if side_of(cmd) == BUY else tick.ask
    return cash(market, terms.swap_currency, currency, numerator, denominator)


def swap_between(
    market: Market,
    terms: Terms,
    cmd: int,
    volume: int,
    open_points: int,
    opened_ms: int,
    closed_ms: int,
    currency: str,
) -> int | None:
    """All swap of a position held from ``opened_ms`` to ``closed_ms``, at today's terms and rates."""
    total = 0
    for day in range(day_of(opened_ms), day_of(closed_ms)):
        amount = swap_of(market, terms, cmd, volume, open_points, days_charged(terms, day), currency)
        if amount is None:
            return None
        total += amount
    return total
