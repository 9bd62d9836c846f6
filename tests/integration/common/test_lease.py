"""Leases on a real PostgreSQL: one owner at a time, and one that was paused writes nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.db import NO_ANSWER, Database, Part
from libs.common.lease import Lease, LeaseLost, partition_of
from tests.conftest import PATIENCE_S, wait_until

# What an owner writes that nobody else may.
SEEN = Part(
    """INSERT INTO alerts.seen (profile, symbol, seq, bid, ask, tick_ms)
       VALUES ('', gen_random_uuid()::text, $1, 1, 1, 1)""",
    (1,),
)

MakeDatabase = Callable[[str], Awaitable[Database]]


def lease_of(database: Database, lost: list[str], name: str = "", *, ttl_s: float = 30.0) -> Lease:
    return Lease("alerts", 0, database, lambda: lost.append(name), ttl_s=ttl_s)


async def writes(database: Database, lease: Lease) -> bool:
    """Whether the owner may write, which both ways of writing agree on."""
    try:
        async with database.transaction() as tx:
            await lease.check(tx)
    except LeaseLost:
        with pytest.raises(LeaseLost):
            await lease.commit(database, [SEEN])
        return False
    await lease.commit(database, [SEEN])
    return True


async def ticks_seen(database: Database) -> int:
    async with database.connection() as connection:
        count: int = await connection.fetchval("SELECT count(*) FROM alerts.seen")
        return count


async def test_a_stand_in_waits_until_the_owner_gives_up(database: MakeDatabase) -> None:
    one, two = await database("alerts"), await database("alerts")
    lost: list[str] = []
    first, second = lease_of(one, lost), lease_of(two, lost)
    await first.take()
    waiting = asyncio.create_task(second.take())
    assert await writes(one, first) and not await writes(two, second)
    await first.release()
    await asyncio.wait_for(waiting, PATIENCE_S)
    assert (first.epoch, second.epoch) == (1, 2)
    assert await ticks_seen(one) == 1
    assert await writes(two, second) and not await writes(one, first)
    assert await ticks_seen(one) == 2
    await second.release()
    assert lost == []


async def test_an_owner_whose_sessions_ended_is_replaced_before_its_lease_is_over(
    database: MakeDatabase,
) -> None:
    """A killed process: its sessions end with it, its lease of 30 s does not."""
    one, two = await database("alerts"), await database("alerts")
    first, second = lease_of(one, []), lease_of(two, [])
    await first.take()
    assert first._task is not None
    first._task.cancel()
    one.pool.terminate()
    await asyncio.wait_for(second.take(), 20)
    assert second.epoch == 2
    await second.release()


async def test_a_paused_owner_loses_its_lease_and_its_open_transaction(database: MakeDatabase) -> None:
    one, two = await database("alerts"), await database("alerts")
    lost: list[str] = []
    first, second = lease_of(one, lost, "first", ttl_s=0.5), lease_of(two, lost, "second")
    await first.take()
    assert first._task is not None
    first._task.cancel()  # it no longer runs, but its sessions are there
    async with one.pool.acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await first.check(connection)
        await connection.execute(
            "INSERT INTO alerts.seen (profile, symbol, seq, bid, ask, tick_ms) VALUES ('', '', 1, 1, 1, 1)"
        )
        await asyncio.wait_for(second.take(), PATIENCE_S)
        with pytest.raises(NO_ANSWER):  # what it says depends on how much of the end it has read
            await transaction.commit()
    assert second.epoch == 2 and not await writes(one, first)
    assert await ticks_seen(two) == 0 and await writes(two, second)
    first._task = asyncio.create_task(first._keep())  # it wakes
    await wait_until(lambda: lost == ["first"])
    await second.release()


async def test_taking_what_nobody_holds_leaves_the_relay_of_a_living_process_alone(
    database: MakeDatabase,
) -> None:
    """A first start that takes its time: the relay has had nothing to do for a while, and is our own."""
    one = await database("alerts")
    lease = lease_of(one, [])
    async with one.pool.acquire() as relay:
        assert await relay.fetchval("SELECT pg_try_advisory_lock(hashtext('tradewind relay alerts'))")
        pid = relay.get_server_pid()

        async def is_idle() -> bool:
            async with one.connection() as other:
                idle = "SELECT clock_timestamp() - state_change > interval '1.6 s' FROM pg_stat_activity"
                return bool(await other.fetchval(f"{idle} WHERE pid = $1", pid))

        await wait_until(is_idle)
        await lease.take()
        assert await relay.fetchval("SELECT 1") == 1
        await lease.release()


async def test_an_owner_keeps_its_lease_over_a_restart_of_its_connection(database: MakeDatabase) -> None:
    one, two = await database("alerts"), await database("alerts")
    lost: list[str] = []
    first = lease_of(one, lost)
    await first.take()
    connection = first._connection
    assert connection is not None
    async with two.connection() as other:
        await other.execute("SELECT pg_terminate_backend($1)", connection.get_server_pid())
    await wait_until(lambda: first._connection is not None and first._connection is not connection)
    assert await writes(one, first) and lost == []
    await first.release()


async def test_no_owner_comes_between_check_and_commit(database: MakeDatabase) -> None:
    """The old owner's transaction that is under way commits; only then there is a new epoch."""
    one, two = await database("alerts"), await database("alerts")
    first, second = lease_of(one, []), lease_of(two, [])
    await first.take()
    async with one.transaction() as tx:
        await first.check(tx)
        await first.release()
        taking = asyncio.create_task(second.take())
        seen = await tx.fetchval("SELECT epoch FROM alerts.partition_lease")
    await asyncio.wait_for(taking, PATIENCE_S)
    assert (seen, second.epoch) == (1, 2)
    await second.release()


