"""Pages of signals with their exact total, out of a million in the record.

A durable PostgreSQL holds the record; the use case that answers ``POST /ai-signal/details`` is asked in this
process, filters, total, rows and JSON included, HTTP and the bus apart. What must hold: a page costs at most
twice as much out of 10^6 as out of 10^4; the 99th percentile of the 20 mixes listed here is at most 50 ms,
of any mix of filters 250 ms.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from typing import Any

import msgspec
import uvloop

from bench.runner import Cores, conditions, folder, write_results
from bench.servers import postgres_server
from libs.common.clock import Clock, SystemClock
from libs.common.db import Database, open_database
from libs.common.ids import named_uuid
from libs.common.messages import signals as m
from services.scanner.signals.service import Signals
from services.scanner.signals.store import SignalStore
from services.scanner.signals.writer import Writer

SEED = 20261120
SMALL, LARGE, QUICK = 10_000, 1_000_000, 100_000
ROUNDS, ANY = 30, 400
LISTED_MS_MAX, ANY_MS_MAX, GROWTH_MAX = 50.0, 250.0, 2.0
START_MS = 1_600_000_000_000
HOUR_MS = 3_600_000
COINS = 400
CHAINS = ["Bitcoin", "Ethereum", "BNB Chain", "Solana", "XRP Ledger", "Base", "Arbitrum One", "Polygon"]
TRIGGERS = ["price_move", "volume_spike", "pattern", "regime_flip", "level_break", "liquidity_shock"]
TAGS = [
    "price-surge",
    "price-drop",
    "volume-spike",
    "regime-up",
    "regime-down",
    "double-top",
    "support-break",
]
SENTIMENTS = ["bullish", "bearish", "neutral"]
VERBS = [
    "rises 5.2 % within the hour",
    "closes above resistance at {p}",
    "completes a double top",
    "falls {p} %",
]
COLUMNS = [
    "position",
    "id",
    "recorded_ms",
    "confidence",
    "price",
    "cmc_id",
    "timeframe",
    "sentiment",
    "symbol",
    "market",
    "title",
    "hash",
    "chains",
    "tags",
    "narratives",
    "triggers",
    "body",
    "evidence",
]


def ask(**filters: Any) -> m.SignalsAsk:
    """A question for a page of ten."""
    return m.SignalsAsk(**{"limit": 10, **filters})


def listed(count: int) -> dict[str, m.SignalsAsk]:
    """The 20 mixes."""
    end_s = (START_MS + count // COINS * HOUR_MS) / 1000
    week = {"from_s": end_s - 7 * 86_400, "to_s": end_s}
    return {
        "nothing": ask(),
        "a page of 50": ask(limit=50),
        "far behind": ask(offset=count // 2),
        "with evidence": ask(evidence=True),
        "a chain": ask(chain=["ethereum"]),
        "two chains": ask(chain=["sol", "base"]),
        "an unknown chain": ask(chain=["nothing"]),
        "a tag": ask(tag=["volume"]),
        "two tags": ask(tag=["surge", "double"]),
        "a coin's tag": ask(tag=["coin17"]),
        "a narrative": ask(narrative=[3]),
        "a coin": ask(cmc_id=17),
        "a sentiment": ask(sentiment=["bullish"]),
        "two sentiments": ask(sentiment=["bullish", "bearish"]),
        "a week": ask(**week),
        "a chain and a sentiment": ask(chain=["bnb"], sentiment=["bearish"]),
        "a tag in a week": ask(tag=["regime"], **week),
        "a title's rare word": ask(search="Coin399 "),
        "a title's word in a week": ask(search="resistance", **week),
        "all at once": ask(
            chain=["e"], tag=["price"], narrative=[1, 2, 3], sentiment=["bullish"], search="coin1", **week
        ),
    }


def any_mix(dice: random.Random, count: int) -> m.SignalsAsk:
    """A mix of up to four filters, frequent words too."""
    end_s = (START_MS + count // COINS * HOUR_MS) / 1000
    choices: dict[str, Any] = {
        "chain": [dice.choice(["e", "chain", "bitcoin", "o", "zz"])],
        "search": dice.choice(
            ["coin", "e", "o", "within the hour", "5", "top", "Coin77", "zzz", "% w", "1h)"]
        ),
        "tag": [dice.choice(["-", "price", "coin", "up", "zz"])],
        "narrative": [dice.randint(1, 20)],
        "cmc_id": dice.randint(1, COINS),
        "from_s": end_s * dice.random(),
        "sentiment": [dice.choice(SENTIMENTS)],
        "offset": dice.choice([0, 10, count // 10]),
    }
    picked = dice.sample(list(choices), dice.randint(1, 4))
    return ask(**{name: choices[name] for name in picked})


async def fill(database: Database, have: int, count: int) -> None:
    """Signals from ``have`` up to ``count``: 400 coins, one signal an hour each."""
    graph = [
        m.GraphPoint(time="2026-01-31T12:00:00.000Z", price=64_123.5 + at, volume=1e9 + at)
        for at in range(24)
    ]
    tail = msgspec.json.encode({"summary": "s" * 300, "graphData": graph})[1:]

    def rows() -> Any:
        dice = random.Random(SEED)
        for number in range(count):
            hour, coin = divmod(number, COINS)
            coin += 1
            verb = dice.choice(VERBS).format(p=f"{dice.random() * 1000:,.2f}")
            tags = [f"COIN{coin}", dice.choice(TAGS), dice.choice(TAGS)]
            sentiment, trigger = dice.choice(SENTIMENTS), dice.choice(TRIGGERS)
            if number < have:
                continue
            title = f"Coin{coin} {verb} (1h)"
            body = msgspec.json.encode({"id": str(number), "title": title, "tags": tags}).decode()
            yield (
                number + 1,
                named_uuid("bench", number),
                START_MS + hour * HOUR_MS,
                dice.random(),
                1.0,
                coin,
                5,
                sentiment,
                f"COIN{coin}",
                f"COIN{coin}/USDT",
                title,
                "0" * 64,
                [CHAINS[coin % 8], CHAINS[coin % 5]],
                tags,
                [coin % 20 + 1],
                [trigger],
                body[:-1] + "," + tail.decode(),
                '{"confidence":0.5,"components":[]}',
            )

    async with database.connection() as connection:
        await connection.copy_records_to_table(
            "signal", schema_name="scanner", columns=COLUMNS, records=rows(), timeout=3600
        )
        await connection.execute("VACUUM ANALYZE scanner.signal", timeout=3600)


async def measured(signals: Signals, asks: Sequence[m.SignalsAsk], clock: Clock) -> list[float]:
    """Milliseconds of each question, its answer encoded."""
    times = []
    for asked in asks:
        begun_s = clock.monotonic_s()
        msgspec.json.encode(await signals.details(asked))
        times.append(1000 * (clock.monotonic_s() - begun_s))
    return times


def _p99(times: Sequence[float]) -> float:
    return statistics.quantiles(times, n=100, method="inclusive")[98]


async def _measure(dsn: str, count: int, quick: bool, clock: Clock) -> dict[str, Any]:
    rounds = 5 if quick else ROUNDS
    found: dict[str, Any] = {}
    async with open_database(dsn, application="bench") as database:
        have = 0
        for size in (SMALL, count):
            await fill(database, have, size)
            have = size
            store = SignalStore()
            writer = Writer(database, store, None, None, clock)  # type: ignore[arg-type]  # it only reads
            begun_s = clock.monotonic_s()
            await writer.ready()
            loaded_s = clock.monotonic_s() - begun_s
            signals = Signals(
                writer=writer,
                rounds=None,  # type: ignore[arg-type]
                market=None,  # type: ignore[arg-type]
                database=database,
                store=store,
                clock=clock,
            )
            mixes = listed(size)
            await measured(signals, list(mixes.values()), clock)
            by_mix = {name: await measured(signals, [mix] * rounds, clock) for name, mix in mixes.items()}
            dice = random.Random(SEED)
            other = await measured(
                signals, [any_mix(dice, size) for _ in range(rounds * ANY // ROUNDS)], clock
            )
            found[str(size)] = {
                "load_s": loaded_s,
                "page_ms": statistics.median(by_mix["nothing"]),
                "listed_p99_ms": _p99([one for times in by_mix.values() for one in times]),
                "any_p99_ms": _p99(other),
                "mixes_ms": {name: statistics.median(times) for name, times in by_mix.items()},
            }
    return found


def run(quick: bool = False) -> bool:
    """Measure, write results unless ``quick``; whether the targets were met."""
    clock, count = SystemClock(), QUICK if quick else LARGE
    with folder() as place, postgres_server(place, ["scanner"]) as dsns:
        found = uvloop.run(_measure(dsns["scanner"], count, quick, clock))
    small, large = found[str(SMALL)], found[str(count)]
    growth = large["page_ms"] / small["page_ms"]
    met = bool(
        growth <= GROWTH_MAX and large["listed_p99_ms"] <= LISTED_MS_MAX and large["any_p99_ms"] <= ANY_MS_MAX
    )
    lines = [
        f"# Signals: pages with their exact total, out of {count:,}",
        "",
        "| | 10,000 | " + f"{count:,} | target |",
        "|---|---|---|---|",
        f"| a page without filters, median ms | {small['page_ms']:.2f} | {large['page_ms']:.2f} | ≤ 2× |",
        f"| the 20 mixes, p99 ms | {small['listed_p99_ms']:.2f} | {large['listed_p99_ms']:.2f} | ≤ 50 |",
        f"| any mix, p99 ms | {small['any_p99_ms']:.2f} | {large['any_p99_ms']:.2f} | ≤ 250 |",
        f"| taking the record over at start, s | {small['load_s']:.2f} | {large['load_s']:.2f} | |",
        "",
        "| mix, median ms | 10,000 | " + f"{count:,} |",
        "|---|---|---|",
        *(
            f"| {name} | {small['mixes_ms'][name]:.2f} | {value:.2f} |"
            for name, value in large["mixes_ms"].items()
        ),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if not quick:
        result = {"conditions": conditions(Cores.choose()), "met": met, "growth": growth, **found}
        write_results("signals", clock, result, text)
    return met
