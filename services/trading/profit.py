"""Profit of positions (broker 9.4), converted to the account's currency. Pure.

profit_mode 0 and 1: (close - open) · contract size · lots; 2: (close - open) / tick_size · tick_value
· lots; the sign flips for sells. A buy closes at bid, a sell at ask. The amount is in the quote
currency and converted at the current rate against the client (``conversion.py``), then rounded once.
"""

from __future__ import annotations

from typing import NamedTuple

from services.trading.conversion import Tick
from services.trading.exact import Ratio, rounded, scale_of
from services.trading.instrument import Market, Terms
from services.trading.position import BUY, Trade


class Valuation(NamedTuple):
    """What positions of one symbol are worth at one moment: closing prices in points, and the worth of
    one point and volume unit in minor units of the account, exact, for a gain and for a loss."""

    bid: int
    ask: int
    gain_num: int
    gain_den: int
    loss_num: int
    loss_den: int


def valuation(market: Market, terms: Terms, tick: Tick, currency: str) -> Valuation | None:
    """The valuation at ``tick``; None while a rate is missing."""
    rates = market.conversion.rates(terms.quote_currency, currency, market.quotes)
    if rates is None:
        return None
    (gain_num, gain_den), (loss_num, loss_den) = rates
    number, of = terms.point_value
    number *= scale_of(currency)
    return Valuation(tick.bid, tick.ask, number * gain_num, of * gain_den, number * loss_num, of * loss_den)


def amount(worth: Valuation, points: int, volume: int) -> int:
    """Minor units of a difference of ``points`` in the client's favour on ``volume``."""
    product = points * volume
    if product >= 0:
        return (2 * product * worth.gain_num + worth.gain_den) // (2 * worth.gain_den)
    return -((worth.loss_den - 2 * product * worth.loss_num) // (2 * worth.loss_den))


def profit_of(trade: Trade, worth: Valuation) -> int:
    """Floating profit in minor units."""
    if trade.cmd == BUY:
        product = (worth.bid - trade.open_points) * trade.volume
    else:
        product = (trade.open_points - worth.ask) * trade.volume
    # the body of ``amount``, in place: this runs for every position on every tick
    if product >= 0:
        return (2 * product * worth.gain_num + worth.gain_den) // (2 * worth.gain_den)
    return -((worth.loss_den - 2 * product * worth.loss_num) // (2 * worth.loss_den))


def realised(trade: Trade, close_points: int, volume: int, worth: Valuation) -> int:
    """Profit in minor units of closing ``volume`` of a position at ``close_points``."""
    difference = close_points - trade.open_points
    return amount(worth, difference if trade.cmd == BUY else -difference, volume)


def rate_of(market: Market, terms: Terms, currency: str, profit_minor: int) -> Ratio:
    """The conversion rate a profit of this sign was converted at, for the record."""
    rates = market.conversion.rates(terms.quote_currency, currency, market.quotes)
    if rates is None:
        return 0, 1
    return rates.gain if profit_minor >= 0 else rates.loss


def mid_rate(market: Market, terms: Terms, currency: str) -> float:
    """The mid rate from the symbol's quote currency, for the record; 0 while a quote is missing."""
    rate = market.conversion.mid(terms.quote_currency, currency, market.quotes)
    return rate[0] / rate[1] if rate is not None else 0.0


def cash(market: Market, source: str, currency: str, numerator: int, denominator: int) -> int | None:
    """Minor units of an exact amount in ``source``, at the rate of its sign; None without a rate."""
    rates = market.conversion.rates(source, currency, market.quotes)
    if rates is None:
        return None
    num, den = rates.gain if numerator >= 0 else rates.loss
    return rounded(numerator * num * scale_of(currency), denominator * den)
