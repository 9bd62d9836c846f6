"""Margin of positions (broker 9.4) and what hedging makes of it. Pure.

By margin_mode, with lots = volume/100, D = margin_divider, L = the account's leverage:
0 forex lots·CS/(L·D) · 1 CFD lots·CS·price/D · 2 futures lots·margin_initial/D · 3 CFD index
lots·CS·price·tick_value/tick_size/D · 4 CFD leverage lots·CS·price/(L·D). Modes 0 and 2 are in the
symbol's margin currency, the price-based ones in its quote currency.

The margin of one volume unit is computed when the position opens (at its open price, its leverage and
the mid rate of that moment) and stays as an exact ratio; the margin of a position is that times its
volume, rounded once. A remainder after a partial close keeps the ratio.

Opposite positions on a symbol hedge each other. With B and S their volumes and H the smaller, the rest
|B - S| carries the average margin of the larger side, and every hedged lot carries margin_hedged
contract units instead of contract_size at the average of both sides; the sum is rounded once. With
the group's hedge_largeleg the symbol carries the larger of the two sides' margins.
"""

from __future__ import annotations

from services.trading.exact import Ratio, reduced, rounded, scale_of
from services.trading.instrument import Market, Terms


def unit_margin(market: Market, terms: Terms, open_points: int, leverage: int, currency: str) -> Ratio | None:
    """The exact margin of one volume unit in minor units; None while a rate is missing."""
    rate = market.conversion.mid(terms.margin_currency, currency, market.quotes)
    if rate is None:
        return None
    numerator, denominator = terms.margin
    if terms.margin_priced:
        numerator *= open_points
    if terms.margin_levered:
        denominator *= leverage
    return reduced(numerator * rate[0] * scale_of(currency), denominator * rate[1])


def margin_of(unit: Ratio, volume: int) -> int:
    """The margin of a volume in minor units."""
    return rounded(unit[0] * volume, unit[1])


def symbol_margin(
    buy_volume: int, sell_volume: int, buy_minor: int, sell_minor: int, hedged: Ratio, *, larger_leg: bool
) -> int:
    """The margin of all positions on one symbol, from the sums of both sides."""
    if not buy_volume or not sell_volume:
        return buy_minor + sell_minor
    if larger_leg:
        return max(buy_minor, sell_minor)
    both_volume, both_minor = buy_volume + sell_volume, buy_minor + sell_minor
    if buy_volume >= sell_volume:
        rest, smaller, side_volume, side_minor = (
            buy_volume - sell_volume,
            sell_volume,
            buy_volume,
            buy_minor,
        )
    else:
        rest, smaller, side_volume, side_minor = (
            sell_volume - buy_volume,
            buy_volume,
            sell_volume,
            sell_minor,
        )
    numerator, denominator = hedged
    # rest·side_minor/side_volume + smaller·hedged·both_minor/both_volume over one denominator
    return rounded(
        rest * side_minor * denominator * both_volume + smaller * numerator * both_minor * side_volume,
        side_volume * denominator * both_volume,
    )
