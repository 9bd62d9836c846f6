"""Clients of a house whose processes die: each asks until it is answered, and notes what it was told."""

from __future__ import annotations

import asyncio
import itertools
import json
import random
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.client import Client
from tests.conftest import wait_until

SYMBOL, TICKER = "EURUSD", "BTCUSD"
LOW, HIGH = 1.05, 1.15  # prices beyond every level
AGAIN_S = 0.05
BRIEF_EVERY_S = 1.0  # within the limit of the key
PATIENCE_S = 60.0
OPEN_MAX = 30
REPLAYED = 900  # a longer history is not told again
TRIES = 2_000  # of one call, before somebody is not answered for too long
NOT_NOW = (408, 409, 429, 500, 502, 503, 504)
_LOST = (aiohttp.ClientError, ConnectionError, TimeoutError, json.JSONDecodeError)


async def insist(client: Client, method: str, path: str, body: Any) -> tuple[int, Any]:
    """Ask until there is an answer that a client can do something with: its status and body."""
    last: Any = None
    for _ in range(TRIES):
        try:
            code, last = await client.ask(method, path, body)
            if code not in NOT_NOW or str(last).count("RET_TRADE"):
                return code, last
        except _LOST as e:
            last = e
        await asyncio.sleep(AGAIN_S)
    raise AssertionError(f"{method} {path} was never answered: {last!r}")


@dataclass
class Quoter:
    """Staff who quotes a walk; ``told`` are the bids in force, in order, of ``begun`` that were sent."""

    staff: Client
    chance: random.Random
    told: list[float] = field(default_factory=list)
    begun: int = 0

    async def quote(self, bid: float) -> None:
        """One quote, sent until it is in force; twice the same price moves nothing."""
        self.begun += 1
        body = {"quotes": [{"symbol": SYMBOL, "bid": bid, "ask": round(bid + 0.0002, 5)}]}
        code, answer = await insist(self.staff, "POST", "/admin/quotes", body)
        assert code == 200, answer
        self.told.append(bid)

    async def walk(self, over: asyncio.Event) -> None:
        """Jumps of up to a hundred points about the middle."""
        bid = 1.1
        while not over.is_set():
            bid = round(min(1.12, max(1.08, bid + self.chance.uniform(-0.01, 0.01))), 5)
            await self.quote(bid)
            await asyncio.sleep(0.02)

    async def sweep(self) -> None:
        """Up and down beyond every level."""
        for bid in (LOW, HIGH, LOW, HIGH):
            await self.quote(bid)


@dataclass(frozen=True)
class Armed:
    """An alert that the house said it keeps, and how many quotes may have been judged before it."""

    id: int
    condition: int
    target: float
    after: int

    def crossed(self, bids: list[float]) -> bool:
        """Whether the quotes that came since must have fired it, by the definition of its condition."""
        seen = bids[self.after :]
        pairs = list(itertools.pairwise(seen))
        up = any(q < self.target <= p for q, p in pairs)
        down = any(q > self.target >= p for q, p in pairs)
        return {
            0: up,
            1: down,
            2: any(p > self.target for p in seen),
            3: any(p < self.target for p in seen),
            12: up or down,
        }[self.condition]


