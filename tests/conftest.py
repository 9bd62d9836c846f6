"""Fixtures every test may use: real servers once per run, a fresh database and empty streams per test."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import nats as nats_driver
import pytest
import pytest_asyncio

from libs.common import bus_nats
from libs.common.bus_nats import NatsBus
from libs.common.db import Database, open_database
from libs.common.migrate import migrate_all
from libs.common.roles import ensure_roles
from libs.common.streams import OWNERS, ensure_streams
from tests.house import House
from tests.servers import NatsServer, PostgresServer, open_nats, open_postgres

ROOT = Path(__file__).resolve().parents[1]
SERVICES = tuple(sorted(path.parent.name for path in (ROOT / "services").glob("*/sql")))
TEMPLATE = "tradewind_test_template"


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


def database_dsn(dsn: str, database: str) -> str:
    """The same server and user, another database."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


@pytest_asyncio.fixture(scope="session")
async def template(postgres: PostgresServer) -> dict[str, str]:
    """A database with every service's schema, to be copied: the DSN of each service in it."""
    admin = await asyncpg.connect(postgres.dsn)
    await admin.execute(f'DROP DATABASE IF EXISTS "{TEMPLATE}"')
    await admin.execute(f'CREATE DATABASE "{TEMPLATE}"')
    await admin.close()
    dsn = database_dsn(postgres.dsn, TEMPLATE)
    dsns = await ensure_roles(dsn, SERVICES, dict.fromkeys(SERVICES, "test"))
    await migrate_all(dsn, SERVICES, lambda line: None)
    return dsns


@asynccontextmanager
async def fresh_database(postgres: PostgresServer, template: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    """A copy of the template: service → DSN of its own role; ``admin`` → the administrator's."""
    name = f"tw_{secrets.token_hex(6)}"
    admin = await asyncpg.connect(postgres.dsn)
    await admin.execute(f'CREATE DATABASE "{name}" TEMPLATE "{TEMPLATE}" STRATEGY WAL_LOG')
    try:
        yield {
            "admin": database_dsn(postgres.dsn, name),
            **{service: database_dsn(dsn, name) for service, dsn in template.items()},
        }
    finally:
        await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
        await admin.close()


@pytest_asyncio.fixture
async def dsns(postgres: PostgresServer, template: dict[str, str]) -> AsyncIterator[dict[str, str]]:
    """A fresh database for this test: service → DSN."""
    async with fresh_database(postgres, template) as made:
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
    """Make every stream anew."""
    connection = await nats_driver.connect(nats.url)
    jetstream = connection.jetstream()
    for stream in await jetstream.streams_info():
        assert stream.config.name is not None
        await jetstream.delete_stream(stream.config.name)
    await connection.close()
    await ensure_streams(nats.url, [*OWNERS, "gateway"], gateway_processes=2)


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


@pytest.fixture
def eventually() -> Callable[..., object]:
    """``await eventually(condition)``: wait until a (sync or async) condition holds; fail after 10 s."""
    return wait_until


async def wait_until(condition: Callable[[], object], *, timeout_s: float = 10.0) -> object:
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
