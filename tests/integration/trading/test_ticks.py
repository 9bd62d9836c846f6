"""What quotes and the clock set off on the running desk, and what is told of it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

import orjson
import pytest
from msgspec.structs import replace

import services.trading.floating
from libs.common.bus import Entry
from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.errors import OutcomeUnknown
from libs.common.messages import trading_orders as m
from libs.common.messages.trading import AccountAsk
from libs.common.subjects import PUSH_STREAM, TRADING_NOTICE
from services.trading.refusals import NoMoney, OffQuotes
from tests.conftest import wait_until
from tests.integration.trading.stage import LOGIN, MarketStand, Stage


async def notices(stage: Stage, login: int = LOGIN) -> list[dict[str, Any]]:
    window = await stage.bus.history("TRADING", TRADING_NOTICE.at(login=login), 0, 100)
    return [orjson.loads(stored.payload) for stored in window.entries]


async def level(stage: Stage) -> int:
    return (await stage.service.account(AccountAsk(login=LOGIN))).level_type


async def test_a_margin_call_is_told_once_per_crossing_and_a_stop_out_closes(stage: Stage) -> None:
    await stage.account()
    order = await stage.buy(volume=800)
    for bid in (1.0986, 1.0985, 1.0984):
        await stage.quote("EURUSD", bid, bid + 0.0001)
    assert await level(stage) == 1
    await stage.quote("EURUSD", 1.1, 1.1001)
    assert await level(stage) == 0
    await stage.quote("EURUSD", 1.0925, 1.0926)
    row = (await stage.trades())[order]
    assert (row["state"], row["comment"][:4]) == (3, "so: ")
    await wait_until(lambda: at_least(stage, 3))
    told = await notices(stage)
    assert [n["token"] for n in told] == ["MARGIN_CALL", "MARGIN_CALL", "STOP_OUT"]
    assert [n["level"] for n in told] == [20, 20, 30]
    assert set(told[0]["data"]) == {"margin_level", "equity", "margin", "currency"}
    await stage.sound()


async def at_least(stage: Stage, count: int) -> bool:
    return len(await notices(stage)) >= count


async def test_a_pending_order_that_may_not_be_filled_is_rejected_aloud(stage: Stage) -> None:
    await stage.account()
    order = await stage.pending(2, 1.05)
    stage.market.groups["demo"] = replace(stage.market.groups["demo"], hedge_prohibited=1)
    await stage.desk.sync_market()
    await stage.sell()
    await stage.quote("EURUSD", 1.04, 1.0401)
    row = (await stage.trades())[order]
    assert (row["state"], row["comment"]) == (6, "[ACTIVATION_CANCEL: RET_TRADE_HEDGE_PROHIBITED]")
    await wait_until(lambda: at_least(stage, 1))
    [told] = await notices(stage)
    assert (told["token"], told["level"]) == ("TRADE_REJECTED", 30)
    assert told["data"] == {"order": order, "error": "RET_TRADE_HEDGE_PROHIBITED"}


async def test_a_pending_order_without_money_waits_and_is_filled_when_there_is_some(stage: Stage) -> None:
    await stage.account()
    order = await stage.pending(2, 1.05, volume=2_000)
    await stage.quote("EURUSD", 1.04, 1.0401)
    assert (await stage.trades())[order]["cmd"] == 2
    await stage.dealing.change_balance(m.BalanceChange(login=LOGIN, cmd=6, amount=90_000.0))
    await stage.quote("EURUSD", 1.04, 1.0401)
    assert (await stage.trades())[order]["cmd"] == 0


async def test_a_group_that_changes_its_stop_out_is_followed_at_the_next_quote(stage: Stage) -> None:
    await stage.account()
    order = await stage.buy(volume=800)
    stage.market.groups["demo"] = replace(stage.market.groups["demo"], margin_stopout=112.0)
    await stage.desk.sync_market()
    await stage.quote("EURUSD", 1.0999, 1.1)
    assert (await stage.trades())[order]["state"] == 3


async def test_a_group_whose_price_profile_changes_has_a_price_all_the_time(stage: Stage) -> None:
    await stage.account()
    market = stage.market
    market.profile = "wide"
    market.gate.clear()
    syncing = asyncio.create_task(stage.desk.sync_market())
    await wait_until(lambda: market.waiting)
    await stage.buy(volume=1)  # still at the prices of before
    market.gate.set()
    await syncing
    assert "wide" in stage.desk._reader.profiles
    order = await stage.buy(volume=1, sl=1.09)
    await stage.quote("EURUSD", 1.08, 1.0801)
    await wait_until(lambda: closed(stage, order))


async def closed(stage: Stage, order: int) -> bool:
    """Whether an order has been closed."""
    return bool((await stage.trades())[order]["state"] == 3)


async def test_levels_met_while_the_market_is_closed_act_when_it_opens(stage: Stage) -> None:
    await stage.account()
    order = await stage.buy(sl=1.09)
    eurusd = stage.market.instruments["EURUSD"]
    stage.market.instruments["EURUSD"] = replace(eurusd, trade=0)
    await stage.desk.sync_market()
    await stage.quote("EURUSD", 1.08, 1.0801)
    assert (await stage.trades())[order]["state"] == 0
    stage.market.instruments["EURUSD"] = eurusd
    await stage.desk.sync_market()
    await stage.quote("EURUSD", 1.0799, 1.08)
    row = (await stage.trades())[order]
    assert (row["state"], row["close_price"]) == (3, 1.0799)


async def test_floating_profit_is_told_beside_the_facts_and_only_when_it_moved(stage: Stage) -> None:
    await stage.account()
    order = await stage.buy()
    await stage.later(2)
    await stage.quote("EURUSD", 1.102, 1.1021)
    await stage.later(2)
    await wait_until(lambda: floating(stage, order))
    first = await floating(stage, order)
    assert [f[15] for f in first] == [190.0]
    balances = [f for f in await stage.pushes() if f[0] == "b"]
    assert (balances[-1][6], balances[-1][9], balances[-1][10]) == (10_190.0, 190.0, 1)
    await stage.later(2)
    await stage.later(2)
    assert await floating(stage, order) == first


async def test_floating_profit_is_told_however_often_the_account_trades(stage: Stage) -> None:
    await stage.account()
    held = await stage.buy()
    await stage.later(2)
    for n in range(1, 4):
        stage.clock.advance(0.6)
        await stage.quote("EURUSD", 1.1 + n / 1000, 1.1001 + n / 1000)
        fresh = await stage.buy(volume=1)
    await wait_until(lambda: floating(stage, held))
    assert await floating(stage, fresh) == [], "the fact that it is open may still be on its way"
    await stage.later(2)
    await wait_until(lambda: floating(stage, fresh))
    assert [f[15] for f in await floating(stage, held)][-1] == 290.0
    told = await floating(stage, held)
    await stage.later(2)
    await stage.later(2)
    assert await floating(stage, held) == told, "prices stand still, and every fact has come"


async def test_what_opened_together_and_did_not_move_is_told_by_its_facts_alone(stage: Stage) -> None:
    await stage.account()
    await asyncio.gather(*(stage.buy(volume=1) for _ in range(5)))
    for _ in range(3):
        await stage.later(2)
    assert [f for f in await stage.pushes() if f[0] == "o" and f[17] == 1] == []


async def test_what_moved_while_an_account_was_told_in_parts_is_told_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.trading.floating, "ORDERS_MAX", 2)
    await stage.account()
    orders = [await stage.buy(volume=1) for _ in range(3)]
    await stage.later(2)
    await stage.quote("EURUSD", 1.102, 1.1021)
    await stage.later(2)
    await wait_until(partial(told_of, stage, orders, 2))
    await stage.quote("EURUSD", 1.103, 1.1031)
    for told in (3, 5, 6, 6):
        await stage.later(2)
        await wait_until(partial(told_of, stage, orders, told))
    assert {(await floating(stage, order))[-1][15] for order in orders} == {2.9}


async def test_floating_values_the_bus_did_not_take_are_told_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.account()
    order = await stage.buy()
    await stage.later(2)
    taken = NatsBus.append

    async def refuse(bus: NatsBus, stream: str, entries: Sequence[Entry]) -> list[int]:
        if stream == PUSH_STREAM and not entries[0].event_id:
            refused.append(entries[0])
            raise OutcomeUnknown("no answer")
        return await taken(bus, stream, entries)

    refused: list[Entry] = []
    monkeypatch.setattr(NatsBus, "append", refuse)
    await stage.quote("EURUSD", 1.102, 1.1021)
    await stage.later(2)
    await wait_until(lambda: refused)
    monkeypatch.setattr(NatsBus, "append", taken)
    await stage.later(2)
    await wait_until(lambda: floating(stage, order))
    assert [f[15] for f in await floating(stage, order)] == [190.0]


async def test_very_many_orders_of_one_account_are_told_in_turn(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(services.trading.floating, "ORDERS_MAX", 2)
    await stage.account()
    orders = [await stage.buy(volume=1) for _ in range(5)]
    await stage.later(2)
    await stage.quote("EURUSD", 1.102, 1.1021)
    for told in (2, 4, 5, 5):
        await stage.later(2)
        await wait_until(partial(told_of, stage, orders, told))
    assert all([len(await floating(stage, order)) == 1 for order in orders])


async def told_of(stage: Stage, orders: list[int], count: int) -> bool:
    """Whether so many of the orders were told, each once."""
    return sum([len(await floating(stage, order)) for order in orders]) == count


async def floating(stage: Stage, order: int) -> list[list[Any]]:
    return [f for f in await stage.pushes() if f[0] == "o" and f[1] == order and f[17] == 1]


async def test_a_live_quote_that_is_too_old_is_not_traded_at(
    bus: NatsBus, database: Callable[[str], Awaitable[Database]]
) -> None:
    market = MarketStand(bus)
    await market.open()
    stage = Stage(bus, await database("trading"), market, live=True)
    now_ms = stage.clock.now_ms()
    await market.put("EURUSD", 1.1, 1.1001, at_ms=now_ms)
    await stage.start()
    await stage.account()
    await stage.buy()
    stage.clock.advance(61)
    with pytest.raises(OffQuotes):
        await stage.buy()
    await stage.quote("EURUSD", 1.1, 1.1001, at_ms=stage.clock.now_ms())
    await stage.buy()
    await stage.stop()


async def test_an_expired_order_leaves_by_the_clock_alone(stage: Stage) -> None:
    await stage.account()
    order = await stage.pending(2, 1.05, expiration=int(stage.clock.now_ms() / 1000) + 30)
    await stage.later(29)
    assert (await stage.trades())[order]["state"] == 0
    await stage.later(2)
    assert (await stage.trades())[order]["state"] == 6


async def test_two_orders_that_only_one_can_pay_for_are_not_both_filled(stage: Stage) -> None:
    await stage.account()
    await stage.buy(volume=500)
    with pytest.raises(NoMoney):
        await stage.buy(volume=500)
