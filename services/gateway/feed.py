"""From the bus to the stream: quotes as they come, the last ones at start, pushes and their history.

Callbacks of the bus only hand bytes on. A quote is never decoded on its way; only the snapshot's are,
to see which of two is newer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from libs.common.bus import HEADER_TRACE, Bus, Stored, decode
from libs.common.errors import AppError, MessageUnreadable
from libs.common.messages.auth import PersonChanged, SessionRevoked
from libs.common.messages.market import Quote, SnapshotAsk
from libs.common.streams import gateway_consumers
from libs.common.subjects import (
    PERSON_CHANGED,
    PUSH_STREAM,
    QUOTE,
    QUOTES_SNAPSHOT,
    SESSION_REVOKED,
    account_pushes,
    untoken,
)
from libs.common.telemetry import is_sampled, span
from services.gateway.hub import Hub
from services.gateway.socket import Replay

log = structlog.get_logger()

RETRY_S = 0.5
RETRY_S_MAX = 10.0
REPLAY_MAX = 1_000
_PERSON = PERSON_CHANGED.pattern.removesuffix("*")
_REVOKED = SESSION_REVOKED.pattern.removesuffix("*")
NEWEST = 2**62  # a position after everything: a history asked from there only tells the bounds


class Feed:
    """Feeds one hub. ``on_market`` hears that instruments or groups changed, ``on_revoked`` whose tokens
    stopped counting, ``on_person`` that what is remembered of a person is out of date."""

    def __init__(
        self,
        bus: Bus,
        hub: Hub,
        process_index: int,
        *,
        on_market: Callable[[], None],
        on_revoked: Callable[[SessionRevoked], None],
        on_person: Callable[[PersonChanged], None] = lambda person: None,
    ) -> None:
        self._bus = bus
        self._hub = hub
        self._process_index = process_index
        self._on_market = on_market
        self._on_revoked = on_revoked
        self._on_person = on_person
        self._keys: dict[str, tuple[str, str]] = {}  # subject → profile and symbol
        self._seq = 0
        self._snapshot: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Hear quotes first, then fetch the last ones: so none is missed in between."""
        pushes, market_facts, auth_facts = gateway_consumers(self._process_index)
        await self._bus.subscribe(QUOTE.pattern, self.on_tick)
        await self._bus.follow(pushes, self.on_push)
        await self._bus.follow(market_facts, lambda stored: self._on_market())
        await self._bus.follow(auth_facts, self.on_auth)
        self._bus.on_reconnect(self.resume)
        self.resume()

    def stop(self) -> None:
        """Fetch no more; what was subscribed ends with the bus."""
        if self._snapshot is not None:
            self._snapshot.cancel()

    def resume(self) -> None:
        """Fetch the last quotes: at start, and after a reconnect that may have lost some."""
        if self._snapshot is None or self._snapshot.done():
            self._snapshot = asyncio.get_running_loop().create_task(self._catch_up(), name="quote snapshot")

    # ── callbacks of the bus ──────────────────────────────────────────────────────────────────────

    def on_tick(self, subject: str, payload: bytes) -> None:
        """A quote of one price profile."""
        key = self._keys.get(subject)
        if key is None:
            profile, symbol = subject.rsplit(".", 2)[1:]
            key = self._keys[subject] = (untoken(profile), untoken(symbol))
        self._hub.on_tick(key[0], key[1], payload)

    def on_push(self, stored: Stored) -> None:
        """An event of one account."""
        if stored.seq <= self._seq:
            self._hub.rewind_pushes()  # the stream lost its tail or was made anew: its numbers came before
        self._seq = stored.seq
        self._hub.on_push(int(stored.subject.rpartition(".")[2]), stored.seq, stored.payload)
        trace = stored.headers.get(HEADER_TRACE, "")
        if is_sampled(trace):
            span("push", of=trace, subject=stored.subject, seq=stored.seq)

    def on_auth(self, stored: Stored) -> None:
        """A fact of auth; what was revoked and what changed of a person are what matters here."""
        try:
            if stored.subject.startswith(_REVOKED):
                self._on_revoked(decode(stored.payload, SessionRevoked))
            elif stored.subject.startswith(_PERSON):
                self._on_person(decode(stored.payload, PersonChanged))
        except MessageUnreadable:
            log.exception("fact of auth unreadable", subject=stored.subject)

    # ── asking ────────────────────────────────────────────────────────────────────────────────────

    async def history(self, login: int, after: int | None) -> Replay:
        """The pushes of an account after a position; without one only the latest position."""
        if after is None:
            window = await self._bus.history(PUSH_STREAM, account_pushes(login), NEWEST, 1)
            return Replay(window.last_seq)
        window = await self._bus.history(PUSH_STREAM, account_pushes(login), after, REPLAY_MAX + 1)
        if after > window.last_seq or after + 1 < window.first_seq:
            return Replay(window.last_seq, gap=True)
        return Replay(window.last_seq, [(entry.seq, entry.payload) for entry in window.entries])

    async def _catch_up(self) -> None:
        delay_s = RETRY_S
        while True:
            try:
                snapshot = await self._bus.request(QUOTES_SNAPSHOT, SnapshotAsk())
                break
            except AppError as e:
                log.info("waiting for the last quotes", error=str(e))
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)
        for profile, raw in snapshot.frames:
            self._take_snapshot(profile, bytes(raw))

    def _take_snapshot(self, profile: str, frame: bytes) -> None:
        quote = decode(frame, Quote)
        known = self._hub.last((profile, quote.symbol))
        if known is not None:
            held = decode(known[known.index(b"[") :], Quote)  # after the WebSocket header
            if (held.ctm_ms, held.seq) >= (quote.ctm_ms, quote.seq):
                return
        self._hub.on_tick(profile, quote.symbol, frame)
