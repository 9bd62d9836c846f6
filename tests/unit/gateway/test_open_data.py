"""Kept answers: who gets which bytes, when they are asked for again, and what is never kept."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPResponse
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from aiohttp import HttpVersion10, HttpVersion11
from aiohttp.test_utils import make_mocked_request

from libs.common.clock import ManualClock
from libs.common.errors import AppError, ServiceUnavailable
from libs.common.ids import CountedIds
from libs.common.plans import PlansFile
from services.gateway.endpoints.prices import ROWS
from services.gateway.limits.limiter import Limiter
from services.gateway.limits.shared import SharedWindows
from services.gateway.limits.spans import SharedSpans
from services.gateway.limits.tables import Tables
from services.gateway.open_data import BYTES_MAX, ENTRIES_MAX, IDS_AHEAD, OpenData, Question
from services.gateway.pacing import Pacing
from services.gateway.ready import Ready
from services.gateway.requests import RequestReader
from services.gateway.surfaces.prices import prefers_page
from services.gateway.token_feed import token_channel
from tests.conftest import wait_until

HEADERS = {"Server": "tradewind", "X-Content-Type-Options": "nosniff", "X-Request-Id": "r"}
BULK = next(row for row in ROWS if row.path == "/api/v1/prices")


@dataclass
class Owner:
    """The other end of the bus: answers a growing number, or refuses, when it is let."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    asked: int = 0
    error: AppError | None = None
    body: bytes = b""

    async def request_bytes(self, command: Any, payload: bytes, **more: Any) -> bytes:
        self.asked += 1
        number = self.asked
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return self.body or b'{"answer":%d}' % number


class Seen(NamedTuple):
    """An answer, however it was made."""

    status: int
    headers: dict[str, str]
    body: Any


def read(ready: Ready) -> Seen:
    """The bytes of an answer, as an HTTP client reads them."""
    answer = HTTPResponse(BytesSocket(ready.message))  # type: ignore[arg-type]
    answer.begin()
    return Seen(answer.status, dict(answer.getheaders()), answer.read())


class BytesSocket(NamedTuple):
    """What an HTTP client reads from."""

    message: bytes

    def makefile(self, *args: Any) -> BytesIO:
        return BytesIO(self.message)


@dataclass
class Desk:
    owner: Owner
    clock: ManualClock
    data: OpenData

    async def get(self, path: str = "/api/v1/prices", address: str = "1.2.3.4", **headers: str) -> Seen:
        request = make_mocked_request("GET", path, headers=headers)
        question = Question(BULK, {}, b"", address, HEADERS)

        async def nobody() -> bool:
            return False

        kept = self.data.at_hand(request)
        given = self.data.give(kept, address, "r") if kept is not None else None
        if given is not None:
            return read(given)
        answer = await self.data.answer(request, question, nobody)
        return Seen(answer.status, dict(answer.headers), answer.body)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    clock, owner = ManualClock(datetime(2026, 1, 31, tzinfo=UTC)), Owner()
    owner.gate.set()
    windows = SharedWindows(tmp_path / "windows", clock)
    tables = Tables(windows, SharedSpans(tmp_path / "spans", clock))
    nobody: Any = None  # one machine says nothing to others
    pacing = Pacing(Limiter(tables, nobody, clock), PlansFile("", clock), clock)
    readers = {row.name: RequestReader(row) for row in ROWS}
    return Desk(owner, clock, OpenData(owner, clock, CountedIds(), pacing, readers))  # type: ignore[arg-type]


async def test_an_answer_is_given_again_until_it_is_old(desk: Desk) -> None:
    first = await desk.get()
    desk.clock.advance(4.9)
    again = await desk.get()
    assert (again.body, desk.owner.asked) == (first.body, 1)
    assert (again.headers["ETag"], again.headers["Age"]) == (first.headers["ETag"], "4")
    # What aiohttp adds to the first by itself is in the bytes of the second.
    assert set(again.headers) == set(first.headers) | {"Date", "Content-Length"}
    assert (again.headers["Content-Length"], again.headers["Date"]) == (
        str(len(first.body)),
        "Sat, 31 Jan 2026 00:00:04 GMT",
    )
    assert (await desk.get("/api/v1/prices?limit=3")).body != first.body  # another question
    desk.clock.advance(0.1)
    assert (await desk.get()).body != first.body


async def test_who_closes_the_connection_gets_an_answer_that_says_so(desk: Desk) -> None:
    await desk.get()
    for version, closing in ((HttpVersion11, True), (HttpVersion10, False), (HttpVersion10, True)):
        request = make_mocked_request("GET", "/api/v1/prices", version=version, closing=closing)
        assert desk.data.at_hand(request) is None
    assert (await desk.get()).status == 200


