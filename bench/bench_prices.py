"""Token prices: a whole repricing beside networkx, ten times the graph, one changed reserve, a cached answer.

The graphs are random with hubs, as pools are: every token has a pool to one of the earlier ones, many of them
to the first. CPU time is compared, so that a busy machine counts less. Same caps and weights on both sides,
and the results are compared before anything is timed.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import socket
import statistics
import time
from dataclasses import replace
from typing import Any

from bench.peers import networkx_prices
from bench.runner import Child, Cores, conditions, cpu_s, folder, write_results
from bench.stack import Stack, family, group_of, stack
from libs.common.clock import SystemClock
from libs.common.plans import BUILT_IN
from services.pricing.graph import Graph
from services.pricing.pricer import Anchor, Pricer
from services.pricing.rules import DEFAULT
from services.pricing.tokens import Pool, Token

SEED = 20261120
NOW_MS = 1_800_000_000_000
ANCHOR = Anchor(60_000.0, 0.9)
SMALL, LARGE = (500, 1_200), (5_000, 12_000)
FASTER_MIN, GROWTH_MAX, UPDATE_MAX, COST_MAX = 50.0, 15.0, 0.01, 1.5
UPDATES = 2_000
HUBS = 2.5  # how much pools prefer the first tokens
CLIENTS = 32
BULK = "/api/v1/prices"
ADDED = frozenset({"Content-Length", "Date"})


def world(tokens: int, pools: int) -> tuple[Pricer, list[Pool]]:
    """A graph of ``tokens`` with sound reserves of 10^3 to 10^6 USD a side."""
    dice = random.Random(SEED)
    made = [Token(f"SP.t{n:05d}", "USDC" if n == 1 else f"T{n}", "", 6) for n in range(tokens)]
    prices = [ANCHOR.price, 1.0, *(10 ** dice.uniform(-4, 3) for _ in range(tokens - 2))]
    found = []
    for number in range(pools):
        a = number + 1 if number + 1 < tokens else int(tokens * dice.random())
        b = int(a * dice.random() ** HUBS) if number + 1 < tokens else int(tokens * dice.random() ** HUBS)
        if a == b:
            b = (a + 1) % tokens
        depth = 10 ** dice.uniform(3, 6)
        found.append(
            Pool(
                f"p{number:05d}",
                made[a].id,
                made[b].id,
                max(1, int(depth / prices[a] * 10**6)),
                max(1, int(depth / prices[b] * (1 + dice.gauss(0, 0.01)) * 10**6)),
                0.003,
                NOW_MS - int(dice.expovariate(1 / 60_000)),
            )
        )
    pricer = Pricer(Graph(made, found, made[0].id, DEFAULT), [1])
    pricer.reprice(NOW_MS, ANCHOR)
    return pricer, found


def whole_s(pricer: Pricer, rounds: int) -> float:
    """Median CPU time of a whole repricing."""
    times = []
    for _ in range(rounds):
        begun = time.thread_time()
        pricer.reprice(NOW_MS, ANCHOR)
        times.append(time.thread_time() - begun)
    return statistics.median(times)


def update_s(pricer: Pricer, pools: list[Pool], count: int) -> list[float]:
    """CPU time of each of ``count`` trades in random pools, sorted."""
    dice = random.Random(SEED)
    now = {pool.id: pool for pool in pools}
    names = sorted(now)
    times = []
    for _ in range(count):
        pool = now[dice.choice(names)]
        share = 1 + dice.gauss(0, 0.003)
        moved = replace(
            pool, reserve_a=int(pool.reserve_a * share), reserve_b=max(1, int(pool.reserve_b / share))
        )
        now[pool.id] = moved
        begun = time.thread_time()
        pricer.update([moved])
        times.append(time.thread_time() - begun)
    return sorted(times)


def peer_s(pricer: Pricer) -> float:
    """CPU time networkx takes for the same prices; refuses to time other ones."""
    made = networkx_prices.graph_of(pricer.graph, pricer.edges)
    begun = time.thread_time()
    theirs = networkx_prices.prices(
        made, pricer.graph.anchor, pricer.rules.hops_max, pricer.anchor.confidence
    )
    took = time.thread_time() - begun
    ours = {n: (float(pricer.ratio[n]), float(pricer.confidence[n])) for n in range(pricer.graph.size)}
    for token, (ratio, confidence) in theirs.items():
        if not (_near(ours[token][0], ratio) and _near(ours[token][1], confidence)):
            raise RuntimeError(f"token {token}: {ours[token]} is not {(ratio, confidence)}")
    priced = {n for n, (ratio, _) in ours.items() if ratio > 0}
    if priced != set(theirs):
        raise RuntimeError("not the same tokens have a price")
    return took


def _near(one: float, other: float) -> bool:
    return abs(one - other) <= 1e-9 * abs(other)


def graphs(quick: bool) -> dict[str, float]:
    """The figures of the calculation."""
    small, _ = world(*SMALL)
    large, pools = world(*LARGE)
    rounds = 3 if quick else 15
    ours, theirs = whole_s(small, rounds), [peer_s(small) for _ in range(1 if quick else 3)]
    big = whole_s(large, rounds)
    updates = update_s(large, pools, 200 if quick else UPDATES)
    middle = statistics.median(updates)
    return {
        "500 tokens, 1,200 pools: whole (ms)": ours * 1e3,
        "the same with networkx (ms)": statistics.median(theirs) * 1e3,
        "faster than networkx (times)": statistics.median(theirs) / ours,
        "5,000 tokens, 12,000 pools: whole (ms)": big * 1e3,
        "growth for ten times the graph (times)": big / ours,
        "one changed reserve, median (ms)": middle * 1e3,
        "one changed reserve, 90th percentile (ms)": updates[int(len(updates) * 0.9)] * 1e3,
        "one changed reserve, of a whole repricing (share)": middle / big,
    }


# ── a cached answer ───────────────────────────────────────────────────────────────────────────────


class Load:
    """As many connections as many clients have, each asking again when it has its answer."""

    def __init__(self, port: int, path: str) -> None:
        self._request = b"GET %b HTTP/1.1\r\nHost: localhost\r\n\r\n" % path.encode()
        self._links = [socket.create_connection(("127.0.0.1", port)) for _ in range(CLIENTS)]

    def round(self) -> None:
        """One request of every client, all under way at once."""
        for link in self._links:
            link.sendall(self._request)
        for link in self._links:
            _read(link)

    def close(self) -> None:
        """Hang up."""
        for link in self._links:
            link.close()


def _read(link: socket.socket) -> None:
    """One answer, thrown away; it must be a good one."""
    found = bytearray()
    while (end := found.find(b"\r\n\r\n")) < 0:
        found += _more(link)
    head = bytes(found[:end]).lower()
    if not head.startswith(b"http/1.1 200 "):
        raise RuntimeError(f"answered {head[:60]!r}")
    length = int(head.partition(b"content-length: ")[2].split(b"\r\n")[0])
    left = end + 4 + length - len(found)
    while left > 0:
        left -= len(_more(link))


def _more(link: socket.socket) -> bytes:
    found = link.recv(65_536)
    if not found:
        raise RuntimeError("hung up")
    return found


def ask(port: int, path: str, seconds: float, pid: int) -> float:
    """CPU per request in µs of the process that answers ``CLIENTS`` connections that stay open.

    The limit is counted; the stack's plans raise it.
    """
    load = Load(port, path)
    number, begun, used = 0, time.monotonic(), cpu_s(pid)
    while time.monotonic() - begun < seconds:
        load.round()
        number += CLIENTS
    spent = cpu_s(pid) - used
    load.close()
    return spent / number * 1e6


def idle_share(pid: int, seconds: float) -> float:
    """What a process uses while nobody asks it, as a share of a core."""
    used, begun = cpu_s(pid), time.monotonic()
    time.sleep(seconds)
    return (cpu_s(pid) - used) / (time.monotonic() - begun)


def cached(quick: bool) -> dict[str, float]:
    """A bulk GET from the gateway beside a bare handler with the same bytes, round by round."""
    seconds, rounds = (0.5, 3) if quick else (2.0, 9)
    costs: dict[str, list[float]] = {"/plain": [], "/same": [], BULK: []}
    cores = Cores.choose()
    with folder() as data:
        plans = json.loads(BUILT_IN.read_text())
        plans["limits"]["prices_per_address"] = 1_000_000_000
        (data / "plans.json").write_text(json.dumps(plans))
        settings = {"TRADEWIND_PLANS_FILE": str(data / "plans.json")}
        with stack(data, settings) as running:
            body, headers = fetched(running)
            (data / "body.json").write_bytes(body)
            gateway = next(p for p in family(running.process.pid) if group_of(p) == "services.gateway")
            os.sched_setaffinity(gateway, {cores.server})
            bare = Child(
                "bench.peers.aiohttp_bytes",
                {"body": str(data / "body.json"), "headers": headers},
                cores.server,
            )
            sides = {path: (int(bare.ready["port"]), bare.pid) for path in ("/plain", "/same")}
            sides[BULK] = running.port, gateway
            idle = idle_share(gateway, 2 * seconds)
            for _ in range(rounds):
                for path, (port, pid) in sides.items():
                    costs[path].append(ask(port, path, seconds, pid))
            bare.stop()
    return {
        "bytes of the answer": float(len(body)),
        "gateway without requests (share of a core; counted in its cost)": idle,
        "gateway, CPU per request (µs)": statistics.median(costs[BULK]),
        "bare aiohttp, the same headers and body, CPU per request (µs)": statistics.median(costs["/same"]),
        "bare aiohttp, the body alone, CPU per request (µs)": statistics.median(costs["/plain"]),
        "cost of a cached answer (times bare)": _ratio(costs[BULK], costs["/same"]),
        "cost of a cached answer (times bare without headers)": _ratio(costs[BULK], costs["/plain"]),
    }


def _ratio(ours: list[float], theirs: list[float]) -> float:
    """Median of the ratios, round by round."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True))


