"""Beyond the contract, through the REST API: dry runs, trailing stops, linked orders, netting, limits, kill
switches, simulated fills and notes."""

from __future__ import annotations

from typing import Any

from tests.house import House
from tests.integration.trading.floor_client import (
    OPEN,
    PENDING,
    Staff,
    Trader,
    trader_of,
)

ORDER = {"cmd": 0, "volume": 100, "symbol": "EURUSD", "sl": 0, "tp": 0}


async def test_a_dry_run_says_what_the_order_then_does_and_does_nothing(staff: Staff, trader: Trader) -> None:
    before = await trader.trades()
    found = await trader.call("POST", "/trade/check", ORDER)
    assert (found["accepted"], found["price"], found["margin"]) == (True, 1.1001, 1100.05)
    assert await trader.trades() == before
    await trader.open()
    numbers = await trader.balance()
    assert (found["equity"], found["margin_free"]) == (numbers["equity"], numbers["margin_free"])
    assert 1.0 < found["stop_price"] < 1.1
    refused = await trader.call("POST", "/trade/check", {**ORDER, "volume": 10_000})
    assert (refused["accepted"], refused["error"]) == (False, "RET_TRADE_NO_MONEY")


async def test_a_trailing_stop_follows_the_price_and_survives_a_restart(
    broker: House, staff: Staff, trader: Trader
) -> None:
    order = await trader.open()
    ack = await trader.call("PUT", "/trade/trail", {"order": order, "distance": 0.002})
    assert (ack["state"], ack["order"]) == (14, order)
    assert (await trader.trade(order))["sl"] == 1.098
    await broker.end("trading-0")
    await broker.start("trading", SERVICES="auth,market,trading,gateway")
    await staff.quote(1.105, 1.1051)
    await trader.becomes(order, sl=1.103)
    await staff.quote(1.1025, 1.1026)
    await trader.becomes(order, state=3, close_price=1.1025, comment="[sl]")


async def test_of_linked_orders_one_cancels_the_other(staff: Staff, trader: Trader) -> None:
    parts = [
        {"cmd": 2, "volume": 10, "symbol": "EURUSD", "open_price": 1.09},
        {"cmd": 4, "volume": 10, "symbol": "EURUSD", "open_price": 1.11},
    ]
    answer = await trader.call("POST", "/trade/open/linked", {"then": parts, "one_cancels_other": 1})
    low, high = (ack["order"] for ack in answer["rows"])
    await staff.quote(1.12, 1.1201)
    await trader.becomes(high, cmd=0, state=0)
    assert set(await trader.trades(OPEN)) == {high}
    assert (await trader.trade(low))["state"] == 6
    await trader.refused("POST", "/trade/open/linked", {"then": parts[:1]}, 400, "INVALID_DATA")


async def test_a_bracket_holds_its_orders_until_the_first_is_filled(staff: Staff, trader: Trader) -> None:
    asked = {
        "first": {"cmd": 2, "volume": 10, "symbol": "EURUSD", "open_price": 1.09},
        "then": [{"cmd": 3, "volume": 10, "symbol": "EURUSD", "open_price": 1.2}],
    }
    rows = (await trader.call("POST", "/trade/open/linked", asked))["rows"]
    first, held = (ack["order"] for ack in rows)
    await trader.call("DELETE", "/trade/cancel", {"order": first})
    assert set(await trader.trades(PENDING)) == set()
    assert (await trader.trade(held))["comment"] == "[linked]"


async def test_a_group_with_netting_keeps_one_position(staff: Staff, trader: Trader) -> None:
    await staff.group("net", currency="USD", netting=1)
    await staff.call("PUT", f"/admin/users/{trader.login}", {"group": "net"})
    if (await trader.ask("GET", "/account/balance"))[0] == 401:
        await trader.sign_in(trader.login, "correct horse")
    await trader.open(0, 30)
    await trader.open(1, 50)
    [left] = (await trader.trades(OPEN)).values()
    assert (left["cmd"], left["volume"]) == (1, 20)


async def test_limits_hold_back_what_opens_only(staff: Staff, trader: Trader) -> None:
    view = await trader.call("PUT", "/account/limits", {"max_open_volume": 50, "max_orders_per_minute": 3})
    assert (view["max_open_volume"], view["max_orders_per_minute"], view["max_daily_loss"]) == (50, 3, 0.0)
    first = await trader.open(0, 30)
    await trader.refused("POST", "/trade/open", {**ORDER, "volume": 30}, 409, "RET_TRADE_LIMIT_REACHED")
    await trader.open(0, 20)
    await trader.call("DELETE", "/trade/close", {"order": first})
    await trader.open(0, 1)
    await trader.refused("POST", "/trade/open", {**ORDER, "volume": 1}, 429, "RET_TRADE_TOO_MANY_REQ")
    await trader.call("PUT", "/account/limits", {"max_orders_per_minute": 0})
    await trader.open(0, 1)
    wrong: tuple[dict[str, Any], ...] = ({"max_daily_loss": -1}, {"fill_profile": "nope"})
    for body in wrong:
        await trader.refused("PUT", "/account/limits", body, 400, "INVALID_DATA")


