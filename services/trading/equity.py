"""The numbers of an account with open positions. Pure.

Profit is the sum of the positions' profits, each rounded; margin the sum over symbols (``margin.py``).
The formulas of equity, free margin and level stand in ``account.py``.
"""

from __future__ import annotations

from services.trading.account import Numbers, Position, numbers
from services.trading.instrument import Market
from services.trading.margin import symbol_margin
from services.trading.profit import Valuation, valuation
from services.trading.state import Account, Book


def worth_of(account: Account, market: Market, symbol: str) -> Valuation | None:
    """The valuation of the account's positions on ``symbol`` now; None without a quote or a rate."""
    terms, tick = market.terms.get(symbol), market.quotes.get(symbol)
    if terms is None or tick is None or tick.bid <= 0:
        return None
    return valuation(market, terms, tick, account.currency)


def margin_of_book(book: Book, market: Market, symbol: str) -> int:
    """The margin of all positions on ``symbol``."""
    terms = market.terms.get(symbol)
    if terms is None:  # the symbol is gone: nothing says how its legs hedge each other
        return book.buy_margin + book.sell_margin
    return symbol_margin(
        book.buy_volume,
        book.sell_volume,
        book.buy_margin,
        book.sell_margin,
        terms.hedged,
        larger_leg=market.rules.hedge_largeleg,
    )


def sums_of(account: Account, market: Market, *, guess: bool = False) -> Position | None:
    """What the open positions add up to; None while one of them has no price.

    With ``guess`` a position without a price counts with no profit: good for display, never for a decision.
    """
    profit = storage = commission = margin = 0
    for symbol, book in account.books.items():
        worth = worth_of(account, market, symbol)
        if worth is not None:
            profit += book.profit(worth)
        elif not guess:
            return None
        storage += book.storage
        commission += book.commission
        margin += margin_of_book(book, market, symbol)
    return Position(profit, storage, commission, margin)


def numbers_of(account: Account, market: Market, *, guess: bool = False) -> Numbers | None:
    """The account's numbers now; see ``sums_of``."""
    sums = sums_of(account, market, guess=guess)
    if sums is None:
        return None
    return numbers(
        account.balance_minor,
        account.credit_minor,
        sums,
        margin_mode=market.rules.margin_mode,
        level_type=account.level_type,
    )
