"""The tick reader: every tick once and in order, whatever the bus loses; holes said, merges counted."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.bus_memory import MemoryBus, MemoryServer
from libs.common.errors import AppError, ServiceUnavailable
from libs.common.messages.market import Quote, Snapshot, Ticks, TicksSince
from libs.common.subjects import QUOTE, QUOTES_SNAPSHOT, TICKS_SINCE
from libs.common.tick_reader import (
    MERGE_CHUNK,
    Batch,
    Hole,
    TickReader,
    in_time,
    merge_run,
    runs_of,
)
from tests.conftest import wait_until


def frame(symbol: str, seq: int, bid: float, ask: float | None = None) -> bytes:
    return msgspec.json.encode(Quote("t", symbol, bid, ask or bid, seq // 10, seq * 100, seq))


class Market:
    """The market's side on the memory bus: numbers, a ring per symbol, and a bus that may lose ticks."""

    def __init__(self, ring: int = 1_000) -> None:
        self.server = MemoryServer()
        self.bus = MemoryBus(self.server)
        self.ring = ring
        self.frames: dict[str, list[tuple[int, bytes]]] = defaultdict(list)
        self.seq: dict[str, int] = defaultdict(int)
        self.asked: list[TicksSince] = []
        self.refusals: list[AppError] = []

    async def open(self) -> None:
        await self.bus.serve(QUOTES_SNAPSHOT, self._snapshot)
        await self.bus.serve(TICKS_SINCE, self._since)

    async def tick(self, symbol: str, bid: float, ask: float | None = None, *, lose: bool = False) -> None:
        self.seq[symbol] += 1
        made = frame(symbol, self.seq[symbol], bid, ask)
        self.frames[symbol] = [*self.frames[symbol], (self.seq[symbol], made)][-self.ring :]
        if not lose:
            await self.bus.publish(QUOTE.at(profile="raw", symbol=symbol), made)

    async def _snapshot(self, ask: Any, call: Any) -> Snapshot:
        return Snapshot([("raw", msgspec.Raw(held[-1][1])) for held in self.frames.values() if held])

    async def _since(self, ask: TicksSince, call: Any) -> Ticks:
        self.asked.append(ask)
        if self.refusals:
            raise self.refusals.pop(0)
        held = self.frames[ask.symbol]
        found = [msgspec.Raw(made) for seq, made in held if seq > ask.after_seq][: ask.limit]
        return Ticks(frames=found, first_seq=held[0][0] if held else 0, last_seq=self.seq[ask.symbol])


class Reading:
    """A reader and a task that notes what it takes; ``gate`` holds the task back."""

    def __init__(self, market: Market, **options: Any) -> None:
        self.batches: list[Batch] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.due = asyncio.Event()
        self.bus = MemoryBus(market.server)
        self.reader = TickReader(self.bus, "test", self.due.set, grace_s=0, **{"check_s": 60.0, **options})
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        while True:
            await self.due.wait()
            self.due.clear()
            await self.gate.wait()
            self.batches += self.reader.take()

    async def stop(self) -> None:
        await self.reader.stop()
        self.task.cancel()

    def reconnected(self) -> None:
        for callback in self.bus._reconnected:
            callback()

    def ticks(self, symbol: str) -> list[Quote]:
        return [tick for batch in self.batches if batch.symbol == symbol for tick in batch.ticks]

    def seqs(self, symbol: str) -> list[int]:
        return [tick.seq for tick in self.ticks(symbol)]

    def holes(self, symbol: str) -> list[Hole]:
        return [batch.hole for batch in self.batches if batch.symbol == symbol and batch.hole]

    async def has(self, symbol: str, last: int) -> None:
        await wait_until(lambda: self.seqs(symbol)[-1:] == [last])


async def opened(market: Market, seen: dict[tuple[str, str], int] | None = None, **options: Any) -> Reading:
    await market.open()
    reading = Reading(market, **options)
    await reading.reader.hear(["raw"], seen or {})
    return reading


async def test_ticks_arrive_in_order_and_nothing_is_asked_for_when_nothing_is_lost() -> None:
    market = Market()
    reading = await opened(market)
    for n in range(50):
        await market.tick("EURUSD", 1 + n / 100)
        await market.tick("BTC/USDT", 100 + n)
    await reading.has("BTC/USDT", 50)
    assert reading.seqs("EURUSD") == list(range(1, 51))
    assert reading.seqs("BTC/USDT") == list(range(1, 51))
    assert market.asked == []
    await reading.stop()


