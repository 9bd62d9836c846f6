"""Margin call and stop-out. Pure.

With margin_type 0 the level equity / margin · 100 is compared, unrounded, with margin_call and
margin_stopout; with 1 the equity is, as an amount of money. Both apply while margin is above 0. Margin
0 and equity below 0 with open positions is a stop-out.

Level at or below margin_call: level_type 1, told once per crossing. At or below margin_stopout:
level_type 2, and the position with the lowest floating profit closes (the lower number first where
equal), everything is computed again, and so on until the level is above. What can't be closed now
(market closed, no fresh quote) is passed over. stopout_skip_hedged passes over symbols whose buy and
sell volumes are equal. The comment is ``so: <level>%`` with the level that closed the position,
two decimals.
"""

from __future__ import annotations

from libs.common.sessions import OPEN, market_state
from services.trading import orders
from services.trading.account import LEVEL_MARGIN_CALL, LEVEL_OK, LEVEL_STOP_OUT, Numbers
from services.trading.closing import close_at, slipped
from services.trading.draft import Draft
from services.trading.equity import worth_of
from services.trading.events import LevelEased, MarginCalled, StoppedOut
from services.trading.exact import Ratio, scale_of
from services.trading.instrument import Market
from services.trading.position import ACTIVATION_STOPOUT
from services.trading.profit import Valuation, profit_of

BY_LEVEL, BY_MONEY = 0, 1


def assess(draft: Draft) -> None:
    """Tell margin calls and stop-outs, and close what a stop-out closes."""
    account = draft.account
    if not account.books:
        _settle(draft, LEVEL_OK, None)
        return
    numbers = draft.numbers()
    if numbers is None:  # no decision without every price
        return
    if is_stopped_out(draft.market, numbers, account.currency):
        numbers = _stop_out(draft, numbers)
    if not draft.account.books:
        level = LEVEL_OK
    elif is_stopped_out(draft.market, numbers, account.currency):
        level = LEVEL_STOP_OUT
    else:
        level = LEVEL_MARGIN_CALL if is_called(draft.market, numbers, account.currency) else LEVEL_OK
    _settle(draft, level, numbers)


def is_called(market: Market, numbers: Numbers, currency: str) -> bool:
    """Whether the account is at or below its margin call."""
    return _reached(market.rules.margin_type, market.rules.margin_call, numbers, currency)


def is_stopped_out(market: Market, numbers: Numbers, currency: str) -> bool:
    """Whether an account with open positions is at or below its stop-out."""
    if not numbers.margin_minor:
        return numbers.equity_minor < 0
    return _reached(market.rules.margin_type, market.rules.margin_stopout, numbers, currency)


def _reached(margin_type: int, threshold: Ratio, numbers: Numbers, currency: str) -> bool:
    if not numbers.margin_minor:
        return False
    numerator, denominator = threshold
    if margin_type == BY_MONEY:
        return numbers.equity_minor * denominator <= numerator * scale_of(currency)
    return numbers.equity_minor * 100 * denominator <= numerator * numbers.margin_minor


def _settle(draft: Draft, level: int, numbers: Numbers | None) -> None:
    """Record the crossing to ``level``, if it is one."""
    before = draft.account.level_type
    login, at_ms = draft.account.login, draft.now_ms
    if level < before:
        draft.record(LevelEased(login=login, at_ms=at_ms, level_type=level))
    elif level > before and numbers is not None:
        _tell(draft, level, numbers)


def _tell(draft: Draft, level: int, numbers: Numbers) -> None:
    """A margin call comes before its stop-out, and once."""
    called = is_called(draft.market, numbers, draft.account.currency)
    for kind, reached, new in (
        (MarginCalled, called, LEVEL_MARGIN_CALL),
        (StoppedOut, level == LEVEL_STOP_OUT, LEVEL_STOP_OUT),
    ):
        if reached and draft.account.level_type < new:
            draft.record(
                kind(
                    login=draft.account.login,
                    at_ms=draft.now_ms,
                    level_percent_hundredths=numbers.level_hundredths,
                    equity_minor=numbers.equity_minor,
                    margin_minor=numbers.margin_minor,
                )
            )


def _stop_out(draft: Draft, numbers: Numbers) -> Numbers:
    """Close the worst position, compute again, repeat; the numbers at the end."""
    if draft.account.level_type < LEVEL_STOP_OUT:
        _tell(draft, LEVEL_STOP_OUT, numbers)
    market, currency = draft.market, draft.account.currency
    worths = _closable(draft)
    # Prices do not move while positions close, so each keeps its profit and one sorting will do.
    ranked = sorted(
        ((profit_of(trade, worths[trade.symbol]), trade.order, trade.symbol))
        for trade in draft.account.positions()
        if trade.symbol in worths
    )
    while is_stopped_out(market, numbers, currency):
        index = next((i for i, (_, _, symbol) in enumerate(ranked) if not _skipped(draft, symbol)), None)
        if index is None:
            break
        _, order, symbol = ranked.pop(index)
        trade = orders.position_for(draft.account, order)
        price, paper = slipped(draft, trade, orders.closing_price(trade.cmd, market.quotes[symbol]))
        note = f"so: {_percent(numbers.level_hundredths)}%"
        close_at(draft, trade, price, worths[symbol], activation=ACTIVATION_STOPOUT, note=note, fill=paper)
        after = draft.numbers()
        if after is None:
            break
        numbers = after
        if not draft.account.books:
            break
    return numbers


def _closable(draft: Draft) -> dict[str, Valuation]:
    """The valuation of every symbol that can be closed now."""
    found = {}
    for symbol in draft.account.books:
        terms = draft.market.terms.get(symbol)
        if terms is None or market_state(terms.trade, terms.sessions, draft.now_ms)[0] != OPEN:
            continue
        worth = worth_of(draft.account, draft.market, symbol)
        if worth is not None and orders.fresh_tick(draft.market, terms, draft.now_ms) is not None:
            found[symbol] = worth
    return found


def _skipped(draft: Draft, symbol: str) -> bool:
    if not draft.market.rules.stopout_skip_hedged:
        return False
    book = draft.account.book(symbol)
    return book.buy_volume == book.sell_volume


def _percent(hundredths: int) -> str:
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100}.{abs(hundredths) % 100:02d}"
