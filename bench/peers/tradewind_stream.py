"""Our side: the gateway's stream, fed by a nats-server through the bus, as in production."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import uvloop
from aiohttp import web
from prometheus_client import REGISTRY

from bench.children import answer_lines, read_line, write_line
from libs.common import bus_nats
from libs.common.clock import SystemClock
from libs.common.principal import Principal
from libs.common.subjects import QUOTE
from libs.common.telemetry import Probes, set_trace_sample
from services.gateway import metrics
from services.gateway.feed import Feed
from services.gateway.gauges import StreamGauges
from services.gateway.socket import Listing, Replay, StreamPorts, SymbolView, Upgrade
from services.gateway.stream import Stream

ACCOUNT = Principal(kind="account", login=1, logins=(1,), session_type=0, group="demo")


class Everything:
    """A market in which every symbol exists."""

    def find(self, name: str) -> Listing | None:
        return Listing(name, "raw")


async def authenticate(token: str, upgrade: Upgrade) -> Principal:
    """Everybody is the same account."""
    return ACCOUNT


async def view(principal: Principal, login: int | None) -> SymbolView:
    """Everybody sees everything."""
    return Everything()


async def history(login: int, after: int | None) -> Replay:
    """No account has a past."""
    return Replay(0)


async def nothing_wrong() -> tuple[str, ...]:
    """No reason not to be ready."""
    return ()


async def open_metrics(stream: Stream) -> int:
    """Everything the gateway counts, and traces, as in production; the port it is scraped on."""
    metrics.zero()
    REGISTRY.register(StreamGauges(stream.hub))
    set_trace_sample(0.01)
    probes = Probes(0, nothing_wrong)
    await probes.start()
    return probes.port


async def main() -> None:
    """Serve until told to end. ``watched``: with metrics to scrape and traces."""
    config = read_line()
    stream = Stream(StreamPorts(authenticate, view, history), clock=SystemClock())
    bus = await bus_nats.connect(config["nats_url"], "gateway")
    feed = Feed(
        bus,
        stream.hub,
        0,
        on_market=lambda: None,
        on_revoked=lambda revoked: None,
        on_person=lambda person: None,
    )
    await bus.subscribe(QUOTE.pattern, feed.on_tick)
    app = web.Application()
    app.router.add_get("/ws", stream.handle)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    stream.start()
    scraped = await open_metrics(stream) if config.get("watched") else None
    gc.freeze()
    write_line({"port": runner.addresses[0][1], "metrics_port": scraped})

    async def answer(message: Any) -> dict[str, Any]:
        return {"interval_ms": stream.hub.rounds.pace.interval_s * 1e3}

    await answer_lines(answer)


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        loop.run(main())
