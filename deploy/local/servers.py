"""PostgreSQL and NATS of a stack: the embedded ones or the given ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from deploy.local import probe
from deploy.local.children import Child, Program
from deploy.local.errors import PortTaken, StartRefused
from deploy.local.keys import Keys
from deploy.local.nats import EmbeddedNats
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.privileges import find_way
from deploy.local.settings import Settings

_PORT_TRIES = 3

MakeChild = Callable[[str, Program], Child]
ChoosePort = Callable[[str], int]
S = TypeVar("S", bound=Program)


@dataclass(frozen=True, slots=True)
class Database:
    """``child`` is None when the server was given."""

    dsn: str
    child: Child | None


@dataclass(frozen=True, slots=True)
class Bus:
    """``urls`` by user name (services, bootstrap, cli); ``child`` is None when the server was given."""

    urls: Mapping[str, str]
    child: Child | None


async def start_database(settings: Settings, keys: Keys, make: MakeChild, port: ChoosePort) -> Database:
    """Start the embedded PostgreSQL, or take the one of ``DATABASE_URL``."""
    if settings.database_url:
        return Database(settings.database_url, None)
    way = find_way(settings.data / "postgres", stack_id=keys.stack_id)

    def embedded() -> EmbeddedPostgres:
        log = settings.data / "logs" / "postgres.log"
        return EmbeddedPostgres(way, port=port("postgres"), password=keys.postgres, log=log)

    server, child = await _start(embedded, lambda program: make("postgres", program))
    return Database(server.dsn, child)


async def start_bus(
    settings: Settings, keys: Keys, users: Mapping[str, Mapping[str, Any]], make: MakeChild, port: ChoosePort
) -> Bus:
    """Start the embedded nats-server, or take the one of ``NATS_URL`` for everybody."""
    if settings.nats_url:
        why = await probe.bus_connects(settings.nats_url)
        if why:
            raise StartRefused(f"the NATS of NATS_URL can't be used: {why}")
        return Bus(dict.fromkeys(users, settings.nats_url), None)

    def embedded() -> EmbeddedNats:
        return EmbeddedNats(
            settings.data / "nats",
            port=port("nats"),
            monitor_port=port("nats_monitor"),
            log=settings.data / "logs" / "nats.log",
            users=users,
            passwords=keys.nats,
        )

    server, child = await _start(embedded, lambda program: make("nats", program))
    return Bus({name: server.url(name) for name in users}, child)


async def _start(build: Callable[[], S], make: Callable[[S], Child]) -> tuple[S, Child]:
    """Start a server; when its port was taken between the choice and the bind, once more on another."""
    for tries_left in reversed(range(_PORT_TRIES)):
        server = build()
        child = make(server)
        try:
            await child.start()
            return server, child
        except PortTaken:
            await child.stop()
            if tries_left == 0:
                raise
    raise AssertionError("unreachable")
