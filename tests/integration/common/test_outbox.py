"""The outbox and its relay on a real PostgreSQL and NATS: nothing lost, nothing before its commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from libs.common import bus_nats
from libs.common import outbox as outbox_module
from libs.common.bus import Ack, Bus, Inbound
from libs.common.clock import SystemClock
from libs.common.db import Database, Record
from libs.common.messages.auth import AccountOpened
from libs.common.outbox import COPY_FROM, Fact, Outbox, Relay, fact
from libs.common.streams import OWNERS, TRADING_ACCOUNTS, ensure_streams
from libs.common.subjects import ACCOUNT_OPENED
from tests.conftest import wait_until
from tests.servers import NatsServer, open_nats

MakeDatabase = Callable[[str], Awaitable[Database]]


def opened(login: int) -> Fact:
    message = AccountOpened(
        login=login,
        person_id=1,
        group="demo",
        currency="USD",
        leverage=100,
        email="a@b.c",
        name="A",
        opened_ms=0,
    )
    return fact(ACCOUNT_OPENED, message, f"event-{login}", login=login)


@asynccontextmanager
async def relaying(database: Database, bus: Bus) -> AsyncIterator[Relay]:
    relay = Relay("auth", database, bus, SystemClock())
    await relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


async def ids_in_stream(bus: Bus) -> list[str]:
    return [e.headers["Nats-Msg-Id"] for e in (await bus.history("AUTH", ">", 0, 5000)).entries]


async def test_a_committed_fact_is_published_and_a_rolled_back_one_never(
    database: MakeDatabase, bus: Bus
) -> None:
    auth = await database("auth")
    outbox = Outbox("auth")
    async with relaying(auth, bus) as relay:
        with pytest.raises(RuntimeError):
            async with auth.transaction() as tx:
                await outbox.append(tx, [opened(1)])
                raise RuntimeError
        async with auth.transaction() as tx:
            await outbox.append(tx, [opened(2), opened(3)])
            relay.wake()
            assert await ids_in_stream(bus) == []
        relay.wake()

        async def both_there() -> bool:
            return await ids_in_stream(bus) == ["event-2", "event-3"]

        await wait_until(both_there)
    async with auth.connection() as connection:
        rows = await connection.fetch("SELECT stream_seq, published_at FROM auth.outbox ORDER BY id")
    assert [r["stream_seq"] for r in rows] == [1, 2]
    assert all(r["published_at"] for r in rows)


async def test_facts_of_many_transactions_are_all_published_in_id_order(
    database: MakeDatabase, bus: Bus
) -> None:
    auth = await database("auth")
    outbox = Outbox("auth")
    async with relaying(auth, bus) as relay:

        async def write(start: int) -> None:
            for login in range(start, start + 50):
                async with auth.transaction() as tx:
                    await outbox.append(tx, [opened(login)])
                relay.wake()

        await asyncio.gather(*(write(n * 1000) for n in range(8)))

        async def all_there() -> bool:
            return len(await ids_in_stream(bus)) == 400

        await wait_until(all_there)
    found = await ids_in_stream(bus)
    assert len(set(found)) == 400
    for n in range(8):  # one writer's facts keep their order
        own = [i for i in found if int(i.split("-")[1]) // 1000 == n and int(i.split("-")[1]) % 1000 < 50]
        assert own == sorted(own, key=lambda i: int(i.split("-")[1]))


async def test_facts_whose_marks_a_crash_took_back_are_in_their_stream_once(
    database: MakeDatabase, bus: Bus
) -> None:
    auth = await database("auth")
    outbox = Outbox("auth")
    places = "SELECT event_id, stream_seq FROM auth.outbox WHERE published_at IS NOT NULL ORDER BY id"

    async def marked(count: int) -> list[Record]:
        async with auth.connection() as connection:
            rows = await connection.fetch(places)
        return rows if len(rows) == count else []

    async with relaying(auth, bus):
        async with auth.transaction() as tx:
            await outbox.append(tx, [opened(login) for login in range(5)])
        before = await wait_until(lambda: marked(5))
    async with auth.transaction() as tx:
        await tx.execute("UPDATE auth.outbox SET published_at = NULL, stream_seq = NULL WHERE id > 2")
        await outbox.append(tx, [opened(5)])
    async with relaying(auth, bus):
        after = await wait_until(lambda: marked(6))
    assert after[:5] == before
    assert await ids_in_stream(bus) == [f"event-{login}" for login in range(6)]


async def test_one_relay_publishes_and_another_takes_over(database: MakeDatabase, bus: Bus) -> None:
    auth = await database("auth")
    outbox = Outbox("auth")
    first = Relay("auth", auth, bus, SystemClock())
    await first.start()
    async with relaying(auth, bus) as second:
        async with auth.transaction() as tx:
            await outbox.append(tx, [opened(1)])
        first.wake()
        second.wake()
        await wait_until(lambda: ids_equal(bus, ["event-1"]))
        await first.stop()
        async with auth.transaction() as tx:
            await outbox.append(tx, [opened(2)])
        await wait_until(lambda: ids_equal(bus, ["event-1", "event-2"]))


async def ids_equal(bus: Bus, expected: list[str]) -> bool:
    return await ids_in_stream(bus) == expected


async def test_what_another_process_commits_is_published_at_once(
    database: MakeDatabase, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its relay only stands in, and the poll is far too slow to have been it."""
    monkeypatch.setattr(outbox_module, "POLL_S", 3600.0)
    auth = await database("auth")
    outbox = Outbox("auth")
    async with relaying(auth, bus) as first:
        await wait_until(lambda: first._is_relay)
        async with relaying(auth, bus) as second:
            for login in range(1, 6):
                async with auth.transaction() as tx:
                    await outbox.append(tx, [opened(login)])
                second.wake()
                await wait_until(lambda n=login: ids_equal(bus, [f"event-{k}" for k in range(1, n + 1)]))
            assert not second._is_relay


