"""The courier against real receivers: what is sent, repeated, given up; in which order; and at what pace."""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import replace
from typing import Any

import pytest

from services.notifier import courier as courier_file
from services.notifier.retry import ATTEMPTS_MAX, DELAYS_MS
from tests.integration.notifier.receivers import MailBox, Receiver, status
from tests.integration.notifier.rig import PERSON, Rig

pytestmark = pytest.mark.timeout(60)


async def bound(rig: Rig, receiver: Receiver, channel: str = "webhook", person: int = PERSON) -> None:
    """A verified binding at the receiver; the calls of its proof are forgotten."""
    if channel == "webhook":

        async def echo(request: Any) -> Any:
            code = receiver.calls[-1].json["data"]["code"]
            return await status(200, {"challenge": code})(request)

        receiver.script.append(echo)
        target = f"{receiver.url}/hook/{person}"
    else:
        target = {
            "discord": f"{receiver.url}/api/webhooks/123/tok-en",
            "slack": f"{receiver.url}/services/T1/B1/abc",
            "ntfy": "a-topic",
        }[channel]
    assert (await rig.bind(channel, target, person)).status == "verified"
    receiver.calls.clear()


def ids_of(receiver: Receiver) -> list[str]:
    return [call.headers["webhook-id"] for call in receiver.calls]


async def test_a_delivery_that_is_taken_is_sent_and_nothing_is_left_due(rig: Rig, receiver: Receiver) -> None:
    await bound(rig, receiver)
    event_id = await rig.fire()
    await rig.work()
    assert ids_of(receiver) == [event_id]
    assert await rig.states() == ["sent"]
    assert await rig.work() == 0
    (lane,) = await rig.rows("SELECT waiting, due_ms FROM notifier.recipient WHERE channel = 'webhook'")
    assert lane == {"waiting": 0, "due_ms": 2**62}


async def test_a_receiver_that_is_down_is_tried_again_with_growing_delay_and_the_same_id(
    rig: Rig, receiver: Receiver
) -> None:
    await bound(rig, receiver)
    receiver.otherwise = status(503)
    event_id = await rig.fire()
    delays = []
    for attempt in range(1, ATTEMPTS_MAX + 1):
        assert await rig.work() == 1
        assert len(receiver.calls) == attempt
        row = await rig.delivery()
        if attempt < ATTEMPTS_MAX:
            delays.append(row["due_ms"] - rig.clock.now_ms())
            rig.advance(delays[-1] / 1000 - 0.002)
            assert await rig.work() == 0  # not before it is due
            rig.advance(0.004)
    assert delays == sorted(delays)
    for base, delay in zip(DELAYS_MS, delays, strict=True):
        assert 0.75 * base <= delay <= 1.25 * base
    assert set(ids_of(receiver)) == {event_id}
    assert len({call.body for call in receiver.calls}) == 1
    assert (row["state"], row["attempts"], row["last_error"]) == ("dead", 12, "answered 503")
    assert await rig.work() == 0


async def test_what_is_a_day_old_is_given_up_without_another_attempt(rig: Rig, receiver: Receiver) -> None:
    await bound(rig, receiver)
    receiver.otherwise = status(500)
    await rig.fire()
    await rig.work()
    rig.advance(25 * 3600)
    await rig.work()
    row = await rig.delivery()
    assert (row["state"], row["last_error"], len(receiver.calls)) == ("dead", "too old to be sent", 1)


@pytest.mark.parametrize("way", ["hang", "drop"])
async def test_no_answer_is_unknown_and_repeated_under_the_same_id(
    rig: Rig, receiver: Receiver, way: str
) -> None:
    await bound(rig, receiver)
    receiver.script.append(getattr(receiver, way))
    event_id = await rig.fire()
    await rig.work()
    row = await rig.delivery()
    assert row["state"] == "pending"
    assert row["last_error"] in ("no answer in time", "the connection failed (ServerDisconnectedError)")
    rig.advance(3)
    await rig.work()
    assert ids_of(receiver) == [event_id] * 2
    assert await rig.states() == ["sent"]


async def test_a_redirect_is_not_followed(rig: Rig, receiver: Receiver) -> None:
    await bound(rig, receiver)
    for code in (301, 302, 303, 307, 308):
        receiver.script.append(status(code, None, Location=f"{receiver.url}/elsewhere"))
        await rig.fire()
        await rig.work()
        assert "redirects are not followed" in (await rig.delivery())["last_error"]
        await rig.rows("UPDATE notifier.delivery SET state = 'sent' RETURNING id")
        rig.advance(3600)
    assert {call.path for call in receiver.calls} == {f"/hook/{PERSON}"}


@pytest.mark.parametrize("way", ["flood", "crawl"])
async def test_an_answer_without_end_costs_nothing_but_its_limits(
    rig: Rig, receiver: Receiver, way: str
) -> None:
    await bound(rig, receiver)
    receiver.otherwise = getattr(receiver, way)
    await rig.fire()
    await rig.work()
    assert await rig.states() == ["sent"]


