"""The life of a service process: configure, build, run until told to stop, close in reverse.

``python -m services.<name>`` calls ``main``. Exit codes: 0 after an orderly stop, 78 when the
configuration is wrong (one line on stderr says which and why), 1 when something broke: the
supervisor starts the process again.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog
import uvloop

from libs.common import bus_nats, telemetry
from libs.common.bus import HEADER_CORRELATION, HEADER_ID, HEADER_TRACE, Bus, Call, Handler, Inbound
from libs.common.clock import Clock, SystemClock
from libs.common.config import ProcessConfig, ServiceConfig, load
from libs.common.db import Database, open_database
from libs.common.errors import AppError, ConfigInvalid, InvalidData
from libs.common.ids import Ids, RandomIds
from libs.common.memory import settle
from libs.common.messages.house import Done, FactAgain, Health, HealthAsk
from libs.common.outbox import Outbox, Relay
from libs.common.subjects import Command, again_of, health_of

VERSION = "0.1.0"
EXIT_CONFIG = 78
CONNECT_PATIENCE_S = 30.0

log = structlog.get_logger()
C = TypeVar("C", bound=ProcessConfig)
D = TypeVar("D", bound=ServiceConfig)
B = TypeVar("B", bound="Bare")
Problem = Callable[[], Awaitable[str | None]]


@dataclass
class App:
    """What a service's ``build`` yields. ``problems`` are asked by readiness; None means able."""

    handlers: list[tuple[Command[Any, Any], Handler]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    on_started: list[Callable[[], Awaitable[None]]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Bare:
    """What a process without state of its own is built on: the bus, time and identity."""

    name: str
    bus: Bus
    clock: Clock
    ids: Ids
    fail: Callable[[str], None]  # end the process: the supervisor starts it again


@dataclass(frozen=True, kw_only=True)
class Base(Bare):
    """What every service with a schema is built on: further its database and its outbox."""

    database: Database
    outbox: Outbox
    relay: Relay


Build = Callable[[D, Base], AbstractAsyncContextManager[App]]
BareBuild = Callable[[C, Bare], AbstractAsyncContextManager[App]]
# Opens what the process is built on, and what else its readiness asks.
Open = Callable[[C, Bare], AbstractAsyncContextManager[tuple[B, list[Problem]]]]


def main(name: str, config_type: type[D], build: Build[D], *, connections_max: int = 8) -> None:
    """Run a service until SIGTERM or SIGINT; does not return."""

    def open_base(config: D, bare: Bare) -> AbstractAsyncContextManager[tuple[Base, list[Problem]]]:
        return _open_database(config, bare, connections_max)

    _main(name, config_type, open_base, build)


def main_stateless(name: str, config_type: type[C], build: BareBuild[C]) -> None:
    """The same for a process without a schema: no database is opened or asked for."""

    @asynccontextmanager
    async def open_bare(config: C, bare: Bare) -> AsyncIterator[tuple[Bare, list[Problem]]]:
        yield bare, []

    _main(name, config_type, open_bare, build)


def _main(
    name: str,
    config_type: type[C],
    open_base: Open[C, B],
    build: Callable[[C, B], AbstractAsyncContextManager[App]],
) -> None:
    try:
        config = load(config_type, os.environ)
    except ConfigInvalid as e:
        print(f"{name}: {e}", file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_CONFIG)
    if sys.argv[1:] == ["check-config"]:
        print(f"{name}: the configuration is good")  # noqa: T201
        sys.exit(0)
    telemetry.configure_logging(name, config.log_level)
    telemetry.say_build(name, VERSION)
    telemetry.set_trace_sample(config.trace_sample)
    try:
        code = uvloop.run(_run(name, config, open_base, build))
    except ConfigInvalid as e:
        print(f"{name}: {e}", file=sys.stderr)  # noqa: T201
        code = EXIT_CONFIG
    except AppError as e:
        print(f"{name}: {e}", file=sys.stderr)  # noqa: T201
        code = 1
    except asyncio.CancelledError:
        code = 0  # told to stop while it was starting
    sys.exit(code)


async def _run(
    name: str,
    config: C,
    open_base: Open[C, B],
    build: Callable[[C, B], AbstractAsyncContextManager[App]],
) -> int:
    stop = asyncio.Event()
    failed: list[str] = []

    def fail(reason: str) -> None:
        failed.append(reason)
        stop.set()

    loop = asyncio.get_running_loop()
    starting: asyncio.Task[Any] | None = asyncio.current_task()

    def on_signal() -> None:
        stop.set()
        if starting is not None:
            starting.cancel()  # whatever it waits for: nothing has begun that must be finished

    for signal_number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_number, on_signal)
    clock = SystemClock()
    started_ms = clock.now_ms()
    async with AsyncExitStack() as stack:
        # The probes listen first, so that a waiting service can say what it waits for.
        problems: list[Problem] = [_starting]
        probes = telemetry.Probes(config.metrics_port, lambda: ask_all(problems), config.metrics_host)
        await probes.start()
        stack.push_async_callback(probes.stop)
        bare = await stack.enter_async_context(_open_bare(name, config, clock, fail))
        base, base_problems = await stack.enter_async_context(open_base(config, bare))
        app = await stack.enter_async_context(build(config, base))

        async def bus_problem() -> str | None:
            return "; ".join(base.bus.problems()) or None

        async def health(ask: HealthAsk, call: Call) -> Health:
            found = await ask_all(problems)
            return Health(service=name, version=VERSION, started_ms=started_ms, problems=found)

        async def again(ask: FactAgain, call: Call) -> Done:
            headers = {HEADER_ID: ask.event_id}
            reason = await base.bus.again(ask.consumer, Inbound(0, ask.subject, ask.payload, headers, 1))
            if reason is not None:
                raise InvalidData(f"{ask.consumer} gave it up again: {reason}")
            return Done()

        own: list[tuple[Command[Any, Any], Handler]] = [(health_of(name), health), (again_of(name), again)]
        served = [
            await base.bus.serve(command, observed(command, handler, clock))
            for command, handler in [*app.handlers, *own]
        ]
        await base.bus.flush()  # the broker knows of them: a subscription is sent, not answered
        for callback in app.on_started:
            await callback()
        starting = None
        settle()
        problems[:] = [bus_problem, *base_problems, *app.problems]  # who is told it is ready finds it serving
        log.info("service ready", metrics_port=probes.port, ready_ms=clock.now_ms() - started_ms)
        await stop.wait()
        log.info("service stopping", reason=failed[0] if failed else "signal")
        for subscription in served:
            await subscription.stop()
    log.info("service stopped")
    return 1 if failed else 0


async def _starting() -> str | None:
    return "starting"


@asynccontextmanager
async def _open_bare(
    name: str, config: ProcessConfig, clock: Clock, fail: Callable[[str], None]
) -> AsyncIterator[Bare]:
    closing = asyncio.Event()

    def on_closed() -> None:
        if not closing.is_set():
            fail("the bus connection was closed")

    bus = await _patiently("nats", lambda: bus_nats.connect(config.nats_url, name, on_closed=on_closed))
    try:
        yield Bare(name=name, bus=bus, clock=clock, ids=RandomIds(), fail=fail)
    finally:
        closing.set()
        await bus.close()


@asynccontextmanager
async def _open_database(
    config: ServiceConfig, bare: Bare, connections_max: int
) -> AsyncIterator[tuple[Base, list[Problem]]]:
    async with AsyncExitStack() as stack:
        database = await _patiently(
            "postgres",
            lambda: stack.enter_async_context(
                open_database(
                    config.database_url,
                    application=f"tradewind-{bare.name}",
                    connections_max=connections_max,
                )
            ),
        )
        relay = Relay(bare.name, database, bare.bus, bare.clock)
        await relay.start()
        stack.push_async_callback(relay.stop)
        base = Base(
            name=bare.name,
            bus=bare.bus,
            clock=bare.clock,
            ids=bare.ids,
            fail=bare.fail,
            database=database,
            outbox=Outbox(bare.name),
            relay=relay,
        )
        yield base, [database.problem]


T = TypeVar("T")


async def _patiently(what: str, connect: Callable[[], Awaitable[T]]) -> T:
    """Try to connect until it works or patience ends; a service may start before its servers."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + CONNECT_PATIENCE_S
    delay = 0.05
    while True:
        try:
            return await connect()
        except Exception as e:
            if loop.time() > deadline:
                raise
            log.info("waiting for a server", server=what, error=f"{type(e).__name__}: {e}")
            await asyncio.sleep(delay)
            delay = min(delay * 2, 1.0)


async def ask_all(problems: list[Problem]) -> tuple[str, ...]:
    """What stands in the way of working, as texts."""
    found = [await problem() for problem in problems]
    return tuple(text for text in found if text)


def observed(command: Command[Any, Any], handler: Handler, clock: Clock) -> Handler:
    """The handler, inside the caller's trace, timed and counted by outcome."""

    async def run(message: Any, call: Call) -> Any:
        telemetry.adopt_traceparent(call.headers.get(HEADER_TRACE))
        correlation = call.headers.get(HEADER_CORRELATION)
        if correlation:
            structlog.contextvars.bind_contextvars(correlation_id=correlation)
        begun = clock.monotonic_s()
        outcome = "defect"
        try:
            reply = await handler(message, call)
            outcome = "ok"
            return reply
        except AppError as e:
            outcome = e.code
            raise
        finally:
            telemetry.observe_command(command.name, outcome, clock.monotonic_s() - begun)

    return run
