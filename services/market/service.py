"""The use cases of market. Opens the transactions; everything that decides is in pure files."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from libs.common.candles import TIME_MAX_MS, TIMEFRAMES, Candle, broker_timeframe, timeframe
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import InvalidData
from libs.common.ids import Ids
from libs.common.messages import market as m
from libs.common.messages.house import Done
from libs.common.outbox import Outbox, Relay, fact
from libs.common.subjects import GROUP_CHANGED, INSTRUMENT_CHANGED
from services.market import metrics, views
from services.market.catalogue import Catalogue, Known
from services.market.desk import Desk
from services.market.errors import QuoteOlder, WatchedSymbolNotFound, WatchListFull
from services.market.feed import Tick
from services.market.groups import profile_of
from services.market.profiles import Profile
from services.market.quotes import Line
from services.market.reading import CandleReader
from services.market.rounding import rounded
from services.market.sessions import market_state
from services.market.soundness import fault_of
from services.market.store import Place, Store, Stored
from services.market.writer import Writer

CANDLES_MAX = 10_000  # in one answer: the newest of the range
TICKS_MAX = 10_000
WATCHED_MAX = 500
SECONDS_BELOW = 10**11  # a quote's time below this is in seconds
READ_MAX_MS = 2**53  # a question may reach beyond any bar
POINTS_MAX = 2**53  # of a price: above it a float no longer has them all
_COLOR = re.compile(r"^#[0-9A-Fa-f]{6}$")
_HOUR, _DAY, _MONTH = (TIMEFRAMES[i] for i in (4, 6, 8))


class MarketService:
    """One method per command; see the contract for what each answers."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        desk: Desk,
        writer: Writer,
        reader: CandleReader,
        database: Database,
        store: Store,
        outbox: Outbox,
        relay: Relay,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._catalogue = catalogue
        self._desk = desk
        self._book = desk.book
        self._writer = writer
        self._reader = reader
        self._database = database
        self._store = store
        self._outbox = outbox
        self._relay = relay
        self._clock = clock
        self._ids = ids
        self._sources: dict[str, int] = {}
        self._changing = asyncio.Lock()  # a change is made of what is there: one at a time

    # ── instruments and groups ────────────────────────────────────────────────────────────────────

    async def put_symbol(self, ask: m.SymbolPut) -> m.Instrument:
        """Make or change an instrument; in force when this returns."""
        async with self._changing:
            symbol, said, instrument = self._catalogue.changed_instrument(ask.symbol, ask.fields)
            event_id = self._ids.event_id()
            event = m.InstrumentChanged(event_id=event_id, instrument=instrument)
            async with self._database.transaction() as tx:
                id_ = await self._store.put_instrument(tx, symbol, said)
                await self._outbox.append(tx, [fact(INSTRUMENT_CHANGED, event, event_id, symbol=symbol)])
            self._relay.wake()
            self._catalogue.take_instrument(id_, symbol, said)
            if symbol not in self._book.lines:
                self._book.add(Line(symbol, id_, instrument.digits))
            self._refresh(instrument)
        return instrument

    async def known_or_new(self, names: Sequence[str], digits: int) -> m.Instrument:
        """The instrument one of the names means; the last one is made known when none does."""
        for name in names:
            symbol = self._catalogue.symbol(name)
            if symbol is not None:
                return self._catalogue.find(symbol).instrument
        return await self.put_symbol(m.SymbolPut(symbol=names[-1], fields={"digits": digits}))

    def symbols(self) -> m.Instruments:
        """Every instrument."""
        return m.Instruments([known.instrument for known in self._catalogue.known()])

    async def put_group(self, ask: m.GroupPut) -> m.Group:
        """Make or change a group; in force when this returns."""
        async with self._changing:
            said, group = self._catalogue.changed_group(ask.group, ask.fields)
            event_id = self._ids.event_id()
            event = m.GroupChanged(event_id=event_id, group=group)
            async with self._database.transaction() as tx:
                await self._store.put_group(tx, ask.group, said)
                await self._outbox.append(tx, [fact(GROUP_CHANGED, event, event_id, group=ask.group)])
            self._relay.wake()
            self._catalogue.take_group(ask.group, said)
            self.refresh_outlets()
        return group

    def groups(self) -> m.Groups:
        """Every group."""
        return m.Groups(self._catalogue.groups())

    def group(self, ask: m.GroupGet) -> m.Group:
        """One group."""
        return self._catalogue.group(ask.group)

    def group_view(self, ask: m.GroupViewAsk) -> m.GroupView:
        """Which symbols a group sees, at which profile."""
        return self._catalogue.view(ask.group)

    def refresh_outlets(self) -> None:
        """Give every symbol the price profiles its groups use."""
        for known in self._catalogue.known():
            self._refresh(known.instrument)

    def _refresh(self, instrument: m.Instrument) -> None:
        profiles = self._catalogue.profiles_in_use(instrument)
        self._book.set_outlets(instrument.symbol, instrument.digits, profiles)
        metrics.SYMBOLS.set(len(self._book.lines))
        metrics.GROUPS.set(len(self._catalogue.groups()))

    # ── quotes ────────────────────────────────────────────────────────────────────────────────────

    async def put_quotes(self, ask: m.QuotesPut) -> Done:
        """Apply quotes in order, all or nothing; answers after every one was published and stored."""
        symbols = [self._catalogue.find(quote.symbol).instrument.symbol for quote in ask.quotes]
        await self._desk.checked(lambda: self._checked_ticks(symbols, ask.quotes), len(ask.quotes))
        await self._writer.flush()
        return Done()

    def _checked_ticks(self, symbols: Sequence[str], quotes: Sequence[m.QuoteIn]) -> list[Tick]:
        newest: dict[str, int] = {}
        now_ms = self._clock.now_ms()
        ticks: list[Tick] = []
        for number, (symbol, quote) in enumerate(zip(symbols, quotes, strict=True)):
            line = self._book.lines[symbol]
            bid, ask = quote.bid, quote.ask
            if not (math.isfinite(bid) and math.isfinite(ask)):
                raise InvalidData(f"quotes[{number}]: a price was not a finite number")
            if rounded(bid, line.digits) <= 0 or ask < bid:
                raise InvalidData(f"quotes[{number}]: bid was not above 0, or ask was below bid")
            if ask * 10.0**line.digits > POINTS_MAX:
                raise InvalidData(f"quotes[{number}]: ask was above 2^53 points")
            last_ms = newest.get(symbol, line.ctm_ms)
            at_ms = max(now_ms, last_ms) if quote.time is None else _quote_ms(quote.time, number)
            if at_ms < last_ms:
                raise QuoteOlder(f"quotes[{number}]: time was before the last quote of {symbol}")
            newest[symbol] = at_ms
            ticks.append((symbol, bid, ask, at_ms, 1.0))
        return ticks

    def snapshot(self) -> m.Snapshot:
        """The last quote of every symbol and profile."""
        return m.Snapshot([(name, msgspec.Raw(frame)) for name, frame in self._book.snapshot()])

    def ticks_since(self, ask: m.TicksSince) -> m.Ticks:
        """The frames above a seq that are still held."""
        known = self._catalogue.find(ask.symbol)
        profile = Profile.of(ask.profile)
        if profile is None or ask.limit < 1:
            raise InvalidData("profile was unknown, or limit was below 1")
        symbol = known.instrument.symbol
        frames = self._book.since(symbol, profile, ask.after_seq, min(ask.limit, TICKS_MAX))
        ring = self._book.lines[symbol].ring
        return m.Ticks(
            frames=[msgspec.Raw(frame) for frame in frames],
            first_seq=ring.first_seq,
            last_seq=ring.last_seq,
        )

    # ── candles ───────────────────────────────────────────────────────────────────────────────────

    async def candles(self, ask: m.CandlesAsk) -> m.CandleTable:
        """Candles in a range: the newest ``CANDLES_MAX`` of it, oldest first."""
        known = self._catalogue.find(ask.symbol)
        frame = broker_timeframe(ask.frame)
        if frame is None:
            raise InvalidData("frame was none of 1M 5M 15M 30M 1H 4H 1D 1W MN1")
        if not 0 <= ask.from_s <= ask.to_s:
            raise InvalidData("from and to were not 0 <= from <= to")
        to_ms = min(ask.to_s * 1000 + 999, READ_MAX_MS)
        line = self._line(known)
        found = await self._reader.range(line, frame, min(ask.from_s * 1000, READ_MAX_MS), to_ms, CANDLES_MAX)
        return m.CandleTable(views.CANDLE_COLUMNS, views.candle_rows(found, line.digits))

    async def put_candles(self, ask: m.CandlesPut) -> Done:
        """Upsert candles of one timeframe; nothing is derived from them."""
        known = self._catalogue.find(ask.symbol)
        frame = timeframe(ask.timeframe)
        if frame is None:
            raise InvalidData("timeframe was none of 1m 5m 15m 30m 1h 4h 1d 1w 1M")
        line = self._line(known)
        candles = [_checked_candle(row, number) for number, row in enumerate(ask.candles)]
        source_id = await self._source_id(ask.source)
        self.take_candles(line, frame.id, candles)
        rows = {
            Place(line.instrument_id, frame.id, candle.open_ms): Stored(source_id, *candle[1:])
            for candle in candles
        }
        await self._writer.flush(rows)
        return Done()

    def take_candles(self, line: Line, timeframe_id: int, candles: Sequence[Candle]) -> None:
        """Let the forming bars go on from those candles that are still open."""
        frame = TIMEFRAMES[timeframe_id - 1]
        forming_ms = line.builder.forming_open_ms(timeframe_id)
        now_ms = self._clock.now_ms()
        for candle in candles:
            is_open = candle.open_ms <= now_ms < frame.end_ms(candle.open_ms)
            if is_open or candle.open_ms == forming_ms:
                line.builder.set(timeframe_id, candle)

    async def _source_id(self, name: str) -> int:
        if name not in self._sources:
            if not re.fullmatch(r"[a-z0-9:_-]{1,40}", name):
                raise InvalidData("source was not 1 to 40 small letters, digits and : _ -")
            async with self._database.transaction() as tx:
                self._sources[name] = await self._store.source_id(tx, name)
        return self._sources[name]

    # ── the market as an account sees it ──────────────────────────────────────────────────────────

    async def assets(self, ask: m.AssetsAsk) -> m.Assets:
        """Every symbol the account's group is shown, in full."""
        group = self._catalogue.group(ask.group)
        now = self._clock.now()
        return m.Assets(
            assets={
                seen.symbol: views.asset(seen, self._prices(group, known), market_state(seen, now))
                for known, seen in self._catalogue.seen(group)
            },
            groups=self._catalogue.security_groups(group),
        )

    async def short_list(self, ask: m.AssetsAsk) -> m.ShortList:
        """The 36 columns of every symbol the account's group is shown."""
        group = self._catalogue.group(ask.group)
        now = self._clock.now()
        seen = list(self._catalogue.seen(group))
        changes = await self._changes_1d([known for known, _ in seen])
        rows = [
            views.short_row(
                instrument,
                self._prices(group, known),
                market_state(instrument, now),
                changes[known.id],
            )
            for known, instrument in seen
        ]
        return m.ShortList(
            assets=m.ShortTable(views.SHORT_COLUMNS, rows), groups=self._catalogue.security_groups(group)
        )

    async def symbol_info(self, ask: m.SymbolAsk) -> m.AssetInfo:
        """One symbol with its analytics."""
        group = self._catalogue.group(ask.group)
        known, seen = self._catalogue.seen_one(group, ask.symbol)
        line = self._line(known)
        days = await self._reader.latest([line], _DAY, 400)
        months = await self._reader.latest([line], _MONTH, 120)
        return views.asset_info(
            seen,
            self._prices(group, known),
            market_state(seen, self._clock.now()),
            days[known.id],
            months[known.id],
        )

    async def _changes_1d(self, known: Sequence[Known]) -> Mapping[int, float]:
        lines = [self._line(k) for k in known]
        days = await self._reader.latest(lines, _DAY, 2)
        young = [line for line in lines if len(days[line.instrument_id]) < 2]
        hours = await self._reader.latest(young, _HOUR, views.WATCH_HOURS + 1) if young else {}
        return {
            line.instrument_id: views.change_1d(
                days[line.instrument_id], hours.get(line.instrument_id, []), line.bid
            )
            for line in lines
        }

    def _line(self, known: Known) -> Line:
        return self._book.lines[known.instrument.symbol]

    def _prices(self, group: m.Group, known: Known) -> tuple[float, float]:
        return self._line(known).prices(profile_of(group, known.instrument))

    # ── watch lists ───────────────────────────────────────────────────────────────────────────────

    async def watch_list(self, ask: m.WatchAsk) -> m.WatchList:
        """The market watch of an account, without what its group hides."""
        group = self._catalogue.group(ask.group)
        async with self._database.connection() as connection:
            rows = await self._store.watched(connection, ask.login)
        by_id = {known.id: (known, seen) for known, seen in self._catalogue.seen(group)}
        shown = [row for row in rows if row.instrument_id in by_id]
        prices = await self._watched_prices([by_id[row.instrument_id][0] for row in shown])
        now = self._clock.now()
        lines = [
            views.watched(
                prices[row.instrument_id],
                row.sort_index,
                row.color,
                market_state(by_id[row.instrument_id][1], now),
            )
            for row in shown
        ]
        return m.WatchList({line.symbol: line for line in lines})

    async def watch(self, ask: m.WatchAdd) -> m.WatchAdded:
        """Put a symbol on a watch list; twice is fine."""
        known, _ = self._catalogue.seen_one(self._catalogue.group(ask.group), ask.symbol)
        async with self._database.transaction() as tx:
            if not await self._store.watch(tx, ask.login, known.id, WATCHED_MAX):
                raise WatchListFull(f"the watch list holds {WATCHED_MAX} symbols")
        return {known.instrument.symbol: (await self._watched_prices([known]))[known.id]}

    async def change_watched(self, ask: m.WatchUpdate) -> Done:
        """Change place or colour of a watched symbol."""
        if ask.sort_index is None and ask.color is None:
            raise InvalidData("neither sort_index nor color was given")
        if ask.color is not None and not _COLOR.fullmatch(ask.color):
            raise InvalidData("color was not #RRGGBB")
        if ask.sort_index is not None and abs(ask.sort_index) >= 2**31:
            raise InvalidData("sort_index was too large")
        symbol = self._catalogue.symbol(ask.symbol)
        if symbol is None:
            raise WatchedSymbolNotFound
        known = self._catalogue.find(symbol)
        async with self._database.transaction() as tx:
            if not await self._store.change_watched(tx, ask.login, known.id, ask.sort_index, ask.color):
                raise WatchedSymbolNotFound
        return Done()

    async def unwatch(self, ask: m.WatchRemove) -> Done:
        """Take a symbol off a watch list; absent is fine."""
        symbol = self._catalogue.symbol(ask.symbol)
        if symbol is not None:
            async with self._database.transaction() as tx:
                await self._store.unwatch(tx, ask.login, self._catalogue.find(symbol).id)
        return Done()

    async def _watched_prices(self, known: Sequence[Known]) -> Mapping[int, m.WatchedPrices]:
        if not known:
            return {}
        lines = [self._line(k) for k in known]
        days = await self._reader.latest(lines, _DAY, 2)
        hours = await self._reader.latest(lines, _HOUR, views.WATCH_HOURS + 1)
        return {
            line.instrument_id: views.watched_prices(
                line.symbol, days[line.instrument_id], hours[line.instrument_id], line.bid
            )
            for line in lines
        }


def _quote_ms(time: int, number: int) -> int:
    """A quote's time in ms; below 10^11 it is in seconds."""
    at_ms = time * 1000 if abs(time) < SECONDS_BELOW else time
    if not 0 < at_ms <= TIME_MAX_MS:
        raise InvalidData(f"quotes[{number}]: time was not a Unix time from 1970 to 9998")
    return at_ms


def _checked_candle(row: Sequence[Any], number: int) -> Candle:
    candle = Candle(*row)
    fault = fault_of(candle)
    if fault is not None:
        raise InvalidData(f"candles[{number}]: {fault}")
    return candle
