"""All thirteen conditions against the oracle, however the ticks are batched."""

from __future__ import annotations

import itertools
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.messages.market import Quote
from libs.common.tick_reader import Batch, Hole
from services.alerts.alert import Alert
from services.alerts.watch import Hit, Mark, Referenced, Watch
from tests.unit.alerts.oracle import Oracle, Plain

KEY = ("raw", "EURUSD")
GRID = [round(1.1 + step / 100_000, 5) for step in range(-6, 7)]
prices = st.sampled_from(GRID)
moves = st.sampled_from([0.00001, 0.00002, 0.00003, 0.00005])
percents = st.sampled_from([0.001, 0.0018, 0.002, 0.0027, 0.004, 1e-9, 99.9])


def row(plain: Plain, **fields: Any) -> Alert:
    given: dict[str, Any] = {
        "id": plain.id,
        "login": 500,
        "group": "demo",
        "profile": "raw",
        "symbol": "EURUSD",
        "indicator_name": "",
        "message": "",
        "side": plain.side,
        "condition": plain.condition,
        "target_price": plain.target,
        "channel_low": plain.low,
        "channel_high": plain.high,
        "move_threshold": plain.move,
        "status": 0,
        "repeat_mode": int(plain.repeat),
        "created_ms": 1,
        "updated_ms": 1,
        "expires_at": 0,
        "triggered_ms": 0,
        "triggered_price": 0.0,
        "reference_price": plain.reference,
        "reference_time": 0,
        "comment": "",
        "armed_seq": 0,
        "fired_seq": 0,
    }
    return Alert(**{**given, **fields})


@st.composite
def plains(draw: st.DrawFn, id: int) -> Plain:
    condition = draw(st.integers(0, 12))
    low, high = sorted(draw(st.lists(prices, min_size=2, max_size=2, unique=True)))
    return Plain(
        id=id,
        side=draw(st.integers(0, 1)),
        condition=condition,
        repeat=draw(st.booleans()),
        target=draw(prices),
        low=low,
        high=high,
        move=draw(percents if condition in (10, 11) else moves),
        reference=draw(st.one_of(prices, st.just(0.0))) if 8 <= condition <= 11 else 0.0,
    )


def quote(seq: int, bid: float, ask: float) -> Quote:
    return Quote("t", "EURUSD", bid, ask, 1, 1_000 + seq, seq)


@st.composite
def stories(draw: st.DrawFn) -> list[Any]:
    """A series of alerts to arm, prices, and alerts to take away."""
    story: list[Any] = []
    ids = 0
    for _ in range(draw(st.integers(1, 40))):
        kind = draw(st.sampled_from(["arm", "tick", "tick", "tick", "disarm"]))
        if kind == "arm":
            ids += 1
            story.append(draw(plains(ids)))
        elif kind == "tick":
            story.append((draw(prices), draw(prices)))
        elif ids:
            story.append(draw(st.integers(1, ids)))
    return story


@settings(max_examples=300, deadline=None)
@given(story=stories(), known=st.booleans())
def test_every_condition_fires_when_the_contract_says(story: list[Any], known: bool) -> None:
    watch, oracle = Watch(KEY), Oracle()
    rows: dict[int, Alert] = {}
    if known:
        watch.start(1.1, 1.10001, 7, 1_000)
        oracle.last = [1.1, 1.10001]
    seq = watch.seq
    for event in story:
        if isinstance(event, Plain):
            rows[event.id] = row(event)
            watch.arm(rows[event.id], fresh=True)
            oracle.alerts[event.id] = event
        elif isinstance(event, int):
            if event in rows and oracle.alerts[event].active:
                assert watch.disarm(rows[event])
                oracle.alerts[event].active = False
        else:
            seq += 1
            referenced: list[Referenced] = []
            hits = watch.run(Batch(*KEY, [quote(seq, *event)]), referenced)
            for id, price in referenced:
                rows[id] = msgspec.structs.replace(rows[id], reference_price=price)
            assert sorted((hit.alert_id, hit.price) for hit in hits) == oracle.tick(*event)
    for id, plain in oracle.alerts.items():
        if plain.active:
            assert watch.disarm(rows[id])
    assert len(watch) == 0
    assert watch._special == {}
    assert watch._fresh == {}


