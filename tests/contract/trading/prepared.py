"""What has to be there before a call about an order can be good: a position, a pending or a closed order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from tests.contract.trading.samples import TRADING

Prepare = Callable[[Any, Any], Awaitable[tuple[str, Any]]]
Make = Callable[[Any], Awaitable[int]]


async def position(cast: Any, cmd: int = 0) -> int:
    """An open position of the owner."""
    quote = {"symbol": "EURUSD", "bid": 1.1, "ask": 1.1001}
    await cast.callers["admin"].done("POST", "/admin/quotes", {"quotes": [quote]})
    _, body = TRADING["POST /trade/open"]
    asked = {**(body or {}), "login": cast.owner.login, "cmd": cmd, "volume": 1}
    return int((await cast.owner.done("POST", "/trade/open", asked))["order"])


async def pending(cast: Any) -> int:
    """A pending order of the owner."""
    await cast.owner.done("DELETE", "/trade/close", {"order": await position(cast)})
    _, body = TRADING["POST /trade/open/pending"]
    asked = {**(body or {}), "login": cast.owner.login, "volume": 1}
    return int((await cast.owner.done("POST", "/trade/open/pending", asked))["order"])


async def closed(cast: Any) -> int:
    """An order that was closed."""
    order = await position(cast)
    await cast.owner.done("DELETE", "/trade/close", {"order": order})
    return order


async def quoted(cast: Any) -> int:
    """Only a price, and what a group operation would meet."""
    return await pending(cast)


def _about(name: str, make: Make) -> Prepare:
    async def prepare(cast: Any, caller: Any) -> tuple[str, Any]:
        path, body = TRADING[name]
        own = {"login": cast.owner.login}
        order = await make(cast)
        if body is not None and "order" in body:
            own["order"] = order
        if body is not None and "order_by" in body:
            own["order_by"] = await position(cast, cmd=1)
        return path, {**(body or {}), **own}

    return prepare


async def _credit_out(cast: Any, caller: Any) -> tuple[str, Any]:
    own = {"login": cast.owner.login}
    await cast.callers["admin"].done("POST", "/admin/credit/in", {**own, "amount": 5})
    path, body = TRADING["POST /admin/credit/out"]
    return path, {**(body or {}), **own}


async def _balances(cast: Any, caller: Any) -> tuple[str, Any]:
    return "/balances/list", {"logins": [cast.owner.login]}


_NEEDED: dict[str, Make] = {
    "POST /trade/open": quoted,
    "POST /trade/open/pending": quoted,
    "DELETE /trade/close": position,
    "DELETE /trade/close/by": position,
    "DELETE /trade/close/group": position,
    "DELETE /trade/cancel": pending,
    "DELETE /trade/cancel/group": pending,
    "PUT /trade/modify": position,
    "PUT /trade/modify/open": position,
    "PUT /trade/modify/pending": pending,
    "POST /trade/check": quoted,
    "PUT /trade/trail": position,
    "POST /trade/open/linked": quoted,
    "PUT /trade/note": position,
    "POST /admin/trade/open": quoted,
    "POST /admin/trade/open/sync": quoted,
    "POST /admin/trade/close": position,
    "POST /admin/trade/close/sync": position,
    "PUT /admin/trade": position,
    "PUT /admin/trade/sync": closed,
    "PUT /admin/trade/open": position,
    "PUT /admin/trade/open/sync": position,
    "PUT /admin/trade/close": closed,
    "PUT /admin/trade/close/sync": closed,
    "PUT /admin/trade/pending": pending,
    "PUT /admin/trade/pending/sync": pending,
}
PREPARED_ORDERS: dict[str, Prepare] = {
    **{name: _about(name, make) for name, make in _NEEDED.items()},
    "POST /admin/credit/out": _credit_out,
    "GET /balances/list": _balances,
}
