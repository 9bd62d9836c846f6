"""The notifier as a process on the real bus: from fact to receiver, across SIGKILL and with two of them."""

from __future__ import annotations

import asyncio
import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from libs.common import bus_nats
from libs.common.bus import Entry, encode
from libs.common.bus_nats import NatsBus
from libs.common.messages.alerts import AlertTriggered
from libs.common.messages.auth import AccountOpened
from libs.common.messages.notifier import (
    ChannelBind,
    DeadLettersAsk,
    MailSend,
    Notice,
    NotifyListAsk,
    PreferencesPut,
)
from libs.common.permissions import nats_users
from libs.common.streams import ensure_streams
from libs.common.subjects import (
    ACCOUNT_OPENED,
    ALERT_TRIGGERED,
    CHANNEL_BIND,
    DEAD_DELIVERIES,
    MAIL_SEND,
    NOTIFICATION_PUSH,
    NOTIFY_LIST,
    PREFERENCES_PUT,
    TRADING_NOTICE,
)
from tests.conftest import wait_until
from tests.house import House
from tests.integration.notifier.receivers import MailBox, Receiver, open_mailbox, open_receiver, status
from tests.servers import open_nats

LOGIN, PERSON = 100001, 7


class Desk:
    """What other services say and ask, said and asked by the test."""

    def __init__(self, bus: NatsBus, receiver: Receiver) -> None:
        self.bus = bus
        self.receiver = receiver
        self.secrets: dict[int, str] = {}

    async def open_account(self, login: int, person: int) -> None:
        """A person signs up."""
        opened = AccountOpened(
            login=login,
            person_id=person,
            group="demo",
            currency="USD",
            leverage=100,
            email=f"p{person}@example.com",
            name="Ada",
            opened_ms=1,
        )
        await self.bus.append(
            "AUTH", [Entry(ACCOUNT_OPENED.at(login=login), encode(opened), f"opened-{login}")]
        )

    async def bind(self, person: int) -> None:
        """Binds a webhook of the receiver, proved by its echo."""

        async def echo(request: Any) -> Any:
            return await status(200, {"code": self.receiver.calls[-1].json["data"]["code"]})(request)

        self.receiver.script.append(echo)
        ask = ChannelBind(person_id=person, channel="webhook", target=f"{self.receiver.url}/{person}")
        answer = await self.bus.request(CHANNEL_BIND, ask)
        assert answer.status == "verified"
        self.secrets[person] = str(answer.secret)
        self.receiver.calls.clear()

    async def fire(self, count: int, login: int = LOGIN, start: int = 0) -> list[str]:
        """Alerts fire; their event ids."""
        entries = []
        for number in range(start, start + count):
            fact = AlertTriggered(
                event_id=f"event-{login}-{number}",
                alert_id=number,
                log_id=number,
                login=login,
                symbol="EURUSD",
                indicator_name="",
                message="",
                side=0,
                condition=0,
                target_price=1.08,
                triggered_price=1.085,
                triggered_ms=1_772_452_800_000,
            )
            entries.append(Entry(ALERT_TRIGGERED.at(login=login), encode(fact), fact.event_id))
        await self.bus.append("ALERTS", entries)
        return [entry.event_id for entry in entries]

    def taken(self) -> Counter[str]:
        """How often the receiver got each id; every call must carry a good signature of its person."""
        counted: Counter[str] = Counter()
        for call in self.receiver.calls:
            Webhook(self.secrets[int(call.path.strip("/"))]).verify(call.body, call.headers)
            assert call.json["id"] == call.headers["webhook-id"]
            counted[call.headers["webhook-id"]] += 1
        return counted


@pytest_asyncio.fixture
async def desk(bus: NatsBus, receiver: Receiver) -> AsyncIterator[Desk]:
    """The other services."""
    yield Desk(bus, receiver)