@settings(max_examples=200, deadline=None)
@given(
    alerts=st.lists(st.integers(1, 10).flatmap(plains), max_size=10, unique_by=lambda plain: plain.id),
    ticks=st.lists(st.tuples(prices, prices), min_size=1, max_size=40),
    cuts=st.sets(st.integers(1, 39)),
)
def test_the_fired_set_does_not_depend_on_how_ticks_are_batched(
    alerts: list[Plain], ticks: list[tuple[float, float]], cuts: set[int]
) -> None:
    quotes = [quote(seq, *prices) for seq, prices in enumerate(ticks, start=1)]

    def fired(pieces: list[list[Quote]]) -> tuple[list[Hit], list[Referenced]]:
        watch = Watch(KEY)
        referenced: list[Referenced] = []
        for plain in alerts:
            watch.arm(row(plain), fresh=True)
        return [hit for piece in pieces for hit in watch.run(Batch(*KEY, piece), referenced)], referenced

    bounds = [0, *sorted(cut for cut in cuts if cut < len(quotes)), len(quotes)]
    pieces = [quotes[start:end] for start, end in itertools.pairwise(bounds)]
    assert fired([quotes]) == fired(pieces) == fired([[q] for q in quotes])


@pytest.mark.parametrize("seed", range(3))
def test_a_long_walk_with_gaps_over_all_conditions_equals_the_oracle(seed: int) -> None:
    chance = random.Random(seed)
    watch, oracle = Watch(KEY), Oracle(1.1, 1.1001)
    watch.start(1.1, 1.1001, 0, 0)
    price, hits_total = 1.1, 0
    for seq in range(1, 4_000):
        if len([a for a in oracle.alerts.values() if a.active]) < 60:
            id = seq
            around = sorted(round(price + chance.gauss(0, 0.002), 5) for _ in range(2))
            if around[0] < around[1]:
                plain = Plain(
                    id=id,
                    side=chance.randrange(2),
                    condition=chance.randrange(13),
                    repeat=chance.random() < 0.3,
                    target=around[0],
                    low=around[0],
                    high=around[1],
                    move=round(chance.uniform(0.0001, 0.01), 4),
                    reference=round(price, 5),
                )
                oracle.alerts[id] = plain
                watch.arm(row(plain), fresh=True)
        pull = (1.1 - price) / 20
        price = round(price + pull + chance.gauss(0, 0.0004 if chance.random() < 0.97 else 0.005), 5)
        ask = round(price + 0.0001, 5)
        hits = watch.run(Batch(*KEY, [quote(seq, price, ask)]), [])
        assert sorted((h.alert_id, h.price) for h in hits) == oracle.tick(price, ask), (
            f"seed {seed} tick {seq}"
        )
        hits_total += len(hits)
        for id in [id for id, alert in oracle.alerts.items() if not alert.active]:
            del oracle.alerts[id]
    assert hits_total > 500


@settings(max_examples=300, deadline=None)
@given(
    condition=st.integers(8, 11),
    reference=st.integers(1, 10**7).map(lambda n: n / 10**5),
    move=st.one_of(st.integers(1, 10**6).map(lambda n: n / 10**5), st.floats(1e-12, 200, allow_nan=False)),
    near=st.integers(-3, 3),
)
def test_a_moving_threshold_is_met_exactly_at_its_decimal_price(
    condition: int, reference: float, move: float, near: int
) -> None:
    plain = Plain(1, 0, condition, False, move=move, reference=reference)
    distance = move if condition in (8, 9) else reference * move / 100
    level = reference + distance * (1 if condition in (8, 10) else -1)
    price = round(round(level, 5) + near / 10**5, 5)
    if price <= 0:
        return
    watch, oracle = Watch(KEY), Oracle()
    watch.arm(row(plain), fresh=True)
    oracle.alerts[1] = plain
    hits = watch.run(Batch(*KEY, [quote(1, price, price)]), [])
    assert [(h.alert_id, h.price) for h in hits] == oracle.tick(price, price)