def fetched(running: Stack) -> tuple[bytes, dict[str, str]]:
    """The bulk answer, once it is whole, and the headers it has beyond what aiohttp adds by itself."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection("127.0.0.1", running.port)
        connection.request("GET", BULK)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        if answer.status == 200 and len(json.loads(body)["data"]) >= 12:
            own = {name: value for name, value in answer.getheaders() if name not in ADDED}
            return body, own
        time.sleep(0.25)
    raise RuntimeError("no prices within a minute")


def judged(found: dict[str, float]) -> dict[str, bool]:
    """Promise → whether it held."""
    return {
        f"whole repricing at least {FASTER_MIN:g} times networkx": found["faster than networkx (times)"]
        >= FASTER_MIN,
        f"ten times the graph takes at most {GROWTH_MAX:g} times as long": found[
            "growth for ten times the graph (times)"
        ]
        <= GROWTH_MAX,
        f"one changed reserve costs at most {UPDATE_MAX:.0%} of a whole repricing": found[
            "one changed reserve, of a whole repricing (share)"
        ]
        <= UPDATE_MAX,
        f"a cached answer costs at most {COST_MAX:g} times a bare handler": found[
            "cost of a cached answer (times bare)"
        ]
        <= COST_MAX,
    }


def run(quick: bool) -> bool:
    """Measure, print, and (not with ``quick``) write the results."""
    found: dict[str, Any] = {**graphs(quick), **cached(quick)}
    met = judged(found)
    lines = ["# Token prices", "", "| promise | held |", "|---|---|"]
    lines += [f"| {name} | {'yes' if ok else '**no**'} |" for name, ok in met.items()]
    lines += ["", "| figure | measured |", "|---|---|"]
    lines += [f"| {name} | {value:,.4g} |" for name, value in found.items()]
    text = "\n".join(lines) + "\n"
    print(text)
    if not quick:
        where = conditions(Cores.choose())
        machine = ", ".join(f"{k} {v}" for k, v in where.items() if isinstance(v, str | int))
        date = SystemClock().now().strftime("%Y-%m-%d")
        result = {"conditions": where, "figures": found, "met": met}
        write_results("prices", SystemClock(), result, f"{text}\nMeasured {date}: {machine}.\n")
    return all(met.values())
