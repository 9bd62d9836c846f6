"""What a process says of itself: log events, metrics, and the trace a call belongs to.

Logs are events with fields, one JSON object a line on stderr. Metrics are named
``tradewind_<service>_<noun>_<unit>`` and served by the process's own small HTTP server together with
``/livez`` and ``/readyz``. ``traceparent`` (W3C) travels by hand: HTTP → bus headers → outbox rows → delivery
rows → webhooks. Each step of a sampled trace is a log event ``span``; ``tradewind trace ID`` tells the story.
"""

from __future__ import annotations

import asyncio
import contextvars
import errno
import logging
import os
import re
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
import structlog
from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from libs.common.errors import ConfigInvalid

_traceparent: contextvars.ContextVar[str] = contextvars.ContextVar("traceparent", default="")
_sample_of = 655  # of 65536: one in a hundred
_log = structlog.get_logger()
_TRACEPARENT = re.compile(r"^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")

_loop_lag = Gauge("tradewind_loop_lag_seconds", "How late the event loop ran its last probe")
_build = Gauge("tradewind_build_info", "1, labelled with what runs", ["service", "version"])
# By command only: a histogram per command and outcome would be thousands of series in auth.
_command_seconds = Histogram(
    "tradewind_command_seconds",
    "Time to answer a command",
    ["command"],
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5),
)
_commands = Counter("tradewind_commands", "Commands answered, by outcome", ["command", "outcome"])
disable_created_metrics()  # type: ignore[no-untyped-call]  # a series more for each, which nobody asks for


def current_traceparent() -> str:
    """The W3C trace context of the work under way, or an empty string."""
    return _traceparent.get()


def set_trace_sample(share: float) -> None:
    """The share of traces begun here that are written down, 0 to 1. A caller's choice for its own stands."""
    global _sample_of  # noqa: PLW0603
    _sample_of = round(min(max(share, 0.0), 1.0) * 65536)


def adopt_traceparent(value: str | None, *, may_sample: bool = True) -> str:
    """Take over a caller's trace, or begin one; the value now in force.

    ``may_sample=False``: a trace begun here is not written down, because it stands for too many.
    """
    if not value or not _TRACEPARENT.match(value):
        chance = os.urandom(26)
        sampled = may_sample and int.from_bytes(chance[24:]) < _sample_of
        value = f"00-{chance[:16].hex()}-{chance[16:24].hex()}-{'01' if sampled else '00'}"
    _traceparent.set(value)
    return value


def is_sampled(traceparent: str) -> bool:
    """Whether the steps of this trace are written down."""
    return traceparent.endswith("1")


def span(step: str, seconds: float | None = None, *, of: str | None = None, **fields: object) -> None:
    """Write down a step of the trace under way, or of the trace ``of``, when it is sampled."""
    trace = _traceparent.get() if of is None else of
    if not is_sampled(trace):
        return
    if seconds is not None:
        fields["ms"] = round(seconds * 1000, 3)
    _log.info("span", step=step, trace=trace[3:35], **fields)


def _add_trace(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    trace = _traceparent.get()
    if trace:
        event.setdefault("trace", trace[3:35])
    return event


def say_build(service: str, version: str) -> None:
    """Tell in the metrics what runs."""
    _build.labels(service, version).set(1)


def exemplar(of: str | None = None) -> dict[str, str] | None:
    """The trace of the work under way, or ``of``, for a histogram's bucket; None when it is not sampled."""
    value = _traceparent.get() if of is None else of
    return {"trace_id": value[3:35]} if is_sampled(value) else None


def observe_command(command: str, outcome: str, seconds: float) -> None:
    """Count a command's answer: outcome is ``ok`` or the error's code."""
    span(f"command {command}", seconds, outcome=outcome)
    _commands.labels(command, outcome).inc()
    _command_seconds.labels(command).observe(seconds, exemplar())


def configure_logging(service: str, level: str = "INFO") -> None:
    """JSON lines on stderr; fields are bound once per process and per call."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            _add_trace,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=lambda obj, **_: orjson.dumps(obj, default=str)),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.BytesLoggerFactory(file=sys.stderr.buffer),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(service=service)
    # What libraries log through the standard module becomes an event of ours.
    logging.basicConfig(level=logging.WARNING, handlers=[_ToStructlog()], force=True)


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        event = structlog.get_logger()
        event.log(record.levelno, record.getMessage(), logger=record.name, exc_info=record.exc_info)


Problems = Callable[[], Awaitable[tuple[str, ...]]]


class Probes:
    """The small HTTP server of a process: ``/metrics``, ``/livez``, ``/readyz``. Loopback only."""

    def __init__(
        self,
        port: int,
        problems: Problems,
        host: str = "127.0.0.1",
        *,
        registry: CollectorRegistry = REGISTRY,
        before: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._port = port
        self._host = host
        self._problems = problems
        self._registry = registry
        self._before = before  # awaited before each scrape
        self._server: asyncio.Server | None = None
        self._lag: asyncio.Task[None] | None = None

    @property
    def port(self) -> int:
        if self._server is None:
            return self._port
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def start(self) -> None:
        """Listen; port 0 takes a free one. ConfigInvalid says why the port can't be had."""
        try:
            self._server = await asyncio.start_server(self._answer, self._host, self._port, limit=8192)
        except OSError as e:
            reason = "is in use" if e.errno == errno.EADDRINUSE else f"can't be listened on: {e}"
            raise ConfigInvalid(f"TRADEWIND_METRICS_PORT {self._port} {reason} on {self._host}") from e
        self._lag = asyncio.create_task(self._measure_lag(), name="loop lag")

    async def stop(self) -> None:
        """Stop listening."""
        if self._lag is not None:
            self._lag.cancel()
        if self._server is not None:
            self._server.close()

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(1.0)
            _loop_lag.set(max(loop.time() - before - 1.0, 0.0))

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(5):
                line = (await reader.readline()).decode("latin-1").split()
                accept = ""
                while header := (await reader.readline()).strip():
                    name, _, value = header.decode("latin-1").partition(":")
                    accept = value if name.lower() == "accept" else accept
                path = line[1].split("?")[0] if len(line) > 1 else ""
                status, kind, body = await self._page(path, accept)
                head = (
                    f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n"
                    f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
                )
                writer.write(head.encode() + body)
                await writer.drain()
        except (TimeoutError, OSError, ValueError):
            pass  # a caller that went away or spoke nonsense; nothing to tell anybody
        finally:
            writer.close()

    async def _page(self, path: str, accept: str) -> tuple[str, str, bytes]:
        match path:
            case "/metrics":
                if self._before is not None:
                    await self._before()
                encode, kind = choose_encoder(accept)  # OpenMetrics, where asked for, carries exemplars
                return "200 OK", kind, encode(self._registry)
            case "/livez":
                return "200 OK", "text/plain", b"ok"
            case "/readyz":
                problems = await self._problems()
                status = "503 Service Unavailable" if problems else "200 OK"
                body: dict[str, Any] = {"ready": not problems, "problems": problems}
                return status, "application/json", orjson.dumps(body)
            case _:
                return "404 Not Found", "text/plain", b"not found"