async def states(dsn: str) -> Counter[str]:
    """The states of all deliveries."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT state, count(*) AS count FROM notifier.delivery GROUP BY state")
        return Counter({row["state"]: row["count"] for row in rows})
    finally:
        await connection.close()


async def test_a_fact_reaches_list_push_mail_and_webhook(
    house: House, desk: Desk, mailbox: MailBox, receiver: Receiver
) -> None:
    await house.start("notifier", NOTIFY_ALLOW_PRIVATE="on", SMTP_URL=mailbox.url)
    await desk.open_account(LOGIN, PERSON)
    ask = PreferencesPut(person_id=PERSON, said={"email": {"enabled": True}, "language": "de"})
    await desk.bus.request(PREFERENCES_PUT, ask)
    await desk.bind(PERSON)
    (event_id,) = await desk.fire(1)
    await wait_until(lambda: mailbox.mails and receiver.calls)
    assert mailbox.mails[0]["Subject"] == "EURUSD 1,085: stieg durch 1,08"
    assert desk.taken() == {event_id: 1}
    notice = Notice(
        event_id="n1", login=LOGIN, token="MARGIN_CALL", raised_ms=1_772_452_800_000, level=20, category=5,
        data={"margin_level": 99.5},
    )  # fmt: skip
    await desk.bus.append("TRADING", [Entry(TRADING_NOTICE.at(login=LOGIN), encode(notice), "n1")])
    await wait_until(lambda: len(mailbox.mails) == 2)

    async def pushed() -> list[Any]:
        window = await desk.bus.history("PUSH", NOTIFICATION_PUSH.at(login=LOGIN), 0, 10)
        return [json.loads(entry.payload) for entry in window.entries] if len(window.entries) == 2 else []

    frames = await wait_until(pushed)
    assert [frame[:1] + frame[3:7] for frame in frames] == [  # type: ignore[attr-defined]
        ["n", "PRICE_ALERT", 1, 10, LOGIN],
        ["n", "MARGIN_CALL", 1, 20, LOGIN],
    ]
    listed = await desk.bus.request(NOTIFY_LIST, NotifyListAsk(login=LOGIN, limit=10, offset=0))
    assert [row[1] for row in listed.rows] == ["MARGIN_CALL", "PRICE_ALERT"]
    mail = MailSend(
        id="m", to="new@example.com", kind="reset_password", fields={"code": "ZZ99", "minutes": "5"}
    )
    await desk.bus.request(MAIL_SEND, mail)
    await wait_until(lambda: len(mailbox.mails) == 3)
    log = house.running["notifier-0"].log.read_text()
    assert "ZZ99" not in log and "@example.com" not in log and "whsec_" not in log

    async def both_sent() -> bool:
        metrics = await house.running["notifier-0"].metrics()
        return 'tradewind_notifier_deliveries_total{channel="webhook",state="sent"} 2.0' in metrics

    await wait_until(both_sent)


@pytest.mark.timeout(180)
async def test_killed_in_mid_delivery_it_repeats_under_the_same_id_and_loses_nothing(
    house: House, desk: Desk, dsns: dict[str, str], receiver: Receiver
) -> None:
    await house.start("notifier", NOTIFY_ALLOW_PRIVATE="on")
    await desk.open_account(LOGIN, PERSON)
    await desk.bind(PERSON)
    receiver.script.extend([status(200)] * 4)
    receiver.otherwise = receiver.hang  # the fifth has arrived, and the answer never comes
    fired = await desk.fire(12)
    await wait_until(lambda: len(receiver.calls) == 5)
    await house.end("notifier-0", signal.SIGKILL)
    fired += await desk.fire(8, start=12)
    receiver.otherwise = status(200)
    await house.start("notifier", NOTIFY_ALLOW_PRIVATE="on")
    await wait_until(lambda: len(desk.taken()) == 20, timeout_s=60)
    counted = desk.taken()
    assert set(counted) == set(fired)
    assert {event_id for event_id, times in counted.items() if times > 1} == {fired[4]}
    assert counted[fired[4]] == 2
    await wait_until(lambda: _are(dsns["admin"], sent=20))


async def _are(dsn: str, **expected: int) -> bool:
    return await states(dsn) == Counter(expected)


@pytest.mark.timeout(180)
async def test_of_two_processes_one_is_killed_and_the_other_delivers_the_rest(
    house: House, desk: Desk, dsns: dict[str, str], receiver: Receiver
) -> None:
    people = range(1, 7)
    await house.start("notifier", NOTIFY_ALLOW_PRIVATE="on")
    await house.start("notifier", NOTIFY_ALLOW_PRIVATE="on", PROCESS_INDEX="1")
    for person in people:
        await desk.open_account(100 + person, person)
        await desk.bind(person)
    fired = [event_id for person in people for event_id in await desk.fire(30, login=100 + person)]
    await wait_until(lambda: len(receiver.calls) >= 40)
    await house.end("notifier-1", signal.SIGKILL)
    await wait_until(lambda: len(desk.taken()) == len(fired), timeout_s=90)
    counted = desk.taken()
    assert set(counted) == set(fired)
    # A repeat is possible only for what was under way in the one that died: one per recipient.
    assert sum(times - 1 for times in counted.values()) <= len(people)
    await wait_until(lambda: _are(dsns["admin"], sent=len(fired)))


async def test_a_stack_that_stops_finishes_what_is_under_way(
    house: House, desk: Desk, dsns: dict[str, str], receiver: Receiver
) -> None:
    await house.start("notifier", NOTIFY_ALLOW_PRIVATE="on")
    await desk.open_account(LOGIN, PERSON)
    await desk.bind(PERSON)
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow(request: Any) -> Any:
        arrived.set()
        await go_on.wait()
        return await status(200)(request)

    receiver.script.append(slow)
    await desk.fire(1)
    await arrived.wait()
    ending = asyncio.create_task(house.end("notifier-0"))
    go_on.set()
    assert await ending == 0
    assert await states(dsns["admin"]) == {"sent": 1}
    assert len(receiver.calls) == 1


async def test_with_its_own_rights_on_the_bus_it_does_all_of_this(
    house: House, dsns: dict[str, str], tmp_path: Path
) -> None:
    """The generated allow-lists suffice: nothing is refused."""
    users = nats_users(["auth", "alerts", "notifier", "gateway", "market"], 1)
    with open_nats(tmp_path / "guarded", users=users) as guarded:
        await ensure_streams(guarded.url_for("bootstrap"), ["auth", "alerts", "notifier", "gateway"], 1)
        async with open_receiver() as receiver, open_mailbox() as mailbox:
            own = House(dsns, guarded.url_for("notifier"), tmp_path)
            auth = await bus_nats.connect(guarded.url_for("auth"), "auth")
            alerts = await bus_nats.connect(guarded.url_for("alerts"), "alerts")
            gateway = await bus_nats.connect(guarded.url_for("gateway"), "gateway")
            try:
                await own.start("notifier", NOTIFY_ALLOW_PRIVATE="on", SMTP_URL=mailbox.url)
                await Desk(auth, receiver).open_account(LOGIN, PERSON)
                await Desk(gateway, receiver).bind(PERSON)
                await Desk(alerts, receiver).fire(3)
                await wait_until(lambda: len(receiver.calls) == 3)
                assert (await gateway.request(DEAD_DELIVERIES, DeadLettersAsk())).count == 0
                mail = MailSend(
                    id="m",
                    to="a@b.c",
                    kind="receipt",
                    fields=dict.fromkeys(("plan", "amount", "currency"), "1"),
                )
                await auth.request(MAIL_SEND, mail)
                await wait_until(lambda: len(mailbox.mails) == 1)
                log = own.running["notifier-0"].log.read_text()
                assert "ermission" not in log
            finally:
                await own.stop()
                for bus in (auth, alerts, gateway):
                    await bus.close()


async def test_a_wrong_setting_stops_the_start_with_one_line_and_no_secret(house: House) -> None:
    for settings, said in (
        ({"SMTP_URL": "http://user:hunter2@mail"}, "TRADEWIND_SMTP_URL"),
        ({"X_CREDENTIALS": "hunter2:b"}, "TRADEWIND_X_CREDENTIALS"),
        ({"NOTIFY_KEY": "hunter2"}, "TRADEWIND_NOTIFY_KEY"),
        ({"MAIL_FROM": "nobody"}, "TRADEWIND_MAIL_FROM"),
        ({"NOTIFY_ALLOW_PRIVATE": "maybe"}, "TRADEWIND_NOTIFY_ALLOW_PRIVATE"),
    ):
        with pytest.raises(AssertionError, match=said):
            await house.start("notifier", **settings)
        running = house.running.pop("notifier-0")
        assert running.process.returncode == 78
        assert "hunter2" not in running.log.read_text()
        running.log.unlink()
