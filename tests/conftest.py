"""Fixtures every test may use: real servers once per run, a fresh database and empty streams per test."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import nats as nats_driver
import pytest
import pytest_asyncio
from hypothesis import HealthCheck, settings

from libs.common import bus_nats
from libs.common.bus_nats import NatsBus
from libs.common.db import Database, open_database
from libs.common.streams import OWNERS, all_consumers, ensure_streams
from tests.databases import Databases
from tests.house import House
from tests.servers import NatsServer, PostgresServer, open_nats, open_postgres

ROOT = Path(__file__).resolve().parents[1]
SERVICES = tuple(sorted(path.parent.name for path in (ROOT / "services").glob("*/sql")))
GATEWAY_PROCESSES = 2
# So long a test waits for what must come. No promise: a machine may have other things to do.
PATIENCE_S = 30.0

# No test is timed: an example takes longer than 200 ms wherever the machine has other things to do. And every
# run has the same examples, so that none fails by chance; the runs at full size go where none has been.
settings.register_profile(
    "house", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("soak", settings.get_profile("house"), derandomize=False)


def pytest_configure(config: pytest.Config) -> None:
    """Choose the examples of hypothesis before any test is read."""
    settings.load_profile("soak" if config.getoption("markexpr") == "soak" else "house")


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The run's PostgreSQL."""
    with open_postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def nats(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """The run's nats-server."""
    with open_nats(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest_asyncio.fixture(scope="session")
async def template(postgres: PostgresServer) -> Databases:
    """Databases with every service's schema, each for one test at a time."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "alone")
    return await Databases.open(postgres.dsn, SERVICES, f"tradewind_test_{worker}")


@pytest_asyncio.fixture
async def dsns(template: Databases) -> AsyncIterator[dict[str, str]]:
    """A fresh database for this test: service → DSN."""
    async with template.fresh() as made:
        yield made


@pytest_asyncio.fixture
async def database(
    dsns: dict[str, str], request: pytest.FixtureRequest
) -> AsyncIterator[Callable[[str], object]]:
    """``await database("market")``: the pool of that service's role on this test's database."""
    async with AsyncExitStack() as stack:

        async def pool(service: str) -> Database:
            return await stack.enter_async_context(open_database(dsns[service], application="test"))

        yield pool


async def empty_streams(nats: NatsServer) -> None:
    """Make every stream that was written to or read by a stranger anew, and leave the untouched alone."""
    connection = await nats_driver.connect(nats.url)
    jetstream = connection.jetstream()
    for stream in await jetstream.streams_info():
        name = stream.config.name
        assert name is not None
        expected = sum(consumer.stream == name for consumer in all_consumers(GATEWAY_PROCESSES))
        if stream.state.last_seq or stream.state.consumer_count != expected:
            await jetstream.delete_stream(name)
    await connection.close()
    # nats-server removes a deleted stream's folder in the background: the next may not be made at once
    await wait_until(lambda: ensured(nats.url))


async def ensured(url: str) -> bool:
    """Whether every stream and consumer could be made."""
    try:
        await ensure_streams(url, [*OWNERS, "gateway"], gateway_processes=GATEWAY_PROCESSES)
    except RuntimeError as error:
        if "creating store" not in str(error):
            raise
        return False
    return True


@pytest_asyncio.fixture
async def nats_url(nats: NatsServer) -> str:
    """The run's nats-server with every stream made anew, empty."""
    await empty_streams(nats)
    return nats.url


@pytest_asyncio.fixture
async def bus(nats_url: str) -> AsyncIterator[NatsBus]:
    """A connection of the test's own to the bus."""
    connected = await bus_nats.connect(nats_url, "test")
    yield connected
    await connected.close()


@pytest_asyncio.fixture
async def house(dsns: dict[str, str], nats_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """Start real service processes: ``await house.start("market", FEED="manual")``."""
    running = House(dsns, nats_url, tmp_path)
    try:
        yield running
    finally:
        await running.stop()


@pytest_asyncio.fixture(scope="module")
async def module_house(
    template: Databases, nats: NatsServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[House]:
    """The same for all the tests of a module: their processes, on one database, with streams of their own."""
    await empty_streams(nats)
    async with template.fresh() as dsns:
        running = House(dsns, nats.url, tmp_path_factory.mktemp("house"))
        try:
            yield running
        finally:
            await running.stop()


@pytest.fixture
def eventually() -> Callable[..., object]:
    """``await eventually(condition)``: wait until a (sync or async) condition holds, but not for ever."""
    return wait_until


async def wait_until(condition: Callable[[], object], *, timeout_s: float = PATIENCE_S) -> object:
    """Poll ``condition`` until it gives something true; its value."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value
        if loop.time() > deadline:
            raise AssertionError(f"{condition} did not hold within {timeout_s:g} s; last value {value!r}")
        await asyncio.sleep(0.01)
