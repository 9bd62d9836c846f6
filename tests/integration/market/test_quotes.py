"""Quotes set by staff: all or nothing, in order, once per price profile, with a seq that never has a gap."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest

from libs.common import subjects
from libs.common.bus_nats import NatsBus
from libs.common.candles import TIME_MAX_MS
from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.errors import RemoteError
from libs.common.messages import market as m
from tests.house import House
from tests.integration.market.rig import START, START_MS, Rig, open_rig

RAW = "market.tick.quote.v1.raw.EURUSD"


def of(rig: Rig, subject: str) -> list[list[Any]]:
    return [frame for heard, frame in rig.frames if heard == subject]


async def test_quotes_are_published_in_order_before_the_answer(rig: Rig, eventually: Any) -> None:
    await rig.quotes(*(("EURUSD", 1.1 + i / 1e5, 1.2, START_MS + i) for i in range(500)))
    # The answer came over the same server after the frames were flushed; the reader only has to wake.
    await eventually(lambda: len(rig.frames) == 500)
    assert of(rig, RAW)[0] == ["t", "EURUSD", 1.1, 1.2, START_MS // 1000, START_MS, 1]
    assert [frame[6] for frame in of(rig, RAW)] == list(range(1, 501))
    assert [frame[5] for frame in of(rig, RAW)] == [START_MS + i for i in range(500)]


async def test_prices_are_rounded_to_digits_and_equal_prices_are_ticks(rig: Rig, eventually: Any) -> None:
    await rig.quotes(("USDJPY", 150.12349, 150.1235, None), ("USDJPY", 150.12349, 150.1235, None))
    frames = await eventually(lambda: len(rig.frames) == 2 and rig.frames)
    assert [frame[2:4] for _, frame in frames] == [[150.123, 150.124]] * 2
    assert [frame[6] for _, frame in frames] == [1, 2]


async def test_time_is_now_by_default_seconds_below_1e11_and_never_before_the_last(
    rig: Rig, eventually: Any
) -> None:
    later = START_MS // 1000 + 100
    await rig.quote("EURUSD", 1.1, 1.2)
    await rig.quote("EURUSD", 1.1, 1.2, later)
    await rig.quote("EURUSD", 1.1, 1.2, later * 1000)  # equal is fine
    await rig.quote("EURUSD", 1.1, 1.2)  # now is before it: it keeps the time it has
    await eventually(lambda: len(rig.frames) == 4)
    assert [frame[5] for frame in of(rig, RAW)] == [START_MS, later * 1000, later * 1000, later * 1000]
    with pytest.raises(RemoteError) as older:
        await rig.quote("EURUSD", 1.1, 1.2, later * 1000 - 1)
    assert (older.value.code, older.value.http_status) == ("INVALID_DATA", 400)


async def test_a_quote_at_the_end_of_time_is_counted_like_any_other(rig: Rig) -> None:
    await rig.quote("EURUSD", 1.1, 1.2, TIME_MAX_MS)
    await rig.quote("GBPUSD", 1.3, 1.4, START_MS)
    assert [row[3] for row in await rig.candles("GBPUSD", "MN1")] == [1.3]
    ask = m.CandlesAsk(symbol="EURUSD", frame="MN1", from_s=0, to_s=2**40)
    rows = (await rig.ask_json(subjects.CANDLES, ask))["data"]
    assert rows == [[1.1, 1.1, 1.1, 1.1, 1.0, TIME_MAX_MS // 1000]]


@pytest.mark.parametrize(
    ("bad", "code", "status"),
    [
        (("NOPE", 1.0, 1.0, None), "RET_SYMBOL_NOT_FOUND", 404),
        (("EURUSD", 1.2, 1.1, None), "INVALID_DATA", 400),
        (("EURUSD", 0.0, 1.1, None), "INVALID_DATA", 400),
        (("EURUSD", -1.0, 1.1, None), "INVALID_DATA", 400),
        (("EURUSD", 0.000001, 1.1, None), "INVALID_DATA", 400),
        (("EURUSD", 1.1, 1.2, -5), "INVALID_DATA", 400),
        (("EURUSD", 1.1, 1.2, START_MS - 1), "INVALID_DATA", 400),
        (("EURUSD", 1.1, 1.2, TIME_MAX_MS + 1), "INVALID_DATA", 400),
        (("EURUSD", 1.1, 1.2, 2**53), "INVALID_DATA", 400),
        (("EURUSD", 1.1, 1e300, None), "INVALID_DATA", 400),
        (("EURUSD", 1.1, 2**53 / 1e5 + 1, None), "INVALID_DATA", 400),
    ],
)
async def test_one_bad_quote_refuses_the_whole_call(
    rig: Rig, bad: tuple[str, float, float, int | None], code: str, status: int, eventually: Any
) -> None:
    with pytest.raises(RemoteError) as refused:
        await rig.quotes(("EURUSD", 1.1, 1.2, START_MS), ("GBPUSD", 1.3, 1.4, None), bad)
    assert (refused.value.code, refused.value.http_status) == (code, status)
    await rig.quote("EURUSD", 1.1, 1.2)
    await eventually(lambda: rig.frames)
    assert [(subject, frame[6]) for subject, frame in rig.frames] == [(RAW, 1)]


async def test_infinite_prices_are_refused(rig: Rig) -> None:
    with pytest.raises(RemoteError) as refused:
        await rig.bus.request_bytes(
            subjects.QUOTES_PUT, b'{"quotes":[{"symbol":"EURUSD","bid":1e999,"ask":1e999}]}'
        )
    assert refused.value.http_status == 400


async def test_every_profile_in_use_has_its_own_frame(rig: Rig, eventually: Any) -> None:
    await rig.put_symbol("GBPUSD", spread=10)
    await rig.put_group("wide", secgroups=[{"sec_index": 0, "spread_diff": 5}])
    await rig.quotes(("EURUSD", 1.1, 1.10010, None), ("GBPUSD", 1.3, 1.4, None))
    await eventually(lambda: len(rig.frames) == 5)
    spoken = {subject.removeprefix("market.tick.quote.v1."): frame[2:4] for subject, frame in rig.frames}
    assert spoken == {
        "raw.EURUSD": [1.1, 1.1001],
        "w5.EURUSD": [1.1, 1.10015],
        "raw.GBPUSD": [1.3, 1.4],
        "f10.GBPUSD": [1.3, 1.3001],
        "f15.GBPUSD": [1.3, 1.30015],
    }
    snapshot = await rig.ask_json(subjects.QUOTES_SNAPSHOT, m.SnapshotAsk())
    assert {f"{profile}.{frame[1]}": frame[2:4] for profile, frame in snapshot["frames"]} == spoken


async def test_ticks_since_gives_what_was_missed_in_any_profile(rig: Rig) -> None:
    await rig.quotes(*(("EURUSD", 1.1 + i / 1e5, 1.2, None) for i in range(20)))
    ask = m.TicksSince(symbol="EURUSD", profile="raw", after_seq=17)
    missed = await rig.ask_json(subjects.TICKS_SINCE, ask)
    assert [frame[6] for frame in missed["frames"]] == [18, 19, 20]
    assert (missed["first_seq"], missed["last_seq"]) == (1, 20)
    wide = m.TicksSince(symbol="EURUSD", profile="f7", after_seq=0, limit=2)
    assert [f[2:4] for f in (await rig.ask_json(subjects.TICKS_SINCE, wide))["frames"]] == [
        [1.1, 1.10007],
        [1.10001, 1.10008],
    ]
    with pytest.raises(RemoteError):
        await rig.ask(subjects.TICKS_SINCE, m.TicksSince(symbol="EURUSD", profile="x", after_seq=0))


async def test_two_callers_at_once_never_share_or_skip_a_seq(rig: Rig, eventually: Any) -> None:
    await asyncio.gather(*(rig.quotes(*[("EURUSD", 1.1, 1.2, None)] * 40) for _ in range(25)))
    await eventually(lambda: len(rig.frames) == 1000)
    assert [frame[6] for frame in of(rig, RAW)] == list(range(1, 1001))


async def test_an_orderly_restart_goes_on_with_the_next_seq_and_the_last_quote(
    market_database: Database, bus: NatsBus, eventually: Any
) -> None:
    clock = ManualClock(START)
    async with open_rig(market_database, bus, clock=clock) as first:
        await first.quotes(*[("EURUSD", 1.1, 1.2, None)] * 7)
    async with open_rig(market_database, bus, clock=clock) as second:
        snapshot = await second.ask_json(subjects.QUOTES_SNAPSHOT, m.SnapshotAsk())
        assert snapshot["frames"] == [["raw", ["t", "EURUSD", 1.1, 1.2, START_MS // 1000, START_MS, 7]]]
        with pytest.raises(RemoteError):
            await second.quote("EURUSD", 1.1, 1.2, START_MS - 1)
        await second.quote("EURUSD", 1.1, 1.2)
        await eventually(lambda: second.frames)
        assert second.frames[0][1][6] == 8


async def test_after_a_crash_no_seq_is_used_twice_and_no_acknowledged_quote_is_lost(
    house: House, bus: NatsBus, eventually: Any
) -> None:
    frames: list[bytes] = []
    await bus.subscribe(subjects.QUOTE.pattern, lambda subject, payload: frames.append(payload))
    await house.start("market", FEED="manual")
    for i in range(30):
        quote = m.QuoteIn(symbol="EURUSD", bid=1.1 + i / 1e5, ask=1.2, time=START_MS + i * 10_000)
        await bus.request(subjects.QUOTES_PUT, m.QuotesPut(quotes=[quote]))
    await eventually(lambda: len(frames) == 30)
    await house.end("market-0", signal.SIGKILL)
    await house.start("market", FEED="manual")
    candles = await bus.request(
        subjects.CANDLES, m.CandlesAsk(symbol="EURUSD", frame="1H", from_s=0, to_s=2**33)
    )
    assert candles.data == [[1.1, 1.10029, 1.1, 1.10029, 30.0, START_MS // 1000]]
    quote = m.QuoteIn(symbol="EURUSD", bid=1.3, ask=1.4, time=START_MS + 300_000)
    await bus.request(subjects.QUOTES_PUT, m.QuotesPut(quotes=[quote]))
    await eventually(lambda: len(frames) == 31)
    seqs = [int(frame.rsplit(b",", 1)[1].rstrip(b"]")) for frame in frames]
    assert seqs[:30] == list(range(1, 31))
    assert seqs[30] > 30
    candles = await bus.request(
        subjects.CANDLES, m.CandlesAsk(symbol="EURUSD", frame="1H", from_s=0, to_s=2**33)
    )
    assert candles.data == [[1.1, 1.3, 1.1, 1.3, 31.0, START_MS // 1000]]


async def test_a_second_market_waits_for_the_first(house: House, eventually: Any) -> None:
    await house.start("market", FEED="manual", PROCESS_INDEX="0")
    second = await house._spawn("market", {"FEED": "manual", "PROCESS_INDEX": "1"})
    await eventually(lambda: "waiting for another market to stop" in second.log.read_text())
    await house.end("market-0")
    await house._ready(second)
