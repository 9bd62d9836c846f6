"""Servers of our own around a part of the house: a nats-server with its streams, a durable PostgreSQL."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import uvloop

from bench.runner import ROOT, stop
from deploy.local.nats import EmbeddedNats
from deploy.local.ports import choose_ports
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.privileges import find_way
from libs.common.migrate import migrate_all
from libs.common.roles import ensure_roles
from libs.common.streams import ensure_streams

READY_S_MAX = 60.0


@contextmanager
def nats_server(place: Path, services: Sequence[str]) -> Iterator[str]:
    """A nats-server with the streams of ``services``; its address."""
    ports = choose_ports(["nats", "nats_monitor"], seed=str(place))
    server = EmbeddedNats(
        place / "nats", port=ports["nats"], monitor_port=ports["nats_monitor"], log=place / "nats.log"
    )
    server.spawn()
    try:
        server.wait_ready()
        uvloop.run(ensure_streams(server.url(), services, 0))
        yield server.url()
    finally:
        server.stop()


@contextmanager
def postgres_server(place: Path, services: Sequence[str]) -> Iterator[dict[str, str]]:
    """A durable PostgreSQL with the schemas of ``services``: service → DSN of its role, and ``admin``'s."""
    way = find_way(place / "postgres", stack_id=f"bench-{secrets.token_hex(8)}")
    port = choose_ports(["postgres"], seed=str(place))["postgres"]
    server = EmbeddedPostgres(way, port=port, password=secrets.token_urlsafe(18), log=place / "postgres.log")
    server.prepare()
    server.spawn()
    try:
        server.wait_ready()
        passwords = {service: secrets.token_urlsafe(18) for service in services}
        dsns = uvloop.run(ensure_roles(server.dsn, services, passwords))
        uvloop.run(migrate_all(server.dsn, services, lambda line: None))
        yield {**dsns, "admin": server.dsn}
    finally:
        server.stop()
        shutil.rmtree(way.data, ignore_errors=True)


@contextmanager
def service(
    name: str, place: Path, core: int | None, *, nats_url: str, dsn: str, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """A process of the house on one core (None: any), ready."""
    port = metrics_port(name, place)
    environment = {
        **{key: value for key, value in os.environ.items() if not key.startswith("TRADEWIND_")},
        "DATABASE_URL": dsn,
        "NATS_URL": nats_url,
        "TRADEWIND_METRICS_PORT": str(port),
        "TRADEWIND_DATA_DIR": str(place),
        **{f"TRADEWIND_{key}": value for key, value in settings.items()},
    }
    cores = os.sched_getaffinity(0) if core is None else {core}
    with (place / f"{name}.log").open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", f"services.{name}"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            preexec_fn=lambda: os.sched_setaffinity(0, cores),  # noqa: PLW1509
        )
    try:
        _wait_ready(process, port, place / f"{name}.log")
        yield process
    finally:
        stop(process)


def metrics_port(name: str, place: Path) -> int:
    """Where a service of ours shows its metrics."""
    known = place / f"{name}.port"
    if not known.exists():
        known.write_text(str(choose_ports([f"{name}_metrics"], seed=str(place))[f"{name}_metrics"]))
    return int(known.read_text())


def _wait_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + READY_S_MAX
    while time.monotonic() < deadline and process.poll() is None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()
        time.sleep(0.05)
    raise RuntimeError(log.read_text()[-4000:])
