"""The one-machine stack: starts everything in order, watches it, stops it in reverse.

Lifecycle: data folder and lock → what a killed run left is stopped → ports and keys → PostgreSQL and NATS →
roles, migrations, streams → services → ready. Ctrl-C, SIGTERM and SIGHUP stop it at any point of that; a
second Ctrl-C does not wait. Never: two supervisors on one data folder; a child that nobody watches.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from deploy.local import files, keys, leftovers, probe
from deploy.local.children import Child, Program, ServiceProgram
from deploy.local.console import Console
from deploy.local.errors import StartRefused
from deploy.local.logs import Echo, RotatingLog, rotate_appended
from deploy.local.ports import LOOPBACK, PortBook, refuse_port_in_use
from deploy.local.restart import RestartPolicy
from deploy.local.servers import Bus, Database, start_bus, start_database
from deploy.local.services import (
    Addresses,
    CommandOf,
    Process,
    environment_of,
    has_schema,
    processes_of,
    python_module,
)
from deploy.local.settings import ROOT, Settings
from deploy.local.welcome import welcome
from libs.common.clock import Clock

if TYPE_CHECKING:
    from deploy.exporter.postgres import PostgresMetrics
    from deploy.exporter.server import Exporter

_SERVERS = ("nats", "postgres")  # stopped after every service, in this order
_READY_POLL_S = 0.1
_LOG_CHECK_S = 60.0
T = TypeVar("T")


class Supervisor:
    """One stack in one data folder. Tests bring a ``command_of`` and ``schema`` for services of their own."""

    def __init__(
        self,
        settings: Settings,
        *,
        console: Console,
        clock: Clock,
        environ: Mapping[str, str],
        command_of: CommandOf = python_module,
        schema: Callable[[str], bool] = has_schema,
    ) -> None:
        self._settings = settings
        self._console = console
        self._clock = clock
        self._environ = environ
        self._command_of = command_of
        self._with_schema = tuple(name for name in settings.services if schema(name))
        self._ports = PortBook(settings.data, http=settings.http_port)
        self._record = leftovers.RunRecord(settings.data)
        self._children: dict[str, Child] = {}
        self._stop = asyncio.Event()
        self._refusal: str | None = None
        self._lock: IO[str] | None = None
        self._exporter: Exporter | None = None
        self._database_metrics: PostgresMetrics | None = None

    async def run(self) -> None:
        """Start, watch until a signal, stop. Raises StartRefused with the line that explains itself."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self._on_signal)
        housekeeping = asyncio.create_task(self._rotate_logs(), name="rotate logs")
        try:
            await self._until_stopped(self._start())
            await self._stop.wait()
        finally:
            housekeeping.cancel()
            await self._shut_down()
        if self._refusal is not None:
            raise StartRefused(self._refusal)

    def _on_signal(self) -> None:
        if not self._stop.is_set():
            self._stop.set()
            return
        self._console.line("not waiting any longer")
        for name, child in self._children.items():
            if name not in _SERVERS:
                child.kill()

    def _refused(self, line: str) -> None:
        """A service says its configuration is wrong: trying again is no use, so the stack stops."""
        self._refusal = self._refusal or line
        self._stop.set()

    async def _until_stopped(self, work: Coroutine[Any, Any, None]) -> None:
        """Do ``work``, but not longer than until a signal."""
        task = asyncio.create_task(work, name="start")
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not task.done():
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass

    # ── start ─────────────────────────────────────────────────────────────────────────────────────

    async def _start(self) -> None:
        begun_s = self._clock.monotonic_s()
        settings = self._settings
        files.open_data_folder(settings.data)
        self._lock = files.lock_data_folder(settings.data)
        await asyncio.to_thread(self._record.stop_left_over, self._console.line)
        if "gateway" in settings.services:
            refuse_port_in_use(settings.http_host, settings.http_port)
        secret_key = settings.secret_key or keys.load_secret_key(settings.data)
        found = await self._servers()
        addresses, stack_keys = await self._addresses(*found)
        await self._export(found[0])
        self._write_ports(addresses)
        private = {
            "TRADEWIND_SECRET_KEY": secret_key,
            "TRADEWIND_ADMIN_PASSWORD": settings.admin_password or stack_keys.admin_pending or "",
        }
        for process in processes_of(settings):
            await self._child(process.name, self._program(process, addresses, private)).start()
        await self._wait_ready(addresses)
        for child in self._children.values():
            child.trust()
        self._say_ready(stack_keys, self._clock.monotonic_s() - begun_s)

    async def _servers(self) -> tuple[Database, Bus, keys.Keys]:
        # Loaded here, while the console already shows something: drivers take a third of a second.
        from libs.common.permissions import nats_users

        settings = self._settings
        users = nats_users(settings.services, settings.gateway_processes)
        stack_keys = keys.load_keys(
            settings.data,
            services=settings.services,
            nats_users=list(users),
            admin_given=bool(settings.admin_password),
        )
        first = "" if (settings.data / "postgres").exists() else " (first start: making the database)"
        self._console.step(f"starting PostgreSQL and NATS{first}")
        database, bus = await _both(
            start_database(settings, stack_keys, self._child, self._ports.choose),
            start_bus(settings, stack_keys, users, self._child, self._ports.choose),
        )
        return database, bus, stack_keys

    async def _addresses(
        self, database: Database, bus: Bus, stack_keys: keys.Keys
    ) -> tuple[Addresses, keys.Keys]:
        self._console.step("migrating the database, making the streams")
        dsns, _ = await _both(self._migrate(database, stack_keys.services), self._make_streams(bus))
        metrics = self._ports.choose_metrics([p.name for p in processes_of(self._settings)])
        return Addresses(databases=dsns, buses=bus.urls, metrics=metrics), stack_keys

    async def _migrate(self, database: Database, passwords: Mapping[str, str]) -> dict[str, str]:
        from libs.common.db import NO_ANSWER
        from libs.common.migrate import MigrationFailed, migrate_all
        from libs.common.roles import ensure_roles

        what = "PostgreSQL" if database.child else "the PostgreSQL of DATABASE_URL"
        try:
            dsns = await ensure_roles(database.dsn, self._with_schema, passwords)
            await migrate_all(database.dsn, self._with_schema, self._say_migration)
        except MigrationFailed as e:
            raise StartRefused(str(e)) from e
        except (*NO_ANSWER, ValueError) as e:
            raise StartRefused(f"{what} can't be used: {_one_line(e)}") from e
        return dsns

    def _say_migration(self, text: str) -> None:
        self._console.step(f"migrating {text}")

    async def _make_streams(self, bus: Bus) -> None:
        import nats.errors

        from libs.common.streams import ensure_streams

        what = "NATS" if bus.child else "the NATS of NATS_URL"
        try:
            await ensure_streams(
                bus.urls["bootstrap"], self._settings.services, self._settings.gateway_processes
            )
        except (OSError, TimeoutError, nats.errors.Error, RuntimeError) as e:
            raise StartRefused(f"{what} can't be used: {_one_line(e)}") from e

    async def _export(self, database: Database) -> None:
        """Show Prometheus what the services stand on."""
        from deploy.exporter.nats import nats_metrics
        from deploy.exporter.postgres import PostgresMetrics
        from deploy.exporter.processes import process_metrics
        from deploy.exporter.server import Exporter, Source

        monitor = self._ports.chosen("nats_monitor")
        self._database_metrics = PostgresMetrics(database.dsn)
        sources: list[Source] = [
            lambda: process_metrics(self._children.values(), self._settings.data),
            self._database_metrics,
        ]
        if monitor is not None:  # a given NATS says nothing of itself to us
            sources.append(lambda: nats_metrics(f"http://{LOOPBACK}:{monitor}"))
        self._exporter = Exporter(self._ports.choose("exporter"), sources)
        await self._exporter.start()

    def _write_ports(self, addresses: Addresses) -> None:
        self._ports.write()
        services = {process.name: process.service for process in processes_of(self._settings)}
        targets = [
            {"targets": [f"{LOOPBACK}:{port}"], "labels": {"service": services[name], "process": name}}
            for name, port in addresses.metrics.items()
        ]
        if self._exporter is not None:
            labels = {"service": "house", "process": "exporter"}
            targets.append({"targets": [f"{LOOPBACK}:{self._exporter.port}"], "labels": labels})
        files.write_json(self._settings.data / "prometheus-targets.json", targets)

    def _program(self, process: Process, addresses: Addresses, private: Mapping[str, str]) -> ServiceProgram:
        return ServiceProgram(
            process.name,
            self._command_of(process.service),
            environ=environment_of(process, self._settings, addresses, self._environ, private),
            folder=ROOT,
            log=RotatingLog(self._log_path(process.name)),
            echo=Echo(self._clock),
            console=self._console,
        )

    def _child(self, name: str, program: Program) -> Child:
        child = Child(
            name,
            program,
            policy=RestartPolicy(self._clock),
            show=self._console.line,
            refused=self._refused,
            started=self._record.started,
        )
        self._children[name] = child
        return child

    async def _wait_ready(self, addresses: Addresses) -> None:
        """Ask every process until all are ready; what they wait for is the progress a person sees."""
        waiting = dict(addresses.metrics)
        while waiting:
            answers = await asyncio.gather(*(probe.get(port, "/readyz") for port in waiting.values()))
            told = {
                name: self._waits_for(name, answer) for name, answer in zip(waiting, answers, strict=True)
            }
            waiting = {name: port for name, port in waiting.items() if told[name]}
            if waiting:
                names = ", ".join(f"{name} ({told[name]})" for name in waiting)
                ready = len(addresses.metrics) - len(waiting)
                self._console.step(
                    f"services: {ready} of {len(addresses.metrics)} ready, waiting for {names}"
                )
                await asyncio.sleep(_READY_POLL_S)

    def _waits_for(self, name: str, answer: probe.Answer) -> str:
        """What a process waits for in its own words; empty when it is ready."""
        silent_and_crashed = answer.status == 0 and self._children[name].crashes > 0
        return "it crashed" if silent_and_crashed else probe.problems(answer)

    def _say_ready(self, stack_keys: keys.Keys, seconds: float) -> None:
        self._console.done()
        complete = {"auth", "gateway"} <= set(self._settings.services)
        shown = stack_keys.admin_pending if complete and not self._settings.admin_password else None
        self._console.line(f"all services are ready after {seconds:.1f} s\n")
        self._console.line(welcome(self._settings, scripts=_scripts(), admin_password=shown))
        if shown is not None:
            stack_keys.admin_pending = None
            keys.save_keys(self._settings.data, stack_keys)

    # ── run and stop ──────────────────────────────────────────────────────────────────────────────

    async def _rotate_logs(self) -> None:
        while True:
            await asyncio.sleep(_LOG_CHECK_S)
            await asyncio.to_thread(rotate_appended, self._log_path("postgres"))

    async def _shut_down(self) -> None:
        """The gateway first, so that nobody outside sees the rest go; then market, so that the last tick is
        judged by those who judge; then callers before those they call."""
        self._console.done()
        if self._exporter is not None:
            await self._exporter.stop()
        if self._database_metrics is not None:
            await self._database_metrics.close()
        services = [name for name in reversed(self._children) if name not in _SERVERS]
        services.sort(key=_stop_rank)  # stable: within a rank the order stays
        for name in [*services, *(name for name in _SERVERS if name in self._children)]:
            child = self._children[name]
            if child.pid is not None:
                self._console.step(f"stopping {name}")
            await child.stop()
        if self._lock is not None:
            self._record.clear()
            self._lock.close()
        self._console.done()
        if self._children:
            self._console.line("everything is stopped")

    def _log_path(self, name: str) -> Path:
        return self._settings.data / "logs" / f"{name}.log"


def _stop_rank(name: str) -> int:
    """0 for gateways, 1 for whoever makes ticks, 2 for the rest."""
    if name.partition("-")[0] == "gateway":
        return 0
    return 1 if name == "market" else 2


async def _both(first: Awaitable[T], second: Awaitable[Any]) -> tuple[T, Any]:
    """Both at the same time; when one fails the other is awaited first: nothing is left half started."""
    results: Sequence[Any] = await asyncio.gather(first, second, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    return results[0], results[1]


def _one_line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return text or type(error).__name__


def _scripts() -> str:
    """The environment's programs as a person in the checkout would type them."""
    folder = Path(sys.executable).parent
    try:
        return str(folder.relative_to(Path.cwd()))
    except ValueError:
        return str(folder)
