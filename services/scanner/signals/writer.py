"""The one writer of the record: signals, their names, how far bars were looked at, the facts; and the shelf
that questions are answered from.

Never: change a row of the record; put on the shelf what was not committed. When a commit's outcome is
unknown the writer reads the end of the record again before it adds to it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog

from libs.common.bus import Bus, encode
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import AppError
from libs.common.lease import Guard
from libs.common.messages.signals import SignalRecorded, SignalsGrew
from libs.common.outbox import Fact, Outbox, Relay, fact
from libs.common.subjects import SIGNAL_RECORDED, SIGNALS_GREW
from services.scanner import metrics
from services.scanner.ids import event_uuid
from services.scanner.signals.assets import BUILT_INS, Asset, names_of
from services.scanner.signals.generation import Memory
from services.scanner.signals.performance import Outcome
from services.scanner.signals.record import Entry, hash_of
from services.scanner.signals.shelf import Page, Shelf, Wanted
from services.scanner.signals.store import Place, SignalStore, Written, item_of
from services.scanner.signals.titles import lead_of

log = structlog.get_logger()

LOAD = 20_000  # signals read at once
LARGE = 50_000  # a shelf from here on is searched beside the event loop


@dataclass(frozen=True, slots=True)
class Told:
    """What looking at bars of one place gave. ``pools`` and ``texts`` are inputs as JSON, by close."""

    place: Place
    done_ms: int
    memory: Memory
    entries: Sequence[Entry]
    inputs: Sequence[tuple[int, str | None, str | None]] = ()


class Writer:
    """See the module's text."""

    def __init__(
        self,
        database: Database,
        store: SignalStore,
        outbox: Outbox,
        relay: Relay,
        clock: Clock,
        from_file: Sequence[Asset] = (),
        guard: Guard | None = None,
        bus: Bus | None = None,
    ) -> None:
        self._guard = guard
        self._bus = bus
        self._database = database
        self._store = store
        self._outbox = outbox
        self._relay = relay
        self._clock = clock
        self._from_file = from_file
        self._lock = asyncio.Lock()
        self._loaded = self._sound = False
        self.shelf = Shelf()
        self.outcomes = 0  # how often outcomes were written
        self.assets: dict[int, Asset] = {}
        self.names: dict[str, dict[str, int]] = {}
        self.places: dict[Place, tuple[int, Memory]] = {}

    async def ready(self) -> None:
        """Read what is stored, once; at first sight the registry gets its built-in assets."""
        if not self._loaded:
            async with self._lock:
                if not self._loaded:
                    await self._load()

    async def _load(self) -> None:
        async with self._database.transaction() as tx:
            await self._check(tx)
            await self._store.hold_head(tx)
            known = {asset.cmc_id for asset in await self._store.assets(tx)}
            file_ids = {asset.cmc_id for asset in self._from_file}
            built_in = [a for a in BUILT_INS if a.cmc_id not in known | file_ids]
            await self._put(tx, [*built_in, *self._from_file])
        async with self._database.connection() as connection:
            await self._read(connection)
        self._loaded = self._sound = True

    async def _read(self, connection: Connection) -> None:
        self.assets = {asset.cmc_id: asset for asset in await self._store.assets(connection)}
        self.names = await self._store.names(connection)
        self.places = await self._store.places(connection)
        while packed := await self._store.packed(connection, len(self.shelf), LOAD):
            self.shelf = await asyncio.to_thread(self.shelf.taken, packed)
        metrics.signals_held.set(len(self.shelf))

    async def find(self, wanted: Wanted, limit: int, offset: int, before: tuple[int, object] | None) -> Page:
        """A page, as ``Shelf.find``; positions are those of the table."""
        shelf = self.shelf
        if len(shelf) < LARGE or wanted == Wanted():
            page = shelf.find(wanted, limit, offset, before)  # type: ignore[arg-type]
        else:
            async with self._lock:  # lists grow while signals are added
                page = await asyncio.to_thread(shelf.find, wanted, limit, offset, before)  # type: ignore[arg-type]
        return Page([position + 1 for position in page.positions], page.total)

    async def following(self, wanted: Wanted, limit: int) -> tuple[list[int], int]:
        """The first positions after ``wanted.since`` that match, in the order of the record, and up to which
        position that is said; both those of the table."""
        shelf = self.shelf
        if len(shelf) < LARGE:
            found = shelf.following(wanted, limit)
        else:
            async with self._lock:
                found = await asyncio.to_thread(shelf.following, wanted, limit)
        return [at + 1 for at in found], found[-1] + 1 if len(found) == limit else len(shelf)

    async def put_assets(self, assets: Sequence[Asset]) -> None:
        """Add or replace assets of the registry."""
        async with self._lock:
            async with self._database.transaction() as tx:
                await self._check(tx)
                await self._store.hold_head(tx)
                await self._put(tx, assets)
            async with self._database.connection() as connection:
                self.assets = {asset.cmc_id: asset for asset in await self._store.assets(connection)}
                self.names = await self._store.names(connection)

    async def _put(self, tx: Connection, assets: Sequence[Asset]) -> None:
        if assets:
            await self._store.put_assets(tx, assets, self._clock.now_ms())
        await self._store.add_names(tx, names_of(assets))

    # ── the record ────────────────────────────────────────────────────────────────────────────────

    async def write(self, told: Told, *, tell: bool = True, move: bool = True) -> int:
        """Add what is new to the record, in one transaction; how many were new. ``tell``: say it to others.
        ``move``: the place goes on to ``told.done_ms``."""
        async with self._lock:
            if not self._sound:
                await self._load()
            self._sound = False
            new: list[Written] = []
            async with self._database.transaction() as tx:
                await self._check(tx)
                if told.entries:
                    new = await self._added(tx, told.entries, tell)
                    if tell:
                        await self._outbox.append(tx, list(_facts(new)))
                for close_ms, pools, texts in told.inputs:
                    await self._store.add_input(tx, told.place[0], close_ms, pools, texts)
                if move:
                    await self._store.put_place(tx, told.place, told.done_ms, told.memory)
            if new:
                self._relay.wake()
                if self._unnamed(new):
                    async with self._database.connection() as connection:
                        self.names = await self._store.names(connection)
                self.shelf = self.shelf.added([item_of(one) for one in new])
                metrics.signals_recorded.inc(len(new))
                metrics.signals_held.set(len(self.shelf))
            if move:
                self.places[told.place] = (told.done_ms, told.memory)
            self._sound = True
        if new and tell:
            await self._wake()
        return len(new)

    async def _wake(self) -> None:
        """Whoever follows the record asks for what is new; one that does not hear it asks by itself."""
        if self._bus is not None:
            try:
                await self._bus.publish(SIGNALS_GREW.at(), encode(SignalsGrew(signals=len(self.shelf))))
            except AppError as e:
                log.info("followers of signals were not woken", error=str(e))

    async def _added(self, tx: Connection, entries: Sequence[Entry], tell: bool) -> list[Written]:
        position, hash_ = await self._store.hold_head(tx)
        known = await self._store.known(tx, [entry.id for entry in entries])
        new: list[Written] = []
        for entry in entries:
            if entry.id in known:
                continue
            known.add(entry.id)
            position += 1
            hash_ = hash_of(hash_, entry.body.decode(), entry.evidence.decode())
            ids = tuple(self.names["narrative"][name] for name in entry.asset.narratives)
            new.append(Written(entry, position, hash_, ids, tell))
        if new:
            await self._store.add_signals(tx, new)
            await self._store.add_names(tx, {"tag": self._unnamed(new)})
        return new

    def _unnamed(self, new: Iterable[Written]) -> list[str]:
        """Tags seen for the first time: names of patterns."""
        tags = (tag for one in new for tag in one.entry.tags)
        return [tag for tag in dict.fromkeys(tags) if tag not in self.names["tag"]]

    async def add_outcomes(self, came: Sequence[tuple[int, int, Outcome]]) -> None:
        """Write outcomes."""
        async with self._database.transaction() as tx:
            await self._check(tx)
            await self._store.add_outcomes(tx, came)
        self.outcomes += 1

    async def _check(self, tx: Connection) -> None:
        """Only the process that owns the scanner writes."""
        if self._guard is not None:
            await self._guard.check(tx)


def _facts(new: Iterable[Written]) -> Iterable[Fact]:
    for one in new:
        entry = one.entry
        event = SignalRecorded(
            event_id=str(event_uuid("signal", entry.id)),
            signal_id=str(entry.id),
            symbol=entry.asset.market,
            timeframe=entry.frame.name,
            name=lead_of(entry.draft).kind,
            direction=entry.draft.sentiment,
            confidence=entry.draft.score.confidence,
            bar_open_ms=entry.open_ms,
            bar_close_ms=entry.close_ms,
            price=entry.draft.measures.close,
            live=entry.live,
        )
        keys = {"symbol": entry.asset.market, "timeframe": entry.frame.name}
        yield fact(SIGNAL_RECORDED, event, event.event_id, **keys)
