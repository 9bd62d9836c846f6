"""The formulas of broker 9.4 and the decisions about money, slow and plain: fractions and dates only.

Nothing here is taken from the engine. Amounts and prices are ``Fraction`` in whole units of their
currency; what is stored is rounded by ``cents`` to the currency's minor unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from libs.common.messages.market import Group, Instrument

Quotes = Mapping[str, tuple[Fraction, Fraction, int]]

DECIMALS = {"JPY": 0, "KRW": 0, "BTC": 8, "ETH": 8}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def number(setting: float) -> Fraction:
    """A setting as it is printed."""
    return Fraction(Decimal(str(setting)))


def cents(amount: Fraction, currency: str) -> Fraction:
    """Rounded to the minor unit, half away from zero."""
    unit = 10 ** DECIMALS.get(currency, 2)
    whole, rest = divmod(abs(amount) * unit, 1)
    if rest >= Fraction(1, 2):
        whole += 1
    return (1 if amount >= 0 else -1) * Fraction(whole, unit)


def moment(at_ms: int) -> datetime:
    """The time of Unix milliseconds."""
    return EPOCH + timedelta(milliseconds=at_ms)


# ── what a group makes of a symbol ────────────────────────────────────────────────────────────────


def said(group: Group, instrument: Instrument, name: str) -> Any:
    """The effective value of a setting: secmargin, else secgroup, else the symbol's own."""
    for margin in group.secmargins:
        if margin.symbol == instrument.symbol and getattr(margin, name, None) is not None:
            return getattr(margin, name)
    for security in group.secgroups:
        if security.sec_index == instrument.sec_index and getattr(security, name, None) is not None:
            return getattr(security, name)
    return getattr(instrument, name)


# ── conversion ────────────────────────────────────────────────────────────────────────────────────


def currencies(symbol: str) -> tuple[str, str] | None:
    """Base and quote of the names the tests use: ABCDEF, ABC/DEFG, ABCDEF.x."""
    name, _, _ = symbol.partition(".")
    if "/" in name:
        base, quote = name.split("/")
        return base, quote
    return (name[:3], name[3:]) if len(name) == 6 and name.isalpha() else None


def steps(a: str, b: str, quotes: Quotes) -> list[tuple[str, bool]]:
    """Quoted pairs that turn a into b in one step: those of a/b, then those of b/a turned around."""
    direct = [s for s in quotes if currencies(s) == (a, b)]
    inverse = [s for s in quotes if currencies(s) == (b, a)]
    plain_first = {True: 0, False: 1}
    direct.sort(key=lambda s: (plain_first["." not in s], s))
    inverse.sort(key=lambda s: (plain_first["." not in s], s))
    return [(s, False) for s in direct] + [(s, True) for s in inverse]


def chain(a: str, b: str, quotes: Quotes) -> list[tuple[str, bool]] | None:
    """The way from a to b: one step, else two through USD, else with USDT read as USD."""
    if a == b:
        return []
    straight = steps(a, b, quotes)
    if straight:
        return straight[:1]
    if "USD" not in (a, b):
        first, second = steps(a, "USD", quotes), steps("USD", b, quotes)
        if first and second:
            return first[:1] + second[:1]
    if "USDT" in (a, b):
        return chain(a.replace("USDT", "USD"), b.replace("USDT", "USD"), quotes)
    return None


def worth(a: str, b: str, quotes: Quotes, how: str) -> Fraction | None:
    """What one unit of a is worth in b: ``how`` is gain, loss or mid."""
    way = chain(a or b, b, quotes)
    if way is None:
        return None
    rate = Fraction(1)
    for symbol, turned in way:
        bid, ask, _ = quotes[symbol]
        if turned:
            price = {"gain": ask, "loss": bid, "mid": (bid + ask) / 2}[how]
            rate = rate / price
        else:
            price = {"gain": bid, "loss": ask, "mid": (bid + ask) / 2}[how]
            rate = rate * price
    return rate


def to_account(amount: Fraction, source: str, currency: str, quotes: Quotes) -> Fraction | None:
    """A signed amount converted against the client and rounded."""
    rate = worth(source, currency, quotes, "gain" if amount >= 0 else "loss")
    return None if rate is None else cents(amount * rate, currency)


# ── profit, margin, commission, swap ──────────────────────────────────────────────────────────────


def profit(
    i: Instrument, sell: bool, volume: int, opened: Fraction, closed: Fraction, currency: str, quotes: Quotes
) -> Fraction | None:
    """Broker 9.4, profit by profit_mode."""
    lots = Fraction(volume, 100)
    move = opened - closed if sell else closed - opened
    if i.profit_mode == 2:
        amount = move / number(i.tick_size) * number(i.tick_value) * lots
    else:
        amount = move * number(i.contract_size) * lots
    return to_account(amount, i.quote_currency, currency, quotes)


