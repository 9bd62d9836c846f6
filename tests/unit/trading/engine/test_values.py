"""The small values under the engine: rounding, prices, conversion, terms, sessions, the map of orders."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.clock import from_unix_ms
from libs.common.messages.market import Group, SecGroup, SecMargin, SessionDay, SessionSpan
from libs.common.money import round_half_away, to_points
from libs.common.sessions import market_state
from services.market.groups import as_seen
from services.market.sessions import market_state as market_state_of_market
from services.trading.conversion import Conversion, Tick
from services.trading.exact import exact, points_of, ratio, reduced, rounded
from services.trading.instrument import rules_of, terms_of
from services.trading.order_map import EMPTY, OrderMap
from services.trading.position import Trade
from services.trading.tick_span import TickSpan
from tests.oracles.trading import formulas
from tests.unit.trading.engine.scenarios import START_MS, SYMBOLS, instrument

BIG = 10**30


@given(st.integers(-BIG, BIG), st.integers(1, 10**12))
def test_rounding_is_half_away_from_zero(number: int, of: int) -> None:
    assert rounded(number, of) == round_half_away(Fraction(number, of))
    assert Fraction(*reduced(number, of)) == Fraction(number, of)


@given(st.floats(0, 1e12, allow_nan=False), st.integers(0, 10))
def test_points_are_those_of_the_shortest_decimal(price: float, digits: int) -> None:
    assert points_of(price, digits) == to_points(price, digits)


@given(st.integers(0, 10**12), st.integers(0, 10))
def test_a_tie_of_the_shortest_decimal_goes_away_from_zero(points: int, digits: int) -> None:
    price = float(Decimal(points * 10 + 5).scaleb(-digits - 1))
    assert points_of(price, digits) == to_points(price, digits)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_setting_is_read_as_it_is_written(setting: float) -> None:
    assert exact(setting) == Fraction(Decimal(str(setting)))


# ── conversion ────────────────────────────────────────────────────────────────────────────────────

PAIRS = ("EURUSD", "USDJPY", "EURJPY", "GBPUSD", "EURUSD.x", "EUR/GBP", "BTC/USDT", "USDTJPY", "EUR/USDT")
CURRENCIES = ("USD", "EUR", "JPY", "GBP", "USDT", "BTC", "CHF")


@given(
    st.dictionaries(
        st.sampled_from(PAIRS), st.tuples(st.integers(1, 10**7), st.integers(0, 500)), max_size=len(PAIRS)
    ),
    st.sampled_from(CURRENCIES),
    st.sampled_from(CURRENCIES),
)
def test_rates_are_the_oracles(quoted: dict[str, tuple[int, int]], source: str, target: str) -> None:
    conversion = Conversion((symbol, 3) for symbol in PAIRS)
    quotes = {symbol: Tick(bid, bid + spread) for symbol, (bid, spread) in quoted.items()}
    plain = {s: (Fraction(t.bid, 1000), Fraction(t.ask, 1000), 0) for s, t in quotes.items()}
    # the oracle's names are six letters or have a slash
    named = {s.replace("USDTJPY", "USDT/JPY"): tick for s, tick in plain.items()}
    expected = [formulas.worth(source, target, named, how) for how in ("gain", "loss", "mid")]
    rates, mid = conversion.rates(source, target, quotes), conversion.mid(source, target, quotes)
    if rates is None or mid is None:
        assert rates is None
        assert mid is None
        assert expected == [None] * 3
        return
    assert [Fraction(*rates.gain), Fraction(*rates.loss), Fraction(*mid)] == expected
    assert Fraction(*rates.gain) <= Fraction(*mid) <= Fraction(*rates.loss)


def test_an_index_named_after_nothing_is_no_pair() -> None:
    conversion = Conversion([("GER40", 1), ("US30", 1)])
    assert conversion.rates("EUR", "USD", {"GER40": Tick(180_000, 180_010)}) is None


# ── terms ─────────────────────────────────────────────────────────────────────────────────────────

MAYBE_INT = st.one_of(st.none(), st.integers(1, 50))
MAYBE_RATE = st.one_of(st.none(), st.floats(-20, 20))


@given(
    st.sampled_from(SYMBOLS),
    st.one_of(st.none(), st.tuples(MAYBE_INT, MAYBE_INT, st.integers(0, 1), st.integers(0, 1))),
    st.one_of(st.none(), st.tuples(MAYBE_RATE, MAYBE_RATE, st.one_of(st.none(), st.floats(0.1, 10)))),
)
def test_effective_values_are_those_that_market_shows(
    symbol: str,
    security: tuple[int | None, int | None, int, int] | None,
    own: tuple[float | None, float | None, float | None] | None,
) -> None:
    secgroups = secmargins = ()
    if security is not None:
        low, step, show, trade = security
        secgroups = (SecGroup(sec_index=0, lot_min=low, lot_step=step, show=show, trade=trade),)  # type: ignore[assignment]
    if own is not None:
        long, short, divider = own
        secmargins = (SecMargin(symbol=symbol, swap_long=long, swap_short=short, margin_divider=divider),)  # type: ignore[assignment]
    group = Group(group="g", secgroups=secgroups, secmargins=secmargins)
    plain = instrument(symbol, swap_enable=1, swap_type=1, swap_long=-3.5, swap_short=1.25)
    seen, terms = as_seen(group, plain), terms_of(group, plain)
    assert (terms.lot_min, terms.lot_max, terms.lot_step) == (seen.lot_min, seen.lot_max, seen.lot_step)
    assert terms.swap_long == ratio(exact(seen.swap_long) / 100)
    assert terms.swap_short == ratio(exact(seen.swap_short) / 100)
    assert terms.margin == ratio(exact(seen.contract_size) / 100 / exact(seen.margin_divider))
    assert terms.active is (security is None or security[2:] == (1, 1))


def test_rules_are_read_exactly() -> None:
    rules = rules_of(Group(group="g", margin_call=120.1, margin_stopout=49.87))
    assert (rules.margin_call, rules.margin_stopout) == ((1201, 10), (4987, 100))


# ── sessions ──────────────────────────────────────────────────────────────────────────────────────

SPANS = st.builds(
    SessionSpan,
    open_hour=st.integers(0, 23),
    open_min=st.integers(0, 59),
    close_hour=st.integers(0, 23),
    close_min=st.integers(0, 59),
)
WEEKS = st.one_of(
    st.none(),
    st.lists(
        st.builds(lambda spans: SessionDay(trade=tuple(spans)), st.lists(SPANS, max_size=3)),
        min_size=7,
        max_size=7,
    ).map(tuple),
)


@given(WEEKS, st.integers(0, 2), st.integers(0, 4 * 10**12))
def test_the_market_is_open_when_market_says_so(
    week: tuple[SessionDay, ...] | None, trade: int, at_ms: int
) -> None:
    shown = market_state_of_market(instrument("EURUSD", sessions=week, trade=trade), from_unix_ms(at_ms))
    assert market_state(trade, week, at_ms) == tuple(shown)
    assert formulas.is_open(instrument("EURUSD", sessions=week, trade=trade), at_ms) == bool(shown.state)


# ── the map of orders ─────────────────────────────────────────────────────────────────────────────


def order(number: int) -> Trade:
    return Trade(
        order=number,
        login=1,
        symbol="EURUSD",
        digits=5,
        cmd=0,
        volume=number,
        open_ms=START_MS,
        open_points=1,
    )


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 600)), max_size=80))
def test_the_map_of_orders_is_a_dict_that_never_changes(steps: list[tuple[bool, int]]) -> None:
    plain: dict[int, Trade] = {}
    kept: list[tuple[OrderMap, dict[int, Trade]]] = []
    mapped = EMPTY
    for put, number in steps:
        if put:
            plain[number] = order(number)
            mapped = mapped.put(order(number))
        elif number in plain:
            del plain[number]
            mapped = mapped.without(number)
        kept.append((mapped, dict(plain)))
    for then, was in kept:
        assert len(then) == len(was)
        assert {trade.order: trade for trade in then} == was
        assert all(then.get(number) == was.get(number) for number in range(1, 601, 37))


def test_taking_out_what_is_not_there_is_a_defect() -> None:
    with pytest.raises(KeyError):
        EMPTY.put(order(5)).without(6)


# ── merged ticks ──────────────────────────────────────────────────────────────────────────────────


@given(
    st.lists(st.tuples(st.integers(90, 110), st.integers(0, 4)), min_size=1, max_size=30),
    st.integers(88, 116),
)
def test_merged_ticks_meet_every_level_that_was_met(prices: list[tuple[int, int]], level: int) -> None:
    ticks = [Tick(bid, bid + spread, at) for at, (bid, spread) in enumerate(prices)]
    span = TickSpan(ticks[0])
    for tick in ticks[1:]:
        span.add(tick)
    kept = list(span)
    assert [tick.time_ms for tick in kept] == sorted({tick.time_ms for tick in kept})
    assert (kept[0], kept[-1], span.count) == (ticks[0], ticks[-1], len(ticks))
    assert len(kept) <= 6
    assert set(map(id, kept)) <= set(map(id, ticks))
    for met in (
        lambda tick: tick.bid <= level,
        lambda tick: tick.bid >= level,
        lambda tick: tick.ask <= level,
        lambda tick: tick.ask >= level,
    ):
        assert any(map(met, ticks)) == any(map(met, kept))
