"""Open answers: the same for everybody, asked often, so made once and given many times.

A row with ``fresh`` is served here. An answer is kept until prices change (pricing says so), at most for
``keep_s``; who asks meanwhile for the same gets the same bytes, an ETag and an Age. Many who ask at once for
an answer that is not there wait for one question to the owner.

Never: a refusal that is kept; an answer that was asked for before a change and kept after it; more than
``ENTRIES_MAX`` answers or ``BYTES_MAX`` bytes (the oldest go first).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

from aiohttp import web

from libs.common.bus import Bus, encode
from libs.common.clock import Clock
from libs.common.errors import AppError, InternalError
from libs.common.ids import Ids
from libs.common.principal import ANONYMOUS
from services.gateway import metrics
from services.gateway.endpoints.row import Caller, Endpoint, Fresh
from services.gateway.errors import TooFrequent
from services.gateway.pacing import Paced, Pacing
from services.gateway.ready import Dates, Ready, head_of, suits
from services.gateway.requests import RequestReader
from services.gateway.surfaces.base import Reply
from services.gateway.surfaces.prices import PricesSurface

ENTRIES_MAX = 2_000
BYTES_MAX = 64 * 1024 * 1024
IDS_AHEAD = 32
_ANYBODY = Caller(ANONYMOUS)
_EVERY_ANSWER = {"Server": "tradewind", "X-Content-Type-Options": "nosniff"}
_SURFACE = PricesSurface()


class Question(NamedTuple):
    """One request on a row with ``fresh``."""

    row: Endpoint
    parameters: Mapping[str, str]
    body: bytes
    address: str
    headers: Mapping[str, str]  # that every answer has


@dataclass(slots=True)
class Kept:
    """An answer that may be given again until ``until_s``, while ``generation`` is the desk's."""

    body: bytes
    etag: str
    made_s: float
    until_s: float
    generation: int
    route: str
    fresh: Fresh
    head: bytes = b""  # what the heads of all answers with these bytes begin with
    request_ids: list[str] = field(default_factory=list)  # made ahead, in bulk


