"""20,000 ticks a second through the whole house: candles, alerts and the stream keep up.

A tick file is replayed in real time through a stack as a person starts it, with alerts armed on every
symbol and a client subscribed to all of them. What must hold: no backlog grows, no tick is merged or
lost for alerts, the client's quotes are as fresh at the end as at the beginning, and the candles at the
end hold every tick. The CPU per tick of every process is printed, so that it is plain what it costs.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import statistics
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from bench.runner import Cores, conditions, folder, write_results
from bench.stack import Stack, cpu_by_group, stack
from libs.common.clock import SystemClock

RATE = 20_000
HEAD_START_MS = 8_000  # after one quote of each symbol: time to arm alerts and subscribe
SYMBOLS = {"EURUSD": 1.1, "GBPUSD": 1.3, "USDJPY": 150.0, "XAUUSD": 2000.0, "BTCUSD": 70_000.0}
SYMBOLS |= {"ETHUSD": 3500.0, "SOLUSD": 150.0, "BTC/USDT": 70_000.0, "ETH/USDT": 3500.0, "SOL/USDT": 150.0}
SEED = 20261120
ALERTS = 200
BACKLOG_MAX = RATE // 4  # a quarter of a second: what a burst may leave for a moment
FRESHNESS_MS_MAX = 250.0


@dataclass
class Heard:
    """What the client measured: (monotonic, exchange ms) of every message's last quote, and counts."""

    lags: list[tuple[float, float]] = field(default_factory=list)
    quotes: int = 0
    last: dict[str, int] = field(default_factory=dict)