async def test_a_receiver_that_is_gone_is_called_no_more_and_what_waits_has_failed(
    rig: Rig, receiver: Receiver
) -> None:
    await bound(rig, receiver)
    receiver.otherwise = status(410)
    for _ in range(3):
        await rig.fire()
    await rig.work()
    assert len(receiver.calls) == 1
    assert await rig.states() == ["failed"] * 3
    await rig.fire()
    assert len(await rig.states()) == 3
    assert (await rig.rows("SELECT waiting FROM notifier.recipient WHERE channel = 'webhook'"))[0][
        "waiting"
    ] == 0


async def test_a_receiver_that_asks_to_wait_is_left_alone_so_long(rig: Rig, receiver: Receiver) -> None:
    await bound(rig, receiver)
    receiver.script.append(status(429, None, Retry_After="120"))
    await rig.fire()
    await rig.work()
    rig.advance(119)
    assert await rig.work() == 0
    rig.advance(2)
    await rig.work()
    assert await rig.states() == ["sent"]


async def test_deliveries_go_out_in_the_order_of_their_events(rig: Rig, receiver: Receiver) -> None:
    await bound(rig, receiver)
    fired = [await rig.fire() for _ in range(60)]
    while await rig.work():
        pass
    assert ids_of(receiver) == fired


async def test_one_that_is_always_refused_does_not_hold_back_the_others(rig: Rig, receiver: Receiver) -> None:
    await bound(rig, receiver)
    poison = await rig.fire()

    async def answer(request: Any) -> Any:
        bad = request.headers["webhook-id"] == poison
        return await status(500 if bad else 200)(request)

    receiver.otherwise = answer
    await rig.work()
    fired = [await rig.fire() for _ in range(3)]
    rig.advance(3)
    await rig.work()
    assert set(fired) <= set(ids_of(receiver))
    assert await rig.states() == ["pending", "sent", "sent", "sent"]


async def test_a_slow_receiver_does_not_delay_another_one(rig: Rig, receiver: Receiver) -> None:
    await rig.open_account(login=100002, person=8, email="bob@example.com")
    await bound(rig, receiver)
    await bound(rig, receiver, person=8)

    async def answer(request: Any) -> Any:
        if request.path.endswith(f"/{PERSON}"):
            return await receiver.hang(request)
        return await status(200)(request)

    receiver.otherwise = answer
    await rig.fire()
    await rig.fire(login=100002)
    work = asyncio.create_task(rig.work())
    while "sent" not in await rig.states():
        assert not work.done()
    receiver.released.set()
    await work


