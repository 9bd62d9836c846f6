"""Signals over real series: causal, the same wherever history begins, every number traceable."""

from __future__ import annotations

import math
import statistics
from itertools import pairwise

import msgspec
import pytest

from libs.common.candles import BY_NAME
from services.scanner.bars import Bars, bars_of
from services.scanner.signals import walking
from services.scanner.signals.generation import Draft, Memory, step
from services.scanner.signals.measures import bars_needed, measure, volatility
from services.scanner.signals.titles import SUMMARY_MAX, TITLE_MAX, numbers_of, traceable, words_of
from services.scanner.snapshot import Snapshot, snapshots
from tests.series import series

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
WINDOW = 200
CASES = [("EURUSD", HOUR_MS, 1400), ("GOOG", DAY_MS, 1000)]


def snapshots_of(bars: Bars, first: int) -> dict[int, Snapshot]:
    """bar → the analysis of the 200 bars that end with it."""
    places = range(max(first, WINDOW - 1), len(bars))
    made = snapshots([bars.cut(at - WINDOW + 1, at + 1) for at in places])
    return dict(zip(places, made, strict=True))


def walk(bars: Bars, step_ms: int, first: int, analysed: dict[int, Snapshot]) -> dict[int, Draft]:
    """bar → its signal, from bar ``first`` on, each bar seeing only what ends with it."""
    memory, drafts = Memory(), {}
    need = bars_needed(step_ms)
    for at in range(first, len(bars)):
        seen = bars.cut(max(0, at + 1 - need), at + 1)
        memory, draft = step(memory, seen, int(bars.open_ms[at]) + step_ms, step_ms, analysed[at])
        memory = msgspec.json.decode(
            msgspec.json.encode(memory), type=Memory
        )  # as it comes back from a store
        if draft is not None:
            drafts[at] = draft
    return drafts


@pytest.mark.parametrize(("name", "step_ms", "count"), CASES)
def test_the_same_signals_wherever_history_begins_and_ends(name: str, step_ms: int, count: int) -> None:
    bars = bars_of(series(name)[:count])
    analysed = snapshots_of(bars, WINDOW - 1)
    whole = walk(bars, step_ms, bars_needed(step_ms), analysed)
    assert len(whole) > 20
    later = bars_needed(step_ms) + 150
    part = walk(bars, step_ms, later, analysed)
    warm = later + 200  # cool-downs, trends and formations are known by then
    assert {at: d for at, d in part.items() if at >= warm} == {at: d for at, d in whole.items() if at >= warm}
    cut = bars_of(series(name)[: count - 97])
    before = walk(cut, step_ms, bars_needed(step_ms), snapshots_of(cut, WINDOW - 1))
    assert before == {at: d for at, d in whole.items() if at < len(cut)}


SPANS = [
    pytest.param(520, 260, id="part"),
    pytest.param(5_000, 260, id="whole", marks=(pytest.mark.soak, pytest.mark.timeout(600))),
]


@pytest.mark.parametrize(("count", "first"), SPANS)
@pytest.mark.parametrize(("name", "timeframe"), [("EURUSD", "1h"), ("GOOG", "1d")])
def test_cut_at_every_bar_nothing_said_before_changes(
    name: str, timeframe: str, count: int, first: int
) -> None:
    """As live does it, a bar at a time with nothing behind it known, beside a back-fill that knows all bars
    and one of a series that goes on quite differently."""
    frame, rows = BY_NAME[timeframe], series(name)[:count]
    bars = bars_of(rows)
    whole = {one.at: one.draft for part in walking.walk(bars, frame, first) for one in part}
    memory, live = None, {}
    for at in range(first, len(bars)):
        seen = bars_of(rows[max(0, at + 1 - 700) : at + 1])
        (one,) = (one for part in walking.walk(seen, frame, len(seen) - 1, memory) for one in part)
        memory = msgspec.json.decode(msgspec.json.encode(one.memory), type=Memory)
        live[at] = one.draft
    assert live == whole and any(whole.values())
    cut = (first + len(bars)) // 2
    wild = bars_of([*rows[:cut], *((row[0], *(3 * value for value in row[1:])) for row in rows[cut:])])
    other = {one.at: one.draft for part in walking.walk(wild, frame, first) for one in part}
    assert {at: draft for at, draft in other.items() if at < cut} == {
        at: draft for at, draft in whole.items() if at < cut
    }


