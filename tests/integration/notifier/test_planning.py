"""A fact becomes a notification, its push and its deliveries: once, all or nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import msgspec
import pytest

from libs.common.bus import Ack
from libs.common.bus_pull import judge
from libs.common.messages.auth import Account
from libs.common.messages.notifier import NotifyListAsk, NotifyRead
from libs.common.streams import NOTIFIER_TRADING
from libs.common.subjects import ALERT_TRIGGERED, NOTIFICATION_PUSH, TRADING_NOTICE
from services.notifier import planner
from services.notifier.errors import AccountUnknown
from services.notifier.store import QUERIES
from tests.integration.notifier.rig import EMAIL, LOGIN, Rig


async def frames(rig: Rig) -> list[list[object]]:
    rows = await rig.rows("SELECT subject, payload FROM notifier.outbox ORDER BY id")
    assert {row["subject"] for row in rows} <= {NOTIFICATION_PUSH.at(login=LOGIN)}
    return [msgspec.json.decode(row["payload"]) for row in rows]


async def test_every_query_can_be_prepared_and_names_no_column_twice(rig: Rig) -> None:
    async with rig.base.database.connection() as db:
        for name, sql in QUERIES.items():
            columns = [a.name for a in (await db.prepare(sql)).get_attributes()]
            assert len(columns) == len(set(columns)), name


async def test_an_alert_is_listed_pushed_and_delivered_where_it_is_wanted(rig: Rig) -> None:
    await rig.want(email=True)
    event_id = await rig.fire()
    listed = await rig.parts.service.notifications(NotifyListAsk(login=LOGIN, limit=10, offset=0))
    names = "id token message create_time open_time type status level description data"
    assert listed.structure == tuple(names.split())
    (row,) = listed.rows
    data = {
        "alert_id": 1, "log_id": 2, "symbol": "EURUSD", "indicator_name": "", "message": "look", "side": 0,
        "condition": 0, "target_price": 1.0845, "channel_low": 0.0, "channel_high": 0.0,
        "move_threshold": 0.0, "triggered_price": 1.085, "triggered_at": 1772452800,
    }  # fmt: skip
    title, text = "EURUSD 1.08500: crossed up 1.08450", "look\n\nEURUSD bid 1.08500 crossed up 1.08450"
    text += "\n2026-03-02 12:00:00 UTC"
    assert row[1:] == ("PRICE_ALERT", title, 1772452800, 0, 7, 1, 10, text, data)
    assert await frames(rig) == [["n", title, text, "PRICE_ALERT", 1, 10, LOGIN, 1772452800, data, 200]]
    delivery = await rig.delivery()
    assert (delivery["event_id"], delivery["state"], delivery["type"]) == (
        event_id,
        "pending",
        "alert.triggered",
    )


async def test_a_fact_heard_twice_tells_once(rig: Rig) -> None:
    await rig.want(email=True)
    await rig.fire("same")
    await rig.fire("same")
    assert await rig.states() == ["pending"]
    assert len(await frames(rig)) == 1


async def test_a_fact_heard_by_two_processes_at_once_tells_once(rig: Rig) -> None:
    await rig.want(email=True)
    await asyncio.gather(*(rig.fire("same") for _ in range(8)))
    assert await rig.states() == ["pending"]
    assert len(await frames(rig)) == 1


async def test_what_nobody_wants_is_listed_and_pushed_only(rig: Rig) -> None:
    await rig.fire()
    assert await rig.states() == []
    assert len(await frames(rig)) == 1


async def test_a_notice_goes_only_to_the_channels_it_names_and_only_if_it_is_sure_enough(rig: Rig) -> None:
    await rig.want(email=True, min_confidence=0.7)
    await rig.tell("PATTERN", title="Double top", text="EURUSD", confidence=0.69)
    await rig.tell("PATTERN", title="Double top", channels=["discord"])
    await rig.tell("PATTERN", title="Double top", channels=[])
    assert await rig.states() == []
    await rig.tell("PATTERN", title="Double top", text="EURUSD 1h", confidence=0.7)
    await rig.tell("PATTERN", title="Double top", channels=["email"])
    assert await rig.states() == ["pending"] * 2
    assert [frame[1:4] for frame in await frames(rig)][3] == ["Double top", "EURUSD 1h", "PATTERN"]


async def test_a_rejected_trade_is_told_as_the_contract_has_it(rig: Rig) -> None:
    data = {"order": 12, "error": "RET_TRADE_NO_MONEY"}
    await rig.tell("TRADE_REJECTED", level=30, code=400, category=1, data=data)
    (frame,) = await frames(rig)
    assert frame[3:] == ["TRADE_REJECTED", 1, 30, LOGIN, 1772452800, data, 400]


async def test_an_account_nobody_told_of_is_asked_for_and_its_mail_is_known_then(rig: Rig) -> None:
    rig.peers.accounts[55] = Account(
        login=55, person_id=8, group="demo", currency="USD", leverage=1, email="bob@example.com"
    )
    await rig.want(person=8, email=True)
    await rig.fire(login=55)
    masked = await rig.rows("SELECT target_masked FROM notifier.recipient WHERE person_id = 8")
    assert masked == [{"target_masked": "b***@example.com"}]
    assert await rig.states() == ["pending"]


async def test_with_auth_away_a_fact_of_an_unknown_account_waits_but_not_for_ever(rig: Rig) -> None:
    rig.peers.is_broken = True
    with pytest.raises(AccountUnknown) as refused:
        await rig.fire(login=56)
    assert refused.value.http_status == 503
    assert await rig.rows("SELECT 1 FROM notifier.notification") == []
    inbound = rig.inbound(ALERT_TRIGGERED.at(login=56), {}, "late", attempt=planner.OWNER_ATTEMPTS + 1)
    notice = planner.Notice(event_id="late", login=56, token="HELLO", raised_ms=1, title="hi")
    assert await rig.parts.planner.on_raised(inbound, notice) is Ack.DONE
    assert len(await rig.rows("SELECT 1 FROM notifier.notification WHERE login = 56")) == 1


async def test_with_market_away_prices_are_printed_as_they_came(rig: Rig) -> None:
    rig.peers.digits = {}
    await rig.fire()
    ((_, title, *_),) = await frames(rig)
    assert title == "EURUSD 1.085: crossed up 1.0845"


async def test_market_is_asked_for_digits_once_a_minute(rig: Rig) -> None:
    for _ in range(5):
        await rig.fire()
    assert rig.peers.asked == 1
    rig.advance(61)
    await rig.fire()
    assert rig.peers.asked == 2


@pytest.mark.parametrize(
    "broken",
    [
        b"{",
        b"[]",
        b'{"event_id":"x","login":1,"token":"lower","raised_ms":1}',
        b'{"event_id":"","login":1,"token":"OK","raised_ms":1}',
        b'{"event_id":"x","login":1,"token":"OK","raised_ms":1,"level":-1}',
        b'{"event_id":"x","login":1,"token":"OK","raised_ms":1,"text":"' + b"x" * 70_000 + b'"}',
    ],
)
async def test_a_notice_that_can_not_be_told_is_a_dead_letter_with_its_reason(
    rig: Rig, broken: bytes
) -> None:
    inbound = replace(rig.inbound(TRADING_NOTICE.at(login=1), {}, "bad"), payload=broken)
    verdict, reason = await judge(rig.parts.planner.on_notice, inbound, NOTIFIER_TRADING)
    assert verdict is Ack.TERMINATE
    assert reason


async def test_a_recipient_with_too_much_waiting_gets_a_dead_letter_instead(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planner, "WAITING_MAX", 2)
    await rig.want(email=True)
    for _ in range(3):
        await rig.fire()
    assert await rig.states() == ["pending", "pending", "dead"]
    assert (await rig.delivery())["last_error"] == "too many deliveries wait for this recipient"


async def test_the_list_is_newest_first_filtered_paged_and_only_the_accounts_own(rig: Rig) -> None:
    await rig.open_account(login=100002, person=8, email="bob@example.com")
    for symbol in ("EURUSD", "USDJPY", "eurusd.m", "XAUUSD"):
        await rig.fire(symbol=symbol)
    await rig.fire(login=100002)

    async def symbols(limit: int = 10, offset: int = 0, filter_: str = "") -> list[str]:
        page = await rig.parts.service.notifications(
            NotifyListAsk(login=LOGIN, limit=limit, offset=offset, filter=filter_)
        )
        return [row[9]["symbol"] for row in page.rows]

    assert await symbols() == ["XAUUSD", "eurusd.m", "USDJPY", "EURUSD"]
    assert await symbols(limit=2, offset=1) == ["eurusd.m", "USDJPY"]
    assert await symbols(filter_="EURUSD") == ["eurusd.m", "EURUSD"]
    assert await symbols(filter_="100%_") == []
    assert await symbols(limit=0) == []


async def test_read_marks_are_the_accounts_own_and_counted_once(rig: Rig) -> None:
    await rig.open_account(login=100002, person=8, email="bob@example.com")
    for _ in range(4):
        await rig.fire()
    await rig.fire(login=100002)
    ids = [r["id"] for r in await rig.rows("SELECT id FROM notifier.notification ORDER BY id")]
    rig.advance(60)
    read = rig.parts.service.read
    assert (await read(NotifyRead(login=LOGIN, ids=[ids[0], ids[4]]))).marked == 1
    assert (await read(NotifyRead(login=LOGIN, ids=[ids[0]]))).marked == 0
    assert (await read(NotifyRead(login=LOGIN, up_to=ids[2]))).marked == 2
    rows = await rig.rows("SELECT status, open_time FROM notifier.notification ORDER BY id")
    assert [row["status"] for row in rows] == [2, 2, 2, 1, 1]
    assert [row["open_time"] for row in rows] == [1772452860] * 3 + [0, 0]


async def test_nothing_of_an_address_can_be_read_in_the_database(rig: Rig) -> None:
    rows = await rig.rows("SELECT target, target_masked, target_key FROM notifier.recipient")
    assert rows
    for row in rows:
        assert EMAIL.encode() not in row["target"]
        assert EMAIL not in row["target_masked"] + row["target_key"]