async def test_a_symbol_begins_after_its_last_quote_which_the_start_returns() -> None:
    market = Market()
    await market.open()
    for _ in range(7):
        await market.tick("EURUSD", 1.5)
    reading = Reading(market)
    quotes = await reading.reader.hear(["raw"], {})
    assert [(profile, quote.seq, quote.bid) for profile, quote in quotes] == [("raw", 7, 1.5)]
    await market.tick("EURUSD", 1.6)
    await reading.has("EURUSD", 8)
    assert reading.seqs("EURUSD") == [8]
    await reading.stop()


async def test_what_was_missed_while_down_is_fetched_after_the_last_seq_seen() -> None:
    market = Market()
    await market.open()
    for n in range(30):
        await market.tick("EURUSD", 1 + n)
    reading = await opened(market, {("raw", "EURUSD"): 12})
    await reading.has("EURUSD", 30)
    assert reading.seqs("EURUSD") == list(range(13, 31))
    assert reading.holes("EURUSD") == []
    await reading.stop()


async def test_more_than_one_answer_of_missing_ticks_is_fetched_piece_by_piece(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("libs.common.tick_reader.FETCH_MAX", 10)
    market = Market()
    await market.open()
    for n in range(95):
        await market.tick("EURUSD", 1 + n)
    reading = await opened(market, {("raw", "EURUSD"): 3})
    await reading.has("EURUSD", 95)
    assert reading.seqs("EURUSD") == list(range(4, 96))
    assert len(market.asked) == 10
    await reading.stop()


async def test_a_hole_the_ring_has_overrun_is_said_and_reading_goes_on() -> None:
    market = Market(ring=5)
    await market.open()
    for n in range(30):
        await market.tick("EURUSD", 1 + n)
    reading = await opened(market, {("raw", "EURUSD"): 12})
    await reading.has("EURUSD", 30)
    assert reading.seqs("EURUSD") == [26, 27, 28, 29, 30]
    assert reading.holes("EURUSD") == [Hole(13, 25)]
    await reading.stop()


async def test_a_symbol_with_a_hole_waits_for_market_and_no_other_symbol_does() -> None:
    market = Market()
    reading = await opened(market)
    await market.tick("EURUSD", 1.0)
    await market.tick("EURUSD", 2.0, lose=True)
    market.refusals = [ServiceUnavailable() for _ in range(2)]
    await market.tick("EURUSD", 3.0)
    await market.tick("GBPUSD", 1.0)
    await reading.has("GBPUSD", 1)
    assert reading.seqs("EURUSD") == [1]
    await reading.has("EURUSD", 3)
    assert reading.seqs("EURUSD") == [1, 2, 3]
    assert len(market.asked) == 3
    await reading.stop()


async def test_a_lost_last_tick_is_found_after_a_reconnect() -> None:
    market = Market()
    reading = await opened(market)
    await market.tick("EURUSD", 1.0)
    await market.tick("EURUSD", 2.0, lose=True)
    await reading.has("EURUSD", 1)
    reading.reconnected()
    await reading.has("EURUSD", 2)
    await reading.stop()


async def test_a_lost_last_tick_is_found_by_the_regular_check() -> None:
    market = Market()
    reading = await opened(market, check_s=0.01)
    await market.tick("EURUSD", 1.0, lose=True)
    await reading.has("EURUSD", 1)
    await reading.stop()


async def test_a_market_that_counts_anew_is_said_and_followed() -> None:
    market = Market()
    reading = await opened(market)
    for _ in range(20):
        await market.tick("EURUSD", 1.0)
    await reading.has("EURUSD", 20)
    market.frames.clear()
    market.seq.clear()
    await market.tick("EURUSD", 2.0)
    await market.tick("EURUSD", 3.0)
    await reading.has("EURUSD", 2)
    assert reading.seqs("EURUSD") == [*range(1, 21), 1, 2]
    assert reading.holes("EURUSD") == [Hole(21, 20)]
    await reading.stop()


async def test_the_first_ticks_of_a_symbol_are_not_lost_either() -> None:
    market = Market()
    reading = await opened(market)
    for lose in (True, True, False):
        await market.tick("EURUSD", 1.0, lose=lose)
    await reading.has("EURUSD", 3)
    assert reading.seqs("EURUSD") == [1, 2, 3]
    # A symbol that begins to count higher up has lost nothing.
    market.seq["GBPUSD"] = 6_000
    await market.tick("GBPUSD", 1.0)
    await reading.has("GBPUSD", 6_001)
    assert reading.holes("GBPUSD") == []
    await reading.stop()


async def test_a_frame_that_is_no_quote_is_dropped_and_fetched_again() -> None:
    market = Market()
    reading = await opened(market)
    await market.tick("EURUSD", 1.0)
    await market.tick("EURUSD", 2.0, lose=True)
    await market.bus.publish(QUOTE.at(profile="raw", symbol="EURUSD"), b'["t","EURUSD",')
    await market.tick("EURUSD", 3.0)
    await reading.has("EURUSD", 3)
    assert reading.seqs("EURUSD") == [1, 2, 3]
    await reading.stop()


async def test_a_rewind_passes_on_again_what_followed() -> None:
    market = Market()
    reading = await opened(market)
    for _ in range(10):
        await market.tick("EURUSD", 1.0)
    await reading.has("EURUSD", 10)
    reading.reader.rewind({("raw", "EURUSD"): 6})
    await wait_until(lambda: len(reading.seqs("EURUSD")) == 14)
    assert reading.seqs("EURUSD")[10:] == [7, 8, 9, 10]
    await market.tick("EURUSD", 1.0)
    await reading.has("EURUSD", 11)
    await reading.stop()


async def test_overload_keeps_the_extremes_and_counts_what_it_left_out() -> None:
    market = Market()
    reading = await opened(market, merge_above=500)
    reading.gate.clear()
    prices = [50 + (n * 37 % 101) / 10 for n in range(5_000)]
    for price in prices:
        await market.tick("EURUSD", price, price + 1)
    assert reading.reader._waiting <= 500 + MERGE_CHUNK
    reading.gate.set()
    await reading.has("EURUSD", 5_000)
    ticks = reading.ticks("EURUSD")
    assert [t.seq for t in ticks] == sorted({t.seq for t in ticks})
    assert (ticks[0].seq, ticks[-1].seq) == (1, 5_000)
    assert max(t.bid for t in ticks) == max(prices)
    assert min(t.bid for t in ticks) == min(prices)
    assert sum(batch.merged for batch in reading.batches) == 5_000 - len(reading.ticks("EURUSD"))
    assert reading.holes("EURUSD") == []
    assert market.asked == []
    await reading.stop()


async def test_below_the_bound_nothing_is_merged_however_long_the_handler_takes() -> None:
    market = Market()
    reading = await opened(market, merge_above=10_000)
    reading.gate.clear()
    for n in range(9_000):
        await market.tick("EURUSD", 1 + n)
    reading.gate.set()
    await reading.has("EURUSD", 9_000)
    assert reading.seqs("EURUSD") == list(range(1, 9_001))
    await reading.stop()


async def test_nothing_is_passed_on_before_the_last_quotes_are_known() -> None:
    market = Market()
    reading = Reading(market)
    starting = asyncio.create_task(reading.reader.hear(["raw"], {}))
    await wait_until(lambda: market.server.listeners)
    await market.tick("EURUSD", 1.0)
    assert reading.reader.take() == []
    await market.open()
    await starting
    await market.tick("EURUSD", 2.0)
    await reading.has("EURUSD", 2)
    assert reading.seqs("EURUSD") == [2]  # the first one was the last quote at the start
    await reading.stop()


async def test_a_profile_more_is_heard_after_its_last_quotes_and_one_less_no_more() -> None:
    market = Market()
    reading = await opened(market)
    await market.tick("EURUSD", 1.0)
    await reading.has("EURUSD", 1)
    assert reading.reader.profiles == {"raw"}
    await reading.reader.leave("raw")
    await market.tick("EURUSD", 2.0)
    quotes = await reading.reader.hear(["raw"], {})
    assert [quote.seq for _, quote in quotes] == [2]
    await market.tick("EURUSD", 3.0)
    await reading.has("EURUSD", 3)
    assert reading.seqs("EURUSD") == [1, 3]
    await reading.stop()


@given(
    bids=st.lists(st.integers(1, 50), min_size=1, max_size=30),
    spreads=st.lists(st.integers(0, 9), min_size=30, max_size=30),
)
def test_a_merged_run_keeps_real_ticks_that_hold_every_extreme(bids: list[int], spreads: list[int]) -> None:
    ticks = [
        Quote("t", "S", float(bid), float(bid + spreads[n]), 1, 1_000, n + 1) for n, bid in enumerate(bids)
    ]
    (run,) = runs_of(ticks)
    merged = merge_run(run)
    assert set(merged.ticks) <= set(ticks)
    assert [t.seq for t in merged.ticks] == sorted(t.seq for t in merged.ticks)
    assert (merged.ticks[0], merged.ticks[-1]) == (ticks[0], ticks[-1])
    for side in ("bid", "ask"):
        for extreme in (min, max):
            kept = extreme(getattr(t, side) for t in merged.ticks)
            assert kept == extreme(getattr(t, side) for t in ticks)
    assert len(merged.ticks) <= 6
    assert merged.merged == len(ticks) - len(merged.ticks)


steps = st.lists(
    st.tuples(
        st.sampled_from(["tick", "lost", "pause", "reconnect", "refuse"]),
        st.sampled_from(["EURUSD", "GBPUSD"]),
        st.integers(1, 9),
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(plan=steps, ring=st.sampled_from([3, 1_000]))
def test_whatever_is_lost_every_tick_arrives_once_in_order_or_is_said_to_be_gone(
    plan: list[tuple[str, str, int]], ring: int
) -> None:
    async def run() -> None:
        market = Market(ring)
        reading = await opened(market)
        for kind, symbol, price in plan:
            match kind:
                case "tick" | "lost":
                    await market.tick(symbol, float(price), lose=kind == "lost")
                case "pause":
                    await asyncio.sleep(0)
                case "reconnect":
                    reading.reconnected()
                case "refuse":
                    market.refusals.append(ServiceUnavailable())
        for symbol in list(market.seq):
            await market.tick(symbol, 1.0)
        for symbol, last in market.seq.items():
            await reading.has(symbol, last)
            gone = {seq for hole in reading.holes(symbol) for seq in range(hole.first, hole.last + 1)}
            seqs = reading.seqs(symbol)
            assert seqs == sorted(set(seqs))
            first = min(seqs[0], *gone) if gone else seqs[0]
            assert sorted({*seqs, *gone}) == list(range(first, last + 1))
            assert first == 1 or ring == 3
            assert not gone & set(seqs)
            assert ring == 3 or not gone
        await reading.stop()

    asyncio.run(run())


@given(data=st.data())
def test_symbols_side_by_side_keep_their_own_order_and_lose_nothing(data: st.DataObject) -> None:
    """Cut anywhere into batches, ticks of all symbols come out by time; holes and counts once, before the
    same tick as before."""
    batches: list[Batch] = []
    for symbol in data.draw(st.lists(st.sampled_from("ABC"), max_size=8)):
        done = sum(len(batch.ticks) for batch in batches if batch.symbol == symbol)
        times = data.draw(st.lists(st.integers(0, 20), min_size=1, max_size=5))
        ticks = [Quote("t", symbol, 1, 1, 0, ms, done + n) for n, ms in enumerate(times)]
        hole = Hole(done, done) if data.draw(st.booleans()) else None
        batches.append(Batch("raw", symbol, ticks, merged=data.draw(st.integers(0, 3)), hole=hole))
    found = in_time(batches)
    told = [tick for batch in found for tick in batch.ticks]
    reached: dict[str, int] = defaultdict(int)
    times = []
    for tick in told:
        reached[tick.symbol] = max(reached[tick.symbol], tick.ctm_ms)
        times.append(reached[tick.symbol])
    assert times == sorted(times), (
        "a tick that claims an older time than one before it comes right after that"
    )
    for symbol in "ABC":
        before = [b for b in batches if b.symbol == symbol]
        after = [b for b in found if b.symbol == symbol]
        assert [t for b in after for t in b.ticks] == [t for b in before for t in b.ticks]
        assert [(b.hole, b.ticks[0]) for b in after if b.hole] == [
            (b.hole, b.ticks[0]) for b in before if b.hole
        ]
        assert sum(b.merged for b in after) == sum(b.merged for b in before)