def write_ticks(path: Path, seconds: int) -> int:
    """A random walk of every symbol, RATE ticks a second in all; how many ticks were written."""
    dice = random.Random(SEED)
    prices = dict(SYMBOLS)
    names = list(SYMBOLS)
    begin_ms = 1_750_000_000_000
    count = RATE * seconds
    with path.open("w") as out:
        out.write("time,symbol,bid,ask,volume\n")
        for n in range(count):
            name = names[n % len(names)]
            prices[name] *= 1 + dice.choice((-1, 1)) * 2e-5
            bid = prices[name]
            at_ms = begin_ms + (HEAD_START_MS + n * 1000 // RATE if n >= len(names) else 0)
            out.write(f"{at_ms},{name},{bid:.5f},{bid * 1.0001:.5f},1\n")
    return count


async def measure(running: Stack, ticks: int, seconds: int) -> dict[str, Any]:
    """Arm, subscribe, watch the backlogs until the replay is over."""
    url = f"http://127.0.0.1:{running.port}"
    heard = Heard()
    async with aiohttp.ClientSession() as session:
        account = {"name": "Bench", "email": "bench@example.com", "password": "long enough"}
        async with session.post(f"{url}/sign/up", json=account) as response:
            token = (await response.json())["__token"]
        headers = {"Authorization": token}
        await arm(session, url, headers)
        listening = asyncio.create_task(listen(session, url, token, heard))
        ports = {k: v for k, v in metrics_urls(running).items() if k in ("alerts", "market", "gateway")}
        before, begun = cpu_by_group(running.process.pid), time.monotonic()
        backlogs, passed = [], 0.0
        flood = ticks - len(SYMBOLS)
        first_s = None
        while time.monotonic() - begun < seconds + 60:
            await asyncio.sleep(0.25)
            text = await asyncio.to_thread(scrape, ports["alerts"])
            passed = value(text, "tradewind_tick_reader_passed_ticks_total")
            if passed < len(SYMBOLS) + 1:
                continue
            first_s = first_s or time.monotonic()
            backlogs.append(value(text, "tradewind_tick_reader_backlog_ticks"))
            if passed >= flood and sum(heard.last.values()) >= ticks:
                break
        took = time.monotonic() - (first_s or begun)
        after = cpu_by_group(running.process.pid)
        merged = value(text, "tradewind_tick_reader_merged_ticks_total")
        holes = value(text, "tradewind_tick_reader_holes_total")
        volume = await day_volume(session, url, headers)
        listening.cancel()
    cpu = {name: (after[name] - before.get(name, 0.0)) for name in after}
    return figures(heard, backlogs, ticks, took, cpu) | {
        "alerts: ticks judged": passed,
        "alerts: ticks merged": merged,
        "alerts: holes": holes,
        "candles: ticks in the daily bars": volume,
    }


async def arm(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> None:
    """Alerts on every symbol around its price: some fire, most wait."""
    dice = random.Random(SEED)
    for n in range(ALERTS):
        name = list(SYMBOLS)[n % len(SYMBOLS)]
        target = SYMBOLS[name] * (1 + dice.uniform(-0.02, 0.02))
        body = {"symbol": name, "side": 0, "condition": n % 2, "repeat_mode": 0, "target_price": target}
        async with session.post(f"{url}/price_alert", json=body, headers=headers) as response:
            if response.status != 200:
                raise RuntimeError(await response.text())


async def listen(session: aiohttp.ClientSession, url: str, token: str, heard: Heard) -> None:
    """Subscribe to everything and note how fresh each message is."""
    async with session.ws_connect(f"{url}/ws", max_msg_size=0) as ws:
        await ws.send_json({"authorization": token})
        await ws.send_json({"event": "subscribe", "data": list(SYMBOLS)})
        async for message in ws:
            if message.data[:4] != '["t"':
                continue
            frame = json.loads(message.data)
            heard.quotes += 1
            heard.last[frame[1]] = frame[6]
            if heard.quotes % 50 == 0:
                heard.lags.append((time.monotonic(), frame[5]))


async def day_volume(session: aiohttp.ClientSession, url: str, headers: dict[str, str]) -> float:
    """The sum of the volume of every symbol's daily bars: one per tick."""
    total = 0.0
    for name in SYMBOLS:
        query = f"symbol={quote(name, safe='')}&frame=1D&from=0&to=4000000000"
        async with session.get(f"{url}/quotes/candles?{query}", headers=headers) as response:
            total += sum(row[4] for row in (await response.json())["data"])
    return total


def metrics_urls(running: Stack) -> dict[str, str]:
    """Service → its metrics address, as the stack's own target file says."""
    found = {}
    for target in json.loads((running.data / "prometheus-targets.json").read_text()):
        found[target["labels"]["service"]] = f"http://{target['targets'][0]}/metrics"
    return found


def scrape(url: str) -> str:
    """The text of a metrics page."""
    with urllib.request.urlopen(url, timeout=5) as answer:
        text: str = answer.read().decode()
        return text


def value(text: str, name: str) -> float:
    """The sum of a metric over its labels."""
    return sum(float(v) for v in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE))


def figures(
    heard: Heard, backlogs: list[float], ticks: int, took: float, cpu: dict[str, float]
) -> dict[str, Any]:
    """What a reader of the result wants: growth, freshness, cost."""
    lags = [at * 1000 - ms for at, ms in heard.lags[1:]]
    best = min(lags)
    quarter = max(len(lags) // 4, 1)
    fresh = {
        "first quarter": sorted(lag - best for lag in lags[:quarter]),
        "last quarter": sorted(lag - best for lag in lags[-quarter:]),
    }
    return {
        "ticks": ticks,
        "seconds": round(took, 1),
        "ticks per second": round(ticks / took),
        "alerts: backlog max": max(backlogs),
        "alerts: backlog median, last half": statistics.median(backlogs[len(backlogs) // 2 :]),
        **{f"stream: behind p50 ms, {n}": round(v[len(v) // 2], 1) for n, v in fresh.items()},
        **{f"stream: behind p99 ms, {n}": round(v[int(len(v) * 0.99)], 1) for n, v in fresh.items()},
        "stream: quotes heard": heard.quotes,
        **{
            f"CPU µs per tick, {name}": round(1e6 * used / ticks, 1)
            for name, used in sorted(cpu.items(), key=lambda item: -item[1])
            if used > 0.2
        },
    }


def judged(found: dict[str, Any]) -> dict[str, bool]:
    """Which promises held."""
    return {
        "every tick was judged by alerts, none merged, no hole": found["alerts: ticks judged"]
        >= found["ticks"] - len(SYMBOLS)
        and not found["alerts: ticks merged"]
        and not found["alerts: holes"],
        f"the backlog of alerts stayed below {BACKLOG_MAX}": found["alerts: backlog max"] <= BACKLOG_MAX,
        f"quotes were less than {FRESHNESS_MS_MAX:g} ms behind at the end (p99)": found[
            "stream: behind p99 ms, last quarter"
        ]
        <= FRESHNESS_MS_MAX,
        "the candles hold every tick": found["candles: ticks in the daily bars"] == found["ticks"],
        "the rate was kept": found["ticks per second"] >= 0.85 * RATE,
    }


def run(quick: bool) -> bool:
    """Measure, write the results, say whether every promise held."""
    seconds = 8 if quick else 30
    with folder() as data:
        ticks = write_ticks(data / "ticks.csv", seconds)
        feed = f"replay:{data / 'ticks.csv'}?speed=1"
        with stack(data, {"TRADEWIND_FEED": feed}) as running:
            found = asyncio.run(measure(running, ticks, seconds))
    met = judged(found)
    lines = [f"# {RATE:,} ticks a second through the whole house", "", "| promise | held |", "|---|---|"]
    lines += [f"| {name} | {'yes' if ok else '**no**'} |" for name, ok in met.items()]
    lines += ["", "| figure | measured |", "|---|---|"]
    lines += [f"| {name} | {v:,} |" for name, v in found.items()]
    text = "\n".join(lines) + "\n"
    print(text)
    if not quick:
        where = {**conditions(Cores.choose()), "pinned": None}
        machine = ", ".join(f"{k} {v}" for k, v in where.items() if isinstance(v, str | int))
        date = SystemClock().now().strftime("%Y-%m-%d")
        result = {"conditions": where, "figures": found, "met": met}
        write_results("ticks", SystemClock(), result, f"{text}\nMeasured {date}: {machine}.\n")
    return all(met.values())