@dataclass
class Listener:
    """A client on a stream that is taken up where it broke. ``frames``: number → event."""

    client: Client
    after: int = 0  # the number before the first that is asked for
    frames: dict[int, list[Any]] = field(default_factory=dict)
    gaps: int = 0
    disordered: list[int] = field(default_factory=list)

    async def listen(self, url: str) -> None:
        """Hear the account's events, from the first on, over as many sockets as it takes."""
        async with aiohttp.ClientSession() as session:
            while True:
                try:
                    async with session.ws_connect(f"{url}/ws", timeout=aiohttp.ClientWSTimeout(5.0)) as ws:
                        await self._hear(ws)
                except _LOST:
                    pass
                await asyncio.sleep(AGAIN_S)

    async def _hear(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        await ws.send_json({"authorization": self.client.token})
        switch = {"event": "account.switch", "active_login": self.client.login, "resume": True}
        async for message in ws:
            if message.type is not aiohttp.WSMsgType.TEXT:
                return
            frame = json.loads(message.data)
            if frame.get("event") == "authorization":
                if not frame["success"]:
                    return
                await ws.send_json({**switch, "after": max(self.frames, default=self.after)})
            elif frame.get("event") == "account.switch":
                if not frame["success"] or "gap" in frame:
                    self.gaps += "seq" in frame  # without: the history can't be read now
                    return
            elif "seq" in frame:
                if frame["seq"] <= max(self.frames, default=0):
                    self.disordered.append(frame["seq"])
                self.frames[frame["seq"]] = frame["event"]

    async def heard(self, url: str, kind: str) -> list[list[Any]]:
        """The frames of a kind, held against the account's history as it is told to a newcomer."""
        last = max(self.frames)  # what was told afterwards was not heard any more
        newcomer = Listener(self.client, after=([0, *sorted(self.frames)])[-REPLAYED:][0])
        listening = asyncio.create_task(newcomer.listen(url))
        try:
            await wait_until(lambda: max(newcomer.frames, default=0) >= last, timeout_s=PATIENCE_S)
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        history = {seq: frame for seq, frame in newcomer.frames.items() if seq <= last}
        heard = {seq: frame for seq, frame in self.frames.items() if seq > newcomer.after}
        apart = [(seq, history.get(seq), heard.get(seq)) for seq in history.keys() ^ heard.keys()]
        assert not apart, f"in the history, and as heard: {apart[:5]}"
        assert history == heard, "what was told live is not what happened"
        assert not self.gaps, "a history of the account was lost"
        assert not self.disordered, "the stream repeated or mixed up events"
        return [frame for _, frame in sorted(self.frames.items()) if frame[0] == kind]


@dataclass
class Watcher:
    """A client who arms alerts."""

    client: Client
    chance: random.Random
    quoter: Quoter
    armed: list[Armed] = field(default_factory=list)

    async def arm(self, over: asyncio.Event, most: int) -> None:
        """Arm alerts until there are ``most``."""
        while not over.is_set() and len(self.armed) < most:
            condition = self.chance.choice((0, 1, 2, 3, 12))
            target = round(self.chance.uniform(1.081, 1.119), 5)
            body = {
                "symbol": SYMBOL,
                "side": 0,
                "condition": condition,
                "repeat_mode": 0,
                "target_price": target,
            }
            code, answer = await insist(self.client, "POST", "/price_alert", body)
            assert code == 200, answer
            self.armed.append(Armed(answer["rows"][0][0], condition, target, self.quoter.begun))
            await asyncio.sleep(0.2)


@dataclass
class Trader:
    """A client who buys and sells, each order under a name of its own, and closes some."""

    client: Client
    chance: random.Random
    orders: dict[str, int] = field(default_factory=dict)  # own name → order
    open: list[tuple[int, int]] = field(default_factory=list)  # order and volume
    closed: list[int] = field(default_factory=list)
    refused: list[Any] = field(default_factory=list)

    async def trade(self, over: asyncio.Event) -> None:
        """An order after another; after every third, and when many are open, one is closed."""
        while not over.is_set():
            own = f"own-{len(self.orders) + len(self.refused)}"
            volume = self.chance.randint(1, 5)
            body = {
                "symbol": SYMBOL,
                "cmd": self.chance.randrange(2),
                "volume": volume,
                "sl": 0,
                "tp": 0,
                "client_order_id": own,
            }
            code, answer = await insist(self.client, "POST", "/trade/open", body)
            if code != 200:
                self.refused.append(answer)
            else:
                self.orders[own] = answer["order"]
                self.open.append((answer["order"], volume))
                if len(self.open) > OPEN_MAX or len(self.orders) % 3 == 0:
                    await self._close(*self.open.pop(self.chance.randrange(len(self.open))))
            await asyncio.sleep(0.05)

    async def _close(self, order: int, volume: int) -> None:
        code, answer = await insist(self.client, "DELETE", "/trade/close", {"order": order, "volume": volume})
        # An answer that was lost had closed it: that is what a second try is told.
        assert code == 200 or "INCORRECT_STATE" in str(answer), answer
        self.closed.append(order)


@dataclass
class Agent:
    """A program that pays for briefs. ``paid`` were answered, of ``lost`` it does not know."""

    client: Client
    paid: int = 0
    lost: int = 0

    async def ask(self, over: asyncio.Event) -> None:
        """A brief after another, each a call of its own."""
        while not over.is_set():
            try:
                code, _ = await self.client.ask("POST", "/v1/brief", {"ticker": TICKER, "timeframe": "1h"})
                self.paid += code == 200
                self.lost += code in (
                    502,
                    503,
                    504,
                )  # refused, or no longer heard of: not more than once charged
            except _LOST:
                self.lost += 1
            await asyncio.sleep(BRIEF_EVERY_S)
