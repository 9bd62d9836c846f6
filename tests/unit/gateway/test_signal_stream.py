"""A stream of signals when words are lost, owners are away, answers get lost and readers don't read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import msgspec
import pytest
import pytest_asyncio
from aiohttp import web

from libs.common.bus import Call, encode
from libs.common.bus_memory import Faults, MemoryBus, MemoryServer
from libs.common.clock import ManualClock
from libs.common.errors import AppError, ServiceUnavailable
from libs.common.ids import RandomIds
from libs.common.messages.billing import Captured, Charge
from libs.common.messages.signals import FollowAsk, Followed, SignalsGrew
from libs.common.principal import Principal
from libs.common.subjects import CHARGE, SIGNAL_FOLLOW, SIGNALS_GREW
from services.gateway import signal_stream
from services.gateway.endpoints.row import Caller, Sent
from services.gateway.endpoints.signals import SignalFeedRequest
from services.gateway.signal_stream import SignalStreams
from tests.conftest import wait_until


@dataclass
class Edge:
    """Streams over a record of our own, at a real HTTP server."""

    bus: MemoryBus
    streams: SignalStreams
    clock: ManualClock
    url: str = ""
    record: list[bytes] = field(default_factory=list)
    charges: list[str] = field(default_factory=list)
    away: bool = False
    steady: bool = False  # signals never end
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    answering: asyncio.Event = field(default_factory=asyncio.Event)
    refusals: list[Exception] = field(default_factory=list)

    async def follow(self, ask: FollowAsk, call: Call) -> Followed:
        if self.away:
            raise ServiceUnavailable("the scanner is away")
        self.asked.set()
        await self.answering.wait()
        if self.steady:
            self.add(3)
        at = len(self.record) if ask.position is None else ask.position
        found = self.record[at : at + 3]
        ids = [f"{at + number}" for number in range(len(found))]
        signals = [msgspec.Raw(signal) for signal in found]
        return Followed(position=at + len(found), ids=ids, signals=signals, more=len(found) == 3)

    async def charge(self, ask: Charge, call: Call) -> Captured:
        self.charges.append(ask.request_id)
        return Captured(charged_micros=10_000, available_micros=0)

    def add(self, count: int, size: int = 10) -> None:
        self.record += [b'"' + b"x" * size + b'"'] * count

    async def grew(self) -> None:
        await self.bus.publish(SIGNALS_GREW.at(), encode(SignalsGrew(signals=len(self.record))))

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        caller = Caller(Principal(kind="key", jti="k", subject="key:k"), sent=Sent())
        try:
            return await self.streams.handle(request, SignalFeedRequest(), caller, {})
        except AppError as e:
            self.refusals.append(e)
            return web.Response(status=e.http_status)


FAULTS: dict[str, Any] = {"lost": False}


@pytest_asyncio.fixture
async def edge() -> AsyncIterator[Edge]:
    lost: list[str] = []

    def lose_reply(subject: str) -> bool:
        """The first answer to a charge, when a test says so."""
        if FAULTS["lost"] and subject == CHARGE.name and not lost:
            lost.append(subject)
            return True
        return False

    bus = MemoryBus(MemoryServer(Faults(lose_reply=lose_reply)))
    clock = ManualClock(datetime(2026, 3, 2, tzinfo=UTC))
    made = Edge(bus, SignalStreams(bus, clock, RandomIds(), metered=True), clock)
    made.answering.set()
    await bus.serve(SIGNAL_FOLLOW, made.follow)
    await bus.serve(CHARGE, made.charge)
    await made.streams.start()
    runner = web.ServerRunner(web.Server(made.handle), shutdown_timeout=1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    FAULTS["lost"] = False
    await made.streams.close()
    await runner.cleanup()


@asynccontextmanager
async def reading(edge: Edge) -> AsyncIterator[aiohttp.StreamReader]:
    async with aiohttp.ClientSession() as session, session.get(edge.url) as response:
        assert response.status == 200
        assert await response.content.readline() == b"retry: 3000\n"
        yield response.content


async def ids(content: aiohttp.StreamReader, count: int) -> list[str]:
    found: list[str] = []
    while len(found) < count:
        line = await content.readline()
        assert line, found
        if line.startswith(b"id: "):
            found.append(line[4:-1].decode())
    return found


async def test_a_charge_whose_answer_is_lost_counts_once_and_ten_signals_cost_one(edge: Edge) -> None:
    FAULTS["lost"] = True
    async with reading(edge) as content:
        edge.add(11)
        await edge.grew()
        assert await ids(content, 11) == [str(number) for number in range(11)]
    assert len(edge.charges) == 3 and len(set(edge.charges)) == 2
    assert edge.charges[0] == edge.charges[1]


async def test_a_lost_word_is_made_up_for_and_silence_has_signs_of_life(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_stream, "HEARTBEAT_S", 0.02)
    async with reading(edge) as content:
        edge.add(2)  # and nobody says so
        edge.clock.advance(signal_stream.ASK_S)
        assert await ids(content, 2) == ["0", "1"]
        while await content.readline() != b": \n":
            pass


async def test_an_owner_that_is_away_is_told(edge: Edge) -> None:
    async with reading(edge) as content:
        edge.away = True
        await edge.grew()
        rest = (await content.read()).decode()
        assert "event: error\n" in rest and '"statusCode":503' in rest
    async with aiohttp.ClientSession() as session, session.get(edge.url) as response:
        assert response.status == 503


async def test_streams_end_by_themselves_and_leave_room_for_others(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal_stream, "PER_CALLER", 1)
    monkeypatch.setattr(signal_stream, "HEARTBEAT_S", 0.02)
    async with reading(edge) as content:
        async with aiohttp.ClientSession() as session, session.get(edge.url) as response:
            assert response.status == 429
        monkeypatch.setattr(signal_stream, "STREAMS_MAX", 1)
        async with aiohttp.ClientSession() as session, session.get(edge.url) as response:
            assert response.status == 503
        edge.clock.advance(signal_stream.LIFETIME_S)
        await content.read()
    async with reading(edge):
        pass
    assert len(edge.refusals) == 2


async def test_a_stream_whose_signals_never_end_ends_after_its_time(edge: Edge) -> None:
    async with reading(edge) as content:
        edge.steady = True
        await edge.grew()
        await ids(content, 20)
        edge.clock.advance(signal_stream.LIFETIME_S)
        await content.read()


@pytest.mark.parametrize(("ends", "status"), [("revoke", 401), ("close", 503)])
async def test_what_ends_streams_ends_those_that_only_begin(edge: Edge, ends: str, status: int) -> None:
    edge.answering.clear()
    async with aiohttp.ClientSession() as session:
        asking = asyncio.create_task(session.get(edge.url))
        await edge.asked.wait()
        if ends == "revoke":
            edge.streams.revoke(lambda principal: principal.jti == "another")
            edge.streams.revoke(lambda principal: principal.jti == "k")
        else:
            await edge.streams.close()
        edge.answering.set()
        assert (await asking).status == status
    assert len(edge.refusals) == 1


async def test_who_reads_nothing_is_cut(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signal_stream, "PER_CALLER", 1)
    monkeypatch.setattr(signal_stream, "WRITE_S", 0.2)
    reader, writer = await asyncio.open_connection("127.0.0.1", int(edge.url.rpartition(":")[2].strip("/")))
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    await reader.readuntil(b"retry: 3000\n\n")
    edge.add(60, size=1_000_000)
    await edge.grew()

    async def free() -> bool:
        async with aiohttp.ClientSession() as session, session.get(edge.url) as response:
            return response.status == 200

    await wait_until(free)
    writer.close()
