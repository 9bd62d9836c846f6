"""Rules against plain re-evaluation; live equals back-test; refusals; nothing is held back in silence."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.candles import BY_NAME
from libs.common.errors import AppError
from libs.common.ids import CountedIds
from libs.common.messages import alert_rules as m
from libs.common.messages.notifier import Notice
from services.alerts.alert import Status
from services.alerts.rule import Hit, Memory, Rule
from services.alerts.rule_checks import bars_of, checked
from services.alerts.rule_fold import begin
from services.alerts.rule_hours import may_speak
from services.alerts.rule_notices import NAMED, STORM, notices_of
from services.alerts.rule_place import Place, back_test, placed_on
from services.alerts.rule_readings import WINDOW, Floats, readings
from services.alerts.rule_tree import Fact, leaves_of, matches
from tests.oracles import alert_rules as oracle

FRAME = BY_NAME["15m"]
START_MS = 1_772_409_600_000  # 2026-03-02 00:00 UTC, a Monday
NOW_MS = START_MS


def market(seed: int, count: int) -> list[list[float]]:
    """A walk around 100 that always moves, with an active hour now and then."""
    chance = random.Random(seed)
    price, rows = 100.0, []
    for at in range(count):
        opened = price
        reach = 3.0 if chance.random() < 0.1 else 0.6
        price = round(
            price + (100 - price) * 0.03 + chance.choice((-1, 1)) * (0.01 + chance.random() * reach), 2
        )
        high = round(max(opened, price) + chance.random() * 0.3, 2)
        low = round(min(opened, price) - chance.random() * 0.3, 2)
        rows.append([START_MS + at * FRAME.span_ms, opened, high, low, price, chance.randrange(1, 2_000)])
    return rows


def columns(rows: list[list[float]]) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(-1, 6).T


def body(rule: dict[str, Any]) -> m.RuleBody:
    return msgspec.json.decode(json.dumps(rule).encode(), type=m.RuleBody)


def rule_of(when: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"symbol": "EURUSD", "timeframe": "15m", "when": when, "repeat": True, **more}


crossings = st.sampled_from(["above", "below", "crosses_above", "crosses_below"])
ops = st.sampled_from(["above", "below"])
slack = st.sampled_from([0.0, 0.0, 0.5, 3.0])
within = st.sampled_from([1, 1, 3, 10])
ways = st.sampled_from(["bullish", "bearish", "any"])


def said(type: str, /, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"type": st.just(type), **fields})


leaves = st.one_of(
    said(
        "price",
        op=crossings,
        value=st.integers(9_700, 10_300).map(lambda v: v / 100),
        of=st.sampled_from(["close", "high", "low"]),
        hysteresis=slack,
    ),
    said(
        "change",
        op=ops,
        percent=st.sampled_from([-2.03, 0.017, 1.31]),
        bars=st.integers(1, 30),
        hysteresis=slack,
    ),
    said(
        "rsi",
        op=crossings,
        value=st.sampled_from([33.3, 50.1, 66.7]),
        period=st.integers(2, 30),
        hysteresis=slack,
    ),
    said(
        "ema_cross",
        direction=st.sampled_from(["up", "down"]),
        fast=st.integers(2, 8),
        slow=st.integers(9, 40),
        within=within,
    ),
    said("atr", op=ops, percent=st.sampled_from([0.71, 1.13]), period=st.integers(2, 30), hysteresis=slack),
    said(
        "volume_z",
        op=ops,
        value=st.sampled_from([-1.01, 0.51, 1.53]),
        window=st.integers(8, 60),
        hysteresis=slack,
    ),
    said(
        "pattern",
        pattern=st.sampled_from(["", "hammer"]),
        direction=ways,
        min_confidence=st.sampled_from([0.0, 0.6]),
        within=within,
    ),
    said("regime", to=st.sampled_from(["up", "any"]), within=within),
    said("level_break", kind=st.sampled_from(["support", "any"]), within=within),
    said("signal", name=st.sampled_from(["", "trend"]), direction=ways, within=within),
)


def joined(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda kind, of: {"type": kind, "of": of},
        st.sampled_from(["all", "any"]),
        st.lists(parts, min_size=1, max_size=2),
    )


trees = st.one_of(leaves, joined(leaves), joined(st.one_of(leaves, joined(leaves))))
clock = st.sampled_from([None, {"start": "22:00", "end": "07:30"}, {"start": "09:00", "end": "17:00"}])
rules = st.builds(
    lambda when, repeat, cooldown, quiet, active, days, zone, expires: rule_of(
        when,
        repeat=repeat,
        cooldown_s=cooldown,
        expires_at=expires,
        schedule={"timezone": zone, "days": days}
        | ({"quiet": quiet} if quiet else {})
        | ({"active": active} if active else {}),
    ),
    trees,
    st.booleans(),
    st.sampled_from([0, 0, 3_600, 40_000]),
    clock,
    clock,
    st.sampled_from([[1, 2, 3, 4, 5, 6, 7], [1, 3, 7]]),
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
    st.sampled_from([0, 0, START_MS // 1000 + 130_000]),
)


EVENTS = [
    ("pattern", "hammer"),
    ("pattern", "doji"),
    ("regime", "up"),
    ("regime", "range"),
    ("level", "support"),
    ("level", "resistance"),
    ("signal", "trend"),
    ("signal", "turn"),
]


def happened(seed: int, rows: list[list[float]]) -> dict[int, list[oracle.Event]]:
    chance = random.Random(seed)
    found: dict[int, list[oracle.Event]] = {}
    for row in rows:
        while chance.random() < 0.15:
            kind, name = chance.choice(EVENTS)
            way = chance.choice(["bullish", "bearish"])
            found.setdefault(int(row[0]), []).append((kind, name, way, round(chance.random(), 2)))
    return found


def as_facts(events: dict[int, list[oracle.Event]]) -> dict[int, list[Fact]]:
    return {bar: [Fact(*event) for event in told] for bar, told in events.items()}


def shown(hits: list[Hit]) -> list[tuple[int, str, int]]:
    return [
        (hit.open_ms, hit.told, 0 if hit.told in ("quiet", "cooldown") else hit.held_back) for hit in hits
    ]


@settings(max_examples=60, deadline=None)
@given(rule=rules, seed=st.integers(0, 10_000))
def test_a_back_test_is_what_plain_re_evaluation_finds(rule: dict[str, Any], seed: int) -> None:
    rows = market(seed, 160)
    events = happened(seed, rows)
    found = back_test(body(rule), columns(rows), 40, as_facts(events), 1_000)
    assert shown(found.hits) == oracle.hits(rule, rows, 40, events, FRAME.span_ms)


@pytest.mark.soak
@settings(max_examples=1_500, deadline=None)
@given(rule=rules, seed=st.integers(0, 1_000_000))
def test_back_tests_of_many_rules_are_what_plain_re_evaluation_finds(rule: dict[str, Any], seed: int) -> None:
    rows = market(seed, 400)
    events = happened(seed, rows)
    found = back_test(body(rule), columns(rows), 60, as_facts(events), 10_000)
    assert shown(found.hits) == oracle.hits(rule, rows, 60, events, FRAME.span_ms)


def live(
    rule: dict[str, Any],
    rows: list[list[float]],
    first: int,
    events: dict[int, list[oracle.Event]],
    late: bool,
) -> list[Hit]:
    """The hits of a rule that is judged bar by bar; with ``late`` facts come one by one after their bar."""
    place = Place("EURUSD", "15m", int(rows[first - 1][0]))
    place.fill(columns(rows[:first]))
    state = begin(body(rule))
    place.rules[1] = Rule(
        id=1,
        login=7,
        symbol="EURUSD",
        timeframe="15m",
        status=Status.ACTIVE,
        body=body(rule),
        memory=Memory(state, state),
        bar_ms=0,
        created_ms=0,
        updated_ms=0,
        fired_ms=0,
        fired_count=0,
    )
    found: list[Hit] = []
    for row in rows[first:]:
        place.push(row)
        told = [Fact(*event) for event in events.get(int(row[0]), ())]
        steps = [place.judge([] if late else told)]
        place.apply(steps[0])
        heard: list[Fact] = []
        for fact in told if late else []:
            heard.append(fact)
            outcomes = place.judge(heard, again=True)
            place.apply(outcomes)
            steps.append(outcomes)
        found += [outcome.hit for outcomes in steps for outcome in outcomes if outcome.hit is not None]
    return found


@settings(max_examples=40, deadline=None)
@given(rule=rules, seed=st.integers(0, 10_000))
def test_live_equals_back_test(rule: dict[str, Any], seed: int) -> None:
    rows = market(seed, 120)
    events = happened(seed, rows)
    tested = back_test(body(rule), columns(rows), 40, as_facts(events), 1_000)
    assert shown(live(rule, rows, 40, events, late=False)) == shown(tested.hits)


@settings(max_examples=40, deadline=None)
@given(when=trees, seed=st.integers(0, 10_000))
def test_facts_that_come_after_their_bar_find_the_same_hits(when: dict[str, Any], seed: int) -> None:
    rows = market(seed, 120)
    events = happened(seed, rows)
    rule = rule_of(when)
    tested = back_test(body(rule), columns(rows), 40, as_facts(events), 1_000)
    assert shown(live(rule, rows, 40, events, late=True)) == shown(tested.hits)


def test_an_indicator_sees_so_many_bars_and_no_more() -> None:
    """What came before its window, and how many bars are looked at together, changes no bit of it."""
    rows = market(5, WINDOW + 40)
    for when in (
        {"type": "rsi", "op": "above", "value": 51.3},
        {"type": "ema_cross", "direction": "up", "fast": 3, "slow": 9},
        {"type": "atr", "op": "above", "percent": 0.7},
        {"type": "volume_z", "op": "above", "value": 0.7},
    ):
        rule = rule_of(when)
        (leaf,) = leaves_of(body(rule).when)
        together = readings(leaf, columns(rows), WINDOW - 20)
        alone = [
            int(readings(leaf, columns(rows[: at + 1][-WINDOW:]), min(at, WINDOW - 1))[0])
            for at in range(WINDOW - 20, len(rows))
        ]
        assert together.tolist() == alone
        assert len(set(alone)) > 1
        first = WINDOW + 20
        tested = back_test(body(rule), columns(rows), first, {}, 1_000)
        assert shown(tested.hits) == oracle.hits(rule, rows, first, {}, FRAME.span_ms)


def test_hysteresis_keeps_a_level_true_until_it_is_left_behind() -> None:
    rule = rule_of({"type": "price", "op": "above", "value": 100, "hysteresis": 1})
    closes = [99, 100.5, 99.5, 100.2, 98.9, 100.1]
    rows = [[START_MS + n * FRAME.span_ms, c, c, c, c, 1] for n, c in enumerate(closes)]
    found = back_test(body(rule), columns(rows), 0, {}, 10)
    assert [hit.price for hit in found.hits] == [100.5, 100.1]


def test_what_is_held_back_is_told_together() -> None:
    rule = rule_of(
        {"type": "price", "op": "above", "value": 100},
        schedule={"timezone": "UTC", "quiet": {"start": "00:00", "end": "02:00"}},
    )
    closes = [99, 101, 99, 101, 99, 99, 99, 99, 99]
    rows = [[START_MS + n * FRAME.span_ms, c, c, c, c, 1] for n, c in enumerate(closes)]
    found = back_test(body(rule), columns(rows), 0, {}, 10)
    assert shown(found.hits) == [
        (int(rows[1][0]), "quiet", 0),
        (int(rows[3][0]), "quiet", 0),
        (int(rows[7][0]), "summary", 2),
    ]


@pytest.mark.parametrize(
    ("at", "speaks"),
    [
        ("2026-03-06T21:59", False),  # Friday 22:59 in Berlin
        ("2026-03-06T22:00", True),  # Friday 23:00
        ("2026-03-07T04:59", True),  # Saturday 05:59: still Friday's night
        ("2026-03-07T05:00", False),
        ("2026-03-07T23:30", False),  # Saturday's night is not asked for
        ("2026-03-28T00:30", True),  # the night in which the clock jumps: 01:30
        ("2026-07-03T20:59", False),  # summer time: 22:59
        ("2026-07-03T21:00", True),
    ],
)
def test_a_night_belongs_to_the_day_it_began(at: str, speaks: bool) -> None:
    schedule = m.Schedule(timezone="Europe/Berlin", days=(5,), active=m.Clock(start="23:00", end="06:00"))
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    assert may_speak(schedule, int(moment.timestamp() * 1000)) is speaks


PRICE = {"type": "price", "op": "above", "value": 1}


def nested(depth: int) -> dict[str, Any]:
    return PRICE if depth == 1 else {"type": "all", "of": [nested(depth - 1)]}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"when": nested(4)}, "deeper than 3"),
        ({"when": {"type": "any", "of": [{"type": "all", "of": [PRICE] * 3}] * 2}}, "6 conditions"),
        ({"when": {"type": "ema_cross", "direction": "up", "fast": 50, "slow": 50}}, "fast"),
        ({"timeframe": "7m"}, "timeframe"),
        ({"timeframe": ""}, "timeframe"),
        ({"name": "n" * 129}, "name"),
        ({"message": "a\x00b"}, "message"),
        ({"cooldown_s": -1}, "cooldown_s"),
        ({"cooldown_s": 10**9}, "cooldown_s"),
        ({"expires_at": NOW_MS // 1000}, "expires_at"),
        ({"expires_at": 10**12}, "expires_at"),
        ({"channels": ["webhook", "sms"]}, "channels has sms; there are email telegram"),
        ({"channels": ["x"] * 9}, "channels has a name twice"),
        ({"schedule": {"timezone": "Mars/Olympus"}}, "Mars/Olympus"),
        ({"schedule": {"timezone": "../../etc/passwd"}}, "time zone"),
    ],
)
def test_what_is_not_taken_is_refused_with_the_reason(change: dict[str, Any], says: str) -> None:
    with pytest.raises(AppError, match=says):
        checked(body({**rule_of(PRICE), **change}), symbol="EURUSD", now_ms=NOW_MS)


@pytest.mark.parametrize(
    "when",
    [
        {**PRICE, "colour": "red"},
        {"type": "eval", "code": "1"},
        {"type": "all", "of": []},
        {"type": "all", "of": [PRICE] * 6},
        {"type": "price", "op": "near", "value": 1},
        {"type": "price", "op": "above", "value": 0},
        {"type": "price", "op": "above", "value": 1e300},
        {"type": "change", "op": "above", "percent": 1, "bars": 501},
        {"type": "change", "op": "above", "percent": 1, "bars": 0},
        {"type": "rsi", "op": "above", "value": 101},
        {"type": "rsi", "op": "above", "value": 50, "period": 201},
        {"type": "ema_cross", "direction": "up", "fast": 1, "slow": 9},
        {"type": "volume_z", "op": "above", "value": 1, "window": 7},
        {"type": "atr", "op": "above", "percent": -1},
        {"type": "pattern", "within": 51},
        {"type": "regime", "to": "sideways"},
        {"type": "price", "op": "above", "value": 1, "hysteresis": -1},
        "close > 1",
        None,
    ],
)
def test_a_tree_with_a_part_out_of_bounds_is_no_rule(when: Any) -> None:
    with pytest.raises(msgspec.ValidationError):
        body(rule_of(when))


@pytest.mark.parametrize(
    ("days", "frame", "bars"), [(1, "1d", 1), (12, "1m", 17_280), (365, "1h", 8_760), (1, "1M", 1)]
)
def test_a_test_looks_at_so_many_bars(days: int, frame: str, bars: int) -> None:
    assert bars_of(days, BY_NAME[frame]) == bars


@pytest.mark.parametrize(("days", "frame"), [(0, "1h"), (366, "1d"), (13, "1m"), (-1, "1M")])
def test_a_test_over_an_absurd_past_is_refused(days: int, frame: str) -> None:
    with pytest.raises(AppError, match="days"):
        bars_of(days, BY_NAME[frame])


@pytest.mark.parametrize(("count", "notices"), [(1, 1), (STORM, STORM), (STORM + 1, 1), (40, 1)])
def test_a_storm_is_told_as_one_and_names_how_many(count: int, notices: int) -> None:
    state = begin(body(rule_of(PRICE)))
    told = []
    for id in range(1, count + 1):
        rule = Rule(
            id=id,
            login=7,
            symbol="EURUSD",
            timeframe="15m",
            status=Status.ACTIVE,
            body=body(rule_of(PRICE, name=f"r{id}")),
            memory=Memory(state, state),
            bar_ms=0,
            created_ms=0,
            updated_ms=0,
            fired_ms=0,
            fired_count=0,
        )
        told.append((rule, Hit(id, START_MS, START_MS + FRAME.span_ms, 1.1, "yes", 0)))
    facts = notices_of(told, CountedIds(), START_MS + FRAME.span_ms, FRAME)
    assert len(facts) == notices
    found = [msgspec.json.decode(fact.payload, type=Notice) for fact in facts]
    assert sum(notice.data.get("count", 1) for notice in found) == count
    # What the texts of the notifier are filled with.
    needed = {"rule_name", "price", "message"} if count <= STORM else {"count", "names"}
    assert all(needed | {"symbol", "timeframe", "time_ms"} <= set(notice.data) for notice in found)
    if count > STORM:
        assert found[0].data["rule_ids"] == list(range(1, count + 1))
        assert len(found[0].text.splitlines()) == min(count, NAMED) + (count > NAMED)


@pytest.mark.parametrize(
    ("leaf", "levels"),
    [
        (m.Depeg(), {"warn", "alert"}),
        (m.Depeg(token="usdc"), {"warn", "alert"}),
        (m.Depeg(token="0xA0B8", level="alert"), {"alert"}),
        (m.Depeg(level="ok"), {"ok"}),
        (m.Depeg(token="usd"), set()),
    ],
)
def test_a_depeg_is_asked_for_by_symbol_or_id_and_level(leaf: m.Depeg, levels: set[str]) -> None:
    found = {
        level for level in ("ok", "warn", "alert") if matches(leaf, Fact("depeg", "USDC 0xa0b8", level, 0.5))
    }
    assert found == levels
    assert not matches(leaf, Fact("signal", "USDC 0xa0b8", "warn", 0.5))


@given(
    steps=st.lists(st.integers(1, 3), min_size=1, max_size=12),
    times=st.sets(st.integers(-2 * FRAME.span_ms, 40 * FRAME.span_ms), max_size=12),
)
def test_facts_of_no_bar_count_on_the_first_bar_that_ends_after_them(
    steps: list[int], times: set[int]
) -> None:
    opens = [START_MS + sum(steps[:n]) * FRAME.span_ms for n in range(len(steps))]
    facts = {START_MS + at: [Fact("depeg", str(at), "warn", 1.0)] for at in times}
    expected: dict[int, list[Fact]] = {}
    for at_ms in sorted(facts):
        for open_ms in opens:
            if at_ms < open_ms + FRAME.span_ms:
                expected.setdefault(open_ms, []).extend(facts[at_ms])
                break
    assert placed_on(opens, FRAME, facts) == expected
