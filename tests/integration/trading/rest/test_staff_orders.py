"""What staff do for an account through the admin surface: money, orders, corrections, swaps."""

from __future__ import annotations

from tests.integration.trading.floor_client import (
    CLOSED,
    FINANCE,
    OPEN,
    PENDING,
    Staff,
    Trader,
    heard,
    listening,
    told_balance,
)


async def test_money_and_credit_go_in_and_out_with_their_frames(staff: Staff, trader: Trader) -> None:
    async with listening(trader) as stream:
        ack = await staff.call(
            "POST", "/admin/balance", {"login": trader.login, "cmd": 6, "amount": 100.5, "comment": "gift"}
        )
        order = ack["order"]
        assert ack == {
            "accepted": True,
            "order": order,
            "state": 10,
            "login": trader.login,
            "cmd": 6,
            "amount": 100.5,
        }
        [frame] = await heard(stream, "o", 1, order=order)
        assert (frame[4], frame[12], frame[15], frame[16], frame[17]) == (6, 3, 100.5, "gift", 0)
        await told_balance(stream, 10_100.5)
    money = {"login": trader.login}
    await staff.call("POST", "/admin/balance/out", {**money, "amount": -0.5})
    await staff.call("POST", "/admin/credit/in", {**money, "amount": 50, "comment": "bonus"})
    await staff.call("POST", "/admin/credit/out", {**money, "amount": -20, "comment": "back"})
    numbers = await trader.balance()
    assert (numbers["balance"], numbers["credit"], numbers["equity"]) == (10_100.0, 30.0, 10_130.0)
    rows = list((await trader.trades(FINANCE)).values())
    assert [(r["cmd"], r["profit"], r["comment"]) for r in rows] == [
        (9, -20.0, "back"),
        (7, 50.0, "bonus"),
        (8, -0.5, "Finance"),
        (6, 100.5, "gift"),
        (6, 10_000.0, "Default deposit"),
    ]


async def test_money_that_is_not_there_does_not_go_out(staff: Staff, trader: Trader) -> None:
    for body, status, code in (
        ({"cmd": 8, "amount": -10_001}, 409, "RET_TRADE_NO_MONEY"),
        ({"cmd": 9, "amount": -1}, 409, "RET_TRADE_NO_MONEY"),
        ({"cmd": 6, "amount": -1}, 400, "INVALID_DATA"),
        ({"cmd": 8, "amount": 1}, 400, "INVALID_DATA"),
        ({"cmd": 6, "amount": 0.001}, 400, "INVALID_DATA"),
        ({"cmd": 12, "amount": 1}, 400, "INVALID_DATA"),
    ):
        got, answer = await staff.ask("POST", "/admin/balance", {"login": trader.login, **body})
        assert (got, answer["error"]) == (status, code), body
    got, answer = await staff.ask("POST", "/admin/balance", {"cmd": 6, "amount": 1})
    assert (got, answer["error"]) == (400, "INVALID_LOGIN")
    assert (await trader.balance())["balance"] == 10_000.0


async def test_a_balance_operation_is_corrected_by_its_order(staff: Staff, trader: Trader) -> None:
    asked = {"login": trader.login, "amount": 70}
    order = (await staff.call("POST", "/admin/balance/in", asked))["order"]
    ack = await staff.call("POST", "/admin/balance/in", {**asked, "amount": 50, "order": order})
    assert (ack["order"], ack["state"], ack["amount"]) == (order, 11, 50.0)
    assert (await trader.balance())["balance"] == 10_050.0
    got, answer = await staff.ask("POST", "/admin/credit/in", {**asked, "order": order})
    assert (got, answer["error"]) == (400, "RET_TRADE_INCORRECT_CMD")