async def test_a_stream_that_takes_nothing_holds_back_no_other(database: MakeDatabase, bus: Bus) -> None:
    auth = await database("auth")
    lost = Fact("nosuch.evt.thing.v1", "NOSUCH", b"{}", "stuck")
    async with relaying(auth, bus) as relay:
        async with auth.transaction() as tx:
            await Outbox("auth").append(tx, [lost, opened(1), lost._replace(event_id="too"), opened(2)])
        relay.wake()

        async def only_they_wait() -> bool:
            async with auth.connection() as connection:
                rows = await connection.fetch(
                    "SELECT event_id FROM auth.outbox WHERE published_at IS NULL ORDER BY id"
                )
            return [row["event_id"] for row in rows] == ["stuck", "too"]

        await wait_until(only_they_wait)
        assert await ids_in_stream(bus) == ["event-1", "event-2"]


async def test_more_facts_than_are_looked_at_together_are_published_in_order(
    database: MakeDatabase, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one whose transaction commits while later ones are on their way."""
    monkeypatch.setattr(outbox_module, "WINDOW", 7)
    monkeypatch.setattr(outbox_module, "BATCH", 3)
    auth = await database("auth")
    outbox = Outbox("auth")
    async with auth.transaction() as late:
        await outbox.append(late, [opened(1000)])
        async with auth.transaction() as tx:
            await outbox.append(tx, [opened(login) for login in range(1, 30)])
        async with relaying(auth, bus):
            await wait_until(lambda: ids_equal(bus, [f"event-{n}" for n in range(1, 30)]))
    async with relaying(auth, bus):
        await wait_until(lambda: ids_equal(bus, [f"event-{n}" for n in (*range(1, 30), 1000)]))


async def test_the_effect_of_a_repeated_fact_happens_once(database: MakeDatabase, bus: Bus) -> None:
    auth, trading = await database("auth"), await database("trading")
    effects: list[str] = []
    deliveries: list[str] = []
    inbox = Outbox("trading")

    async def handle(inbound: Inbound) -> Ack:
        deliveries.append(inbound.event_id)
        async with trading.transaction() as tx:
            if not await inbox.claim(tx, "trading-accounts", inbound.event_id):
                return Ack.DONE
            effects.append(inbound.event_id)
        return Ack.RETRY if len(deliveries) == 1 else Ack.DONE  # the acknowledgement was lost

    async with relaying(auth, bus) as relay:
        await bus.consume(TRADING_ACCOUNTS, handle)
        async with auth.transaction() as tx:
            await Outbox("auth").append(tx, [opened(1)])
        relay.wake()
        await wait_until(lambda: len(deliveries) == 2)
    assert effects == ["event-1"]


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    with open_nats(tmp_path, durable=True, private=True) as server:
        yield server


async def test_a_tail_the_stream_lost_is_sent_again(
    database: MakeDatabase, own_nats: NatsServer, tmp_path: Path
) -> None:
    """The server comes back with an older copy of its store: what it had acknowledged is missing."""
    auth = await database("auth")
    outbox = Outbox("auth")
    await ensure_streams(own_nats.url, OWNERS, 1)
    bus = await bus_nats.connect(own_nats.url, "auth")
    async with relaying(auth, bus) as relay:
        for login in range(1, 1301):
            async with auth.transaction() as tx:
                await outbox.append(tx, [opened(login)])
        relay.wake()
        await wait_until(lambda: count_is(bus, 1300))
        import nats

        connection = await nats.connect(own_nats.url)
        await connection.request("$JS.API.STREAM.PURGE.AUTH", b'{"keep": 0}')
        await connection.request("$JS.API.STREAM.DELETE.AUTH", b"")
        await connection.close()
        await ensure_streams(own_nats.url, OWNERS, 1)
        await asyncio.to_thread(own_nats.restart)
        await wait_until(lambda: count_is(bus, 1300))
        assert await ids_in_stream(bus) == [f"event-{n}" for n in range(1, 1301)]
    await bus.close()


async def count_is(bus: Bus, count: int) -> bool:
    try:
        return len(await ids_in_stream(bus)) == count
    except Exception:
        return False


async def test_very_many_facts_are_published_like_few(database: MakeDatabase, bus: Bus) -> None:
    """From some number on they are copied in: same rows, same order."""
    auth = await database("auth")
    outbox = Outbox("auth")
    async with auth.transaction() as tx:
        await outbox.append(tx, [opened(login) for login in range(1, 3)])
        await outbox.append(tx, [opened(login) for login in range(3, 3 + COPY_FROM)])
        await outbox.append(tx, [opened(3 + COPY_FROM)])
    async with auth.connection() as connection:
        rows = await connection.fetch("SELECT * FROM auth.outbox ORDER BY id")
    assert [row["event_id"] for row in rows] == [f"event-{n}" for n in range(1, 4 + COPY_FROM)]
    few, many = dict(rows[1]), dict(rows[2])
    assert {**few, "id": 0, "event_id": "", "subject": "", "payload": b""} == {
        **many,
        "id": 0,
        "event_id": "",
        "subject": "",
        "payload": b"",
    }
    assert (many["subject"], many["payload"]) == (opened(3).subject, opened(3).payload)
    with pytest.raises(RuntimeError):
        async with auth.transaction() as tx:
            await outbox.append(tx, [opened(login) for login in range(COPY_FROM)])
            raise RuntimeError
    async with auth.connection() as connection:
        assert await connection.fetchval("SELECT count(*) FROM auth.outbox") == len(rows)


async def test_what_cannot_be_published_is_measured_while_it_waits(database: MakeDatabase, bus: Bus) -> None:
    """The gauges rise exactly when nothing goes out, and fall when it does."""
    auth = await database("auth")

    def gauge(name: str) -> float:
        return REGISTRY.get_sample_value(f"tradewind_outbox_{name}", {"service": "auth"}) or 0.0

    async with relaying(auth, bus) as relay:
        async with auth.transaction() as tx:
            await Outbox("auth").append(tx, [Fact("nosuch.evt.thing.v1", "NOSUCH", b"{}", "stuck")])
        relay.wake()
        await wait_until(lambda: gauge("waiting_rows") == 1 and gauge("age_seconds") > 0)
        async with auth.transaction() as tx:
            await tx.execute("DELETE FROM auth.outbox")
        relay.wake()
        await wait_until(lambda: gauge("waiting_rows") == gauge("age_seconds") == 0)


async def test_who_commits_very_much_holds_the_relay_back(
    database: MakeDatabase, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waits meanwhile is measured, and goes out in order when nobody holds it back any more."""
    monkeypatch.setattr(outbox_module, "HELD_S_MAX", 3600.0)
    monkeypatch.setattr(outbox_module, "POLL_S", 0.02)
    auth = await database("auth")
    async with relaying(auth, bus) as relay:
        with relay.held():
            with relay.held():
                await commit(auth, relay, 1, 2)
            await commit(auth, relay, 3)
            await wait_until(lambda: waiting() == 3)
            assert await ids_in_stream(bus) == []
        await wait_until(lambda: ids_equal(bus, ["event-1", "event-2", "event-3"]))
        with relay.held():
            await commit(auth, relay, 4)
    # A stop does not wait for those who hold it back.
    await wait_until(lambda: ids_equal(bus, [f"event-{n}" for n in range(1, 5)]))


async def commit(database: Database, relay: Relay, *logins: int) -> None:
    async with database.transaction() as tx:
        await Outbox("auth").append(tx, [opened(login) for login in logins])
    relay.wake()


def waiting() -> float:
    return REGISTRY.get_sample_value("tradewind_outbox_waiting_rows", {"service": "auth"}) or 0.0


async def test_a_relay_is_held_back_for_a_bounded_time(
    database: MakeDatabase, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "HELD_S_MAX", 0.02)
    auth = await database("auth")
    async with relaying(auth, bus) as relay:
        with relay.held():
            for count in range(1, 4):
                await commit(auth, relay, count)
                expected = [f"event-{n}" for n in range(1, count + 1)]
                await wait_until(lambda: ids_equal(bus, expected))  # noqa: B023


async def test_what_was_held_back_when_its_process_died_is_published_by_the_next_one(
    database: MakeDatabase, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "HELD_S_MAX", 3600.0)
    monkeypatch.setattr(outbox_module, "POLL_S", 0.02)
    auth = await database("auth")
    first = Relay("auth", auth, bus, SystemClock())
    await first.start()
    with first.held():
        await commit(auth, first, 1, 2, 3)
        await wait_until(lambda: waiting() == 3)
        assert first._task is not None
        first._task.cancel()
        await asyncio.gather(first._task, return_exceptions=True)
    assert await ids_in_stream(bus) == []
    async with relaying(auth, bus):
        await wait_until(lambda: ids_equal(bus, ["event-1", "event-2", "event-3"]))


async def test_only_what_was_published_more_than_a_day_ago_is_forgotten(database: MakeDatabase) -> None:
    auth = await database("auth")
    async with auth.transaction() as tx:
        await Outbox("auth").append(tx, [opened(login) for login in range(1, 5)])
        sql = (
            "UPDATE auth.outbox SET created_at = now() - interval '3 days',"
            " published_at = now() - make_interval(hours => $2) WHERE event_id = $1"
        )
        for login, hours in ((2, 25), (3, 23), (4, 30)):  # the first waits for its stream
            await tx.execute(sql, f"event-{login}", hours)
        await tx.execute(outbox_module._SQL["forget_published"].format(schema="auth"), 10)
        kept = await tx.fetch("SELECT event_id FROM auth.outbox ORDER BY id")
    assert [row["event_id"] for row in kept] == ["event-1", "event-3"]


async def test_what_is_old_is_forgotten_piece_by_piece_until_nothing_old_is_left(
    database: MakeDatabase, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "FORGET_PIECE", 2)
    monkeypatch.setattr(outbox_module, "POLL_S", 0.02)
    auth = await database("auth")
    async with relaying(auth, bus) as relay:
        await commit(auth, relay, *range(1, 8))
        await wait_until(lambda: ids_equal(bus, [f"event-{n}" for n in range(1, 8)]))
    async with auth.transaction() as tx:
        await tx.execute("UPDATE auth.outbox SET published_at = now() - interval '2 days'")

    async def is_empty() -> bool:
        async with auth.connection() as connection:
            return await connection.fetchval("SELECT count(*) FROM auth.outbox") == 0

    async with relaying(auth, bus):
        await wait_until(is_empty)
