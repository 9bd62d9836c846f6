"""Closed bars on real servers: what they tell is written once, whatever happens in between."""

from __future__ import annotations

import math

from libs.common import subjects
from libs.common.messages import scan as m
from tests.integration.scanner.rig import HOUR_MS, Rig, bars_of_closes

SINE = [round(100 + 5 * math.sin(2 * math.pi * i / 24), 2) for i in range(120)]


async def test_loaded_history_becomes_records_with_outcomes(rig: Rig) -> None:
    bars = bars_of_closes(SINE)
    await rig.load("EURUSD", "1h", bars)
    await rig.done("EURUSD", "1h", bars[-1][0])
    rows = await rig.rows("SELECT * FROM scanner.detection WHERE pattern = 'double_top' ORDER BY known_ms")
    # Tops at 30, 54, 78, 102 repeat the one before them; each is known three bars later.
    assert [row["end_ms"] for row in rows] == [bars[i][0] for i in (30, 54, 78, 102)]
    assert [row["known_ms"] for row in rows] == [bars[i + 3][0] for i in (30, 54, 78, 102)]
    assert all(row["detected_ms"] == row["known_ms"] + HOUR_MS for row in rows)
    assert [row["entry"] for row in rows] == [bars[i + 3][4] for i in (30, 54, 78, 102)]
    assert {row["outcome"] for row in rows} == {1}  # the wave turned each time
    page = await rig.ask(subjects.RECORD_LIST, m.RecordsAsk(pattern="double_top", limit=3))
    assert page.returned_count == 3 and page.has_more
    assert page.records[0].symbol == "TRADEWIND:EURUSD" and page.records[0].outcome == "win"
    rest = await rig.ask(
        subjects.RECORD_LIST, m.RecordsAsk(pattern="double_top", limit=3, cursor=page.next_cursor)
    )
    assert rest.returned_count == 1 and not rest.has_more and rest.next_cursor is None


async def test_a_scan_sees_what_was_just_loaded(rig: Rig) -> None:
    bars = bars_of_closes(SINE)
    await rig.load("BTC/USDT", "4h", bars)
    found = await rig.ask(subjects.SCAN, m.ScanAsk(symbol="BINANCE:BTCUSDT", tf="4H"))
    assert (found.symbol, found.tf, found.candles) == ("BINANCE:BTCUSDT", "4h", 120)
    by_name = {one.pattern: one for one in found.patterns}
    assert by_name["double_top"].at == 102 and by_name["double_bottom"].at == 114
    await rig.done("BTC/USDT", "4h", bars[-1][0])
    again = await rig.ask(subjects.SCAN, m.ScanAsk(symbol="btc", tf="4h", patterns=["double_top"]))
    (one,) = again.patterns
    record = await rig.ask(subjects.RECORD_GET, m.RecordAsk(id=one.detection_id))
    assert (record.entry, record.stop, record.targets) == (one.entry, one.stop, one.targets)
    assert record.detection_id == one.detection_id


async def test_bars_one_by_one_tell_the_same_as_all_at_once(rig: Rig) -> None:
    bars = bars_of_closes(SINE)
    await rig.load("EURUSD", "1h", bars)
    for end in range(60, 121, 7):
        await rig.load("GBPUSD", "1h", bars[:60] if end == 60 else bars[end - 7 : end])
        await rig.done("GBPUSD", "1h", bars[end - 1][0])
    await rig.load("GBPUSD", "1h", bars[116:])
    await rig.done("EURUSD", "1h", bars[-1][0])
    await rig.done("GBPUSD", "1h", bars[-1][0])
    columns = (
        "pattern, direction, start_ms, end_ms, known_ms, confidence, atr, entry, outcome, exit_ms, return_pct"
    )
    told = {}
    for symbol in ("EURUSD", "GBPUSD"):
        rows = await rig.rows(
            f"SELECT {columns} FROM scanner.detection WHERE symbol = $1 ORDER BY known_ms, pattern", symbol
        )
        told[symbol] = [tuple(row) for row in rows]
    assert told["EURUSD"] and told["EURUSD"] == told["GBPUSD"]


async def test_facts_are_told_for_the_newest_bars(rig: Rig) -> None:
    bars = bars_of_closes([*SINE, *(99.0 + i for i in range(20))])  # out of the range, upwards
    await rig.load("EURUSD", "1h", bars[:-1])
    await rig.done("EURUSD", "1h", bars[-2][0])
    await rig.load("EURUSD", "1h", bars[-1:])
    await rig.done("EURUSD", "1h", bars[-1][0])
    stored = await rig.rows("SELECT count(*) AS n FROM scanner.outbox")
    kinds = (
        subjects.PATTERN_DETECTED,
        subjects.RECORD_CLOSED,
        subjects.REGIME_FLIPPED,
        subjects.LEVEL_BROKEN,
    )
    assert sum([len(await rig.facts(kind)) for kind in kinds]) == stored[0]["n"]
    detected = await rig.facts(subjects.PATTERN_DETECTED)
    assert min(fact.bar_open_ms for fact in detected) >= bars[-1 - 48][0]
    assert {fact.bar_open_ms for fact in detected if fact.live} <= {bars[-2][0], bars[-1][0]}
    assert len({fact.event_id for fact in detected}) == len(detected)
    closed = await rig.facts(subjects.RECORD_CLOSED)
    assert closed and all(fact.outcome in {"win", "loss", "expired"} for fact in closed)
    assert await rig.facts(subjects.REGIME_FLIPPED) and await rig.facts(subjects.LEVEL_BROKEN)
