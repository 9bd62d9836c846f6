"""From bus to book: a process that hears ticks from a real nats-server and judges them.

It is what the alerts service does with a tick until something fires: the reader puts them in order, the
book judges them. Who published is a process on another core.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec
import nats
import uvloop

from bench.alert_load import Load, middle_quote, prices_of
from bench.alert_sides import Ours
from bench.children import answer_lines, read_line, write_line
from libs.common import bus_nats
from libs.common.messages.market import Quote, Snapshot, SnapshotAsk, Ticks, TicksSince
from libs.common.subjects import QUOTE, QUOTES_SNAPSHOT, TICKS_SINCE
from libs.common.tick_reader import TickReader

BURST = 200  # ticks market publishes together


def _name(number: int) -> str:
    return f"SYM{number}"


async def read(config: dict[str, Any]) -> None:
    """Arm, hear, and say what CPU and wall time ``ticks`` ticks took from the first to the last."""
    bus = await bus_nats.connect(config["nats_url"], "bench-alerts")
    load = Load(config["armed"], config["symbols"])
    ours = Ours()
    ours.arm(load)
    due = asyncio.Event()
    reader = TickReader(bus, "bench", due.set)
    await reader.hear(["raw"], {("raw", _name(number)): 0 for number in range(load.symbols)})
    write_line({})

    async def judge(asked: dict[str, int]) -> dict[str, float]:
        done = fired = 0
        began = cpu = 0.0
        while done < asked["ticks"]:
            await due.wait()
            due.clear()
            if not began:
                began, cpu = time.perf_counter(), time.process_time()
            batches = reader.take()
            fired += len(ours.run(batches))
            done += sum(len(batch.ticks) + batch.merged for batch in batches)
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        return {
            "ticks per s": done / wall,
            "CPU µs per tick": 1e6 * used / done,
            "fired per 1000 ticks": 1000 * fired / done,
        }

    await answer_lines(judge)


async def publish(config: dict[str, Any]) -> None:
    """Publish a walk when asked, as fast as the server takes it or at ``rate``; also answers as market."""
    connection = await nats.connect(config["nats_url"])
    bus = await bus_nats.connect(config["nats_url"], "bench-market")
    load = Load(1, config["symbols"])
    start = middle_quote()
    seq = 0
    ring: dict[str, list[bytes]] = {_name(number): [] for number in range(load.symbols)}

    async def snapshot(ask: SnapshotAsk, call: Any) -> Snapshot:
        first = {name: Quote("t", name, start["bid"], start["ask"], 0, 0, 0) for name in ring}
        return Snapshot(
            [
                ("raw", msgspec.Raw(frames[-1] if frames else msgspec.json.encode(first[name])))
                for name, frames in ring.items()
            ]
        )

    async def since(ask: TicksSince, call: Any) -> Ticks:
        frames = ring[ask.symbol]
        found = frames[ask.after_seq : ask.after_seq + ask.limit]
        return Ticks(
            frames=[msgspec.Raw(f) for f in found], first_seq=1 if frames else 0, last_seq=len(frames)
        )

    await bus.serve(QUOTES_SNAPSHOT, snapshot)
    await bus.serve(TICKS_SINCE, since)
    write_line({})

    async def run(asked: dict[str, int]) -> dict[str, float]:
        nonlocal seq
        rows = asked["ticks"] // load.symbols
        walk = load.walk(rows, fires=False)
        frames = []
        for row in walk:
            seq += 1
            frames += _frames(row.tolist(), seq)
        for name, frame in frames:
            ring[name].append(frame)
        begun = time.monotonic()
        subjects = {name: QUOTE.at(profile="raw", symbol=name) for name in ring}
        for at in range(0, len(frames), BURST):
            for name, frame in frames[at : at + BURST]:
                await connection.publish(subjects[name], frame)
            await connection.flush()
            await asyncio.sleep(max(0.0, begun + at / asked["rate"] - time.monotonic()))
        return {"ticks": len(frames)}

    await answer_lines(run)


def _frames(points: Sequence[int], seq: int) -> list[tuple[str, bytes]]:
    quotes = (Quote("t", _name(n), *prices_of(p), 1_700_000_000, 0, seq) for n, p in enumerate(points))
    return [(quote.symbol, msgspec.json.encode(quote)) for quote in quotes]


def main() -> None:
    """Be the process the configuration names."""
    config = read_line()
    uvloop.run({"read": read, "publish": publish}[config["role"]](config))


if __name__ == "__main__":
    main()
