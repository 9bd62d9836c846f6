"""Clients of a running house that trade: a staff session that makes prices, and accounts of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from tests.client import Client, Stream
from tests.conftest import wait_until
from tests.house import House

STRUCTURE = [
    "order",
    "login",
    "cmd",
    "state",
    "symbol",
    "reason",
    "volume",
    "open_time",
    "close_time",
    "open_price",
    "close_price",
    "sl",
    "tp",
    "profit",
    "net_profit",
    "commission",
    "storage",
    "comment",
    "digits",
    "expiration",
]
OPEN, CLOSED, PENDING, FINANCE = 1, 2, 3, 4


class Staff(Client):
    """Staff login 1."""

    async def enter(self) -> None:
        """Sign in."""
        await self.sign_in(1, "admin-password")

    async def quote(self, bid: float, ask: float, symbol: str = "EURUSD") -> None:
        """Make a price; trading has judged it when the next command of anybody is answered."""
        await self.call("POST", "/admin/quotes", {"quotes": [{"symbol": symbol, "bid": bid, "ask": ask}]})

    async def symbol(self, name: str, **fields: Any) -> None:
        """Make or change a symbol."""
        await self.call("PUT", f"/admin/symbols/{name}", fields)

    async def group(self, name: str, **fields: Any) -> None:
        """Make or change a group."""
        await self.call("PUT", f"/admin/groups/{name}", fields)


class Trader(Client):
    """An account of its own."""

    async def open(self, cmd: int = 0, volume: int = 100, symbol: str = "EURUSD", **over: Any) -> int:
        """A filled market order; its number."""
        body = {"login": self.login, "cmd": cmd, "volume": volume, "symbol": symbol, "sl": 0, "tp": 0}
        return int((await self.call("POST", "/trade/open", {**body, **over}))["order"])

    async def pending(
        self, cmd: int, price: float, volume: int = 100, symbol: str = "EURUSD", **over: Any
    ) -> int:
        """A pending order; its number."""
        body = {
            "login": self.login,
            "cmd": cmd,
            "volume": volume,
            "symbol": symbol,
            "open_price": price,
            "sl": 0,
            "tp": 0,
        }
        return int((await self.call("POST", "/trade/open/pending", {**body, **over}))["order"])

    async def trades(self, trade_type: int = 0, **query: Any) -> dict[int, dict[str, Any]]:
        """The list of trades by order number, newest first."""
        answer = await self.call("GET", "/trades", {"tradeType": trade_type, "limit": 1000, **query})
        assert answer["structure"] == STRUCTURE
        return {row[0]: dict(zip(STRUCTURE, row, strict=True)) for row in answer["rows"]}

    async def trade(self, order: int) -> dict[str, Any]:
        """One order."""
        return (await self.trades(where=[["order", order]]))[order]

    async def becomes(self, order: int, **fields: Any) -> dict[str, Any]:
        """Wait until an order has these fields; the order."""

        async def found() -> dict[str, Any] | None:
            row = await self.trade(order)
            return row if all(row[name] == value for name, value in fields.items()) else None

        await wait_until(found)
        return await self.trade(order)

    async def balance(self) -> dict[str, Any]:
        """The account's numbers."""
        answer: dict[str, Any] = await self.call("GET", "/account/balance")
        return answer

    async def refused(self, method: str, path: str, body: Any, status: int, code: str) -> None:
        """A call that must be refused like this."""
        got, answer = await self.ask(method, path, body)
        assert (got, answer.get("error")) == (status, code), f"{method} {path} {body}: {got} {answer}"


@asynccontextmanager
async def staff_of(house: House) -> AsyncIterator[Staff]:
    """A staff session on a house."""
    async with aiohttp.ClientSession() as session:
        staff = Staff(session, house.url)
        await staff.enter()
        yield staff


@asynccontextmanager
async def trader_of(house: House) -> AsyncIterator[Trader]:
    """A new account on a house."""
    async with aiohttp.ClientSession() as session:
        trader = Trader(session, house.url)
        await trader.sign_up()
        yield trader


@asynccontextmanager
async def listening(trader: Trader) -> AsyncIterator[Stream]:
    """The account's socket; trades and notifications land in ``others``."""
    async with trader.stream() as stream:
        yield stream


async def heard(stream: Stream, kind: str, count: int, *, order: int | None = None) -> list[list[Any]]:
    """At least so many frames of a kind, or of one order."""

    def frames() -> list[list[Any]]:
        source = stream.balances if kind == "b" else stream.others
        found = [f for f in source if isinstance(f, list) and f[0] == kind]
        return [f for f in found if order is None or f[1] == order]

    await wait_until(lambda: len(frames()) >= count)
    return frames()


async def told_balance(stream: Stream, balance: float) -> None:
    """Wait until the last ``b`` says so; one of a floating profit may come before it."""
    await wait_until(lambda: stream.balances and stream.balances[-1][2] == balance)


async def in_turn(*calls: Any) -> list[Any]:
    """All of them at once."""
    return list(await asyncio.gather(*calls))
