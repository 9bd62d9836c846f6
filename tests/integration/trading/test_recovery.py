"""What survives: crashes between commit and publish, lost connections in a commit, ticks nobody heard, time
that passed while nobody was there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from deploy.local import doctor
from libs.common.db import Database, Part, load_queries
from libs.common.errors import OutcomeUnknown, ServiceUnavailable
from libs.common.lease import LeaseLost
from libs.common.messages import trading_orders as m
from libs.common.messages.trading import AccountAsk
from services.trading import engine, floor
from services.trading.state import Account
from tests.conftest import wait_until
from tests.integration.trading.stage import LOGIN, Stage


async def again(stage: Stage) -> None:
    """Start anew after a stop or a crash."""
    await stage.start()
    await stage.turn()


async def busy(stage: Stage) -> dict[str, int]:
    """An account with everything an account can have."""
    await stage.account()
    await stage.quote("USDJPY", 150.0, 150.01)
    made = {
        "buy": await stage.buy(sl=1.09, tp=1.2, comment="first"),
        "sell": await stage.sell(volume=30),
        "jpy": await stage.buy(symbol="USDJPY", volume=7),
        "limit": await stage.pending(2, 1.05, sl=1.04, tp=1.3),
        "stop": await stage.pending(4, 1.15, expiration=int(stage.clock.now_ms() / 1000) + 3600),
    }
    await stage.dealing.close(m.TradeClose(login=LOGIN, order=made["buy"], volume=40))
    return made


def committed(stage: Stage) -> dict[int, Account]:
    return dict(stage.desk._committed)


async def test_a_restart_builds_the_very_same_accounts(stage: Stage) -> None:
    await busy(stage)
    before, listed, numbers = committed(stage), await stage.trades(), await numbers_of(stage)
    await stage.stop()
    await again(stage)
    assert committed(stage) == before
    assert await stage.trades() == listed
    assert await numbers_of(stage) == numbers
    await stage.sound()


async def numbers_of(stage: Stage) -> Any:
    return await stage.service.account(AccountAsk(login=LOGIN))


async def test_a_crash_after_the_commit_publishes_after_the_restart_and_nothing_twice(stage: Stage) -> None:
    await stage.account()
    await wait_until(lambda: stage.pushes())
    await stage.stop()
    await stage.start(relaying=False)
    order = await stage.buy()
    await stage.crash()
    assert [f for f in await stage.pushes() if f[1] == order] == []
    await again(stage)
    await wait_until(lambda: told(stage, order))
    assert (await stage.trades())[order]["state"] == 0
    await stage.dealing.close(m.TradeClose(login=LOGIN, order=order))
    await wait_until(lambda: told(stage, order, 2))
    frames = [f for f in await stage.pushes() if f[0] == "o" and f[1] == order]
    assert [(f[12], f[17]) for f in frames] == [(0, 0), (3, 6)]
    await stage.sound()


async def test_the_doctor_finds_a_ledger_that_differs_from_the_orders(stage: Stage) -> None:
    queries = load_queries(Path(doctor.__file__).parent / "sql/doctor.sql")
    sums, differences = (
        queries[f"ledger_{name}"].format(schema="trading") for name in ("sums", "differences")
    )
    made = await busy(stage)
    await stage.dealing.change_balance(m.BalanceChange(login=LOGIN, cmd=7, amount=20.0))
    booked = await stage.dealing.change_balance(m.BalanceChange(login=LOGIN, cmd=8, amount=-1.0))
    await stage.dealing.change_balance(m.BalanceChange(login=LOGIN, cmd=8, amount=-2.0, order=booked.order))
    await stage.dealing.staff_update(m.StaffUpdateAsk(login=LOGIN, order=made["buy"], profit=3.0))
    assert await stage.rows(sums) == await stage.rows(differences) == []
    async with stage.database.transaction() as tx:
        await tx.execute("UPDATE trading.trade SET profit_minor = profit_minor + 7 WHERE cmd = 7")
    assert await stage.rows(differences) == [(LOGIN, 0, -7)]


async def told(stage: Stage, order: int, count: int = 1) -> bool:
    frames = [f for f in await stage.pushes() if f[0] == "o" and f[1] == order]
    return len(frames) >= count


@pytest.mark.parametrize("commits", [True, False])
async def test_an_unknown_commit_is_said_as_unknown_and_the_tables_decide(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, commits: bool
) -> None:
    await stage.account()
    first = await stage.buy()
    real = Database.commit

    async def once(self: Database, parts: Sequence[Part]) -> None:
        monkeypatch.setattr(Database, "commit", real)
        if commits:
            await real(self, parts)
        raise OutcomeUnknown("the database went away during a commit")

    monkeypatch.setattr(Database, "commit", once)
    with pytest.raises(OutcomeUnknown):
        await stage.buy(volume=50)
    await wait_until(lambda: not stage.desk._state)
    assert len(await stage.trades(trade_type=1)) == 1 + commits
    second = await stage.buy(volume=20)
    await stage.dealing.close(m.TradeClose(login=LOGIN, order=first))
    assert (await stage.trades())[second]["volume"] == 20
    await stage.sound()


async def test_a_writer_whose_lease_was_taken_writes_nothing_and_ends(stage: Stage) -> None:
    await stage.account()
    async with stage.database.transaction() as tx:
        await tx.execute("UPDATE trading.partition_lease SET epoch = epoch + 1")
    with pytest.raises(LeaseLost):
        await stage.buy()
    assert stage.failed
    with pytest.raises(ServiceUnavailable):
        await stage.buy()
    assert await stage.rows("SELECT 1 FROM trading.trade WHERE cmd = 0") == []


async def test_levels_passed_while_nobody_was_there_act_at_the_ticks_that_passed_them(stage: Stage) -> None:
    await stage.account()
    stopped = await stage.buy(sl=1.09)
    limit = await stage.pending(2, 1.05)
    await stage.stop()
    for bid in (1.095, 1.089, 1.0495, 1.1):
        await stage.market.put("EURUSD", bid, bid + 0.0001)
    await again(stage)
    await stage.judged()
    trades = await stage.trades()
    assert (trades[stopped]["state"], trades[stopped]["close_price"]) == (3, 1.089)
    assert trades[stopped]["comment"] == "[sl]"
    assert (trades[limit]["cmd"], trades[limit]["open_price"]) == (0, 1.0496)
    await stage.sound()


async def test_ticks_judged_before_a_crash_are_not_judged_again_for_what_came_after_them(
    stage: Stage,
) -> None:
    await stage.account()
    await stage.quote("EURUSD", 1.08, 1.0801)
    await stage.quote("EURUSD", 1.1, 1.1001)
    order = await stage.buy(sl=1.09)
    await stage.crash()
    await again(stage)
    await stage.quote("EURUSD", 1.1, 1.1001)
    assert (await stage.trades())[order]["state"] == 0


async def test_ticks_of_several_symbols_are_judged_in_the_order_they_came(stage: Stage) -> None:
    """The money of the second tick is not there yet when the first one asks for it."""
    await stage.account()
    for _ in range(3):
        await stage.quote("EURUSD", 1.1, 1.1001)
    await stage.quote("XAUUSD", 2000.0, 2000.1)
    winner = await stage.buy(volume=600, tp=1.2)
    waiting = await stage.pending(5, 1990.0, volume=250, symbol="XAUUSD")
    await stage.stop()
    await stage.market.put("XAUUSD", 1989.0, 1989.1)  # as of before the third tick of EURUSD
    await stage.market.put("EURUSD", 1.2, 1.2001)
    await again(stage)
    for symbol in ("XAUUSD", "EURUSD"):
        await stage.judged(symbol)
    trades = await stage.trades()
    assert trades[winner]["state"] == 3
    assert trades[waiting]["cmd"] == 5
    assert await stage.rows('SELECT deferred FROM trading.trade WHERE "order" = $1', waiting) == [
        ("RET_TRADE_NO_MONEY",)
    ]
    await stage.quote("XAUUSD", 1988.0, 1988.1)
    assert (await stage.trades())[waiting]["open_price"] == 1988.0


async def test_candles_stand_in_for_ticks_that_market_lost(stage: Stage) -> None:
    await stage.account()
    order = await stage.buy(sl=1.09)
    minute_ms = 60_000
    at_ms = stage.market.at_ms // minute_ms * minute_ms + 10 * minute_ms
    open_s = at_ms // 1000 - 120
    stage.market.candles = [[1.1, 1.101, 1.085, 1.1, 5.0, float(open_s)]]
    await stage.market.put("EURUSD", 1.085, 1.0851, lose=True)
    stage.market.forget("EURUSD")
    await stage.quote("EURUSD", 1.1, 1.1001, at_ms=at_ms)
    row = (await stage.trades())[order]
    assert (row["state"], row["close_price"], row["comment"]) == (3, 1.085, "[sl]")


async def test_the_minutes_in_which_a_hole_begins_and_ends_count_where_they_tell_something_new(
    stage: Stage,
) -> None:
    """Their candles hold judged prices too: only an extreme beyond those was in the hole."""
    market, minute_ms = stage.market, 60_000
    begun_ms = market.at_ms // minute_ms * minute_ms + minute_ms
    ended_ms = begun_ms + minute_ms
    await stage.account()
    await stage.quote("EURUSD", 1.12, 1.1201, at_ms=begun_ms + 1_000)
    await stage.quote("EURUSD", 1.1, 1.1001, at_ms=begun_ms + 2_000)
    begun = await stage.buy(sl=1.085)
    held = await stage.buy(tp=1.115)  # opened after the high of its minute
    ended = await stage.buy(sl=1.075)
    await stage.stop()
    await market.put("EURUSD", 1.084, 1.0841, lose=True)
    market.forget("EURUSD")
    market.candles = [
        [1.12, 1.12, 1.084, 1.1, 3.0, begun_ms / 1000],
        [1.1, 1.105, 1.07, 1.1, 2.0, ended_ms / 1000],
    ]
    await again(stage)
    await stage.quote("EURUSD", 1.1, 1.1001, at_ms=ended_ms + 1_000)
    trades = await stage.trades()
    assert [(trades[order]["state"], trades[order]["close_price"]) for order in (begun, ended)] == [
        (3, 1.084),
        (3, 1.07),
    ]
    assert trades[held]["state"] == 0
    await stage.buy(sl=1.08)  # and what was judged of the minute is not judged again
    market.forget("EURUSD")
    market.seq["EURUSD"] += 1
    await stage.quote("EURUSD", 1.1, 1.1001, at_ms=ended_ms + 2_000)
    assert len(await stage.trades(trade_type=1)) == 2
    await stage.sound()


async def test_what_expired_while_nobody_was_there_expires_before_old_ticks_can_fill_it(stage: Stage) -> None:
    await stage.account()
    order = await stage.pending(2, 1.05, expiration=int(stage.clock.now_ms() / 1000) + 60)
    await stage.stop()
    await stage.market.put("EURUSD", 1.04, 1.0401)
    stage.clock.advance(120)
    await again(stage)
    await stage.judged()
    row = (await stage.trades())[order]
    assert (row["cmd"], row["state"]) == (2, 6)


async def test_a_midnight_that_passed_while_nobody_was_there_is_dealt_with_once(stage: Stage) -> None:
    eurusd = stage.market.instruments["EURUSD"]
    stage.market.instruments["EURUSD"] = replace(eurusd, swap_enable=1, swap_type=1, swap_long=-5.0)
    await stage.desk.sync_market()
    await stage.account()
    order = await stage.buy()
    await stage.stop()
    stage.clock.advance(86_400)
    await again(stage)
    await stage.later(2)
    assert (await stage.trades())[order]["storage"] == -5.0
    await stage.crash()
    await again(stage)
    await stage.later(2)
    assert (await stage.trades())[order]["storage"] == -5.0
    await stage.sound()


async def test_many_commands_at_once_are_one_commit_and_every_one_is_answered(stage: Stage) -> None:
    logins = range(600, 620)
    for login in logins:
        await stage.account(login)
    [before] = await stage.rows("SELECT count(DISTINCT xmin::text) FROM trading.trade")
    asks = [(login, 1 + index) for login in logins for index in range(5)]
    orders = await asyncio.gather(
        *(stage.open(login=login, cmd=0, volume=volume, symbol="EURUSD") for login, volume in asks)
    )
    assert len(set(orders)) == len(asks)
    [after] = await stage.rows("SELECT count(DISTINCT xmin::text) FROM trading.trade")
    assert after[0] - before[0] <= 5
    for login in logins:
        assert len(await stage.trades(login, trade_type=1)) == 5
    await stage.sound()


async def test_an_account_the_engine_breaks_on_keeps_no_other_from_trading(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stage.account()
    await stage.account(700)
    order = await stage.open(login=700, cmd=0, volume=10, symbol="EURUSD", sl=1.09)
    real = engine.decide

    def broken(account: Account, *arguments: Any) -> Any:
        if account.login == LOGIN:
            raise ZeroDivisionError
        return real(account, *arguments)

    monkeypatch.setattr(floor, "decide", broken)
    answers = await asyncio.gather(
        stage.buy(), stage.open(login=700, cmd=0, volume=5, symbol="EURUSD"), return_exceptions=True
    )
    assert isinstance(answers[0], floor.Undecided)
    assert isinstance(answers[1], int)
    await stage.market.put("EURUSD", 1.08, 1.0801)
    await wait_until(lambda: closed(stage, order))
    monkeypatch.setattr(floor, "decide", real)
    await stage.buy()
    await stage.sound()


async def closed(stage: Stage, order: int) -> bool:
    return bool((await stage.trades(700))[order]["state"] == 3)