@pytest.mark.parametrize(("name", "step_ms", "count"), CASES)
def test_every_number_of_every_text_is_in_the_evidence(name: str, step_ms: int, count: int) -> None:
    bars = bars_of(series(name)[:count])
    drafts = walk(bars, step_ms, bars_needed(step_ms), snapshots_of(bars, WINDOW - 1))
    for draft in drafts.values():
        words = words_of(draft, "Asset 9", "1h", 5)
        assert 0 < len(words.title) <= TITLE_MAX
        assert 0 < len(words.summary) <= SUMMARY_MAX
        for text in words:
            assert traceable(text, numbers_of(draft), ("Asset 9", "1h")), text
            assert not traceable(f"{text} 1234.56789", numbers_of(draft), ("Asset 9", "1h"))
    assert not traceable("The price will rise", [])
    assert traceable("C98 stands at 5", [5.0], ("C98", "5")) and not traceable(
        "At 98 and 35", [3.0], ("C98", "5")
    )
    kinds = {trigger.kind for draft in drafts.values() for trigger in draft.triggers}
    assert {"price_move", "volume_spike", "regime_flip", "pattern"} <= kinds


def test_measures_agree_with_plain_arithmetic() -> None:
    rows = series("EURUSD")[:600]
    for at in (340, 420, 599):
        bars = bars_of(rows[at + 1 - bars_needed(HOUR_MS) if at > 400 else 0 : at + 1])
        closes = [row[4] for row in rows[: at + 1]]
        moves = [math.log(b / a) for a, b in pairwise(closes)]
        past = moves[-201:-1]
        weights = [0.94**k for k in range(len(past))]
        sigma = math.sqrt(
            math.fsum(w * r * r for w, r in zip(weights, reversed(past), strict=True)) / math.fsum(weights)
        )
        m = measure(bars, HOUR_MS)
        assert m.z_1h == pytest.approx(moves[-1] / sigma, rel=1e-9)
        assert m.z_24h == pytest.approx(math.fsum(moves[-24:]) / (sigma * math.sqrt(24)), rel=1e-9)
        logs = [math.log(row[5]) for row in rows[: at + 1]]
        usual = statistics.median(logs[-97:-1])
        spread = 1.4826 * statistics.median(abs(v - usual) for v in logs[-97:-1])
        now = rows[at][0]
        if bars.open_ms[0] <= now - 14 * DAY_MS:
            hour = [
                log
                for log, row in zip(logs, rows, strict=False)
                if now - 14 * DAY_MS <= row[0] < now and row[0] % DAY_MS == now % DAY_MS
            ]
            usual = statistics.median(hour)
        assert m.volume_z == pytest.approx((logs[-1] - usual) / spread, rel=1e-9)
        assert m.volume_ratio == pytest.approx(math.exp(logs[-1] - usual), rel=1e-9)


def test_a_dead_market_measures_nothing_and_signals_nothing() -> None:
    bars = bars_of([(at * HOUR_MS, 1.0, 1.0, 1.0, 1.0, 0.0) for at in range(400)])
    m = measure(bars, HOUR_MS)
    assert (m.z_1h, m.z_24h, m.volume_z, m.stale) == (0.0, 0.0, 0.0, 1.0)
    assert walk(bars, HOUR_MS, bars_needed(HOUR_MS), snapshots_of(bars, WINDOW - 1)) == {}
    assert volatility(bars.close[:10]) is None