async def test_two_couriers_never_speak_to_one_recipient_at_once(
    rig: Rig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bound(rig, receiver)
    at_once, most = 0, 0

    async def answer(request: Any) -> Any:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        await asyncio.sleep(0.005)
        at_once -= 1
        return await status(200)(request)

    receiver.otherwise = answer
    fired = [await rig.fire() for _ in range(40)]
    await asyncio.gather(*(rig.work() for _ in range(4)))
    while await rig.work():
        pass
    assert most == 1
    assert ids_of(receiver) == fired


async def test_a_courier_that_wakes_after_its_lease_sends_nothing_more(rig: Rig, receiver: Receiver) -> None:
    await bound(rig, receiver)
    fired = [await rig.fire() for _ in range(3)]

    async def paused(request: Any) -> Any:
        # As if this process had slept: the lease runs out, another one takes over and finishes.
        rig.advance(courier_file.LEASE_MS / 1000 + 1)
        receiver.otherwise = status(200)
        await rig.work()
        return await status(200)(request)

    receiver.otherwise = paused
    await rig.work()
    assert await rig.states() == ["sent"] * 3
    assert ids_of(receiver) == [fired[0], *fired]  # the first was repeated under its id, the others were not


async def test_many_at_once_become_one_summary_for_a_person_and_stay_single_for_a_program(
    rig: Rig, receiver: Receiver, mailbox: MailBox
) -> None:
    await bound(rig, receiver)
    await rig.want(email=True)
    fired = [await rig.fire() for _ in range(8)]
    await rig.work()
    assert ids_of(receiver) == fired
    (mail,) = mailbox.mails
    assert mail["Subject"] == "8 notifications"
    assert "• EURUSD 1.08500: crossed up 1.08450 (×8)" in mail.get_content()
    assert await rig.states() == ["sent"] * 16


async def test_a_summary_that_did_not_get_through_is_repeated_as_it_was_under_its_id(
    rig: Rig, mailbox: MailBox
) -> None:
    await rig.want(email=True)
    for _ in range(7):
        await rig.fire()
    mailbox.data.append("451 try later")
    await rig.work()
    assert await rig.states() == ["pending"] * 7
    for _ in range(2):
        await rig.fire()
    rig.advance(3)
    while await rig.work():
        rig.advance(0.1)
    subjects = [mail["Subject"] for mail in mailbox.mails]
    assert subjects.count("7 notifications") == 1
    assert len(subjects) == 3
    batches = await rig.rows("SELECT batch_id FROM notifier.delivery WHERE batch_id IS NOT NULL")
    assert len(batches) == 7 and len({row["batch_id"] for row in batches}) == 1
    assert mailbox.mails[subjects.index("7 notifications")]["X-Tradewind-Id"] == batches[0]["batch_id"]


async def test_quiet_hours_hold_what_is_not_urgent_and_changing_them_lets_it_go(
    rig: Rig, mailbox: MailBox
) -> None:
    quiet = {"start": "12:00", "end": "14:00", "timezone": "Europe/Berlin"}  # it is 13:00 there
    await rig.want(email=True, quiet_hours=quiet)
    await rig.fire()
    await rig.tell("MARGIN_CALL", level=20, data={"margin_level": 49.9, "currency": "USD"})
    await rig.work()
    assert [mail["Subject"] for mail in mailbox.mails] == ["Margin call on account 100001"]
    rig.advance(3599)
    assert await rig.work() == 0
    rig.advance(1)
    await rig.work()
    assert len(mailbox.mails) == 2
    await rig.want(quiet_hours={"start": "00:00", "end": "23:59"})
    await rig.fire()
    await rig.work()
    assert len(mailbox.mails) == 2
    await rig.want(quiet_hours=None)
    await rig.work()
    assert len(mailbox.mails) == 3


async def test_a_digest_gathers_what_came_since_the_last_one(rig: Rig, mailbox: MailBox) -> None:
    await rig.want(email=True, digest="hourly", language="de")
    for _ in range(3):
        await rig.fire()
        await rig.work()
        rig.advance(600)
    assert mailbox.mails == []
    rig.advance(1800)
    await rig.work()
    assert [mail["Subject"] for mail in mailbox.mails] == ["3 Benachrichtigungen"]


async def test_a_recipients_rate_spreads_what_is_sent(rig: Rig, receiver: Receiver) -> None:
    await bound(rig, receiver, "slack")  # 3 at once, then one a second
    sent = []
    for _ in range(6):
        await rig.fire()
        await rig.work()
        sent.append(len(receiver.calls))
    for _ in range(4):
        rig.advance(1)
        await rig.work()
        sent.append(len(receiver.calls))
    assert sent == [1, 2, 3, 3, 3, 3, 4, 5, 6, 6]
    assert await rig.states() == ["sent"] * 6


async def test_a_channels_rate_holds_over_all_recipients_and_processes(
    rig: Rig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = rig.parts.channels["discord"]
    monkeypatch.setattr(channel, "channel_rate", replace(channel.channel_rate, count=2, window_s=1, burst=2))
    for number in range(6):
        await rig.open_account(login=200 + number, person=200 + number, email=f"p{number}@example.com")
        await bound(rig, receiver, "discord", 200 + number)
    for number in range(6):
        await rig.fire(login=200 + number)
    seen = []
    for _ in range(8):
        await asyncio.gather(rig.work(), rig.work())
        seen.append(len(receiver.calls))
        rig.advance(0.5)
    assert seen[0] == 2
    assert all(after - before <= 1 for before, after in itertools.pairwise(seen))
    assert seen[-1] == 6


async def test_an_operator_without_the_channel_lets_what_waits_grow_old(
    rig: Rig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await bound(rig, receiver, "discord")
    await rig.fire()
    monkeypatch.setattr(rig.parts.channels["discord"], "is_on", False)
    assert await rig.work() == 1
    assert await rig.states() == ["pending"]
    assert await rig.work() == 0  # looked at again in a minute, not in a circle
    rig.advance(25 * 3600)
    await rig.work()
    assert await rig.states() == ["dead"]


async def test_what_was_written_for_a_binding_just_taken_away_is_not_sent(
    rig: Rig, receiver: Receiver
) -> None:
    await bound(rig, receiver)
    await rig.fire()
    await rig.rows("UPDATE notifier.recipient SET status = 'closed' WHERE channel = 'webhook' RETURNING id")
    await rig.work()
    assert (await rig.states(), receiver.calls) == (["failed"], [])
    assert await rig.work() == 0


async def test_an_address_sealed_with_another_key_has_failed_and_says_so(
    rig: Rig, receiver: Receiver
) -> None:
    await bound(rig, receiver)
    await rig.fire()
    await rig.rows("UPDATE notifier.recipient SET target = '\\x00112233' RETURNING id")
    await rig.work()
    row = await rig.delivery()
    assert row["state"] == "failed"
    assert re.search("sealed with another key", row["last_error"])