class OpenData:
    """The kept answers of one gateway process."""

    def __init__(
        self, bus: Bus, clock: Clock, ids: Ids, pacing: Pacing, readers: Mapping[str, RequestReader]
    ) -> None:
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._pacing = pacing
        self._readers = readers
        self._kept: dict[tuple[str, str, bytes], Kept] = {}
        self._plain: dict[str, Kept] = {}  # the same by path and query, for a GET without a body
        self._asking: dict[tuple[str, str, bytes], asyncio.Task[Kept]] = {}
        self._bytes = 0
        self._generation = 0
        self._dates = Dates()

    def drop(self) -> None:
        """Prices changed: nothing that was made or asked for before is given again."""
        self._generation += 1

    def at_hand(self, request: web.BaseRequest) -> Kept | None:
        """The kept answer to a plain GET; None when there is none that may be given."""
        kept = self._plain.get(request.raw_path)
        if kept is None or request.method != "GET" or kept.generation != self._generation:
            return None
        if self._clock.monotonic_s() >= kept.until_s or "If-None-Match" in request.headers:
            return None
        return kept if suits(request) else None

    def give(self, kept: Kept, address: str, request_id: str | None) -> Ready | None:
        """That answer, counted; None when the address asked too often, or another machine must be asked.
        Without a ``request_id`` it has one of its own."""
        counted = kept.fresh.counted
        if counted and not self._pacing.at_hand:
            return None
        paced = self._pacing.count_here("prices", ANONYMOUS, address) if counted else None
        if paced is not None and not paced.taken:
            return None
        if request_id is None:
            kept.request_ids = kept.request_ids or self._ids.event_ids(IDS_AHEAD)
            request_id = kept.request_ids.pop()
        if not kept.head:
            kept.head = head_of({**_EVERY_ANSWER, **_lasting(kept)}, len(kept.body))
        age_s = int(self._clock.monotonic_s() - kept.made_s)
        head = (
            f"Date: {self._dates.at(self._clock.now_ms())}\r\nAge: {age_s}\r\nX-Request-Id: {request_id}\r\n"
        )
        if paced is not None:
            head += "".join([f"{name}: {value}\r\n" for name, value in paced.headers.items()])
        return Ready(b"".join((kept.head, head.encode(), b"\r\n", kept.body)))

    async def answer(
        self, request: web.BaseRequest, question: Question, is_staff: Callable[[], Awaitable[bool]]
    ) -> web.Response:
        """The answer to one request, refusals included."""
        fresh = question.row.fresh
        if fresh is None:
            raise InternalError
        paced = None
        if fresh.counted:
            paced = await self._pacing.count("prices", ANONYMOUS, question.address)
            if paced is not None and not paced.taken and not await is_staff():
                return self._too_many(request, question, paced)
        key = (question.row.name, request.raw_path, question.body)
        now_s = self._clock.monotonic_s()
        kept = self._kept.get(key)
        if kept is None or kept.generation != self._generation or now_s >= kept.until_s:
            try:
                kept = await self._once(key, request, question, fresh)
            except AppError as e:
                return _respond(question, _SURFACE.error(e), paced)
        return self._given(request, question, kept, paced)

    def _given(
        self,
        request: web.BaseRequest,
        question: Question,
        kept: Kept,
        paced: Paced | None,
    ) -> web.Response:
        headers = {**question.headers, **self._headers(kept, paced)}
        known = request.headers.get("If-None-Match")
        if known is not None and (known.strip() == "*" or kept.etag in known):
            del headers["Content-Type"]
            return web.Response(status=304, headers=headers)
        return web.Response(body=kept.body, headers=headers)

    def _headers(self, kept: Kept, paced: Paced | None) -> dict[str, str]:
        headers = {**_lasting(kept), "Age": str(int(self._clock.monotonic_s() - kept.made_s))}
        if paced is not None:
            headers.update(paced.headers)
        return headers

    def _too_many(self, request: web.BaseRequest, question: Question, paced: Paced) -> web.Response:
        metrics.refused("limit")
        error = TooFrequent(
            "Too many requests: 100 per minute and address.", retry_after_s=paced.retry_after_s
        )
        return _respond(question, _SURFACE.too_many(error, request.headers.get("Accept", "")), paced)

    # ── asking ────────────────────────────────────────────────────────────────────────────────────

    async def _once(
        self, key: tuple[str, str, bytes], request: web.BaseRequest, question: Question, fresh: Fresh
    ) -> Kept:
        """Ask the owner, or wait for who is asking the same already."""
        asking = self._asking.get(key)
        if asking is None:
            payload = self._payload(request, question)
            asking = asyncio.create_task(self._ask(key, question.row, payload, fresh))
            self._asking[key] = asking
            asking.add_done_callback(lambda done: self._asked(key))
        return await asyncio.shield(asking)

    def _asked(self, key: tuple[str, str, bytes]) -> None:
        self._asking.pop(key, None)

    def _payload(self, request: web.BaseRequest, question: Question) -> bytes:
        row = question.row
        if row.message is None:
            raise InternalError
        query = request.rel_url.raw_query_string
        asked = self._readers[row.name].read(question.body, query, question.parameters)
        return encode(row.message(asked, _ANYBODY))

    async def _ask(self, key: tuple[str, str, bytes], row: Endpoint, payload: bytes, fresh: Fresh) -> Kept:
        generation = self._generation
        if row.command is None:
            raise InternalError
        body = await self._bus.request_bytes(row.command, payload)
        now_s = self._clock.monotonic_s()
        etag = f'"{blake2b(body, digest_size=12).hexdigest()}"'
        kept = Kept(body, etag, now_s, now_s + fresh.keep_s, generation, row.name, fresh)
        if generation == self._generation:
            self._keep(key, kept)
        return kept

    def _keep(self, key: tuple[str, str, bytes], kept: Kept) -> None:
        self._forget(key)
        self._kept[key] = kept
        if kept.route.startswith("GET "):
            self._plain[key[1]] = kept
        self._bytes += len(kept.body)
        while len(self._kept) > ENTRIES_MAX or self._bytes > BYTES_MAX:
            self._forget(next(iter(self._kept)))

    def _forget(self, key: tuple[str, str, bytes]) -> None:
        gone = self._kept.pop(key, None)
        if gone is not None:
            self._bytes -= len(gone.body)
            self._plain.pop(key[1], None)


def _lasting(kept: Kept) -> dict[str, str]:
    """The headers that stay while an answer is kept."""
    return {
        **_SURFACE.headers,
        "Content-Type": "application/json",
        "Cache-Control": kept.fresh.control,
        "ETag": kept.etag,
    }


def _respond(question: Question, reply: Reply, paced: Paced | None) -> web.Response:
    headers = {**question.headers, **reply.headers, "Content-Type": reply.content_type}
    if paced is not None:
        headers.update(paced.headers)
    return web.Response(status=reply.status, body=reply.body, headers=headers)
