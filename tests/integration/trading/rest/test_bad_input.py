"""Bad input at every door of trading: each field of each endpoint out of range, of the wrong type, not a
number, huge, negative, foreign, missing. The answer is the contract's code, and nothing has changed."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.gateway.endpoints import trading, trading_extras, trading_staff
from services.gateway.endpoints.row import Endpoint
from tests.contract.trading.samples import TRADING
from tests.house import House
from tests.integration.trading.floor_client import Staff, Trader

ROWS = {row.name: row for row in (*trading.ROWS, *trading_extras.ROWS, *trading_staff.ROWS)}
NUMBERS = {
    "login": "login",
    "order": "order",
    "order_by": "order",
    "cmd": "int",
    "volume": "volume",
    "type": "int",
    "expiration": "time",
    "open_time": "time",
    "close_time": "time",
    "from": "time",
    "to": "time",
    "limit": "int",
    "offset": "int",
    "tradeType": "int",
    "on": "int",
    "flatten": "int",
    "one_cancels_other": "int",
    "max_open_volume": "limit",
    "max_orders_per_minute": "limit",
}
NOT_A_NUMBER: tuple[Any, ...] = ("1", "", True, [1], {"a": 1}, "NaN", "Infinity")
NOT_AN_INTEGER: tuple[Any, ...] = (*NOT_A_NUMBER, 1.5, 1e300)
NOT_A_TEXT: tuple[Any, ...] = (1, 1.5, True, ["x"], {"a": 1})
BAD: dict[str, tuple[Any, ...]] = {
    "login": (*NOT_AN_INTEGER, -1, 2**63, 2**53),
    "order": (*NOT_AN_INTEGER, -1, 2**63, 10**30),
    "int": (*NOT_AN_INTEGER, -(2**40), 2**63),
    "volume": (*NOT_AN_INTEGER, 0, -1, -(2**63), 10**30),
    "time": (*NOT_AN_INTEGER, -1, 2**62, 10**30),
    "price": (*NOT_A_NUMBER, -1, -0.00001, 1e16, 1e308, 10**400),
    "amount": (*NOT_A_NUMBER, 1e16, -1e16, 1e308, 0),
    "text": (*NOT_A_TEXT, "x" * 5000, "a\x00b"),
    "limit": (*NOT_AN_INTEGER, -1, 2**40),
    "parts": (1, "x", [], [1], [{}], [{"cmd": 2, "volume": 1, "symbol": "EURUSD"}], {"cmd": 2}),
    "conditions": (1, "x", [["order"]], [[1, 2, 3]], {"order": 1}, [["nope", 1]], [["order", None]]),
    "logins": (1, "x", [], ["a"], [-1], [1.5], [[1]], {"a": 1}),
}
PRICES = {"sl", "tp", "open_price", "close_price", "distance", "step", "max_daily_loss"}
AMOUNTS = {"amount", "commission", "storage", "profit"}
TEXTS = {"symbol", "comment", "client_order_id", "note", "fill_profile"}
REFUSALS = {"INVALID_DATA", "INVALID_LOGIN", "INVALID_USER", "PERMISSION_DENIED", "RET_TRADE_BAD_VOLUME"}
MISSING = object()  # the field is left out
AT_ONCE = 32  # requests under way
MONEY = ("/admin/balance", "/admin/credit")


def kind_of(field: str) -> str:
    """What a field takes."""
    if field in NUMBERS:
        return NUMBERS[field]
    if field in PRICES:
        return "price"
    if field in AMOUNTS:
        return "amount"
    if field in TEXTS:
        return "text"
    if field in ("first", "then"):
        return "parts"
    return "logins" if field == "logins" else "conditions"


def fields_of(row: Endpoint) -> list[str]:
    """The names of a request's fields, as clients write them."""
    return list(row.request.__struct_encode_fields__)


