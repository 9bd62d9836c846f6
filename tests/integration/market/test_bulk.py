"""Closed bars in bulk and the telling of them: nothing forming, nothing lost, holes that show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from libs.common import subjects
from libs.common.bulk import BARS_MAX, columns, unpack
from libs.common.db import Database
from libs.common.errors import RemoteError
from libs.common.messages import market as m
from tests.integration.market.rig import START_MS, Rig, open_rig

HOUR_MS = 3_600_000
MINUTE_MS = 60_000
ALWAYS = (0, 2**52)


async def bulk(rig: Rig, *places: tuple[str, str, int, int], limit: int = 1_000) -> list[Any]:
    ask = m.CandlesBulk(places=places, limit=limit)
    return unpack(await rig.bus.request_bytes(subjects.CANDLES_BULK, msgspec.json.encode(ask)))


async def test_the_newest_closed_bars_of_each_place_come_as_arrays(rig: Rig) -> None:
    bars = [(START_MS - (9 - i) * HOUR_MS, 1.0 + i, 2.0 + i, 0.5 + i, 1.5 + i, float(i)) for i in range(10)]
    await rig.put_candles("EURUSD", "1h", *bars)
    euro, none = await bulk(rig, ("eurusd", "1h", *ALWAYS), ("GBPUSD", "1d", *ALWAYS), limit=4)
    assert (euro.symbol, euro.timeframe, euro.source) == ("EURUSD", "1h", "manual")
    assert np.array_equal(columns(euro.rows).T, np.array(bars[-4:]))
    assert (none.symbol, none.source, len(none.rows)) == ("GBPUSD", "", 0)
    (part,) = await bulk(rig, ("EURUSD", "1h", bars[2][0], bars[5][0]))
    assert [int(at) for at in part.rows["open_ms"]] == [bar[0] for bar in bars[2:6]]


async def test_the_bar_being_made_is_asked_for_apart(rig: Rig) -> None:
    await rig.quotes(
        ("EURUSD", 1.1, 1.2, START_MS + 1),
        ("EURUSD", 1.3, 1.4, START_MS + MINUTE_MS + 1),
        ("EURUSD", 1.2, 1.4, START_MS + MINUTE_MS + 2),
    )
    (minutes,) = await bulk(rig, ("EURUSD", "1m", *ALWAYS))
    assert [tuple(row) for row in minutes.rows.tolist()] == [(START_MS, 1.1, 1.1, 1.1, 1.1, 1.0)]
    forming = await rig.ask(subjects.FORMING, m.FormingAsk(symbol="EURUSD", timeframe="1m"))
    assert forming.bar == (START_MS + MINUTE_MS, 1.3, 1.3, 1.2, 1.2, 2.0)
    nothing = await rig.ask(subjects.FORMING, m.FormingAsk(symbol="GBPUSD", timeframe="1m"))
    assert nothing.bar is None


async def test_a_full_reply_leaves_places_out(rig: Rig) -> None:
    count = BARS_MAX // 3
    for symbol in ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD"):
        for start in range(0, count, 10_000):
            bars = ((i * MINUTE_MS, 1, 1, 1, 1, 0) for i in range(start, min(count, start + 10_000)))
            await rig.put_candles(symbol, "1m", *bars)
    places = [(symbol, "1m", *ALWAYS) for symbol in ("EURUSD", "GBPUSD", "USDJPY", "XAUUSD")]
    found = await bulk(rig, *places, limit=count)
    assert [(place.symbol, len(place.rows)) for place in found] == [
        ("EURUSD", count),
        ("GBPUSD", count),
        ("USDJPY", count),
    ]


@pytest.mark.parametrize(
    ("ask", "code"),
    [
        (m.CandlesBulk(places=[("NOPE", "1h", 0, 1)]), "RET_SYMBOL_NOT_FOUND"),
        (m.CandlesBulk(places=[("EURUSD", "2h", 0, 1)]), "INVALID_DATA"),
        (m.CandlesBulk(places=[("EURUSD", "1h", 0, 1)], limit=0), "INVALID_DATA"),
        (m.CandlesBulk(places=[("EURUSD", "1h", 0, 1)], limit=BARS_MAX + 1), "INVALID_DATA"),
    ],
)
async def test_a_broken_question_is_refused(rig: Rig, ask: m.CandlesBulk, code: str) -> None:
    with pytest.raises(RemoteError) as refused:
        await rig.bus.request_bytes(subjects.CANDLES_BULK, msgspec.json.encode(ask))
    assert refused.value.code == code


async def test_closed_bars_and_loaded_ranges_are_told_in_order_without_a_hole(
    database: Callable[[str], Any], bus: Any, eventually: Callable[..., Any]
) -> None:
    pool: Database = await database("market")
    heard: list[m.BarsClosed] = []
    hearing = await bus.subscribe(
        subjects.BARS_CLOSED.at(),
        lambda subject, payload: heard.append(msgspec.json.decode(payload, type=m.BarsClosed)),
    )
    await bus.flush()
    async with open_rig(pool, bus) as rig:
        await rig.quotes(("EURUSD", 1.1, 1.2, START_MS + 1), ("EURUSD", 1.3, 1.4, START_MS + MINUTE_MS))
        await rig.put_candles("GBPUSD", "1h", *((START_MS + i * HOUR_MS, 1, 2, 1, 2, i) for i in range(3)))
        await eventually(lambda: sum(len(message.loaded) for message in heard) == 1)
        # The heartbeat: more messages come although nothing closes.
        count = len(heard)
        await eventually(lambda: len(heard) > count)
    await hearing.stop()
    assert [message.seq for message in heard] == list(range(1, len(heard) + 1))
    assert len({message.run for message in heard}) == 1
    bars = [bar for message in heard for bar in message.bars]
    assert bars == [("EURUSD", "1m", START_MS, 1.1, 1.1, 1.1, 1.1, 1.0)]
    assert [r for message in heard for r in message.loaded] == [
        ("GBPUSD", "1h", START_MS, START_MS + 2 * HOUR_MS)
    ]
