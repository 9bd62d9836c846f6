"""Briefs asked of a running stack by key, for benchmarks: candles of our own, a purse that never empties."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from bench.stack import cpu_by_group, stack
from libs.common.plans import BUILT_IN
from services.scanner.bars import Bars

PASSWORD = "bench-password"
SERVICES = "auth,market,billing,scanner,gateway"
AT_ONCE = 8


def generous_plans(path: Path) -> Path:
    """The built-in plans without limits, and a starter credit for millions of calls."""
    plans = json.loads(BUILT_IN.read_bytes())
    plans["limits"] = dict.fromkeys(plans["limits"], 10**9)
    plans["starter"]["micros"] = 10**12
    path.write_text(json.dumps(plans))
    return path


async def prepare(session: aiohttp.ClientSession, series: Sequence[Bars]) -> list[str]:
    """Give the stack these candles; their symbols. The session is signed with a key at the end."""
    async with session.post("/sign/in", json={"login": 1, "password": PASSWORD}) as answer:
        staff = {"Authorization": (await answer.json())["__token"]}
    symbols = [f"B{number:02d}/USDT" for number in range(len(series))]
    for symbol, bars in zip(symbols, series, strict=True):
        where = f"/admin/symbols/{symbol.replace('/', '%2F')}"
        async with session.put(where, json={"digits": 5}, headers=staff) as answer:
            answer.raise_for_status()
        columns = (bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume)
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        body = {"symbol": symbol, "timeframe": "1h", "candles": rows}
        async with session.post("/admin/candles", json=body, headers=staff) as answer:
            answer.raise_for_status()
    async with session.post("/v1/keys", json={"email": "bench@example.com"}) as answer:
        session.headers["Authorization"] = f"Bearer {(await answer.json())['key']}"
    return symbols


async def ask(session: aiohttp.ClientSession, symbols: Sequence[str], count: int) -> None:
    """So many briefs of 200 candles, some at once."""
    left = iter(range(count))

    async def caller() -> None:
        for number in left:
            body = {"ticker": symbols[number % len(symbols)], "timeframe": "1h", "limit": 200}
            async with session.post("/v1/brief", json=body) as answer:
                assert answer.status == 200, await answer.text()
                await answer.read()

    await asyncio.gather(*(caller() for _ in range(AT_ONCE)))


async def idle(root: int) -> None:
    """Wait until the scanner has judged what it was given: it uses next to no CPU for a second."""
    used, before = 1.0, cpu_by_group(root)["services.scanner"]
    while used > 0.1:
        await asyncio.sleep(1.0)
        now = cpu_by_group(root)["services.scanner"]
        used, before = now - before, now


def briefs_per_scanner_second(folder: Path, series: Sequence[Bars], count: int) -> float:
    """How many briefs the scanner's process gives for a second of its CPU."""
    settings = {
        "TRADEWIND_FEED": "manual",
        "TRADEWIND_SERVICES": SERVICES,
        "TRADEWIND_ADMIN_PASSWORD": PASSWORD,
        "TRADEWIND_PLANS_FILE": str(generous_plans(folder / "plans.json")),
    }
    with stack(folder, settings) as running:

        async def measure() -> float:
            base = f"http://127.0.0.1:{running.port}"
            async with aiohttp.ClientSession(base_url=base) as session:
                symbols = await prepare(session, series)
                await ask(session, symbols, 100)  # warm
                await idle(running.process.pid)
                before = cpu_by_group(running.process.pid)["services.scanner"]
                await ask(session, symbols, count)
                return count / (cpu_by_group(running.process.pid)["services.scanner"] - before)

        return asyncio.run(measure())
