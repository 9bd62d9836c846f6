"""What people keep here: watchlists, monitors, the feed, time zones. Every use case knows whose it is.

Somebody else's id is answered like one that does not exist.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from libs.common.clock import Clock
from libs.common.db import Connection, Database, Record
from libs.common.ids import Ids, Uuid
from libs.common.messages import scan as m
from libs.common.messages import scan_people as pm
from libs.common.messages.house import Done
from services.scanner import views
from services.scanner.asking import Market
from services.scanner.catalogue import BY_ID
from services.scanner.errors import (
    InvalidParam,
    LimitReached,
    NotFound,
    TierInsufficient,
    WatchlistNameTaken,
    WatchlistNotFound,
)
from services.scanner.ids import read
from services.scanner.params import EVERY, symbol_of, timeframe_of
from services.scanner.people_store import PeopleStore
from services.scanner.watching import Monitor, Watching

LISTS_MAX = 20
SYMBOLS_MAX = 50
NAME_MAX = 50
DEFAULT_NAME = "Default"
MONITORS_MAX: Mapping[str, int] = {"free": 1, "go": 3, "plus": 10, "pro": 50}
CHANNELS = ("email", "telegram", "discord", "x", "slack", "ntfy", "webhook", "apprise")
WEBHOOK_TIER = "pro"
NEWEST = 2**62


class People:
    """See the module's text."""

    def __init__(
        self,
        *,
        market: Market,
        database: Database,
        store: PeopleStore,
        watching: Watching,
        clock: Clock,
        ids: Ids,
        kept_days: int,
    ) -> None:
        self._market = market
        self._database = database
        self._store = store
        self._watching = watching
        self._clock = clock
        self._ids = ids
        self._kept_days = kept_days

    # ── watchlists ────────────────────────────────────────────────────────────────────────────────

    async def watchlists(self, ask: m.PersonAsk) -> m.WatchlistsView:
        """A person's watchlists, the default first."""
        async with self._database.connection() as connection:
            rows = await self._store.watchlists(connection, ask.person_id)
        return m.WatchlistsView(watchlists=[views.watchlist_view(row) for row in rows])

    async def put_watchlist(self, ask: m.WatchlistPut) -> m.WatchlistView:
        """Make a watchlist, change one, or add a symbol to the default one."""
        if ask.symbol is not None and not ask.id:
            if ask.name is not None or ask.symbols is not None:
                raise InvalidParam("symbol goes alone, or name and symbols without it", field="symbol")
            return await self._add_to_default(ask.person_id, await self._symbol(ask.symbol))
        symbols = None if ask.symbols is None else await self._symbols(ask.symbols)
        name = None if ask.name is None else _name(ask.name)
        if not ask.id:
            if name is None:
                raise InvalidParam("name was missing", field="name")
            return await self._make(ask.person_id, name, symbols or [])
        id_ = read("wl", ask.id)
        if id_ is None:
            raise WatchlistNotFound
        if name is None and symbols is None:
            raise InvalidParam("neither name nor symbols was given", field="name")
        async with self._database.transaction() as tx:
            await self._store.lock_person(tx, ask.person_id)
            row = await self._store.watchlist(tx, ask.person_id, id_)
            if row is None:
                raise WatchlistNotFound
            return await self._put(tx, ask.person_id, row, name or row["name"], symbols)

    async def remove_watchlist(self, ask: m.WatchlistRemove) -> Done:
        """Take a watchlist away; what is no list's id is a symbol of the default one."""
        id_ = read("wl", ask.id)
        if id_ is None and ask.id.startswith("wl_"):
            raise WatchlistNotFound
        symbol = None if id_ is not None else views.symbol_view(await symbol_of(self._market, ask.id))
        async with self._database.transaction() as tx:
            await self._store.lock_person(tx, ask.person_id)
            if id_ is not None:
                if not await self._store.remove_watchlist(tx, ask.person_id, id_):
                    raise WatchlistNotFound
                return Done()
            row = await self._store.default_watchlist(tx, ask.person_id)
            if row is None or symbol not in row["symbols"]:
                raise WatchlistNotFound("the symbol is not on the default watchlist")
            left = [one for one in row["symbols"] if one != symbol]
            await self._put(tx, ask.person_id, row, row["name"], left)
        return Done()

    async def _make(self, person_id: int, name: str, symbols: Sequence[str]) -> m.WatchlistView:
        async with self._database.transaction() as tx:
            await self._store.lock_person(tx, person_id)
            held = await self._store.watchlists(tx, person_id)
            if len(held) >= LISTS_MAX:
                raise LimitReached(f"a person has at most {LISTS_MAX} watchlists", limit=LISTS_MAX)
            return await self._new(tx, person_id, name, symbols, is_default=False)

    async def _add_to_default(self, person_id: int, symbol: str) -> m.WatchlistView:
        async with self._database.transaction() as tx:
            await self._store.lock_person(tx, person_id)
            row = await self._store.default_watchlist(tx, person_id)
            if row is None:
                taken = {held["name"].lower() for held in await self._store.watchlists(tx, person_id)}
                names = (DEFAULT_NAME, *(f"{DEFAULT_NAME} {number}" for number in range(2, LISTS_MAX + 3)))
                free = next(name for name in names if name.lower() not in taken)
                return await self._new(tx, person_id, free, [symbol], is_default=True)
            if symbol in row["symbols"]:
                return views.watchlist_view(row)
            if len(row["symbols"]) >= SYMBOLS_MAX:
                raise InvalidParam(f"a watchlist holds at most {SYMBOLS_MAX} symbols", field="symbol")
            return await self._put(tx, person_id, row, row["name"], [*row["symbols"], symbol])

    async def _new(
        self, tx: Connection, person_id: int, name: str, symbols: Sequence[str], *, is_default: bool
    ) -> m.WatchlistView:
        now_ms = self._clock.now_ms()
        row = {
            "id": Uuid(self._ids.event_id()),
            "name": name,
            "symbols": list(symbols),
            "is_default": is_default,
            "created_ms": now_ms,
        }
        return await self._put(tx, person_id, row, name, symbols)

    async def _put(
        self,
        tx: Connection,
        person_id: int,
        row: Mapping[str, object] | Record,
        name: str,
        symbols: Sequence[str] | None,
    ) -> m.WatchlistView:
        changed = {**row, "name": name, "updated_ms": self._clock.now_ms()}
        if symbols is not None:
            changed["symbols"] = list(symbols)
        written = await self._store.put_watchlist(
            tx,
            changed["id"],
            person_id,
            name,
            changed["symbols"],
            changed["is_default"],
            changed["created_ms"],
            changed["updated_ms"],
        )
        if not written:
            raise WatchlistNameTaken(f"there is a watchlist named {name}")
        return views.watchlist_view(changed)

    async def _symbol(self, text: str) -> str:
        return views.symbol_view(await symbol_of(self._market, text))

    async def _symbols(self, texts: Sequence[str]) -> list[str]:
        """Canonical symbols, each once, in the order given."""
        if len(texts) > SYMBOLS_MAX:
            raise InvalidParam(f"a watchlist holds at most {SYMBOLS_MAX} symbols", field="symbols")
        return list(dict.fromkeys([await self._symbol(text) for text in texts]))

    # ── monitors ──────────────────────────────────────────────────────────────────────────────────

    async def monitors(self, ask: m.PersonAsk) -> pm.MonitorsView:
        """A person's monitors, oldest first."""
        async with self._database.connection() as connection:
            held = await self._store.monitors(connection, ask.person_id)
        return pm.MonitorsView(monitors=[views.monitor_view(monitor) for monitor in held])

    async def make_monitor(self, ask: pm.MonitorMake) -> pm.MonitorView:
        """Watch from now on."""
        patterns = tuple(dict.fromkeys(ask.pattern_filters))
        if not set(patterns) <= BY_ID.keys():
            raise InvalidParam("a pattern was unknown", field="pattern_filters", allowed=list(BY_ID))
        frames = [timeframe_of(text, "timeframe_filters", EVERY) for text in ask.timeframe_filters]
        symbols = [await symbol_of(self._market, text, "symbol_filters") for text in ask.symbol_filters]
        channels = _channels(ask.channels, ask.tier)
        monitor = Monitor(
            id=Uuid(self._ids.event_id()),
            person_id=ask.person_id,
            name=_name(ask.name),
            symbols=tuple(dict.fromkeys(symbols)),
            patterns=patterns,
            timeframes=tuple(dict.fromkeys(frames)),
            is_active=True,
            created_ms=self._clock.now_ms(),
            channels=channels,
        )
        limit = MONITORS_MAX.get(ask.tier, MONITORS_MAX["free"])
        async with self._database.transaction() as tx:
            await self._store.lock_person(tx, ask.person_id)
            if len(await self._store.monitors(tx, ask.person_id)) >= limit:
                raise LimitReached(f"this tier has at most {limit} monitors", limit=limit)
            await self._store.add_monitor(tx, monitor)
        self._watching.is_stale = True
        return views.monitor_view(monitor)

    async def set_monitor(self, ask: pm.MonitorChange) -> pm.MonitorView:
        """Let a monitor watch or rest; once or again."""
        id_ = read("mon", ask.id)
        changed = None
        if id_ is not None:
            async with self._database.transaction() as tx:
                changed = await self._store.set_monitor(
                    tx, ask.person_id, id_, is_active=ask.status == "active"
                )
        if changed is None:
            raise NotFound("there is no such monitor")
        self._watching.is_stale = True
        return views.monitor_view(changed)

    async def remove_monitor(self, ask: pm.MonitorChange) -> Done:
        """Take a monitor away; what it told stays in the feed."""
        id_ = read("mon", ask.id)
        gone = False
        if id_ is not None:
            async with self._database.transaction() as tx:
                gone = await self._store.remove_monitor(tx, ask.person_id, id_)
        if not gone:
            raise NotFound("there is no such monitor")
        self._watching.is_stale = True
        return Done()

    # ── the feed ──────────────────────────────────────────────────────────────────────────────────

    async def feed(self, ask: pm.FeedAsk) -> pm.FeedPage:
        """A page of the feed, newest first."""
        before = NEWEST
        if ask.cursor:
            if not (ask.cursor.isascii() and ask.cursor.isdigit() and len(ask.cursor) < 19):
                raise InvalidParam("cursor was none of ours", field="cursor")
            before = int(ask.cursor)
        async with self._database.connection() as connection:
            rows = await self._store.feed(
                connection, ask.person_id, unread_only=ask.unread_only, before=before, limit=ask.limit + 1
            )
        page, more = views.page_of(rows, ask.limit)
        return pm.FeedPage(
            events=[views.stored_event(row) for row in page],
            returned_count=len(page),
            has_more=more,
            next_cursor=str(page[-1]["position"]) if more else None,
        )

    async def acknowledge(self, ask: pm.FeedAck) -> pm.FeedAcked:
        """Mark events as read; those of others, and unknown ones, are passed over."""
        ids = [id_ for id_ in (read("evt", text) for text in ask.event_ids) if id_ is not None]
        async with self._database.transaction() as tx:
            return pm.FeedAcked(acknowledged=await self._store.acknowledge(tx, ask.person_id, ids))

    # ── the rest ──────────────────────────────────────────────────────────────────────────────────

    async def usage(self, ask: pm.UsageAsk) -> pm.UsageView:
        """How much of what the tier allows is used here; the scan quota is the gateway's to add."""
        async with self._database.connection() as connection:
            monitors = await self._store.monitors(connection, ask.person_id)
            events, unread = await self._store.feed_count(connection, ask.person_id)
        return pm.UsageView(
            tier=ask.tier,
            quota={},
            monitors={
                "limit": MONITORS_MAX.get(ask.tier, MONITORS_MAX["free"]),
                "used": len(monitors),
                "active": sum(monitor.is_active for monitor in monitors),
            },
            records={"retention_days": self._kept_days, "access": "full" if ask.tier != "free" else "recent"},
            feed={"events": events, "unread": unread},
        )

    async def timezone(self, ask: m.PersonAsk) -> pm.TimezoneView:
        """A person's time zone, UTC until it is said."""
        async with self._database.connection() as connection:
            name = await self._store.timezone(connection, ask.person_id)
        return pm.TimezoneView(timezone=name or "UTC")

    async def put_timezone(self, ask: pm.TimezonePut) -> pm.TimezoneView:
        """Change a person's time zone."""
        if not is_timezone(ask.timezone):
            raise InvalidParam("timezone was no IANA name, say Europe/Berlin", field="timezone")
        async with self._database.transaction() as tx:
            await self._store.put_timezone(tx, ask.person_id, ask.timezone)
        return pm.TimezoneView(timezone=ask.timezone)


def is_timezone(name: str) -> bool:
    """Whether a text names a time zone of the IANA database."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def _channels(asked: Sequence[str], tier: str) -> tuple[str, ...]:
    if not set(asked) <= set(CHANNELS):
        raise InvalidParam("a channel was unknown", field="channels", allowed=list(CHANNELS))
    if "webhook" in asked and tier != WEBHOOK_TIER:
        raise TierInsufficient(
            "webhooks of monitors need the Pro plan", required_tier=WEBHOOK_TIER, current_tier=tier
        )
    return tuple(dict.fromkeys(asked))


def _name(text: str) -> str:
    name = text.strip()
    if not 1 <= len(name) <= NAME_MAX or not name.isprintable():
        raise InvalidParam(f"name was not 1 to {NAME_MAX} printable characters", field="name")
    return name