async def test_no_owner_comes_into_a_commit_of_one_statement(database: MakeDatabase) -> None:
    one, two = await database("alerts"), await database("alerts")
    first, second = lease_of(one, []), lease_of(two, [])
    await first.take()
    held_up = Part(
        SEEN.sql.replace("VALUES (", "SELECT ").rstrip(")")
        + " WHERE pg_advisory_xact_lock_shared($2) IS NOT NULL",
        (1, 77),
    )
    async with two.pool.acquire() as other:
        await other.execute("SELECT pg_advisory_lock(77)")
        committing = asyncio.create_task(first.commit(one, [held_up]))

        async def waits() -> bool:
            return bool(await other.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted"))

        await wait_until(waits)
        await first.release()
        taking = asyncio.create_task(second.take())
        assert not committing.done() and await ticks_seen(two) == 0
        await other.execute("SELECT pg_advisory_unlock(77)")
    await asyncio.wait_for(asyncio.gather(committing, taking), PATIENCE_S)
    assert second.epoch == 2 and await ticks_seen(two) == 1
    await second.release()


async def test_a_long_transaction_of_the_owner_does_not_keep_it_from_renewing(
    database: MakeDatabase,
) -> None:
    one, two = await database("alerts"), await database("alerts")
    lost: list[str] = []
    first, second = lease_of(one, lost, ttl_s=1.0), lease_of(two, lost, ttl_s=1.0)
    await first.take()
    taking = asyncio.create_task(second.take())
    async with one.transaction() as tx:
        await first.check(tx)
        begun = await tx.fetchval("SELECT until FROM alerts.partition_lease")

        async def renewed_far() -> bool:
            async with two.connection() as other:
                until = await other.fetchval("SELECT until FROM alerts.partition_lease")
            return bool((until - begun).total_seconds() > 1.5)

        await wait_until(renewed_far)
    assert not taking.done() and lost == [] and await writes(one, first)
    await first.release()
    await asyncio.wait_for(taking, PATIENCE_S)
    await second.release()


@given(st.text(max_size=20), st.integers(1, 64))
def test_a_key_has_one_partition(key: str, partitions: int) -> None:
    assert 0 <= partition_of(key, partitions) < partitions
    assert partition_of(key, partitions) == partition_of(key, partitions)


def test_partitions_are_those_of_every_version() -> None:
    assert [partition_of(key, 8) for key in ("EURUSD", "BTC/USDT", "")] == [4, 2, 1]


async def test_the_database_parts_as_we_do(database: MakeDatabase) -> None:
    keys = ["EURUSD", "BTC/USDT", "", "Ünïcödé €", *(f"S{n}" for n in range(200))]
    async with (await database("alerts")).connection() as connection:
        for partitions in (1, 2, 3, 16):
            of = "unnest($1::text[]) WITH ORDINALITY AS t (k, n)"
            query = f"SELECT alerts.partition_of(k, $2) FROM {of} ORDER BY n"
            found = [row[0] for row in await connection.fetch(query, keys, partitions)]
            assert found == [partition_of(key, partitions) for key in keys]
