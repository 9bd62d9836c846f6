"""Commission of a deal (broker 9.4), booked negative when the position opens. Pure.

comm_type 0 money in the account's currency; 1 pips: so many points of the symbol; 2 percent of the
deal's notional lots · contract size · open price. comm_lots 0 is per lot; 1 is per deal, where pips
count as those of one lot; a percentage is of the deal's notional either way. Other currencies are
converted against the client; the deal's amount is rounded once.
"""

from __future__ import annotations

from services.trading.instrument import Market, Terms
from services.trading.profit import cash


def commission_of(market: Market, terms: Terms, volume: int, open_points: int, currency: str) -> int | None:
    """Minor units, negative for a cost; None while a rate is missing."""
    numerator, denominator = terms.commission
    if not numerator:
        return 0
    if not terms.commission_per_deal:
        numerator *= volume
    if terms.commission_priced:
        numerator *= open_points
    return cash(market, terms.commission_currency, currency, -numerator, denominator)
