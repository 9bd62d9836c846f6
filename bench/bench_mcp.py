"""What an agent's call costs: a tool beside the REST call it stands for, through one gateway.

Both read one symbol with one API key. CPU is that of everything that serves the call, the database aside. The
tool is called in the newest version of the protocol and in an older one, each without a session.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import aiohttp

from bench.bench_auth import shown, sign_up, used_s
from bench.runner import Child, Comparison, Cores, Figures, conditions, folder, write_results
from bench.stack import Stack, stack
from libs.common.clock import SystemClock

READERS = 16
FACTOR_MAX = 3.0
OURS = ("services.gateway", "services.market", "services.auth", "nats-server")
MODERN, OLDER = "2026-07-28", "2025-06-18"
COST = "CPU, µs per call"
SIDES = ("REST", f"tool, {MODERN}", f"tool, {OLDER}")


async def key_of(url: str) -> tuple[str, int]:
    """An API key of a fresh person, and their login."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        person = await sign_up(session, url)
        async with session.get(f"{url}/account/me", headers={"Authorization": person.token}) as response:
            email = (await response.json())["email"]
        async with session.post(
            f"{url}/auth/login", json={"email": email, "password": person.password}
        ) as response:
            await response.read()
        async with session.post(f"{url}/api/v1/keys", json={"name": "bench"}) as response:
            made = await response.json()
        hello = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        accept = {"Accept": "application/json, text/event-stream"}
        async with session.post(f"{url}/mcp", json=hello, headers=accept) as response:
            await response.read()  # the first one waits for the SDK to be imported
    return made["key"], person.login


def requests_of(port: int, key: str, login: int) -> dict[str, str]:
    """The bytes of one call of each side."""
    rest = {"Authorization": f"Bearer {key}"}
    agent = {
        **rest,
        "Content-Type": "application/json",
        "Accept": "application/json, text/event-stream",
    }
    params: dict[str, Any] = {
        "name": "tradewind_symbol",
        "arguments": {"symbol": "EURUSD", "login": login},
    }
    meta = {
        "io.modelcontextprotocol/protocolVersion": MODERN,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    modern = {"MCP-Protocol-Version": MODERN, "Mcp-Method": "tools/call", "Mcp-Name": "tradewind_symbol"}
    older = {"MCP-Protocol-Version": OLDER}
    return {
        SIDES[0]: _request(port, "GET", f"/market/symbol?symbol=EURUSD&login={login}", rest),
        SIDES[1]: _request(port, "POST", "/mcp", agent | modern, _message({**params, "_meta": meta})),
        SIDES[2]: _request(port, "POST", "/mcp", agent | older, _message(params)),
    }


def _message(params: dict[str, Any]) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})


def _request(port: int, method: str, path: str, headers: dict[str, str], body: str = "") -> str:
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines) + "\r\n\r\n" + body


def measure(running: Stack, rounds: int, seconds: float) -> Comparison:
    """Each side in turn, round by round."""
    url = f"http://127.0.0.1:{running.port}"
    key, login = asyncio.run(key_of(url))
    found = Comparison("an agent's call", {side: [] for side in SIDES})
    readers = Child("bench.readers", {}, Cores.choose().load)
    try:
        for number in range(rounds):
            for side, request in requests_of(running.port, key, login).items():
                network = f"127.{number + 1}.{SIDES.index(side)}"
                asked = {"port": running.port, "request": request, "readers": READERS, "network": network}
                readers.ask({**asked, "seconds": 0.5})
                found.rounds[side].append(_round(readers, asked, seconds, lambda: used_s(running, *OURS)))
                print(side, {k: round(v) for k, v in found.rounds[side][-1].items()}, flush=True)
    finally:
        readers.stop()
    return found


def _round(readers: Child, asked: dict[str, Any], seconds: float, own_s: Callable[[], float]) -> Figures:
    before = own_s()
    answered = readers.ask({**asked, "seconds": seconds})
    if answered["bad"]:
        raise RuntimeError(f"{answered['bad']} of {answered['done']} calls were refused")
    took = own_s() - before
    return {COST: took * 1e6 / answered["done"], "calls per second": answered["done"] / seconds}


def run(quick: bool) -> bool:
    """Measure, write the results, say whether the promise held."""
    rounds, seconds = (1, 2.0) if quick else (5, 4.0)
    settings = {"TRADEWIND_FEED": "manual", "TRADEWIND_SERVICES": "auth,market,trading,gateway"}
    with folder() as data, stack(data, settings) as running:
        found = measure(running, rounds, seconds)
    factors = {side: found.ratio(COST, side, SIDES[0]) for side in SIDES[1:]}
    met = {
        f"{side} costs at most {FACTOR_MAX:g}× the CPU of REST ({factor['median']:.2f})": factor["median"]
        <= FACTOR_MAX
        for side, factor in factors.items()
    }
    lines = ["# An agent's call", "", "| promise | held |", "|---|---|"]
    lines += [f"| {name} | {'yes' if ok else '**no**'} |" for name, ok in met.items()]
    lines += [
        "",
        "Min · median · max over the rounds.",
        "",
        f"| | {' | '.join(SIDES)} |",
        "|---|---|---|---|",
    ]
    summary = found.summary()
    for figure in (COST, "calls per second"):
        lines.append(f"| {figure} | {' | '.join(shown(summary[side][figure], '.0f') for side in SIDES)} |")
    text = "\n".join(lines) + "\n"
    print(text)
    if not quick:
        date = SystemClock().now().strftime("%Y-%m-%d")
        where = conditions(Cores.choose())
        result = {"conditions": where, "calls": found.rounds, "met": met}
        write_results("mcp", SystemClock(), result, f"{text}\nMeasured {date}.\n")
    return all(met.values())
