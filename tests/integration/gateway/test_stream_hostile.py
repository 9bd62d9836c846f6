"""Bad input and bad behaviour: only the socket that shows it pays."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest

from libs.common.clock import ManualClock
from libs.common.principal import Principal
from services.gateway.hub import HubLimits
from services.gateway.socket import Upgrade
from services.gateway.stream import StreamLimits
from tests.conftest import PATIENCE_S
from tests.integration.gateway.streaming import RawClient, Served, World, served

INVALID = {"event": "error", "success": False, "error": "INVALID_DATA"}
PAST = datetime(2026, 1, 5, tzinfo=UTC)


async def heard(client: RawClient) -> object:
    opcode, payload = await asyncio.wait_for(client.frame(), PATIENCE_S)
    assert opcode == 1, (opcode, payload)
    return json.loads(payload)


async def fence(client: RawClient) -> None:
    client.say("ping")
    assert await asyncio.wait_for(client.frame(), PATIENCE_S) == (1, b"pong")


async def ready(house: Served, *symbols: str) -> RawClient:
    client = await RawClient.open(house.port)
    client.say('{"authorization":"user"}')
    assert await heard(client) == {"event": "authorization", "success": True}
    client.say('{"event":"account.switch"}')
    await heard(client)
    client.say(json.dumps({"event": "subscribe", "data": symbols}))
    await fence(client)
    return client


# ── frames ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "{",
        "[]",
        "1",
        "null",
        '"ping"',
        "{}",
        '{"event":"dance"}',
        '{"event":["subscribe"]}',
        '{"event":"subscribe"}',
        '{"event":"subscribe","data":"EURUSD"}',
        '{"event":"subscribe","data":[1]}',
        '{"event":"unsubscribe","data":{"a":1}}',
        "[" * 5000,
        '{"event":"subscribe","data":["\\ud800"]}',
        '{"event":"account.switch","active_login":1e400}',
        "\x00",
    ],
)
async def test_broken_and_unknown_frames_are_answered_and_the_socket_stays(text: str) -> None:
    async with served() as house:
        client = await ready(house, "EURUSD")
        client.say(text)
        assert await heard(client) == INVALID
        await fence(client)
        await client.close()


async def test_a_binary_frame_is_answered_and_the_socket_stays() -> None:
    async with served() as house:
        client = await ready(house, "EURUSD")
        client.send(2, b"\x00\x01\x02")
        assert await heard(client) == INVALID
        await fence(client)
        await client.close()


async def test_a_fragmented_frame_is_put_together_with_pings_in_between() -> None:
    async with served() as house:
        client = await RawClient.open(house.port)
        client.send(1, b'{"author', fin=False)
        client.send(9, b"alive?")
        client.send(0, b'ization":', fin=False)
        client.send(0, b'"user"}')
        assert await client.frame() == (10, b"alive?")
        assert await heard(client) == {"event": "authorization", "success": True}
        await client.close()


async def test_a_frame_of_64_kib_is_read_and_one_byte_more_is_1009() -> None:
    async with served() as house:
        client = await ready(house)
        client.say("x" * 65_536)
        assert await heard(client) == INVALID
        client.say("x" * 65_537)
        assert await asyncio.wait_for(client.close_code(), PATIENCE_S) == 1009
        await client.close()


@pytest.mark.parametrize("fragments", [1, 200])
async def test_a_megabyte_closes_with_1009_and_others_hear_on(fragments: int) -> None:
    async with served() as house:
        other = await ready(house, "EURUSD")
        client = await ready(house, "EURUSD")
        part = b"x" * (1_000_000 // fragments)
        for n in range(fragments):
            client.send(0 if n else 1, part, fin=n == fragments - 1)
        assert await asyncio.wait_for(client.close_code(), PATIENCE_S) == 1009
        sent = await house.tick("EURUSD", 1)
        assert await other.frame() == (1, sent.encode())
        await client.close()
        await other.close()


async def test_text_that_is_no_utf8_closes_that_socket_only() -> None:
    async with served() as house:
        other, client = await ready(house, "EURUSD"), await ready(house, "EURUSD")
        client.send(1, b"\xff\xfe")
        assert await asyncio.wait_for(client.close_code(), PATIENCE_S) == 1007
        await fence(other)
        await client.close()
        await other.close()


async def test_random_bytes_instead_of_frames_end_that_socket_only(
    eventually: Callable[..., Awaitable[object]],
) -> None:
    dice = random.Random(7)
    async with served() as house:
        other = await ready(house, "EURUSD")
        for _ in range(20):
            client = await RawClient.open(house.port)
            client.writer.write(dice.randbytes(2000))
            client.writer.write_eof()
        await fence(other)
        sent = await house.tick("EURUSD", 1)
        assert await other.frame() == (1, sent.encode())
        await other.close()

        async def no_sockets() -> bool:
            return await house.sockets() == 0

        await eventually(no_sockets)


async def test_a_flood_of_frames_does_not_hold_up_another_client() -> None:
    async with served() as house:
        other, flooder = await ready(house, "EURUSD"), await ready(house)
        for _ in range(20_000):
            flooder.say("ping")
        sent = await house.tick("EURUSD", 1)
        assert await asyncio.wait_for(other.frame(), PATIENCE_S) == (1, sent.encode())
        for _ in range(20_000):
            assert await flooder.frame() == (1, b"pong")
        await flooder.close()
        await other.close()


async def test_a_defect_behind_the_socket_closes_it_with_1011_and_others_stay() -> None:
    class Broken(World):
        async def authenticate(self, token: str, upgrade: Upgrade) -> Principal:
            if token == "boom":
                raise KeyError(token)
            return await super().authenticate(token, upgrade)

    async with served(Broken()) as house:
        other, client = await ready(house, "EURUSD"), await RawClient.open(house.port)
        client.say('{"authorization":"boom"}')
        assert await asyncio.wait_for(client.close_code(), PATIENCE_S) == 1011
        await fence(other)
        await client.close()
        await other.close()


# ── time ──────────────────────────────────────────────────────────────────────────────────────────


async def pass_time(house: Served, clock: ManualClock, seconds: float) -> None:
    def step() -> None:
        clock.advance(seconds)
        house.stream.sweep()

    await house.run(step)


async def test_no_authorization_within_10_s_is_4401() -> None:
    clock = ManualClock(PAST)
    async with served(clock=clock) as house:
        client, public = await RawClient.open(house.port), await RawClient.open(house.port)
        public.say('{"event":"subscribe","data":["token:abc"]}')
        client.say('{"authorization":"wrong"}')
        await heard(client)
        await fence(public)
        await pass_time(house, clock, 9.9)
        await fence(client)
        await pass_time(house, clock, 0.2)
        assert await asyncio.wait_for(client.close_code(), PATIENCE_S) == 4401
        await fence(public)
        public.say('{"event":"unsubscribe","data":["token:abc"]}')
        await fence(public)
        await pass_time(house, clock, 0.1)
        assert await asyncio.wait_for(public.close_code(), PATIENCE_S) == 4401


async def test_silence_for_60_s_is_4408_and_a_pong_is_a_sign_of_life() -> None:
    clock = ManualClock(PAST)
    async with served(clock=clock) as house:
        silent, ponging = await ready(house), await ready(house)
        for _ in range(3):
            await pass_time(house, clock, 20.0)
            assert await asyncio.wait_for(ponging.frame(), PATIENCE_S) == (9, b"")
            ponging.send(10, b"")
            await eventually_heard(house, clock)
        assert await asyncio.wait_for(silent.close_code(), PATIENCE_S) == 4408
        await fence(ponging)
        await ponging.close()


async def eventually_heard(house: Served, clock: ManualClock) -> None:
    """Wait until some socket was heard at the present moment."""
    while True:
        opened = await house.run(lambda: [o.session for o in house.stream._open if o.session])
        if any(session.deadlines.heard_s == clock.monotonic_s() for session in opened):
            return
        await asyncio.sleep(0)


async def test_an_expired_token_is_4401_unless_it_is_refreshed() -> None:
    clock = ManualClock(PAST)
    expires_at = int(PAST.timestamp()) + 30
    world = World()
    for token, later in (("user", 0), ("fresh", 300)):
        principal = world.tokens["user"]
        world.tokens[token] = Principal(
            kind="account", login=7, logins=(7,), session_type=0, jti=token, expires_at=expires_at + later
        )
        assert principal.login == 7
    async with served(world, clock=clock) as house:
        old, refreshed = await ready(house), await ready(house)
        refreshed.say('{"authorization":"fresh"}')
        await heard(refreshed)
        await pass_time(house, clock, 29.0)
        await pass_time(house, clock, 1.0)
        assert await asyncio.wait_for(old.close_code(), PATIENCE_S) == 4401
        assert await asyncio.wait_for(refreshed.frame(), PATIENCE_S) == (9, b"")
        await fence(refreshed)
        await refreshed.close()


# ── slow sockets ──────────────────────────────────────────────────────────────────────────────────


async def sleeper(house: Served, *symbols: str) -> RawClient:
    """A client that subscribes, then reads nothing any more."""
    client = await RawClient.open(house.port, receive_buffer=4096)
    client.say('{"authorization":"user"}')
    await heard(client)
    client.say('{"event":"account.switch"}')
    await heard(client)
    client.say(json.dumps({"event": "subscribe", "data": symbols}))
    await fence(client)
    client.reader._transport.pause_reading()  # type: ignore[attr-defined]
    return client


async def flood(house: Served, first: int, count: int) -> None:
    """Ticks of one symbol, in bursts as the bus brings them."""

    def burst(start: int) -> None:
        for seq in range(start, start + 100):
            frame = b'["t","EURUSD",1.1,1.2,1700000000,1700000000123,%d]' % seq
            house.stream.hub.on_tick("raw", "EURUSD", frame)

    for start in range(first, first + count, 100):
        await house.run(lambda start=start: burst(start))  # type: ignore[misc]


async def test_a_socket_that_never_reads_is_bounded_conflated_and_cut_with_4413(
    eventually: Callable[..., Awaitable[object]],
) -> None:
    clock = ManualClock(PAST)
    limits = StreamLimits(hub=HubLimits(stall_s_max=5.0))
    async with served(clock=clock, limits=limits) as house:
        slow, other = await sleeper(house, "EURUSD", "GBPUSD"), await ready(house, "GBPUSD")
        await flood(house, 1, 20_000)  # more than a megabyte of frames
        hub = house.stream.hub
        assert await house.run(lambda: len(hub.stalled)) == 1
        stalled = await house.run(lambda: next(iter(hub.stalled)))
        assert stalled.transport.get_write_buffer_size() < 2 * limits.hub.high_water_bytes
        assert await house.run(lambda: len(stalled.held)) <= 2
        assert hub.counters.conflated > 10_000
        sent = await house.tick("GBPUSD", 1)
        assert await asyncio.wait_for(other.frame(), PATIENCE_S) == (1, sent.encode())
        for _ in range(6):
            await pass_time(house, clock, 1.0)
        assert hub.counters.cut == 1
        assert await house.sockets() == 1
        # The descriptor and the buffer go too, though the client still reads nothing.
        await pass_time(house, clock, 2.0)
        await eventually(
            lambda: stalled.transport.is_closing() and not stalled.transport.get_write_buffer_size()
        )
        await fence(other)
        await slow.close()
        await other.close()


async def test_a_cut_client_that_reads_again_in_time_finds_4413() -> None:
    clock = ManualClock(PAST)
    async with served(clock=clock, limits=StreamLimits(hub=HubLimits(stall_s_max=5.0))) as house:
        slow = await sleeper(house, "EURUSD")
        await flood(house, 1, 20_000)
        for _ in range(5):
            await pass_time(house, clock, 1.0)
        assert house.stream.hub.counters.cut == 1
        slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
        assert await asyncio.wait_for(slow.close_code(), PATIENCE_S) == 4413
        await slow.close()


async def test_a_slow_reader_gets_the_latest_quote_and_every_account_event() -> None:
    async with served() as house:
        slow = await sleeper(house, "EURUSD")
        await flood(house, 1, 10_000)
        for seq in range(1, 201):
            await house.push(7, seq, b'["b",7,%d]' % seq)
        await flood(house, 10_001, 10_000)
        slow.reader._transport.resume_reading()  # type: ignore[attr-defined]
        ticks, events = [0], []
        while ticks[-1] < 20_000 or len(events) < 200:
            _, payload = await asyncio.wait_for(slow.frame(), PATIENCE_S)
            frame = json.loads(payload)
            if frame[0] == "b":
                events.append(frame[2])
            else:
                ticks.append(frame[6])
        assert events == list(range(1, 201))
        assert ticks == sorted(set(ticks))
        assert len(ticks) - 1 + house.stream.hub.counters.conflated == 20_000
        await slow.close()


# ── load ──────────────────────────────────────────────────────────────────────────────────────────


async def test_a_hundred_sockets_each_get_every_tick_in_order() -> None:
    async with served() as house:
        clients = [await ready(house, "EURUSD", "GBPUSD") for _ in range(100)]
        reading = [asyncio.create_task(_ticks(client, 1_000)) for client in clients]
        for seq in range(1, 501, 10):

            def burst(first: int = seq) -> None:
                for n in range(first, first + 10):
                    for symbol in (b"EURUSD", b"GBPUSD"):
                        frame = b'["t","%b",1.1,1.2,1700000000,1700000000123,%d]' % (symbol, n)
                        house.stream.hub.on_tick("raw", symbol.decode(), frame)

            await house.run(burst)
        expected = [(symbol, n) for n in range(1, 501) for symbol in ("EURUSD", "GBPUSD")]
        for received in await asyncio.wait_for(asyncio.gather(*reading), 60):
            assert received == expected
        assert house.stream.hub.counters.conflated == 0
        for client in clients:
            await client.close()


async def _ticks(client: RawClient, count: int) -> list[tuple[str, int]]:
    received = []
    for _ in range(count):
        _, payload = await client.frame()
        frame = json.loads(payload)
        received.append((frame[1], frame[6]))
    return received
