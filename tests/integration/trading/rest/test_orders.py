"""Orders through the REST API: acks, lists, refusals and frames, on every server there is."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from tests.conftest import wait_until
from tests.house import House
from tests.integration.trading.floor_client import (
    CLOSED,
    FINANCE,
    OPEN,
    PENDING,
    STRUCTURE,
    Staff,
    Trader,
    heard,
    in_turn,
    listening,
    told_balance,
    trader_of,
)


async def test_a_position_opens_shows_and_closes_with_its_frames(staff: Staff, trader: Trader) -> None:
    async with listening(trader) as stream:
        body = {"login": trader.login, "cmd": 0, "volume": 100, "symbol": "EURUSD", "sl": 1.09, "tp": 1.12}
        ack = await trader.call("POST", "/trade/open", body)
        order = ack["order"]
        assert ack == {
            "accepted": True,
            "order": order,
            "state": 1,
            "login": trader.login,
            "symbol": "EURUSD",
            "cmd": 0,
            "volume": 100,
        }
        row = (await trader.trades(OPEN))[order]
        assert (row["open_price"], row["close_price"], row["sl"], row["tp"]) == (1.1001, 1.1, 1.09, 1.12)
        assert (row["state"], row["profit"], row["net_profit"], row["close_time"]) == (0, -10.0, -10.0, 0)
        numbers = await trader.balance()
        assert (numbers["margin"], numbers["equity"], numbers["profit"]) == (1100.05, 9990.0, -10.0)
        assert numbers["margin_free"] == 8889.95
        closed = await trader.call("DELETE", "/trade/close", {"order": order, "comment": "enough"})
        assert closed == {**ack, "state": 7, "volume": 0, "close_volume": 100}
        row = (await trader.trades(CLOSED))[order]
        assert (row["state"], row["profit"], row["close_price"], row["comment"]) == (3, -10.0, 1.1, "enough")
        assert (await trader.balance())["balance"] == 9990.0
        frames = await heard(stream, "o", 2, order=order)
        assert [(f[12], f[17]) for f in frames] == [(0, 0), (3, 6)]
        assert frames[0][10:12] == [1.12, 1.09]
        assert frames[1][9] > 0
        await told_balance(stream, 9990.0)


async def test_finance_rows_are_listed_apart(staff: Staff, trader: Trader) -> None:
    rows = await trader.trades(FINANCE)
    assert [(r["cmd"], r["state"], r["profit"], r["symbol"]) for r in rows.values()] == [(6, 3, 10_000.0, "")]
    assert await trader.trades(PENDING) == {}


async def test_a_partial_close_leaves_the_rest_under_a_new_order(staff: Staff, trader: Trader) -> None:
    async with listening(trader) as stream:
        order = await trader.open(volume=100, comment="mine")
        await staff.quote(1.101, 1.1011)
        ack = await trader.call("DELETE", f"/trade/close?order={order}&volume=30")
        assert (ack["state"], ack["volume"], ack["close_volume"]) == (7, 70, 30)
        trades = await trader.trades()
        part = trades[order]
        rest = next(row for row in trades.values() if row["comment"] == f"from #{order}")
        assert (part["state"], part["volume"], part["profit"], part["comment"]) == (4, 30, 27.0, "mine")
        assert (rest["state"], rest["volume"], rest["open_price"]) == (0, 70, 1.1001)
        await heard(stream, "o", 2, order=order)
        await heard(stream, "o", 1, order=rest["order"])
        frames = [f for f in stream.others if f[0] == "o" and f[1] in (order, rest["order"]) and f[17] != 1]
        assert [(f[1], f[12], f[17]) for f in frames] == [(order, 0, 0), (order, 4, 6), (rest["order"], 0, 0)]
    await trader.refused(
        "DELETE", "/trade/close", {"order": rest["order"], "volume": 71}, 400, "RET_TRADE_BAD_VOLUME"
    )


async def test_close_by_nets_two_positions(staff: Staff, trader: Trader) -> None:
    buy, sell = await trader.open(0, 100), await trader.open(1, 60)
    batch = await trader.call("DELETE", "/trade/close/by", {"order": buy, "order_by": sell})
    assert [(a["order"], a["state"], a["volume"], a["close_volume"]) for a in batch["rows"]] == [
        (buy, 7, 40, 60),
        (sell, 7, 0, 60),
    ]
    assert {k: batch[k] for k in ("matched", "closed", "failed", "failures")} == {
        "matched": 2,
        "closed": 2,
        "failed": 0,
        "failures": [],
    }
    trades = await trader.trades()
    assert (trades[buy]["state"], trades[buy]["close_price"], trades[buy]["profit"]) == (5, 1.1, -6.0)
    assert (trades[sell]["state"], trades[sell]["close_price"], trades[sell]["profit"]) == (5, 1.1, 0.0)
    [rest] = (await trader.trades(OPEN)).values()
    assert (rest["volume"], rest["comment"]) == (40, f"from #{buy}")
    again = {"order": rest["order"], "order_by": rest["order"]}
    await trader.refused("DELETE", "/trade/close/by", again, 400, "RET_TRADE_INCORRECT_ORDER")


async def test_a_group_close_counts_what_it_closed(staff: Staff, trader: Trader) -> None:
    await trader.refused("DELETE", "/trade/close/group", {"type": 0}, 404, "RET_NOT_FOUND")
    await staff.quote(150.0, 150.01, "USDJPY")
    winner = await trader.open(0, 10)
    await staff.quote(1.102, 1.1021)
    loser, other = await trader.open(0, 10), await trader.open(1, 1, "USDJPY")
    batch = await trader.call("DELETE", "/trade/close/group", {"type": 1})
    assert [a["order"] for a in batch["rows"]] == [winner]
    await staff.symbol("USDJPY", trade=0)
    status, batch = await trader.ask("DELETE", "/trade/close/group", {"type": 0, "comment": "all"})
    assert (status, batch["closed"], batch["failed"], batch["matched"]) == (207, 1, 1, 2)
    assert batch["failures"] == [
        {"order": other, "error": "RET_TRADE_DISABLE", "message": batch["failures"][0]["message"]}
    ]
    status, batch = await trader.ask("DELETE", "/trade/close/group", {"type": 0})
    assert (status, batch["closed"], batch["error"]) == (409, 0, "RET_TRADE_DISABLE")
    await staff.symbol("USDJPY", trade=2)
    assert (await trader.trade(loser))["comment"] == "GROUP_CLOSE"


async def test_pending_orders_are_placed_changed_filled_and_cancelled(staff: Staff, trader: Trader) -> None:
    async with listening(trader) as stream:
        limit = await trader.pending(2, 1.09, sl=1.08, tp=1.11)
        ack = await trader.call("PUT", "/trade/modify/pending", {"order": limit, "open_price": 1.095})
        assert (ack["state"], ack["cmd"], ack["order"]) == (16, 2, limit)
        row = (await trader.trades(PENDING))[limit]
        assert (row["open_price"], row["sl"], row["tp"], row["profit"]) == (1.095, 1.08, 1.11, 0.0)
        await staff.quote(1.0948, 1.0949)
        frames = await heard(stream, "o", 3, order=limit)
        assert [(f[4], f[12], f[17]) for f in frames] == [(2, 0, 0), (2, 0, 1), (0, 0, 5)]
        assert (await trader.trades(OPEN))[limit]["open_price"] == 1.0949
        stop = await trader.pending(5, 1.05)
        gone = await trader.call("DELETE", "/trade/cancel", {"order": stop})
        assert (gone["state"], gone["order"], gone["cmd"]) == (9, stop, 5)
        assert (await trader.trades(CLOSED))[stop]["state"] == 6
        frames = await heard(stream, "o", 2, order=stop)
        assert [(f[12], f[17]) for f in frames] == [(0, 0), (6, 2)]
    orders = [await trader.pending(2, 1.0), await trader.pending(4, 1.2)]
    batch = await trader.call("DELETE", "/trade/cancel/group", {"symbol": "EURUSD"})
    assert ([a["order"] for a in batch["rows"]], batch["cancelled"], batch["failed"]) == (orders, 2, 0)
    assert [a["state"] for a in batch["rows"]] == [9, 9]
    await trader.refused("DELETE", "/trade/cancel/group", {}, 404, "RET_NOT_FOUND")


async def test_stop_loss_and_take_profit_close_at_the_first_price_beyond(
    staff: Staff, trader: Trader
) -> None:
    async with listening(trader) as stream:
        order = await trader.open(0, 100)
        ack = await trader.call("PUT", "/trade/modify/open", {"order": order, "sl": 1.095})
        assert (ack["state"], ack["volume"]) == (14, 100)
        await trader.call("PUT", "/trade/modify", {"order": order, "sl": 1.096, "tp": 1.2})
        await staff.quote(1.09, 1.0901)
        frames = await heard(stream, "o", 4, order=order)
        assert [(f[12], f[17]) for f in frames] == [(0, 0), (0, 1), (0, 1), (3, 6)]
        row = (await trader.trades(CLOSED))[order]
        assert (row["close_price"], row["comment"], row["profit"]) == (1.09, "[sl]", -1010.0)
        order = await trader.open(1, 10, tp=1.08)
        await staff.quote(1.07, 1.0701)
        await trader.becomes(order, state=3, close_price=1.0701, comment="[tp]")


async def test_a_margin_call_and_a_stop_out_are_told_and_close_the_worst(
    staff: Staff, trader: Trader
) -> None:
    async with listening(trader) as stream:
        small, large = await trader.open(0, 100), await trader.open(0, 700)
        await staff.quote(1.0976, 1.0977)
        await wait_until(lambda: [f for f in stream.balances if f[8] == 1])
        await staff.quote(1.091, 1.0911)
        await trader.becomes(large, state=3)
        trades = await trader.trades()
        assert trades[large]["state"] == 3
        assert trades[large]["comment"].startswith("so: ")
        assert trades[small]["state"] == 0
        assert (await trader.balance())["level_type"] == 0


async def test_refusals_of_orders_name_what_is_wrong(staff: Staff, trader: Trader) -> None:
    asked = {"cmd": 0, "volume": 100, "symbol": "EURUSD", "sl": 0, "tp": 0}
    for wrong, status, code in (
        ({"symbol": "NOPE"}, 404, "RET_SYMBOL_NOT_FOUND"),
        ({"cmd": 2}, 400, "RET_TRADE_INCORRECT_CMD"),
        ({"volume": 0}, 400, "INVALID_DATA"),
        ({"volume": 200_000}, 400, "RET_TRADE_BAD_VOLUME"),
        ({"volume": 10_000}, 409, "RET_TRADE_NO_MONEY"),
        ({"sl": 1.2}, 400, "RET_TRADE_INVALID_SL_TP"),
        ({"symbol": "GBPUSD"}, 500, "RET_TRADE_OFFQUOTES"),
        ({"login": 1}, 403, "PERMISSION_DENIED"),
    ):
        await trader.refused("POST", "/trade/open", {**asked, **wrong}, status, code)
    placed = {**asked, "cmd": 2, "open_price": 1.05}
    for wrong, status, code in (
        ({"cmd": 0}, 400, "RET_TRADE_INCORRECT_CMD"),
        ({"open_price": 1.2}, 400, "RET_TRADE_BAD_PRICES"),
        ({"sl": 1.06}, 400, "RET_TRADE_INVALID_SL_TP"),
        ({"expiration": 1000}, 400, "INVALID_DATA"),
    ):
        await trader.refused("POST", "/trade/open/pending", {**placed, **wrong}, status, code)
    assert await trader.trades(OPEN) == await trader.trades(PENDING) == {}


async def test_orders_that_are_not_ones_own_or_not_there(broker: House, staff: Staff, trader: Trader) -> None:
    position, waiting = await trader.open(), await trader.pending(2, 1.0)
    over = await trader.open(volume=1)
    await trader.call("DELETE", "/trade/close", {"order": over})
    async with trader_of(broker) as other:
        for order in (position, waiting, over):
            await other.refused("DELETE", "/trade/close", {"order": order}, 403, "PERMISSION_DENIED")
            await other.refused("DELETE", "/trade/cancel", {"order": order}, 403, "PERMISSION_DENIED")
            foreign = {"order": order, "sl": 1.0}
            await other.refused("PUT", "/trade/modify/open", foreign, 403, "MODIFY_TRADE_ERROR")
            await other.refused("PUT", "/trade/modify/pending", foreign, 403, "MODIFY_TRADE_ERROR")
    for path in ("/trade/close", "/trade/cancel"):
        await trader.refused("DELETE", path, {"order": 2**50}, 404, "RET_NOT_FOUND")
        await trader.refused("DELETE", path, {"order": over}, 400, "RET_TRADE_INCORRECT_STATE")
    await trader.refused("DELETE", "/trade/cancel", {"order": position}, 400, "RET_TRADE_INCORRECT_CMD")
    await trader.refused("DELETE", "/trade/close", {"order": waiting}, 400, "RET_TRADE_INCORRECT_CMD")
    await trader.refused("PUT", "/trade/modify/open", {"order": position}, 400, "INVALID_DATA")


async def test_a_client_order_id_makes_an_order_happen_once(staff: Staff, trader: Trader) -> None:
    body = {"cmd": 0, "volume": 10, "symbol": "EURUSD", "sl": 0, "tp": 0, "client_order_id": "mine-1"}
    answers = await in_turn(*(trader.call("POST", "/trade/open", body) for _ in range(8)))
    assert all(answer == answers[0] for answer in answers)
    assert len(await trader.trades(OPEN)) == 1
    await trader.refused("POST", "/trade/open", {**body, "volume": 20}, 422, "IDEMPOTENCY_MISMATCH")


async def test_an_account_that_is_disabled_or_may_only_look_trades_no_more(
    broker: House, staff: Staff, trader: Trader
) -> None:
    order = await trader.open()
    closing = {"order": order}
    await staff.call("PUT", f"/admin/users/{trader.login}", {"enable_read_only": 1})
    if (await trader.ask("DELETE", "/trade/close", closing))[
        0
    ] == 401:  # what the old token says is no longer so
        await trader.sign_in(trader.login, "correct horse")
    await trader.refused("DELETE", "/trade/close", closing, 403, "RET_TRADE_READ_ONLY")
    await staff.call("PUT", f"/admin/users/{trader.login}", {"enable_read_only": 0})
    await trader.sign_in(trader.login, "correct horse")
    await trader.call("DELETE", "/trade/close", closing)


async def test_what_staff_changes_is_in_force_for_the_next_order(staff: Staff, trader: Trader) -> None:
    asked = {"cmd": 0, "volume": 10, "symbol": "XYZUSD", "sl": 0, "tp": 0}
    await trader.refused("POST", "/trade/open", asked, 404, "RET_SYMBOL_NOT_FOUND")
    await staff.symbol("XYZUSD", digits=2, contract_size=10, lot_min=10, lot_step=10)
    await trader.refused("POST", "/trade/open", asked, 500, "RET_TRADE_OFFQUOTES")
    await staff.quote(10.0, 10.02, "XYZUSD")
    await trader.refused("POST", "/trade/open", {**asked, "volume": 15}, 400, "RET_TRADE_BAD_VOLUME")
    order = await trader.open(0, 10, "xyzusd")
    assert (await trader.trade(order))["symbol"] == "XYZUSD"
    await staff.symbol("XYZUSD", sessions=[{"trade": []}] * 7)
    await trader.refused("DELETE", "/trade/close", {"order": order}, 423, "RET_TRADE_MARKET_CLOSED")
    await staff.symbol("XYZUSD", sessions=None, trade=1)
    await trader.refused("POST", "/trade/open", asked, 403, "RET_TRADE_DISABLE")
    await trader.call("DELETE", "/trade/close", {"order": order})


async def test_the_account_page_has_its_fields_in_order(staff: Staff, trader: Trader) -> None:
    await trader.open(0, 10)
    me = await trader.call("GET", "/account/me")
    assert " ".join(me) == (
        "id login currency group comment enable enable_read_only enable_change_password leverage avatar email"
        " name phone address city country zipcode regdate prevbalance prevmonthbalance balance storage"
        " commission credit margin margin_free margin_level equity profit level_type"
    )
    assert (me["id"], me["group"], me["leverage"], me["balance"], me["equity"]) == (
        trader.login,
        "demo",
        100,
        10_000.0,
        9_999.0,
    )
    assert (me["name"], me["prevbalance"]) == ("Ada Stranger", 0.0)
    listed = await staff.call("GET", "/balances/list", {"logins": [trader.login, trader.login]})
    assert len(listed["rows"]) == 2
    assert " ".join(listed["rows"][0]) == (
        "balance credit profit commission storage margin margin_free margin_level equity level_type login"
    )
    assert listed["rows"][0]["equity"] == 9_999.0


async def test_the_list_filters_counts_and_pages(staff: Staff, trader: Trader) -> None:
    orders = [await trader.open(0, volume) for volume in (10, 20, 30, 40)]
    for order in orders[:2]:
        await trader.call("DELETE", "/trade/close", {"order": order, "comment": f"c{order}"})
    waiting = await trader.pending(2, 1.0)
    everything = await trader.trades()
    assert list(everything) == sorted(everything, reverse=True)
    assert set(orders) | {waiting} < set(everything)
    found = await trader.call("GET", "/trades?where=" + quote('[["volume",20],["symbol","EURUSD"]]'))
    assert [row[0] for row in found["rows"]] == [orders[1]]
    first = await trader.call("GET", "/trades?tradeType=0&limit=3&offset=1")
    assert [row[0] for row in first["rows"]] == list(everything)[1:4]
    assert first["count"] == len(everything)
    assert first["total_volume"] == 10 + 20 + 30 + 40 + 100
    assert first["total_net_profit"] == round(sum(r["net_profit"] for r in everything.values()), 2)
    cases: list[tuple[dict[str, Any], set[int]]] = [
        ({"where": [["volume", 20]]}, {orders[1]}),
        ({"whereIn": [["order", [orders[0], orders[3]]]]}, {orders[0], orders[3]}),
        ({"whereBetween": [["volume", [20, 30]]]}, {orders[1], orders[2]}),
        ({"whereNotBetween": [["volume", [20, 100]]], "whereNot": [["volume", 0]]}, {orders[0]}),
        ({"where": [["comment", f"c{orders[0]}"]]}, {orders[0]}),
        ({"whereBetween": [["net_profit", [-1.0, -1.0]]]}, {orders[0]}),
        ({"whereNotIn": [["symbol", ["EURUSD"]]]}, set(everything) - set(orders) - {waiting}),
        ({"where": [["open_price", 1.1001], ["state", 3]]}, set(orders[:2])),
    ]
    for query, expected in cases:
        assert set(await trader.trades(**query)) == expected, query
    for wrong in (
        {"where": [["password", 1]]},
        {"where": [["volume", "20"]]},
        {"whereIn": [["volume", 20]]},
        {"whereBetween": [["volume", [1]]]},
        {"whereBetween": [["symbol", ["A", "Z"]]]},
        {"where": [["volume", True]]},
        {"limit": 1001},
        {"offset": -1},
        {"tradeType": 5},
    ):
        await trader.refused("GET", "/trades", wrong, 400, "INVALID_DATA")


async def test_the_history_shows_what_closed_in_its_time(staff: Staff, trader: Trader) -> None:
    order = await trader.open(0, 10)
    await trader.call("DELETE", "/trade/close", {"order": order})
    closed = (await trader.trade(order))["close_time"]
    table = await trader.call("GET", f"/trades/history/login?from={closed}&to={closed}")
    assert table["structure"] == [name for name in STRUCTURE if name != "net_profit"]
    assert list(table) == ["structure", "rows"]
    assert order in [row[0] for row in table["rows"]]
    before = await staff.call("GET", f"/trades/history/login?login={trader.login}&from=0&to={closed - 100}")
    assert before["rows"] == []
    await trader.refused("GET", "/trades/history/login?from=5&to=4", None, 400, "INVALID_DATA")
