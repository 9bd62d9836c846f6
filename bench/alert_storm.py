"""What PostgreSQL has to do with alerts: arming a million at start, and 100,000 that fire on one tick.

A process of its own over a real, durable PostgreSQL. Beside our writer: every trigger's rows by INSERTs of
its own in a transaction of its own, as a simple service writes them, and bare INSERTs of log rows alone.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import structlog
import uvloop
from prometheus_client import REGISTRY

from bench.children import read_line, write_line
from bench.runner import rss_bytes
from libs.common import bus_nats
from libs.common.clock import SystemClock
from libs.common.db import Database, open_database
from libs.common.ids import RandomIds
from libs.common.lease import Lease
from libs.common.memory import settle
from libs.common.messages.market import Quote
from libs.common.outbox import Outbox, Relay
from libs.common.tick_reader import Batch
from services.alerts.alert import Alert
from services.alerts.loading import load
from services.alerts.store import Store
from services.alerts.writer import Writer

STORM = "STORM"
TABLE, SCHEMA = "alert", "alerts"
COLUMNS = [field.name for field in msgspec.structs.fields(Alert) if field.name != "id"]
COLUMNS[COLUMNS.index("group")] = "group_name"


def rows(count: int, symbol: str, first: int) -> Iterator[tuple[Any, ...]]:
    """Alerts over the price: crossings upwards in even steps from 1.2 on."""
    for n in range(count):
        target = 1.2 + (first + n) * 1e-7
        head = (100_000 + n % 1_000, "demo", "raw", symbol, "bench", "It is time to look at the market", 0, 0)
        yield (*head, target, 0.0, 0.0, 0.0, 0, 0, 1, 1, 0, 0, 0.0, 1.1, 1, "", 1, 0)


async def fill(database: Database, armed: int, storm: int) -> None:
    """``armed`` alerts on 1,000 symbols and ``storm`` on one, judged up to tick 10."""
    async with database.connection() as connection:
        for number in range(1_000):
            part = list(rows(armed // 1_000, f"SYM{number}", 0))
            await connection.copy_records_to_table(TABLE, schema_name=SCHEMA, columns=COLUMNS, records=part)
        await connection.copy_records_to_table(
            TABLE, schema_name=SCHEMA, columns=COLUMNS, records=rows(storm, STORM, 0)
        )
        seen = [("raw", f"SYM{n}", 10, 1.1, 1.1001, 1) for n in range(1_000)] + [
            ("raw", STORM, 10, 1.1, 1.1, 1)
        ]
        places = ["profile", "symbol", "seq", "bid", "ask", "tick_ms"]
        await connection.copy_records_to_table("seen", schema_name=SCHEMA, columns=places, records=seen)


async def arm(database: Database, armed: int) -> tuple[Any, dict[str, float]]:
    """Build the book as the service does at start."""
    gc.collect()
    before, begun = rss_bytes(os.getpid()), time.perf_counter()
    async with database.transaction() as tx:
        book, _ = await load(tx, Store())
    took = time.perf_counter() - begun
    gc.collect()
    grown = rss_bytes(os.getpid()) - before
    return book, {"armed": float(len(book)), "arming s": took, "bytes per alert": grown / armed}


async def storm(database: Database, book: Any, writer: Writer) -> dict[str, float]:
    """One tick over every level of one symbol: until the last row is durable."""
    watch = book.watch("raw", STORM)
    tick = Quote("t", STORM, 2.0, 2.0, 1, 1, 11)
    begun, cpu = time.perf_counter(), time.process_time()
    hits = watch.run(Batch("raw", STORM, [tick]), [])
    judged = time.perf_counter() - begun
    await writer.write(book, hits, [], [], [watch])
    took = time.perf_counter() - begun
    return {
        "fired": float(len(hits)),
        "judging s": judged,
        "last row durable s": took,
        "triggers per s": len(hits) / took,
        "CPU s of the service": time.process_time() - cpu,
    }


async def one_by_one(database: Database, count: int, whole: bool) -> dict[str, float]:
    """Each trigger by statements of its own, in a transaction of its own.

    ``whole``: all that a trigger is (status, log row, push, fact). Otherwise its log row alone.
    """
    async with database.connection() as connection:
        log, status, outbox = [await connection.prepare(text) for text in (LOG_SQL, STATUS_SQL, OUTBOX_SQL)]
        ids = [row[0] for row in await connection.fetch("SELECT id FROM alerts.alert LIMIT $1", count)]
        row = (100_000, STORM, "bench", "It is time to look at the market", 0, 0, 1.2, 2.0, 1, "")
        body = b"x" * 200
        begun = time.perf_counter()
        for id in ids:
            if not whole:
                await log.fetch(id, *row)
                continue
            async with connection.transaction():
                await status.fetch(id)
                await log.fetch(id, *row)
                await outbox.fetch(str(id), "PUSH", body)
                await outbox.fetch(str(id), "ALERTS", body)
        took = time.perf_counter() - begun
        await connection.execute("DELETE FROM alerts.outbox")  # the relay is for what the storm writes
    return {"triggers per s": count / took}


LOG_SQL = (
    "INSERT INTO alerts.alert_log (alert_id, login, symbol, indicator_name, message, side, condition,"
    " target_price, triggered_price, triggered_ms, comment)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"
)
STATUS_SQL = "UPDATE alerts.alert SET triggered_price = 2 WHERE id = $1"
OUTBOX_SQL = "INSERT INTO alerts.outbox (event_id, stream, subject, payload) VALUES ($1, $2, 'bench', $3)"


def told() -> float:
    """How many facts the relay has had acknowledged; asking the database would take its time away."""
    return REGISTRY.get_sample_value("tradewind_outbox_published_rows_total", {"service": "alerts"}) or 0.0


async def published(wanted: float, begun: float) -> float:
    """Seconds until the relay has published so many."""
    while True:
        if told() >= wanted:
            return time.perf_counter() - begun
        await asyncio.sleep(0.02)


async def main() -> None:
    """Fill, arm, then the storm and the INSERTs."""
    config = read_line()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # stdout is for answers
    bus = await bus_nats.connect(config["nats_url"], "alerts")
    clock = SystemClock()
    async with open_database(config["dsn"], application="bench") as database:
        await fill(database, config["armed"], config["storm"])
        async with database.connection() as connection:
            await connection.execute("ANALYZE alerts.alert")
        book, arming = await arm(database, config["armed"] + config["storm"])
        bare = await one_by_one(database, config["inserts"], whole=False)
        naive = await one_by_one(database, config["inserts"], whole=True)
        relay = Relay("alerts", database, bus, clock)
        await relay.start()
        lease = Lease("alerts", 0, database, lambda: None)
        await lease.take()
        writer = Writer(
            database=database,
            store=Store(),
            outbox=Outbox("alerts"),
            relay=relay,
            clock=clock,
            ids=RandomIds(),
            guard=lease,
        )
        settle()  # as a service does when it is ready
        before, begun = told(), time.perf_counter()
        stormed = await storm(database, book, writer)
        stormed["last push published s"] = await published(before + config["storm"] * 2, begun)
        async with database.connection() as connection:
            stormed["log rows"] = await connection.fetchval(
                "SELECT count(*) FROM alerts.alert_log WHERE symbol = $1 AND triggered_ms > 1", STORM
            )
        await relay.stop()
        await lease.release()
    await bus.close()
    write_line({"arming": arming, "storm": stormed, "one by one": naive, "bare INSERTs": bare})


if __name__ == "__main__":
    uvloop.run(main())
