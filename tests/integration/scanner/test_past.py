"""The past behind what was judged first: judged while nothing closes, written once, told to nobody."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from services.scanner import past
from tests.conftest import wait_until
from tests.integration.scanner.rig import Rig, open_both
from tests.integration.scanner.test_recovery import bars_of_walk
from tests.unit.scanner.series import bars_of_columns
from tests.unit.scanner.test_past import told_at_once

BARS = bars_of_walk(23, 420)
FIRST = len(BARS) - 100  # where a first sight begins
STORED = "SELECT id, known_ms, outcome, exit_ms, return_pct FROM scanner.detection ORDER BY known_ms, id"


async def test_the_past_is_judged_later_as_it_would_have_been_then(
    database: Callable[[str], Awaitable[Database]], bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(past, "SOURCE", "manual")  # the feed of this test
    async with open_both(database, bus, scanner_backfill_bars=100) as rig:
        await rig.load("EURUSD", "1h", BARS)
        await reached_back(rig)
        rows = [tuple(row) for row in await rig.rows(STORED)]
        columns = list(zip(*BARS, strict=True))
        series = bars_of_columns(*columns[1:])
        shifted = type(series)(series.open_ms + BARS[0][0], *columns_of(series))
        expected = {one.id: one for one in told_at_once(shifted, 199)}
        assert {row[0] for row in rows} == expected.keys()
        for id_, known_ms, outcome, exit_ms, return_pct in rows:
            closed = expected[id_].closed
            if known_ms < BARS[FIRST][0] and outcome is not None:
                assert closed is not None and (exit_ms, return_pct) == (
                    expected[id_].exit_ms,
                    pytest.approx(closed.return_pct),
                )
        heard = await rig.facts(subjects.PATTERN_DETECTED)
        assert heard and all(fact.bar_open_ms >= BARS[FIRST][0] for fact in heard)


def columns_of(bars: Any) -> tuple[Any, ...]:
    return bars.open, bars.high, bars.low, bars.close, bars.volume


async def reached_back(rig: Rig, symbol: str = "EURUSD") -> None:
    async def done() -> bool:
        sql = "SELECT first_ms FROM scanner.place WHERE symbol = $1"
        return [row["first_ms"] for row in await rig.rows(sql, symbol)] == [BARS[199][0]]

    await wait_until(done, timeout_s=40)