async def test_every_answer_has_an_id_of_its_own_unless_it_was_given_one(desk: Desk) -> None:
    await desk.get()
    kept = desk.data.at_hand(make_mocked_request("GET", "/api/v1/prices"))
    assert kept is not None
    given = [desk.data.give(kept, f"5.5.{n}.1", "mine" if n == 7 else None) for n in range(IDS_AHEAD * 2)]
    ids = [read(ready).headers["X-Request-Id"] for ready in given if ready is not None]
    assert len(set(ids)) == len(given) == IDS_AHEAD * 2
    assert ids[7] == "mine"


async def test_a_change_drops_what_was_kept_and_what_was_asked_for_before_it(desk: Desk) -> None:
    first = await desk.get()
    desk.data.drop()
    second = await desk.get()
    assert second.body != first.body
    desk.clock.advance(10)
    desk.owner.gate.clear()
    waiting = asyncio.create_task(desk.get())
    await wait_until(lambda: desk.owner.asked == 3)
    desk.data.drop()  # prices change while the owner is answering
    desk.owner.gate.set()
    assert (await waiting).body == b'{"answer":3}'
    assert (await desk.get()).body == b'{"answer":4}'


async def test_many_who_ask_at_once_are_one_question(desk: Desk) -> None:
    desk.owner.gate.clear()
    waiting = [asyncio.create_task(desk.get()) for _ in range(50)]
    await wait_until(lambda: desk.owner.asked)
    desk.owner.gate.set()
    assert len({(await task).body for task in waiting}) == 1
    assert desk.owner.asked == 1


async def test_a_refusal_is_never_kept(desk: Desk) -> None:
    desk.owner.error = ServiceUnavailable("away")
    refused = await desk.get()
    assert (refused.status, refused.headers["Cache-Control"]) == (503, "no-store")
    desk.owner.error = None
    assert (await desk.get()).status == 200
    assert (await desk.get("/api/v1/prices?limit=0")).status == 400
    assert desk.owner.asked == 2  # what can't be read does not reach the owner


async def test_who_knows_the_answer_gets_no_bytes(desk: Desk) -> None:
    etag = (await desk.get()).headers["ETag"]
    for known in (etag, f'"x", {etag}', f"W/{etag}", "*"):
        answer = await desk.get(**{"If-None-Match": known})
        assert (answer.status, answer.body) == (304, None), known
        assert answer.headers["ETag"] == etag
    assert (await desk.get(**{"If-None-Match": '"other"'})).status == 200


async def test_kept_answers_count_in_the_limit(desk: Desk) -> None:
    answers = [await desk.get() for _ in range(101)]
    assert [answer.status for answer in answers] == [200] * 100 + [429]
    assert answers[99].headers["X-RateLimit-Remaining"] == "0"
    assert (await desk.get(address="1.2.3.5")).status == 200
    desk.clock.advance(60)
    assert (await desk.get()).status == 200


async def test_what_is_kept_is_bounded(desk: Desk) -> None:
    desk.owner.body = b"x" * (BYTES_MAX // 10)
    for number in range(25):
        await desk.get(f"/api/v1/prices?offset={number}", address=f"2.2.2.{number}")
    assert len(desk.data._kept) == len(desk.data._plain) == 10
    desk.owner.body = b""
    for number in range(ENTRIES_MAX + 50):
        await desk.get(f"/api/v1/prices?offset={number}", address=f"3.{number // 90}.2.1")
    assert len(desk.data._kept) == len(desk.data._plain) == ENTRIES_MAX


@pytest.mark.parametrize(
    ("accept", "page"),
    [
        ("", False),
        ("*/*", False),
        ("application/json", False),
        ("text/html", True),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", True),
        ("application/json, text/html;q=0.9", False),
        ("text/html;q=0.5, application/json;q=0.4", True),
        ("text/*;q=0.9, application/*;q=0.5", True),
        ("text/html;q=nonsense", False),
        ("text/html, application/json", False),
        (";;,=,q", False),
    ],
)
def test_a_page_is_for_who_prefers_one(accept: str, page: bool) -> None:
    assert prefers_page(accept) is page


def test_names_of_public_channels() -> None:
    assert token_channel("EURUSD") is None
    assert token_channel("token:.stx") == ("token", ".stx")
    assert token_channel("token:CHA") == token_channel("token:cha")
    assert token_channel("token:cha") != token_channel("token:.cha")