async def test_a_kill_switch_stops_openings_until_who_pulled_it_lets_go(staff: Staff, trader: Trader) -> None:
    order = await trader.open()
    halted = await trader.call("PUT", "/account/halt", {"on": 1, "flatten": 1})
    assert (halted["halted"], halted["matched"], halted["failed"]) == (1, 1, 0)
    assert (await trader.trade(order))["state"] == 3
    assert (await trader.ask("POST", "/trade/open", ORDER))[0] == 403
    await staff.call("PUT", f"/admin/users/{trader.login}/halt", {"on": 1})
    await trader.refused("PUT", "/account/halt", {"on": 0}, 403, "RET_NOT_ENOUGH_RIGHTS")
    await staff.call("PUT", f"/admin/users/{trader.login}/halt", {"on": 0})
    await trader.open()


async def test_the_house_stops_everybody_and_flattens(broker: House, staff: Staff, trader: Trader) -> None:
    order = await trader.open()
    async with trader_of(broker) as other:
        waiting = await other.pending(2, 1.0)
        answer = await staff.call("PUT", "/admin/halt", {"on": 1, "flatten": 1})
        assert answer["halted"] is True
        assert answer["flattened"] >= 2
        assert (await trader.trade(order))["state"] == 3
        assert (await other.trade(waiting))["state"] == 6
        for client in (trader, other):
            assert (await client.ask("POST", "/trade/open", ORDER))[0] == 403
        await broker.end("trading-0")
        await broker.start("trading", SERVICES="auth,market,trading,gateway")
        assert (await trader.ask("POST", "/trade/open", ORDER))[0] == 403
        assert await staff.call("PUT", "/admin/halt", {"on": 0}) == {
            "halted": False,
            "flattened": 0,
            "failed": 0,
        }
        await trader.open()


async def test_simulated_fills_are_kept_with_their_orders(staff: Staff, trader: Trader) -> None:
    plain = await trader.open(volume=1)
    view = await trader.call("PUT", "/account/limits", {"fill_profile": "direct"})
    assert view["fill_profiles"] == ["direct", "retail", "slow", "storm"]
    checked = await trader.call("POST", "/trade/check", {**ORDER, "volume": 10})
    told = {
        k: checked[k] for k in ("fill_profile", "worst_price", "may_be_partial", "may_be_rejected", "venue")
    }
    assert told == {
        "fill_profile": "direct",
        "worst_price": 1.10011,  # 60 ms at 20 points a second
        "may_be_partial": False,
        "may_be_rejected": False,
        "venue": "paper",
    }
    order = await trader.open(volume=10)
    table = await trader.call("GET", f"/trade/fills?order={order}")
    [fill] = [dict(zip(table["structure"], row, strict=True)) for row in table["rows"]]
    assert (fill["profile"], fill["deal"], fill["asked_volume"], fill["rejected"]) == (
        "direct",
        "open",
        10,
        0,
    )
    assert 20 <= fill["latency_ms"] <= 60
    assert (await trader.trade(order))["open_price"] == fill["price"] <= checked["worst_price"]
    assert (await trader.call("GET", f"/trade/fills?order={plain}"))["rows"] == []


async def test_notes_belong_to_their_order_and_owner(broker: House, staff: Staff, trader: Trader) -> None:
    order = await trader.open()
    assert await trader.call("PUT", "/trade/note", {"order": order, "note": "why not"}) == {"data": "OK"}
    table = await trader.call("GET", "/trade/notes")
    assert table["structure"] == ["order", "note", "updated_time"]
    assert [row[:2] for row in table["rows"]] == [[order, "why not"]]
    async with trader_of(broker) as other:
        foreign = {"order": order, "note": "mine"}
        await other.refused("PUT", "/trade/note", foreign, 403, "PERMISSION_DENIED")
        assert (await other.call("GET", f"/trade/notes?order={order}"))["rows"] == []
    await trader.refused("PUT", "/trade/note", {"order": 2**50, "note": "x"}, 404, "RET_NOT_FOUND")
    await trader.call("PUT", "/trade/note", {"order": order, "note": ""})
    assert (await trader.call("GET", "/trade/notes"))["rows"] == []
