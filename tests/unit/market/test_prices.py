"""Rounding, price profiles, the ring and the book of quotes, against slow oracles."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.messages.market import Quote
from libs.common.money import round_price
from services.market.profiles import RAW, Profile
from services.market.quotes import Line, QuoteBook
from services.market.ring import TickRing
from services.market.rounding import rounded

PRICES = st.one_of(
    st.floats(1e-6, 1e7, allow_nan=False),
    st.builds(lambda n, d: float(Decimal(n).scaleb(-d)), st.integers(1, 10**9), st.integers(0, 9)),
)
PROFILES = st.builds(
    Profile,
    fixed=st.one_of(st.none(), st.integers(0, 500)),
    widen=st.just(0),
    shift=st.integers(-20, 20),
) | st.builds(Profile, fixed=st.none(), widen=st.integers(-50, 50), shift=st.integers(-20, 20))


@given(PRICES, st.integers(0, 8))
def test_fast_rounding_is_the_exact_one(price: float, digits: int) -> None:
    assert rounded(price, digits) == round_price(price, digits)


@pytest.mark.parametrize(
    ("price", "digits", "expected"), [(1.000005, 5, 1.00001), (2.675, 2, 2.68), (0.5, 0, 1.0), (1.15, 1, 1.2)]
)
def test_ties_go_away_from_zero_on_the_shortest_decimal(price: float, digits: int, expected: float) -> None:
    assert rounded(price, digits) == expected


@given(PROFILES)
def test_a_profile_is_read_back_from_its_name(profile: Profile) -> None:
    assert Profile.of(profile.name) == profile
    assert profile.name.replace("-", "").isalnum()


@pytest.mark.parametrize("name", ["", "x", "f", "raw5", "f-3", "b", "f5w3", "f12345678", "f5 "])
def test_no_other_name_is_a_profile(name: str) -> None:
    assert Profile.of(name) is None


@given(st.integers(200, 10**8), st.integers(0, 500), PROFILES, st.integers(0, 6))
def test_a_profiles_prices_are_exact_points(bid: int, spread: int, profile: Profile, digits: int) -> None:
    def price(points: int) -> float:
        return float(Decimal(points).scaleb(-digits))

    own_bid = max(bid + profile.shift, 1)
    own_ask = (
        own_bid + profile.fixed if profile.fixed is not None else bid + spread + profile.widen + profile.shift
    )
    assert profile.prices(price(bid), price(bid + spread), digits) == (
        price(own_bid),
        price(max(own_ask, own_bid)),
    )


@given(
    st.integers(0, 1000),
    st.integers(1, 7),
    st.lists(st.tuples(st.integers(1, 99), st.integers(1, 99), st.integers(0, 10**13)), max_size=40),
    st.integers(-5, 1060),
    st.integers(1, 50),
)
def test_the_ring_gives_what_a_list_of_the_last_ones_gives(
    last: int, capacity: int, ticks: list[tuple[int, int, int]], after: int, limit: int
) -> None:
    ring = TickRing(last, capacity)
    everything = []
    for number, (bid, ask, at) in enumerate(ticks, last + 1):
        ring.put(bid, ask, at)
        everything.append((number, bid, ask, at))
    held = everything[-capacity:]
    assert list(ring.since(after, limit)) == [tick for tick in held if tick[0] > after][:limit]
    assert ring.first_seq == (held[0][0] if held else 0)
    assert ring.last_seq == last + len(ticks)


def book_of(*symbols: str, digits: int = 5) -> QuoteBook:
    book = QuoteBook()
    for number, symbol in enumerate(symbols, 1):
        line = Line(symbol, number, digits)
        line.reserve(10**6)
        book.add(line)
    return book


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["A", "B", "?"]), st.integers(1, 10**6), st.integers(0, 50), st.integers(0, 9)
        )
    )
)
def test_the_book_numbers_ticks_without_a_gap_and_never_lets_time_go_back(
    moves: list[tuple[str, int, int, int]],
) -> None:
    book = book_of("A", "B")
    book.set_outlets("B", 5, [RAW, Profile(20, 0, 0)])
    ticks = [(s, p / 1e5, (p + w) / 1e5, 1000 + at, 1.0) for s, p, w, at in moves]
    frames = book.apply(ticks)
    by_subject: dict[str, list[Quote]] = {}
    for subject, payload in frames:
        by_subject.setdefault(subject, []).append(msgspec.json.decode(payload, type=Quote))
    for symbol in ("A", "B"):
        mine = [tick for tick in ticks if tick[0] == symbol]
        heard = by_subject.get(f"market.tick.quote.v1.raw.{symbol}", [])
        assert [q.seq for q in heard] == list(range(1, len(mine) + 1))
        assert [(q.bid, q.ask) for q in heard] == [(t[1], t[2]) for t in mine]
        assert [q.ctm_ms for q in heard] == [max(t[3] for t in mine[: i + 1]) for i in range(len(mine))]
        assert [q.ctm for q in heard] == [q.ctm_ms // 1000 for q in heard]
        again = [msgspec.json.decode(f, type=Quote) for f in book.since(symbol, RAW, 0, 10**6)]
        assert again == heard
    wide = by_subject.get("market.tick.quote.v1.f20.B", [])
    assert [q.ask for q in wide] == [round(t[1] + 0.0002, 5) for t in ticks if t[0] == "B"]
    assert book.unknown_total == sum(1 for t in ticks if t[0] == "?")


def test_a_line_asks_for_numbers_before_it_runs_out() -> None:
    book = QuoteBook()
    line = Line("A", 1, 5)
    book.add(line)
    assert book.low == {line}
    line.reserve(1500)
    book.low.clear()
    book.apply([("A", 1.0, 1.0, 1, 1.0)] * 499)
    assert book.low == set()
    book.apply([("A", 1.0, 1.0, 1, 1.0)])
    assert book.low == {line}
