"""What looks at the house's servers: the exporter's kept connection and the doctor's look at consumers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import nats as nats_client
import pytest
import pytest_asyncio
from nats.js import JetStreamContext

from deploy.exporter.postgres import PostgresMetrics
from deploy.local import doctor
from deploy.local.settings import read_settings
from deploy.local.stack_state import StackState
from tests.servers import PostgresServer, open_nats

MESSAGES = 1_500  # more than a service may be behind


async def test_one_connection_is_kept_between_scrapes_and_replaced_when_it_breaks(
    postgres: PostgresServer,
) -> None:
    asked = PostgresMetrics(postgres.dsn)
    try:
        found = await asked()
        first = asked.session
        together = await asyncio.gather(asked(), asked(), asked())
        assert asked.session == first
        assert all(len(metrics) == len(found) > 1 for metrics in together)
        other = await asyncpg.connect(postgres.dsn)
        await other.execute("SELECT pg_terminate_backend($1)", first)
        await other.close()
        assert (await asked())[0].samples[0].value == 1, "a broken connection is no server that is down"
        assert asked.session not in (None, first)
    finally:
        await asked.close()
    assert asked.session is None


@pytest_asyncio.fixture
async def watched(tmp_path: Path) -> AsyncIterator[tuple[JetStreamContext, doctor.Patient]]:
    """A nats-server with more messages in a stream than a service may be behind."""
    with open_nats(tmp_path, private=True) as server:
        connected = await nats_client.connect(server.url)
        stream = connected.jetstream()
        await stream.add_stream(name="FACTS", subjects=["facts"])
        for _ in range(MESSAGES):
            await connected.publish("facts", b"x")
        await connected.flush()
        state = StackState(data=tmp_path, http=None, servers=(), services=(), nats_monitor=server.monitor)
        yield stream, doctor.Patient(read_settings({"TRADEWIND_DATA_DIR": str(tmp_path)}, known=()), state)
        await connected.close()


async def test_a_consumer_that_catches_up_is_no_fault_and_one_that_stands_still_is(
    watched: tuple[JetStreamContext, doctor.Patient], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, patient = watched
    reader = await stream.pull_subscribe("facts", durable="reader")
    monkeypatch.setattr(doctor, "LOOK_AGAIN_S", 0.05)
    with pytest.raises(doctor.Unsound, match=r"not catching up: reader \(1500\)"):
        await doctor.check_consumers(patient)

    async def read() -> None:
        while True:
            for message in await reader.fetch(10):
                await message.ack()

    monkeypatch.undo()
    reading = asyncio.create_task(read())
    try:
        assert "catching up: reader" in await doctor.check_consumers(patient)
    finally:
        reading.cancel()
    while (await reader.consumer_info()).num_pending:
        for message in await reader.fetch(500):
            await message.ack()
    assert await doctor.check_consumers(patient) == "1 consumers, the slowest 0 messages behind"