def margin_per_unit(
    g: Group, i: Instrument, price: Fraction, leverage: int, currency: str, quotes: Quotes
) -> Fraction | None:
    """Broker 9.4, margin by margin_mode, of 0.01 lot, unrounded."""
    lots, size = Fraction(1, 100), number(i.contract_size)
    divider = number(said(g, i, "margin_divider"))
    if i.margin_mode == 0:
        amount, source = lots * size / (leverage * divider), i.margin_currency
    elif i.margin_mode == 1:
        amount, source = lots * size * price / divider, i.quote_currency
    elif i.margin_mode == 2:
        amount, source = lots * number(i.margin_initial) / divider, i.margin_currency
    elif i.margin_mode == 3:
        amount = lots * size * price * number(i.tick_value) / number(i.tick_size) / divider
        source = i.quote_currency
    else:
        amount, source = lots * size * price / (leverage * divider), i.quote_currency
    rate = worth(source, currency, quotes, "mid")
    return None if rate is None else amount * rate


def commission(
    g: Group, i: Instrument, volume: int, price: Fraction, currency: str, quotes: Quotes
) -> Fraction | None:
    """Broker 9.4, commission by comm_type and comm_lots."""
    base = number(said(g, i, "comm_base"))
    if base == 0:
        return Fraction(0)
    lots = Fraction(volume, 100)
    counted = Fraction(1) if said(g, i, "comm_lots") == 1 else lots
    kind = said(g, i, "comm_type")
    if kind == 0:
        return to_account(-base * counted, currency, currency, quotes)
    point = Fraction(1, 10**i.digits)
    size = number(i.contract_size)
    if kind == 1:
        by_ticks = point / number(i.tick_size) * number(i.tick_value)
        of_point = by_ticks if i.profit_mode == 2 else size * point
        return to_account(-base * of_point * counted, i.quote_currency, currency, quotes)
    return to_account(-base / 100 * lots * size * price, i.quote_currency, currency, quotes)


def swap_days(i: Instrument, ended: date) -> int:
    """How many days the end of a calendar day charges."""
    if i.swap_daily:
        return 1
    sunday_is_0 = (ended.weekday() + 1) % 7
    if sunday_is_0 in (0, 6):
        return 0
    return 3 if sunday_is_0 == i.swap_rollover3days else 1


def swap(
    g: Group,
    i: Instrument,
    sell: bool,
    volume: int,
    opened: Fraction,
    days: int,
    currency: str,
    quotes: Quotes,
) -> Fraction | None:
    """Broker 9.4, swap by swap_type, of ``days`` days."""
    rate = number(said(g, i, "swap_short" if sell else "swap_long"))
    if not (g.use_swap and said(g, i, "swap_enable")) or rate == 0 or days == 0:
        return Fraction(0)
    lots, size = Fraction(volume, 100), number(i.contract_size)
    if i.swap_type == 0:
        amount, source = lots * size / 10**i.digits * rate, i.quote_currency
    elif i.swap_type == 1:
        amount, source = lots * rate, currency
    elif i.swap_type == 2:
        amount, source = lots * size * rate / 100 / 360, i.margin_currency
    elif i.swap_type == 3:
        amount, source = lots * rate, i.margin_currency
    else:
        price = opened
        if i.swap_type == 5:
            if i.symbol not in quotes:
                return None
            bid, ask, _ = quotes[i.symbol]
            price = ask if sell else bid
        amount, source = lots * size * rate / 100 / 360 * price, i.quote_currency
    return to_account(amount * days, source, currency, quotes)


def hedged_margin(
    g: Group,
    i: Instrument,
    buys: list[tuple[int, Fraction]],
    sells: list[tuple[int, Fraction]],
    currency: str,
) -> Fraction:
    """The margin of one symbol from (volume, margin) of its positions."""
    bought, sold = sum(v for v, _ in buys), sum(v for v, _ in sells)
    buy_margin = sum((m for _, m in buys), Fraction(0))
    sell_margin = sum((m for _, m in sells), Fraction(0))
    if not bought or not sold:
        return buy_margin + sell_margin
    if g.hedge_largeleg:
        return max(buy_margin, sell_margin)
    pairs = min(bought, sold)
    of_buys, of_sells = buy_margin / bought, sell_margin / sold
    rest = of_buys * (bought - pairs) + of_sells * (sold - pairs)
    average = (buy_margin + sell_margin) / (bought + sold)
    part = number(i.margin_hedged) / number(i.contract_size)
    return cents(rest + pairs * part * average, currency)


def is_open(i: Instrument, at_ms: int) -> bool:
    """Whether the market is open, minute by minute of yesterday's and today's spans."""
    if i.trade == 0:
        return False
    if i.sessions is None:
        return True
    now = moment(at_ms)
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC)
    return any(start <= now < end for start, end in _spans(i, midnight))


def _spans(i: Instrument, midnight: datetime) -> Iterator[tuple[datetime, datetime]]:
    assert i.sessions is not None
    for day in (midnight - timedelta(days=1), midnight):
        for span in i.sessions[(day.weekday() + 1) % 7].trade:
            start = day + timedelta(hours=span.open_hour, minutes=span.open_min)
            end = day + timedelta(hours=span.close_hour, minutes=span.close_min)
            yield start, end if end > start else end + timedelta(days=1)