async def test_a_dealer_opens_and_closes_at_stated_prices(staff: Staff, trader: Trader) -> None:
    async with listening(trader) as stream:
        asked = {"login": trader.login, "cmd": 0, "volume": 100, "symbol": "EURUSD", "open_price": 1.05}
        record = await staff.call(
            "POST", "/admin/trade/open/sync", {**asked, "open_time": 1_700_000_000, "storage": -12}
        )
        order = record["order"]
        assert (record["open_price"], record["open_time"], record["state"], record["reason"]) == (
            1.05,
            1_700_000_000,
            0,
            2,
        )
        assert (await trader.trades(OPEN))[order]["profit"] == 5_000.0
        assert (await trader.trades(OPEN))[order]["net_profit"] == 4_988.0
        closing = {"login": trader.login, "order": order, "close_price": 1.06, "commission": -3.5}
        ack = await staff.call("POST", "/admin/trade/close", closing)
        assert (ack["state"], ack["close_volume"]) == (7, 100)
        row = (await trader.trades(CLOSED))[order]
        assert (row["profit"], row["commission"], row["net_profit"]) == (1_000.0, -3.5, 984.5)
        frames = await heard(stream, "o", 2, order=order)
        assert [(f[12], f[17]) for f in frames] == [(0, 0), (3, 6)]
    assert (await trader.balance())["balance"] == 10_984.5


async def test_a_record_tells_the_rates_of_its_profit_and_its_first_margin(
    staff: Staff, trader: Trader
) -> None:
    await staff.quote(150.0, 150.0, "USDJPY")
    asked = {"login": trader.login, "cmd": 0, "volume": 100, "symbol": "USDJPY"}
    opened = await staff.call("POST", "/admin/trade/open/sync", asked)
    assert opened["conv_rates"] == [round(1 / 150, 10), 0.0]
    assert opened["margin_initial"] == 1_000.0
    await staff.quote(160.0, 160.0, "USDJPY")
    closing = {"login": trader.login, "order": opened["order"]}
    closed = await staff.call("POST", "/admin/trade/close/sync", closing)
    assert closed["conv_rates"] == [opened["conv_rates"][0], 1 / 160]
    assert (closed["profit"], closed["margin_initial"]) == (6_250.0, 1_000.0)
    waiting = {**asked, "cmd": 2, "open_price": 100}
    assert (await staff.call("POST", "/admin/trade/open/sync", waiting))["conv_rates"] == [0.0, 0.0]


async def test_records_are_corrected_by_kind_and_the_difference_is_posted(
    staff: Staff, trader: Trader
) -> None:
    open_, waiting = await trader.open(), await trader.pending(2, 1.0)
    done = await trader.open(volume=10)
    await trader.call("DELETE", "/trade/close", {"order": done})
    balance = (await trader.balance())["balance"]
    own = {"login": trader.login}
    ack = await staff.call("PUT", "/admin/trade/open", {**own, "order": open_, "sl": 1.0, "comment": "seen"})
    assert ack["state"] == 14
    ack = await staff.call("PUT", "/admin/trade/pending", {**own, "order": waiting, "open_price": 0.9})
    assert ack["state"] == 16
    record = await staff.call("PUT", "/admin/trade/close/sync", {**own, "order": done, "profit": 25})
    assert (record["profit"], record["state"]) == (25.0, 3)
    assert (await trader.balance())["balance"] == balance + 26.0
    assert (await trader.trades(OPEN))[open_]["comment"] == "seen"
    assert (await trader.trades(PENDING))[waiting]["open_price"] == 0.9
    for path, order, status, code in (
        ("/admin/trade/open", done, 400, "RET_TRADE_INCORRECT_STATE"),
        ("/admin/trade/close", open_, 400, "RET_TRADE_INCORRECT_STATE"),
        ("/admin/trade/pending", open_, 400, "RET_TRADE_INCORRECT_CMD"),
        ("/admin/trade", 2**50, 404, "RET_NOT_FOUND"),
        ("/admin/trade", 10**18, 400, "INVALID_DATA"),
    ):
        got, answer = await staff.ask("PUT", path, {**own, "order": order, "comment": "x"})
        assert (got, answer["error"]) == (status, code), path


async def test_a_swap_is_calculated_without_an_order(staff: Staff, trader: Trader) -> None:
    await staff.symbol("SWPUSD", digits=5, swap_enable=1, swap_type=1, swap_long=-2.5, swap_daily=1)
    query = f"login={trader.login}&cmd=0&symbol=SWPUSD&volume=200&open_price=1.1&open_time=86400"
    assert await staff.call("GET", f"/admin/swap?{query}&close_time=345600") == {"swap": -15.0}