def test_hits_after_a_hole_and_of_merged_or_caught_up_ticks_are_marked() -> None:
    watch = Watch(KEY)
    watch.start(1.0, 1.0, 10, 0)
    watch.caught_up_to = 12
    for id, target in enumerate((1.1, 1.2, 1.3, 1.4, 1.5), start=1):
        watch.arm(row(Plain(id, 0, 0, False, target=target)), fresh=True)
    quotes = [quote(10 + n, 1.0 + n / 10 + 0.01, 9.0) for n in range(1, 6)]
    marks = [h.mark for h in watch.run(Batch(*KEY, quotes[:2]), [])]
    marks += [h.mark for h in watch.run(Batch(*KEY, quotes[2:3], hole=Hole(13, 13)), [])]
    marks += [h.mark for h in watch.run(Batch(*KEY, quotes[3:4], merged=3), [])]
    marks += [h.mark for h in watch.run(Batch(*KEY, quotes[4:]), [])]
    assert marks == [Mark.CAUGHT_UP, Mark.CAUGHT_UP, Mark.GAP, Mark.MERGED, Mark.NONE]


def test_an_alert_armed_or_fired_at_a_tick_still_to_be_judged_waits_for_it() -> None:
    watch = Watch(KEY)
    watch.start(1.0, 1.0, 10, 0)
    fired = row(Plain(1, 0, 0, True, target=1.1), fired_seq=12)
    held = row(Plain(2, 0, 2, True, target=1.1), armed_seq=11, fired_seq=12)
    armed = row(Plain(3, 0, 2, True, target=1.1), armed_seq=12)
    for alert in (fired, held, armed):
        watch.arm(alert, fresh=True)
    quotes = [quote(11, 1.2, 2.0), quote(12, 1.3, 2.0), quote(13, 1.4, 2.0)]
    assert [(h.alert_id, h.seq) for h in watch.run(Batch(*KEY, quotes), [])] == [(3, 13)]
    quotes = [quote(14, 1.0, 2.0), quote(15, 1.4, 2.0)]
    assert [(h.alert_id, h.seq) for h in watch.run(Batch(*KEY, quotes), [])] == [(1, 15), (2, 15), (3, 15)]
    waiting = row(Plain(4, 0, 0, True, target=1.1), fired_seq=20)
    watch.arm(waiting, fresh=True)
    assert watch.disarm(waiting)
    for alert in (fired, held, armed):
        assert watch.disarm(alert)
    assert len(watch) == 0


def test_alerts_that_wait_for_a_tick_are_judged_at_once_when_market_counts_anew() -> None:
    watch = Watch(KEY)
    watch.start(1.0, 1.0, 10, 0)
    watch.arm(row(Plain(1, 0, 0, True, target=1.1), fired_seq=12), fresh=True)
    hits = watch.run(Batch(*KEY, [quote(1, 1.2, 2.0)], hole=Hole(11, 10)), [])
    assert [(h.alert_id, h.seq, h.mark) for h in hits] == [(1, 1, Mark.GAP)]
    assert watch.seq == 1


def test_a_moving_alert_without_reference_takes_the_first_price_and_says_so() -> None:
    watch = Watch(KEY)
    watch.arm(row(Plain(1, 1, 8, False, move=0.5)), fresh=True)
    referenced: list[Referenced] = []
    hits = watch.run(Batch(*KEY, [quote(1, 1.0, 2.0), quote(2, 1.0, 2.4), quote(3, 1.0, 2.5)]), referenced)
    assert referenced == [Referenced(1, 2.0)]
    assert [(h.alert_id, h.price, h.seq) for h in hits] == [(1, 2.5, 3)]


def test_a_threshold_no_price_can_reach_is_never_met_and_can_be_taken_away() -> None:
    watch = Watch(KEY)
    watch.start(1.0, 1.0, 1, 0)
    down = row(Plain(1, 0, 9, False, move=5.0, reference=1.0))
    up = row(Plain(2, 0, 10, True, move=1e308, reference=1.0))
    for alert in (down, up):
        watch.arm(alert, fresh=True)
    assert watch.run(Batch(*KEY, [quote(2, 0.00001, 1.0), quote(3, 1e9, 1.0)]), []) == []
    assert watch.disarm(down)
    assert watch.disarm(up)
