"""Orders through the REST API: acks, lists, refusals and frames, on every server there is."""

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
        balances = await heard(stream, "b", 2)
        assert balances[-1][2] == 9990.0


async def test_finance_rows_are_listed_apart(staff: Staff, trader: Trader) -> None:
    rows = await trader.trades(FINANCE)
    assert [(r["cmd"], r["state"], r["profit"], r["symbol"]) for r in rows.values()] == [(6, 3, 10_000.0, "")]
    assert await trader.trades(PENDING) == {}
