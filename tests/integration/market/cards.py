"""The spec cards every exchange adapter passes, numbered; a test class per exchange inherits them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import REGISTRY

from libs.common.candles import Candle, Timeframe
from libs.common.clock import SystemClock
from libs.common.messages.market import Instrument, SessionDay
from services.market import builtins
from services.market.adapters.dialect import Dialect
from services.market.adapters.exchange import ExchangeFeed
from services.market.feed import Tick
from services.market.instruments import effective
from services.market.silence import Backoff, FeedLimits
from tests.integration.market.fakes import FakeExchange

LIMITS = FeedLimits(transport_s_max=0.6, data_s_max=1.2, ping_every_s=0.1)
PATIENT = FeedLimits(transport_s_max=30.0, data_s_max=30.0, ping_every_s=0.2)
BACKOFF = Backoff(first_s=0.01, max_s=0.08)
NEVER = (SessionDay(),) * 7


def instrument(symbol: str, **said: Any) -> Instrument:
    return effective(symbol, {**builtins.instrument(symbol, live=False), **said})


@dataclass
class Recorder:
    """A sink that remembers."""

    known: list[Instrument]
    ticks: list[Tick] = field(default_factory=list)
    bars: dict[tuple[str, str], list[Candle]] = field(default_factory=dict)
    last: dict[str, int] = field(default_factory=dict)
    marks: list[Any] = field(default_factory=list)

    async def quotes(self, ticks: Sequence[Tick], cursor: Any = None) -> None:
        self.ticks += ticks
        self.last |= {tick[0]: tick[3] for tick in ticks}

    async def candles(self, symbol: str, frame: Timeframe, candles: Sequence[Candle]) -> None:
        self.bars.setdefault((symbol, frame.name), []).extend(candles)

    def instruments(self) -> Sequence[Instrument]:
        return self.known

    def last_ms(self, symbol: str) -> int:
        return self.last.get(symbol, 0)

    async def instrument(self, names: Sequence[str], digits: int) -> Instrument:
        raise AssertionError("an exchange makes no instruments")

    async def restart(self, symbols: Sequence[str]) -> None:
        raise AssertionError("an exchange does not go back in time")

    async def mark(self, cursor: Any) -> None:
        self.marks.append(cursor)

    async def room(self) -> None:
        return


def reconnects(source: str, cause: str) -> float:
    labels = {"feed": source, "cause": cause}
    return REGISTRY.get_sample_value("tradewind_market_feed_reconnects_total", labels) or 0.0


def garbage(source: str) -> float:
    return REGISTRY.get_sample_value("tradewind_market_feed_garbage_messages_total", {"feed": source}) or 0.0


@dataclass
class Bench:
    """One adapter running against one fake."""

    feed: ExchangeFeed
    fake: Any
    sink: Recorder


Eventually = Callable[..., Awaitable[Any]]


class ExchangeCards:
    """What every exchange feed must do. ``name`` is the exchange's for BTC/USDT."""

    name: str
    source: str

    def fake(self) -> FakeExchange:
        raise NotImplementedError

    def dialect(self, fake: Any) -> Dialect:
        raise NotImplementedError

    def subscriptions(self, fake: Any) -> set[str]:
        """The names that were asked for, over all connections."""
        raise NotImplementedError

    @asynccontextmanager
    async def running(self, *instruments: Instrument, limits: FeedLimits = PATIENT) -> AsyncIterator[Bench]:
        fake = self.fake()
        await fake.start()
        feed = ExchangeFeed(self.dialect(fake), SystemClock(), limits=limits, backoff=BACKOFF)
        sink = Recorder(list(instruments or (instrument("BTC/USDT"),)))
        task = asyncio.create_task(feed.run(sink))
        try:
            yield Bench(feed, fake, sink)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await fake.stop()

    async def listening(self, bench: Bench, eventually: Eventually) -> None:
        """Wait until a quote comes through."""
        count = len(bench.sink.ticks)

        async def heard() -> bool:
            await bench.fake.quote(self.name, 100.0, 101.0)
            return len(bench.sink.ticks) > count

        await eventually(heard)

    async def settled(self, bench: Bench, eventually: Eventually) -> None:
        """Wait until quotes come through and none is on its way any more; forget them."""
        await self.listening(bench, eventually)
        await bench.fake.quote(self.name, 777.0, 778.0)
        await eventually(lambda: bench.sink.ticks[-1][1] == 777.0)
        bench.sink.ticks.clear()

    async def test_f01_it_subscribes_every_instrument_the_exchange_has(self, eventually: Eventually) -> None:
        async with self.running(instrument("BTC/USDT"), instrument("ETH/USDT"), instrument("XAUUSD")) as b:
            await eventually(lambda: len(self.subscriptions(b.fake)) == 2)
            await self.listening(b, eventually)

    async def test_f02_a_quote_becomes_a_tick_with_the_size_traded_before_it(
        self, eventually: Eventually
    ) -> None:
        async with self.running() as b:
            await self.settled(b, eventually)
            await b.fake.trade(self.name, 99.0, 1.5)
            await b.fake.trade(self.name, 99.0, 2.0)
            await b.fake.quote(self.name, 98.5, 99.5)
            await b.fake.quote(self.name, 98.25, 99.5)
            await eventually(lambda: len(b.sink.ticks) == 2)
            assert [(t[0], t[1], t[2], t[4]) for t in b.sink.ticks] == [
                ("BTC/USDT", 98.5, 99.5, 3.5),
                ("BTC/USDT", 98.25, 99.5, 0.0),
            ]

    async def test_f03_a_cut_connection_is_made_again_and_again(self, eventually: Eventually) -> None:
        before = reconnects(self.source, "closed")
        async with self.running() as b:
            for round_ in range(1, 4):
                await self.listening(b, eventually)
                await b.fake.drop()
                await eventually(lambda n=round_: b.fake.connections == n + 1)
            await self.listening(b, eventually)
        assert reconnects(self.source, "closed") >= before + 3

    async def test_f04_an_exchange_that_refuses_is_tried_until_it_takes(self, eventually: Eventually) -> None:
        before = reconnects(self.source, "refused")
        async with self.running() as b:
            b.fake.accepting = False
            await b.fake.drop()
            await eventually(lambda: reconnects(self.source, "refused") >= before + 3)
            b.fake.accepting = True
            await self.listening(b, eventually)

    async def test_f05_a_socket_that_gives_no_frame_is_left(self, eventually: Eventually) -> None:
        before = reconnects(self.source, "dead")
        async with self.running(limits=LIMITS) as b:
            await self.listening(b, eventually)
            b.fake.hearing.clear()
            await eventually(lambda: reconnects(self.source, "dead") == before + 1)
            b.fake.hearing.set()
            await self.listening(b, eventually)

    async def test_f06_a_socket_that_answers_pings_but_gives_no_quote_is_left(
        self, eventually: Eventually
    ) -> None:
        before = reconnects(self.source, "mute")
        async with self.running(limits=LIMITS) as b:
            await self.listening(b, eventually)
            await eventually(lambda: reconnects(self.source, "mute") == before + 1)
            assert b.fake.pings
            await self.listening(b, eventually)

    async def test_f07_a_closed_market_is_quiet_and_not_broken(self, eventually: Eventually) -> None:
        before = reconnects(self.source, "mute")
        async with self.running(instrument("BTC/USDT", sessions=NEVER), limits=LIMITS) as b:
            await eventually(lambda: b.fake.pings > 8)  # four looks a second: longer than the limit for data
            assert reconnects(self.source, "mute") == before
            assert b.feed.problem() is None

    async def test_f08_garbage_is_counted_and_survived(self, eventually: Eventually) -> None:
        before = garbage(self.source)
        async with self.running() as b:
            await self.listening(b, eventually)
            rubbish = [
                "",
                "{",
                "null",
                "[]",
                "7",
                '"x"',
                "{}",
                '{"s":1,"b":"x","a":"y"}',
                '{"channel":"ticker"}',
            ]
            rubbish += ['{"channel":"ticker","data":[{}]}', '{"e":"aggTrade"}', "\u0000", "[[[[[[[["]
            await b.fake.send(*rubbish, b"\x00\xff")
            await eventually(lambda: garbage(self.source) == before + len(rubbish) + 1)
            await b.fake.quote(self.name, -1.0, 1.0)
            await b.fake.quote(self.name, 2.0, 1.0)
            await eventually(lambda: garbage(self.source) == before + len(rubbish) + 3)
            await self.listening(b, eventually)
            assert b.fake.connections == 1

    async def test_f09_a_new_instrument_is_subscribed_on_the_open_connection(
        self, eventually: Eventually
    ) -> None:
        async with self.running() as b:
            await self.listening(b, eventually)
            b.sink.known.append(instrument("ETH/USDT"))
            await eventually(lambda: len(self.subscriptions(b.fake)) == 2)
            assert b.fake.connections == 1

    async def test_f10_the_problem_says_whether_it_is_dead_or_mute(self, eventually: Eventually) -> None:
        async with self.running(limits=FeedLimits(0.6, 0.3, 0.1)) as b:
            assert b.feed.problem() is None
            await eventually(lambda: "no quote" in (b.feed.problem() or ""))

            async def mended() -> bool:
                await b.fake.quote(self.name, 100.0, 101.0)
                return b.feed.problem() is None

            await eventually(mended)
            b.fake.accepting = False
            await b.fake.drop()
            await eventually(lambda: "not connected" in (b.feed.problem() or ""))

    async def test_f11_a_burst_keeps_its_order(self, eventually: Eventually) -> None:
        async with self.running() as b:
            await self.settled(b, eventually)
            for i in range(500):
                await b.fake.quote(self.name, 100.0 + i, 1000.0)
            await eventually(lambda: len(b.sink.ticks) == 500)
            assert [t[1] for t in b.sink.ticks] == [100.0 + i for i in range(500)]
