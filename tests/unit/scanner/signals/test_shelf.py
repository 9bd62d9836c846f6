"""Any mix of filters over the shelf gives what a plain filter gives; injection strings are literals."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.errors import InvariantBroken
from libs.common.ids import Uuid
from services.scanner.signals import titles_text
from services.scanner.signals.shelf import SENTIMENTS, Item, Packed, Shelf, Wanted, folded
from tests.oracles import signal_filters

NAMES = ["Bitcoin", "BNB Chain", "ETHEREUM", "Straße", "STRASSE", "%", "_", "a'b", 'q"', "İ", "ﬁ", "base\\"]
TITLES = [
    "Bitcoin rises 5 %",
    "ETH_USD closes",
    "100% 'sure'; --",
    "Straße falls",
    "İstanbul",
    "a\nb",
    "aaaa",
]
NEEDLES = [*NAMES, "bit", "i", "ss", "%'", "; --", " ", "rises 5 %", "", "aa", "a b", "zz", "\n"]

names = st.lists(st.sampled_from(NAMES), max_size=3, unique=True).map(tuple)
items = st.lists(
    st.builds(
        Item,
        id=st.integers(0, 2**128 - 1).map(lambda number: Uuid(int=number)),
        recorded_ms=st.integers(0, 12).map(lambda hour: hour * 3_600_000),
        cmc_id=st.integers(1, 3),
        symbol=st.sampled_from(["BTC", "Eth", "ß"]),
        sentiment=st.sampled_from(SENTIMENTS),
        timeframe_id=st.sampled_from([5, 7]),
        confidence=st.sampled_from([0.0, 0.3, 0.3000001, 1.0]),
        title=st.sampled_from(TITLES),
        chains=names,
        tags=names,
        narratives=st.lists(st.integers(1, 4), max_size=2, unique=True).map(tuple),
        triggers=st.lists(st.sampled_from(["depeg", "pattern"]), min_size=1, unique=True).map(tuple),
        told=st.booleans(),
    ),
    max_size=25,
    unique_by=lambda item: item.id,
)
needles = st.lists(st.sampled_from(NEEDLES).map(folded).filter(bool), max_size=2).map(tuple)
moments = st.none() | st.integers(-1, 13).map(lambda hour: hour * 3_600_000 - 0.5) | st.just(3_600_000.0)
wanted = st.builds(
    Wanted,
    chain=needles,
    search=st.just("") | st.sampled_from(NEEDLES).map(folded),
    tag=needles,
    narrative=st.lists(st.integers(1, 5), max_size=2).map(tuple),
    cmc_id=st.none() | st.integers(1, 4),
    from_ms=moments,
    to_ms=moments,
    sentiment=st.lists(st.sampled_from(SENTIMENTS), max_size=2).map(tuple),
    symbol=st.sampled_from(["", "", "btc", "ss"]),
    timeframe_id=st.none() | st.just(5),
    trigger=st.just(()) | st.just(("depeg",)),
    min_confidence=st.sampled_from([0.0, 0.0, 0.3]),
    since=st.sampled_from([-1, -1, 4]),
    told=st.sampled_from([False, False, True]),
)


def shelved(its: Sequence[Item], cuts: Sequence[int]) -> Shelf:
    """A shelf that was filled in parts."""
    shelf = Shelf()
    places = sorted({0, len(its), *(cut % (len(its) + 1) for cut in cuts)})
    for start, stop in pairwise(places):
        shelf = shelf.added(its[start:stop])
    return shelf


SEARCHES: list[dict[str, float]] = [
    {},
    {"BLOCK": 2, "FEW": 1.0, "LONG": 2, "BITS": 64, "GROWTH": 1},
    {"BLOCK": 1, "FEW": 1.0, "LONG": 100, "GROWTH": 1},
    {"BYTES_PER_HIT": 1_000, "SAMPLE_BYTES": 8, "ONE_BY_ONE": 1_000},
    {"ONE_BY_ONE": 0},
]


@pytest.mark.parametrize("search", SEARCHES)
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    its=items, asked=st.lists(wanted, min_size=1, max_size=4), cuts=st.lists(st.integers(0, 25), max_size=3)
)
def test_any_mix_of_filters_is_a_plain_filter(
    monkeypatch: pytest.MonkeyPatch,
    search: dict[str, float],
    its: list[Item],
    asked: list[Wanted],
    cuts: list[int],
) -> None:
    for name, value in search.items():
        monkeypatch.setattr(titles_text, name, value)
    shelf = shelved(its, cuts)
    for ask in asked:
        for limit, offset in ((50, 0), (3, 1)):
            assert shelf.find(ask, limit, offset) == signal_filters.find(its, ask, limit, offset)
        assert shelf.following(ask, 3) == signal_filters.following(its, ask, 3)


@settings(max_examples=100, deadline=None)
@given(its=items, ask=wanted, size=st.integers(1, 4))
def test_cursors_walk_over_everything_once(its: list[Item], ask: Wanted, size: int) -> None:
    shelf = Shelf().added(its)
    whole = signal_filters.find(its, ask, 100, 0)
    seen: list[int] = []
    before = None
    while True:
        page = shelf.find(ask, size, 0, before)
        assert page.total == whole.total
        seen += page.positions
        if len(page.positions) < size:
            break
        last = its[page.positions[-1]]
        before = last.recorded_ms, last.id
    assert seen == whole.positions


def packed(its: Sequence[Item], behind: int = 0) -> Packed:
    """Items as PostgreSQL packs them, in their places behind others."""

    def numbers(form: str, values: Sequence[float]) -> bytes:
        return struct.pack(f">{len(values)}{form}", *values)

    def lines(lists: Sequence[Sequence[object]]) -> str:
        return "\n".join(json.dumps(list(one)) for one in lists)

    return Packed(
        positions=numbers("q", range(behind + 1, behind + 1 + len(its))),
        ids=b"".join(item.id.bytes for item in its),
        recorded_ms=numbers("q", [item.recorded_ms for item in its]),
        cmc_ids=numbers("i", [item.cmc_id for item in its]),
        timeframe_ids=numbers("h", [item.timeframe_id for item in its]),
        confidences=numbers("d", [item.confidence for item in its]),
        told=numbers("?", [item.told for item in its]),
        sentiments="\n".join(item.sentiment for item in its),
        symbols=lines([[item.symbol] for item in its]),
        titles="\n".join(item.title.replace("\n", " ") for item in its),
        chains=lines([item.chains for item in its]),
        tags=lines([item.tags for item in its]),
        narratives=lines([item.narratives for item in its]),
        triggers=lines([item.triggers for item in its]),
    )


@settings(max_examples=60, deadline=None)
@given(its=items.filter(bool), more=items, asked=st.lists(wanted, min_size=1, max_size=3))
def test_a_shelf_read_from_the_record_is_that_of_its_items(
    its: list[Item], more: list[Item], asked: list[Wanted]
) -> None:
    known = {item.id for item in its}
    later = [item for item in more if item.id not in known]
    read = Shelf().taken(packed(its)).added(later)
    if later:
        assert len(Shelf().added(its).taken(packed(later, len(its)))) == len(read)
    with pytest.raises(InvariantBroken):
        Shelf().taken(packed(its, 1))
    for ask in asked:
        assert read.find(ask, 50, 0) == signal_filters.find([*its, *later], ask, 50, 0)
