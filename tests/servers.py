"""Real PostgreSQL and NATS for tests: a given one, else a container, else the wheels.

``open_postgres`` and ``open_nats`` are plain context managers, to be used from the main thread. They take
``DATABASE_URL`` and ``NATS_URL`` when set; testcontainers where a Docker engine answers; else the servers of
``deploy/local`` over a temporary folder. A given server is shared with others: tests that restart or kill
theirs, or bring users of their own, ask for a ``private`` one.
"""

from __future__ import annotations

import importlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Protocol, TypeVar

from deploy.local.errors import PortTaken
from deploy.local.nats import EmbeddedNats
from deploy.local.ports import choose_ports
from deploy.local.postgres import DATABASE, SUPERUSER, EmbeddedPostgres
from deploy.local.privileges import find_way
from deploy.local.processes import wait_until

POSTGRES_IMAGE = "postgres:18"
NATS_IMAGE = "nats:2.15"
PORT_TRIES = 5


class _Server(Protocol):
    """What the three kinds of servers have in common."""

    def start(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...


S = TypeVar("S", bound=_Server)


class NotOurs:
    """A server given by the environment: tests may use it, not stop it."""

    def start(self) -> None:
        raise RuntimeError(
            "this server was given by DATABASE_URL or NATS_URL; open a private one to restart it"
        )

    stop = kill = start


@dataclass
class PostgresServer:
    """A running PostgreSQL; ``dsn`` is its administrator's and stays the same across restarts."""

    dsn: str
    _server: _Server

    def stop(self) -> None:
        """Orderly stop; ``restart`` brings it back with its data."""
        self._server.stop()

    def kill(self) -> None:
        """As if the power failed."""
        self._server.kill()

    def restart(self) -> None:
        """Stop (when it runs) and start on the same port with the same data."""
        self._server.stop()
        self._server.start()


@dataclass
class NatsServer:
    """A running nats-server; ``url`` names no user, ``url_for`` does; ``monitor`` is its port, if known."""

    url: str
    _server: _Server
    _passwords: Mapping[str, str] = field(default_factory=dict)
    monitor: int | None = None

    def url_for(self, user: str) -> str:
        """The address with the credentials of ``user``."""
        return self.url.replace("://", f"://{user}:{self._passwords[user]}@")

    def stop(self) -> None:
        """Orderly stop; ``restart`` brings it back with its streams."""
        self._server.stop()

    def kill(self) -> None:
        """As if the power failed."""
        self._server.kill()

    def restart(self) -> None:
        """Stop (when it runs) and start on the same port with the same store."""
        self._server.stop()
        self._server.start()


@contextmanager
def open_postgres(folder: Path, *, durable: bool = False, private: bool = False) -> Iterator[PostgresServer]:
    """A PostgreSQL 18 whose data, when it is ours, stands below ``folder``.

    ``durable=True`` syncs as in production: fault tests need it. ``private=True`` ignores ``DATABASE_URL``.
    """
    given = os.environ.get("DATABASE_URL")
    if given and not private:
        yield PostgresServer(given, NotOurs())
        return
    password = secrets.token_urlsafe(18)
    if docker_answers():
        port = choose_ports(["postgres"], seed=str(folder))["postgres"]
        with _postgres_container(port, password, durable=durable) as server:
            yield PostgresServer(f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/{DATABASE}", server)
        return
    folder.mkdir(parents=True, exist_ok=True)
    way = find_way(folder / "postgres", stack_id=f"test-{secrets.token_hex(8)}")

    def begin(attempt: int) -> _WheelPostgres:
        chosen = choose_ports(["postgres"], seed=f"{folder} {attempt}")["postgres"]
        log = folder / "postgres.log"
        made = EmbeddedPostgres(way, port=chosen, password=password, log=log, durable=durable)
        return _started(_WheelPostgres(made))

    server = _on_a_free_port(begin)
    try:
        yield PostgresServer(server.postgres.dsn, server)
    finally:
        server.stop()
        shutil.rmtree(way.data, ignore_errors=True)


@contextmanager
def open_nats(
    folder: Path,
    *,
    users: Mapping[str, Mapping[str, Any]] | None = None,
    passwords: Mapping[str, str] | None = None,
    durable: bool = False,
    private: bool = False,
) -> Iterator[NatsServer]:
    """A nats-server 2.15 with JetStream; with ``users`` (name → permissions) if given.

    ``private=True``, and ``users``, ignore ``NATS_URL``. ``durable=True`` syncs every write.
    """
    given = os.environ.get("NATS_URL")
    if given and not private and users is None:
        yield NatsServer(given, NotOurs())
        return
    if users is not None and passwords is None:
        passwords = {name: secrets.token_urlsafe(18) for name in users}

    def made(attempt: int) -> tuple[EmbeddedNats, dict[str, int]]:
        ports = choose_ports(["nats", "nats_monitor"], seed=f"{folder} {attempt}")
        nats = EmbeddedNats(
            folder / "nats",
            port=ports["nats"],
            monitor_port=ports["nats_monitor"],
            log=folder / "nats.log",
            users=users,
            passwords=passwords,
            durable=durable,
        )
        return nats, ports

    if docker_answers():
        nats, ports = made(0)
        with _nats_container(nats, ports) as container:
            yield NatsServer(nats.url(), container, passwords or {}, ports["nats_monitor"])
        return
    server = _on_a_free_port(lambda attempt: _started(_WheelNats(made(attempt)[0])))
    try:
        yield NatsServer(server.nats.url(), server, passwords or {}, server.nats.monitor_port)
    finally:
        server.stop()


@cache
def docker_answers() -> bool:
    """Whether a Docker engine answers within two seconds; the command alone proves nothing."""
    if shutil.which("docker") is None:
        return False
    try:
        probe = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"],
            capture_output=True,
            timeout=2,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return probe.returncode == 0


@dataclass
class _WheelPostgres:
    postgres: EmbeddedPostgres

    def start(self) -> None:
        self.postgres.prepare()
        self.postgres.spawn()
        self.postgres.wait_ready()

    def stop(self) -> None:
        self.postgres.stop()

    def kill(self) -> None:
        self.postgres.kill()


@dataclass
class _WheelNats:
    nats: EmbeddedNats

    def start(self) -> None:
        self.nats.spawn()
        self.nats.wait_ready()

    def stop(self) -> None:
        self.nats.stop()

    def kill(self) -> None:
        self.nats.kill()


def _started(server: S) -> S:
    server.start()
    return server


def _on_a_free_port(begin: Callable[[int], S]) -> S:
    """Start a server; on other ports when somebody took the chosen ones meanwhile."""
    for attempt in range(PORT_TRIES):
        try:
            return begin(attempt)
        except PortTaken:
            if attempt == PORT_TRIES - 1:
                raise
    raise AssertionError("not reached")


@dataclass
class _Container:
    """A container on fixed host ports, so that a restart keeps the address and the data."""

    container: Any
    answers: Callable[[], bool]

    def start(self) -> None:
        self.container.get_wrapped_container().start()
        self.wait_ready()

    def wait_ready(self) -> None:
        if not wait_until(self.answers, seconds=60.0):
            raise RuntimeError(f"{self.container.image} did not answer within 60 s")

    def stop(self) -> None:
        self.container.get_wrapped_container().stop()

    def kill(self) -> None:
        self.container.get_wrapped_container().kill()


@contextmanager
def _postgres_container(port: int, password: str, *, durable: bool) -> Iterator[_Server]:
    core = importlib.import_module("testcontainers.core.container")
    container = core.DockerContainer(POSTGRES_IMAGE).with_bind_ports(5432, port)
    names = {"POSTGRES_USER": SUPERUSER, "POSTGRES_PASSWORD": password, "POSTGRES_DB": DATABASE}
    for name, value in names.items():
        container = container.with_env(name, value)
    if not durable:
        container = container.with_command("-c fsync=off -c synchronous_commit=off -c full_page_writes=off")

    def answers() -> bool:
        # Over TCP: while the image makes the database its server listens on a Unix socket only.
        return bool(container.exec(["pg_isready", "-h", "127.0.0.1"]).exit_code == 0)

    with container:
        server = _Container(container, answers)
        server.wait_ready()
        yield server


@contextmanager
def _nats_container(nats: EmbeddedNats, ports: Mapping[str, int]) -> Iterator[_Server]:
    core = importlib.import_module("testcontainers.core.container")
    container = core.DockerContainer(NATS_IMAGE)
    for port in ports.values():
        container = container.with_bind_ports(port, port)
    configuration = nats.write_configuration(listen="0.0.0.0", store=Path("/data/store"), log=None)
    container = container.with_volume_mapping(str(configuration), "/etc/nats/test.conf", "ro")
    with container.with_command("-c /etc/nats/test.conf"):
        server = _Container(container, nats.answers)
        server.wait_ready()
        yield server
