"""The table of Idempotency-Key in PostgreSQL: one of many, leases, a day, and what is removed."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from libs.common.errors import InvalidData
from libs.common.messages.requests import (
    BODY_BYTES_MAX,
    RequestAnswer,
    RequestBegin,
    RequestBegun,
    RequestFinish,
)
from libs.common.subjects import REQUEST_BEGIN, REQUEST_FINISH
from services.auth import request_door
from services.auth.request_keys import KEPT_MS, LEASE_MS
from services.auth.request_store import RequestStore
from services.auth.sealing import Sealer
from tests.integration.auth.rig import SECRET, Rig

ANSWER = RequestAnswer(
    status=200, content_type="application/json", body=b'{"a":\x001}', headers={"Retry-After": "1"}
)


async def begin(rig: Rig, key: str = "k", print_: bytes = b"f" * 32, **changed: Any) -> RequestBegun:
    given = {"surface": "broker", "principal": "account:7", "key": key, "fingerprint": print_, **changed}
    begun: RequestBegun = await rig.call(REQUEST_BEGIN, RequestBegin(**given))
    return begun


async def finish(rig: Rig, lease_ms: int, answer: RequestAnswer | None, key: str = "k") -> None:
    message = RequestFinish(
        surface="broker", principal="account:7", key=key, lease_ms=lease_ms, answer=answer
    )
    await rig.call(REQUEST_FINISH, message)


def pass_ms(rig: Rig, ms: int) -> None:
    rig.clock.advance(timedelta(milliseconds=ms).total_seconds())


async def test_an_answer_comes_again_as_it_was(rig: Rig) -> None:
    begun = await begin(rig)
    assert begun.outcome == "new"
    assert (await begin(rig)).outcome == "in_flight"
    await finish(rig, begun.lease_ms, ANSWER)
    assert await begin(rig) == RequestBegun(outcome="replay", answer=ANSWER)
    assert (await begin(rig, print_=b"g" * 32)).outcome == "mismatch"
    others: list[dict[str, Any]] = [{"surface": "admin"}, {"principal": "account:8"}, {"key": "l"}]
    for other in others:
        assert (await begin(rig, **other)).outcome == "new"


async def test_of_many_at_once_one_is_new_and_after_the_lease_again_one(rig: Rig) -> None:
    for _ in range(2):
        outcomes = [b.outcome for b in await asyncio.gather(*(begin(rig) for _ in range(40)))]
        assert sorted(outcomes) == ["in_flight"] * 39 + ["new"]
        pass_ms(rig, LEASE_MS)


async def test_who_comes_back_after_the_lease_changes_nothing(rig: Rig) -> None:
    slow = await begin(rig)
    pass_ms(rig, LEASE_MS)
    quick = await begin(rig)
    assert quick.outcome == "new"
    assert quick.lease_ms > slow.lease_ms
    late = RequestAnswer(status=500, content_type="", body=b"late")
    await finish(rig, slow.lease_ms, late)
    await finish(rig, slow.lease_ms, None)
    assert (await begin(rig)).outcome == "in_flight"
    await finish(rig, quick.lease_ms, ANSWER)
    await finish(rig, quick.lease_ms, late)  # said is said
    await finish(rig, quick.lease_ms, None)
    assert (await begin(rig)).answer == ANSWER


async def test_a_freed_key_and_one_with_a_long_answer_are_new_again(rig: Rig) -> None:
    longest = RequestAnswer(status=200, content_type="", body=b"x" * BODY_BYTES_MAX)
    too_long = RequestAnswer(status=200, content_type="", body=b"x" * (BODY_BYTES_MAX + 1))
    for answer in (None, too_long):
        await finish(rig, (await begin(rig)).lease_ms, answer)
    await finish(rig, (await begin(rig)).lease_ms, longest)
    assert (await begin(rig)).answer == longest


async def test_a_key_counts_for_a_day(rig: Rig) -> None:
    await finish(rig, (await begin(rig)).lease_ms, ANSWER)
    pass_ms(rig, KEPT_MS - 1)
    assert (await begin(rig)).outcome == "replay"
    pass_ms(rig, 1)
    again = await begin(rig, print_=b"g" * 32)
    assert again.outcome == "new"
    await finish(rig, again.lease_ms, ANSWER)
    assert (await begin(rig, print_=b"g" * 32)).outcome == "replay"


async def test_outlived_keys_are_removed_in_pieces(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(request_door, "FORGOTTEN_AT_ONCE", 3)
    for number in range(7):
        await begin(rig, key=f"old-{number}")
    pass_ms(rig, KEPT_MS + 1)
    await begin(rig, key="young")
    async with rig.base.database.connection() as db:
        assert await RequestStore().forget(db, rig.clock.now_ms() - KEPT_MS, 2) == 2
    door = request_door.RequestDoor(rig.base, RequestStore(), Sealer(SECRET))  # type: ignore[arg-type]
    await door.tidy()
    async with rig.base.database.connection() as db:
        left = [row["key"] for row in await db.fetch("SELECT key FROM auth.request_key")]
    assert left == ["young"]


async def test_a_fingerprint_is_a_sha256(rig: Rig) -> None:
    with pytest.raises(InvalidData):
        await begin(rig, print_=b"short")