def cases() -> list[tuple[str, str, Any]]:
    """Every field of every endpoint with everything it does not take."""
    found = []
    for name, row in ROWS.items():
        for field in fields_of(row):
            for value in BAD[kind_of(field)]:
                if field == "amount" and value == 0 and not row.path.startswith(MONEY):
                    continue
                if field in AMOUNTS - {"amount"} and value == 0:
                    continue
                found.append((name, field, value))
        required = [f.encode_name for f in msgspec.structs.fields(row.request) if f.required]
        found += [(name, field, value) for field in required for value in (None, MISSING)]
        if row.surface == "admin" and "login" in fields_of(row):
            found += [(name, "login", None), (name, "login", MISSING)]
    return found


async def state_of(staff: Staff, trader: Trader) -> Any:
    """All that a client can see of its account."""
    return await trader.call("GET", "/trades", {"limit": 1000}), await trader.balance()


async def send(client: Trader | Staff, row: Endpoint, body: dict[str, Any]) -> tuple[int, Any]:
    """The body as JSON, whatever it holds."""
    path = TRADING[row.name][0].partition("?")[0]
    text = json.dumps(body)
    async with client._session.request(
        row.method,
        client._url + path,
        data=text.encode(),
        headers={"Authorization": client.token, "Content-Type": "application/json"},
    ) as response:
        return response.status, json.loads(await response.text())


def good(row: Endpoint, login: int, order: int) -> dict[str, Any]:
    """A request that is good but for one field."""
    path, body = TRADING[row.name]
    made = dict(body or {})
    for pair in path.partition("?")[2].split("&") if "?" in path else ():
        name, _, text = pair.partition("=")
        made[name] = text if name == "symbol" else float(text) if "." in text else int(text)
    if "login" in fields_of(row):
        made["login"] = login
    for name in ("order", "order_by"):
        if name in made:
            made[name] = order
    return made


@pytest.mark.timeout(120)
async def test_no_field_of_any_endpoint_takes_what_it_should_not(
    broker: House, staff: Staff, trader: Trader
) -> None:
    order = await trader.open(volume=1)
    before = await state_of(staff, trader)
    wrong = []

    async def check(name: str, field: str, value: Any) -> None:
        row = ROWS[name]
        client: Trader | Staff = staff if row.surface == "admin" or "login" not in fields_of(row) else trader
        body = {**good(row, trader.login, order), field: value}
        if value is MISSING:
            del body[field]
        status, answer = await send(client, row, body)
        if status not in (400, 403) or answer.get("error") not in REFUSALS:
            wrong.append((name, field, value, status, answer))

    every = cases()
    for start in range(0, len(every), AT_ONCE):
        await asyncio.gather(*(check(*case) for case in every[start : start + AT_ONCE]))
    assert wrong == []
    assert await state_of(staff, trader) == before


@pytest.mark.parametrize("text", [b"", b"[]", b"null", b"{", b"\xff", b'{"order":NaN}', b'{"order":1e999}'])
async def test_bodies_that_are_no_object_are_refused(staff: Staff, trader: Trader, text: bytes) -> None:
    for path, method in (("/trade/open", "POST"), ("/trade/close", "DELETE"), ("/trade/modify", "PUT")):
        async with trader._session.request(
            method,
            trader._url + path,
            data=text,
            headers={"Authorization": trader.token, "Content-Type": "application/json"},
        ) as response:
            assert (response.status, (await response.json())["error"]) == (400, "INVALID_DATA")


Anything = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False),
    st.text(max_size=8),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
PATHS = [row for row in trading.ROWS if row.surface == "broker" and "login" in fields_of(row)]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_whatever_is_sent_the_answer_is_a_documented_one(
    staff: Staff, trader: Trader, data: st.DataObject
) -> None:
    row = data.draw(st.sampled_from(PATHS))
    body = data.draw(
        st.fixed_dictionaries({}, optional={name: Anything for name in fields_of(row) if name != "login"})
    )
    before = (await trader.trades()).keys()
    status, answer = await send(trader, row, body)
    if status in (200, 207):
        return
    known = {"INVALID_DATA", "PERMISSION_DENIED", *row.errors}
    assert answer["error"] in known, (row.name, body, status, answer)
    assert status < 500 or answer["error"].startswith("RET_TRADE_"), (row.name, body, status, answer)
    assert (await trader.trades()).keys() == before
