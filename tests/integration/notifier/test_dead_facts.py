"""Facts a service gave up: staff sees why, and has them handled again by that service."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.bus import Entry
from libs.common.bus_nats import NatsBus
from libs.common.errors import InvalidData, RemoteError
from libs.common.messages.house import Done, FactAgain
from libs.common.messages.notifier import DeadLetterRetry, DeadLetters, DeadLettersAsk
from libs.common.subjects import ALERTS_NOTICE, DEAD_DELIVERIES, DEAD_DELIVERY_RETRY, again_of
from services.notifier.dead_facts import STEP, DeadFacts
from services.notifier.errors import DeadLetterNotFound
from tests.conftest import wait_until
from tests.house import House


def dead(number: int) -> Entry:
    headers = {
        "Dead-Subject": f"auth.evt.account.opened.v1.{number}",
        "Dead-Consumer": "trading-accounts",
        "Dead-Reason": "no such group",
        "Dead-Attempts": "12",
        "Dead-Event-Id": f"e{number}",
        "Dead-Created-Ms": "1700000000000",
    }
    return Entry("trading.dead.trading-accounts.v1", b'{"n":%d}' % number, f"dead-{number}", headers)


async def test_they_are_listed_newest_first_and_leave_when_handled(bus: NatsBus) -> None:
    facts = DeadFacts(bus)
    assert await facts.newest() == []
    count = STEP + 5
    seqs = await bus.append("DEADLETTER", [dead(n) for n in range(count)])
    listed = await facts.newest()
    assert [letter.id for letter in listed] == [f"fact-{seq}" for seq in reversed(seqs)]
    first = listed[-1]
    assert (first.kind, first.channel, first.attempts, first.reason, first.event_id) == (
        "fact",
        "trading-accounts",
        12,
        "no such group",
        "e0",
    )
    assert first.created_ms == 1_700_000_000_000 < listed[0].finished_ms
    assert [letter.finished_ms for letter in listed] == sorted((x.finished_ms for x in listed), reverse=True)
    asked: list[FactAgain] = []

    async def again(ask: FactAgain, call: Any) -> Done:
        asked.append(ask)
        if ask.event_id == "e1":
            raise InvalidData("trading-accounts gave it up again: no such group")
        return Done()

    await bus.serve(again_of("trading"), again)
    await facts.handle_again(seqs[0])
    with pytest.raises(RemoteError, match="gave it up again"):
        await facts.handle_again(seqs[1])
    assert (asked[0].consumer, asked[0].subject, asked[0].payload) == (
        "trading-accounts",
        "auth.evt.account.opened.v1.0",
        b'{"n":0}',
    )
    assert [letter.id for letter in await facts.newest()] == [f"fact-{seq}" for seq in reversed(seqs[1:])]
    for gone in (seqs[0], 2**40):
        with pytest.raises(DeadLetterNotFound):
            await facts.handle_again(gone)


async def test_a_process_says_what_it_gave_up_and_tries_it_again(house: House, bus: NatsBus) -> None:
    await house.start("notifier", SERVICES="notifier")
    broken = b'{"event_id":"e1","login":7,"token":"not a key","raised_ms":1}'
    await bus.append("ALERTS", [Entry(ALERTS_NOTICE.at(login=7), broken, "e1")])

    async def listed() -> DeadLetters | None:
        page = await bus.request(DEAD_DELIVERIES, DeadLettersAsk(limit=10, offset=0))
        return page if page.count else None

    page: Any = await wait_until(listed)
    (letter,) = page.rows
    assert (letter.kind, letter.channel, letter.reason) == (
        "fact",
        "notifier-alerts",
        "token is no message key",
    )
    assert 0 < letter.finished_ms - letter.created_ms < 60_000
    with pytest.raises(RemoteError, match="gave it up again: token is no message key"):
        await bus.request(DEAD_DELIVERY_RETRY, DeadLetterRetry(id=letter.id))
    beyond = await bus.request(DEAD_DELIVERIES, DeadLettersAsk(limit=10, offset=1))
    assert (beyond.rows, beyond.count) == ([], 1)
