"""Price alerts: armed, fired, told and listed, on a real PostgreSQL and NATS."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from libs.common.errors import AppError, RemoteError
from libs.common.messages import alerts as m
from services.alerts.frames import ALERT_COLUMNS, LOG_COLUMNS
from services.alerts.store import QUERIES
from tests.conftest import wait_until
from tests.integration.alerts.stage import LOGIN, START, Stage

NOW_S = int(START.timestamp())


async def test_a_single_alert_fires_once_and_is_listed_logged_pushed_and_told(stage: Stage) -> None:
    id = await stage.create(0, target_price=1.2, indicator_name="line", message="up!", comment="note")
    await stage.market.put("EURUSD", 1.19)
    await stage.market.put("EURUSD", 1.21)
    (frame,) = await wait_until(stage.pushes)
    assert frame == ["a", id, LOGIN, "EURUSD", "line", "up!", 0, 0, 1.2, 0, 0, 0, 1, 0, 0, 1.21, NOW_S, 1]
    # The push came after the commit, so a read now shows the effect.
    (row,) = await stage.rows()
    assert (row["status"], row["triggered_price"], row["triggered_at"]) == (1, 1.21, NOW_S)
    (logged,) = await stage.log()
    assert list(logged.values()) == [1, id, LOGIN, "EURUSD", "line", "up!", 0, 0, 1.2, 1.21, NOW_S, "note"]
    (fact,) = await wait_until(stage.facts)
    assert (fact["alert_id"], fact["log_id"], fact["triggered_price"], fact["login"]) == (id, 1, 1.21, LOGIN)
    await stage.market.put("EURUSD", 1.1)
    await stage.market.put("EURUSD", 1.3)
    await stage.judged()
    assert len(await stage.log()) == 1


async def test_the_tables_have_the_columns_of_the_contract_in_its_order(stage: Stage) -> None:
    await stage.create(4, channel_low=1.0, channel_high=1.05, side=1, repeat_mode=1)
    found = await stage.reads.list(m.AlertListAsk(login=LOGIN))
    assert found.structure == ALERT_COLUMNS
    assert len(found.structure) == 21
    assert found.rows == [
        [1, LOGIN, "EURUSD", "", "", 1, 4, 0, 1.0, 1.05, 0, 0, 1, NOW_S, NOW_S, 0, 0, 0, 1.1001, NOW_S, ""]
    ]
    log = await stage.reads.log(m.AlertLogAsk(login=LOGIN))
    assert log.structure == LOG_COLUMNS
    assert (len(log.structure), log.rows) == (12, [])


async def test_a_repeating_alert_fires_each_time_and_its_reference_follows(stage: Stage) -> None:
    id = await stage.create(0, target_price=1.2, repeat_mode=1)
    for price in (1.21, 1.22, 1.1, 1.25):
        await stage.market.put("EURUSD", price)
    await stage.judged()
    assert [row["triggered_price"] for row in await stage.log()] == [1.25, 1.21]
    (row,) = await stage.rows()
    assert (row["id"], row["status"], row["reference_price"]) == (id, 0, 1.25)
    frames = await wait_until(lambda: _count(stage, 2))
    assert [frame[15] for frame in frames] == [1.21, 1.25]


async def _count(stage: Stage, count: int) -> Any:
    frames = await stage.pushes()
    return frames if len(frames) == count else None


async def test_a_gap_fires_every_level_in_price_order(stage: Stage) -> None:
    targets = [1.25, 1.15, 1.2, 1.15, 1.3]
    created = [await stage.create(0, target_price=target) for target in targets]
    await stage.market.put("EURUSD", 1.28)
    frames = await wait_until(lambda: _count(stage, 4))
    assert [frame[1] for frame in frames] == [created[1], created[3], created[2], created[0]]
    assert {frame[15] for frame in frames} == {1.28}


async def test_a_level_that_holds_already_fires_on_the_next_tick_a_crossing_does_not(
    stage: Stage,
) -> None:
    above = await stage.create(2, target_price=1.0)
    crossing = await stage.create(0, target_price=1.0)
    await stage.judged()
    assert await stage.log() == []
    await stage.market.put("EURUSD", 1.1)  # equal prices are still ticks
    await stage.judged()
    assert [row["alert_id"] for row in await stage.log()] == [above]
    assert [row["status"] for row in await stage.rows() if row["id"] == crossing] == [0]


async def test_a_quote_before_the_alert_never_fires_it(stage: Stage) -> None:
    """The tick a client has seen published is judged before the alert that client then makes."""
    for round_ in range(30):
        await stage.market.put("EURUSD", 1.3)
        await stage.bus.flush()
        id = await stage.create(0, target_price=1.2)
        await stage.market.put("EURUSD", 1.3)
        await stage.market.put("EURUSD", 1.1)
        await stage.service.delete(m.AlertDelete(id=id, login=LOGIN))
        assert await stage.log() == [], f"round {round_}"


async def test_a_symbol_is_found_by_what_the_caller_wrote_and_named_canonically(stage: Stage) -> None:
    await stage.create(0, target_price=1.2, symbol="eurusd")
    await stage.create(0, target_price=1.2, symbol="btcusdt")
    assert [row["symbol"] for row in await stage.rows()] == ["EURUSD", "BTC/USDT"]


async def test_an_alert_on_a_symbol_without_quotes_waits_for_its_second_tick(stage: Stage) -> None:
    crossing = await stage.create(12, target_price=2.0, symbol="GBPUSD")
    moving = await stage.create(8, move_threshold=0.5, symbol="GBPUSD")
    (_, row) = await stage.rows()
    assert (row["reference_price"], row["reference_time"]) == (0, 0)
    await stage.market.put("GBPUSD", 2.5)
    await stage.judged("GBPUSD")
    assert await stage.log() == []
    assert [row["reference_price"] for row in await stage.rows() if row["id"] == moving] == [2.5]
    await stage.market.put("GBPUSD", 1.9)
    await stage.market.put("GBPUSD", 3.0)
    await stage.judged("GBPUSD")
    assert [row["alert_id"] for row in await stage.log()] == [moving, crossing]


BAD = [
    ({"side": 2}, "INVALID_DATA"),
    ({"condition": 13}, "INVALID_DATA"),
    ({"condition": -1}, "INVALID_DATA"),
    ({"repeat_mode": 2}, "INVALID_DATA"),
    ({"login": 0}, "INVALID_LOGIN"),
    ({"target_price": None}, "INVALID_TARGET_PRICE"),
    ({"target_price": 0.0}, "INVALID_TARGET_PRICE"),
    ({"target_price": -1.0}, "INVALID_TARGET_PRICE"),
    ({"target_price": float("inf")}, "INVALID_TARGET_PRICE"),
    ({"target_price": float("nan")}, "INVALID_TARGET_PRICE"),
    ({"condition": 4}, "INVALID_CHANNEL"),
    ({"condition": 7, "channel_low": 2.0, "channel_high": 2.0}, "INVALID_CHANNEL"),
    ({"condition": 5, "channel_low": 2.0, "channel_high": 1.0}, "INVALID_CHANNEL"),
    ({"condition": 6, "channel_low": float("nan"), "channel_high": 1.0}, "INVALID_CHANNEL"),
    ({"condition": 8}, "INVALID_MOVE_THRESHOLD"),
    ({"condition": 11, "move_threshold": -0.1}, "INVALID_MOVE_THRESHOLD"),
    ({"expires_at": NOW_S}, "INVALID_EXPIRES_AT"),
    ({"expires_at": -5}, "INVALID_EXPIRES_AT"),
    ({"expires_at": 2**63 - 1}, "INVALID_EXPIRES_AT"),
    ({"reference_price": -1.0}, "INVALID_DATA"),
    ({"reference_time": 2**62}, "INVALID_DATA"),
    ({"message": "x" * 2_001}, "INVALID_DATA"),
    ({"comment": "a\x00b"}, "INVALID_DATA"),
    ({"symbol": "NOWHERE"}, "RET_SYMBOL_NOT_FOUND"),
    ({"symbol": ""}, "RET_SYMBOL_NOT_FOUND"),
]


async def test_a_bad_request_is_refused_with_its_code_and_leaves_nothing(stage: Stage) -> None:
    for fields, code in BAD:
        with pytest.raises(AppError) as refused:
            await stage.create(**{"condition": 0, "target_price": 1.2, **fields})
        assert refused.value.code == code, fields
        assert refused.value.http_status == (404 if code == "RET_SYMBOL_NOT_FOUND" else 400)
    assert await stage.rows() == []
    assert len(stage.service._book) == 0


async def test_a_group_that_does_not_exist_is_the_owners_refusal(stage: Stage) -> None:
    with pytest.raises(RemoteError) as refused:
        await stage.create(0, target_price=1.2, group="nowhere")
    assert refused.value.code == "GROUP_NOT_FOUND"


async def test_an_account_may_have_so_many_alerts_and_no_more(stage: Stage) -> None:
    answers = await asyncio.gather(
        *(stage.create(0, target_price=1.2) for _ in range(stage.alerts_max + 5)), return_exceptions=True
    )
    refused = [a for a in answers if isinstance(a, AppError)]
    assert [(e.code, e.http_status) for e in refused] == [("RET_TRADE_LIMIT_REACHED", 409)] * 5
    assert len(await stage.rows()) == stage.alerts_max
    assert len(stage.service._book) == stage.alerts_max
    assert await stage.create(0, target_price=1.2, login=501)


async def test_a_deleted_alert_leaves_the_list_and_never_fires_while_its_log_stays(stage: Stage) -> None:
    fired = await stage.create(0, target_price=1.15)
    armed = await stage.create(0, target_price=1.3)
    await stage.market.put("EURUSD", 1.2)
    await stage.judged()
    for id in (fired, armed):
        assert (await stage.service.delete(m.AlertDelete(id=id, login=LOGIN))).rows == [[id]]
    await stage.market.put("EURUSD", 1.4)
    await stage.judged()
    assert await stage.rows() == []
    assert [row["alert_id"] for row in await stage.log()] == [fired]


async def test_a_foreign_or_unknown_alert_is_neither_changed_nor_deleted(stage: Stage) -> None:
    await stage.create(0, target_price=1.2)
    before = await stage.rows()
    for id, login, code, status in (
        (1, 501, "PERMISSION_DENIED", 403),
        (2, LOGIN, "NOT_FOUND", 404),
        (-1, LOGIN, "NOT_FOUND", 404),
        (2**63 - 1, LOGIN, "NOT_FOUND", 404),
    ):
        for call in (
            stage.service.delete(m.AlertDelete(id=id, login=login)),
            stage.service.update(m.AlertUpdate(id=id, login=login, group="demo", target_price=1.5)),
        ):
            with pytest.raises(AppError) as refused:
                await call
            assert (refused.value.code, refused.value.http_status) == (code, status)
    assert await stage.rows() == before


BAD_CHANGES: list[tuple[dict[str, Any], str, int]] = [
    ({"side": 2}, "INVALID_DATA", 400),
    ({"condition": 13}, "INVALID_DATA", 400),
    ({"repeat_mode": -1}, "INVALID_DATA", 400),
    ({"status": 3}, "INVALID_DATA", 400),
    ({"status": 4}, "INVALID_DATA", 400),
    ({"message": "x" * 2_001}, "INVALID_DATA", 400),
    ({"indicator_name": "a\x00b"}, "INVALID_DATA", 400),
    ({"reference_price": float("nan")}, "INVALID_DATA", 400),
    ({"reference_time": -1}, "INVALID_DATA", 400),
    ({"login": 0}, "INVALID_LOGIN", 400),
    ({"login": -7}, "INVALID_LOGIN", 400),
    ({"target_price": 0.0}, "INVALID_TARGET_PRICE", 400),
    ({"target_price": float("inf")}, "INVALID_TARGET_PRICE", 400),
    ({"condition": 4}, "INVALID_CHANNEL", 400),
    ({"condition": 7, "channel_low": 2.0, "channel_high": 1.0}, "INVALID_CHANNEL", 400),
    ({"condition": 8}, "INVALID_MOVE_THRESHOLD", 400),
    ({"condition": 11, "move_threshold": -0.1}, "INVALID_MOVE_THRESHOLD", 400),
    ({"expires_at": NOW_S}, "INVALID_EXPIRES_AT", 400),
    ({"expires_at": -5}, "INVALID_EXPIRES_AT", 400),
    ({"symbol": "NOWHERE"}, "RET_SYMBOL_NOT_FOUND", 404),
    ({"login": 501}, "PERMISSION_DENIED", 403),
    ({"id": 99}, "NOT_FOUND", 404),
    ({"group": "nobody"}, "GROUP_NOT_FOUND", 404),
]


async def test_every_bad_change_is_refused_by_its_code_and_changes_nothing(stage: Stage) -> None:
    id = await stage.create(0, target_price=1.2, message="as it was")
    before = await stage.rows()
    for change, code, status in BAD_CHANGES:
        ask = m.AlertUpdate(**{"id": id, "login": LOGIN, "group": "demo", **change})
        with pytest.raises(AppError) as refused:
            await stage.service.update(ask)
        assert (refused.value.code, refused.value.http_status) == (code, status), change
    for login, code in ((0, "INVALID_LOGIN"), (501, "PERMISSION_DENIED")):
        with pytest.raises(AppError) as refused:
            await stage.service.delete(m.AlertDelete(id=id, login=login))
        assert refused.value.code == code
    assert await stage.rows() == before
    await stage.market.put("EURUSD", 1.25)  # it is armed as it was
    await stage.judged()
    assert [row["message"] for row in await stage.log()] == ["as it was"]


async def test_a_change_keeps_absent_fields_and_arms_anew(stage: Stage) -> None:
    id = await stage.create(0, target_price=1.2, message="text", indicator_name="line")
    await stage.market.put("EURUSD", 1.15)
    await stage.judged()
    stage.clock.advance(10)
    await stage.service.update(
        m.AlertUpdate(id=id, login=LOGIN, group="demo", target_price=1.12, condition=1)
    )
    (row,) = await stage.rows()
    assert (row["message"], row["indicator_name"], row["condition"], row["target_price"]) == (
        "text",
        "line",
        1,
        1.12,
    )
    assert (row["created_at"], row["updated_at"]) == (NOW_S, NOW_S + 10)
    assert (row["reference_price"], row["reference_time"]) == (1.15, NOW_S + 10)
    await stage.market.put("EURUSD", 1.21)
    await stage.judged()
    assert await stage.log() == []
    await stage.market.put("EURUSD", 1.11)
    await stage.judged()
    assert [r["triggered_price"] for r in await stage.log()] == [1.11]


async def test_status_reactivates_and_disables(stage: Stage) -> None:
    id = await stage.create(0, target_price=1.2)
    await stage.market.put("EURUSD", 1.21)
    await stage.judged()

    async def put(**fields: Any) -> None:
        await stage.service.update(m.AlertUpdate(id=id, login=LOGIN, group="demo", **fields))

    await put(message="still triggered", status=1)
    assert [(r["status"], r["triggered_price"]) for r in await stage.rows()] == [(1, 1.21)]
    await put(status=0)
    assert [(r["status"], r["triggered_price"], r["triggered_at"]) for r in await stage.rows()] == [(0, 0, 0)]
    await put(status=2)
    await stage.market.put("EURUSD", 1.1)
    await stage.market.put("EURUSD", 1.25)
    await stage.judged()
    assert [r["status"] for r in await stage.rows()] == [2]
    await put(status=0)
    await stage.market.put("EURUSD", 1.1)
    await stage.market.put("EURUSD", 1.25)
    await stage.judged()
    assert [r["triggered_price"] for r in await stage.log()] == [1.25, 1.21]
    for status in (1, 3, 4, 9):
        if status != 1:
            with pytest.raises(AppError) as refused:
                await put(status=status)
            assert refused.value.code == "INVALID_DATA"
    assert len(stage.service._book) == 0


async def test_an_alert_expires_with_a_push_and_needs_a_new_time_to_live_again(stage: Stage) -> None:
    id = await stage.create(2, target_price=1.2, expires_at=NOW_S + 60)
    later = await stage.create(2, target_price=1.2, expires_at=NOW_S + 600)
    stage.clock.advance(61)
    await stage.market.put("EURUSD", 1.3)  # after its end: only the other one may fire
    await stage.judged()
    assert {r["id"]: r["status"] for r in await stage.rows()} == {id: 4, later: 1}
    assert [r["alert_id"] for r in await stage.log()] == [later]
    frames = await wait_until(lambda: _count(stage, 2))
    assert [(f[1], f[12], f[15], f[17]) for f in frames] == [(id, 4, 0, 1), (later, 1, 1.3, 1)]
    with pytest.raises(AppError) as refused:
        await stage.service.update(m.AlertUpdate(id=id, login=LOGIN, group="demo", status=0))
    assert refused.value.code == "INVALID_EXPIRES_AT"
    await stage.service.update(
        m.AlertUpdate(id=id, login=LOGIN, group="demo", status=0, expires_at=NOW_S + 600)
    )
    await stage.market.put("EURUSD", 1.3)
    await stage.judged()
    assert [r["alert_id"] for r in await stage.log()] == [id, later]


async def test_an_expiry_needs_no_tick(stage: Stage) -> None:
    await stage.create(0, target_price=1.2, expires_at=NOW_S + 60)
    stage.clock.advance(60)
    frames = await wait_until(stage.pushes)
    assert [f[12] for f in frames] == [4]
    assert len(stage.service._book) == 0


async def test_the_log_is_paged_and_deleted_one_by_one_or_all(stage: Stage) -> None:
    await stage.create(12, target_price=1.15, repeat_mode=1)
    for n in range(6):
        await stage.market.put("EURUSD", 1.2 if n % 2 == 0 else 1.1)
    await stage.judged()
    newest_first = [row["id"] for row in await stage.log()]
    assert newest_first == [6, 5, 4, 3, 2, 1]
    assert [row["id"] for row in await stage.log(limit=2, offset=1)] == [5, 4]
    assert await stage.log(limit=0) == []
    for paging in ({"limit": 10_001}, {"limit": -1}, {"offset": -1}, {"offset": 2**64}):
        with pytest.raises(AppError) as refused:
            await stage.log(**paging)
        assert refused.value.code == "INVALID_DATA"
    assert (await stage.service.delete_log(m.AlertLogDelete(id=5, login=LOGIN))).rows == [[5]]
    for id, login, code in (
        (5, LOGIN, "NOT_FOUND"),
        (4, 501, "PERMISSION_DENIED"),
        (2**70, LOGIN, "NOT_FOUND"),
    ):
        with pytest.raises(AppError) as refused:
            await stage.service.delete_log(m.AlertLogDelete(id=id, login=login))
        assert refused.value.code == code
    assert len(await stage.log()) == 5
    assert (await stage.service.clear_log(m.AlertLogClear(login=501))).data == "OK"
    assert len(await stage.log()) == 5
    assert (await stage.service.clear_log(m.AlertLogClear(login=LOGIN))).data == "OK"
    assert await stage.log() == []


async def test_a_group_with_its_own_spread_is_watched_at_its_own_prices(stage: Stage) -> None:
    raw = await stage.create(2, side=1, target_price=1.1002)
    wide = await stage.create(2, side=1, target_price=1.10015, group="wide")
    await stage.market.put("EURUSD", 1.1, 1.1001)
    await stage.judged()
    await stage.judged(profile="f20")
    assert [(r["alert_id"], r["triggered_price"]) for r in await stage.log()] == [(wide, 1.1002)]
    assert raw


async def test_alerts_follow_their_group_to_other_prices(stage: Stage) -> None:
    held = await stage.create(2, side=1, target_price=1.05, repeat_mode=1)
    above = await stage.create(2, side=1, target_price=1.10015)
    await stage.market.put("EURUSD", 1.1, 1.1001)
    await stage.judged()
    assert [r["alert_id"] for r in await stage.log()] == [held]
    stage.market.views["demo"] = {"EURUSD": "f20"}
    await stage.service.regroup()
    await stage.market.put("EURUSD", 1.1, 1.1001)
    await stage.judged(profile="f20")
    # What held before has had its hit; what the wider spread has made true fires.
    assert [(r["alert_id"], r["triggered_price"]) for r in await stage.log()] == [
        (above, 1.1002),
        (held, 1.1001),
    ]


async def test_a_hidden_symbol_is_not_watched_until_it_is_shown_again(stage: Stage) -> None:
    id = await stage.create(0, target_price=1.2)
    del stage.market.views["demo"]["EURUSD"]
    await stage.service.regroup()
    assert len(stage.service._book) == 0
    with pytest.raises(AppError) as refused:
        await stage.create(0, target_price=1.3)
    assert refused.value.code == "RET_SYMBOL_NOT_FOUND"
    await stage.stop()
    await stage.start()
    stage.market.views["demo"]["EURUSD"] = "raw"
    await stage.service.regroup()
    await stage.market.put("EURUSD", 1.1)
    await stage.market.put("EURUSD", 1.25)
    await stage.judged()
    assert [r["alert_id"] for r in await stage.log()] == [id]


async def test_every_query_prepares(stage: Stage) -> None:
    async with stage.database.connection() as connection:
        for name, sql in QUERIES.items():
            columns = [a.name for a in (await connection.prepare(sql)).get_attributes()]
            assert len(columns) == len(set(columns)), f"{name} returns a column name twice"
