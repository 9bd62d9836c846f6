"""Scans, patterns and records: the use cases of the scan surface that belong to nobody.

Lifecycle: holds nothing of its own. Candles come from ``History``, rows from the store. A scan writes
nothing: its detections have the ids that the rounds give the same formations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.ids import Uuid
from libs.common.messages import scan as m
from services.scanner import rendering, views
from services.scanner.asking import Market
from services.scanner.bars import Bars
from services.scanner.catalogue import BY_ID, DIRECTIONS, PATTERNS
from services.scanner.constants import CANDLES_MIN
from services.scanner.detections import WINDOW, in_window
from services.scanner.errors import InvalidParam, PatternNotFound, RecordNotFound, TooFewCandles
from services.scanner.evidence import EvidenceBook, baseline_of
from services.scanner.history import History
from services.scanner.ids import detection_uuid, read
from services.scanner.ids import shown as shown_id
from services.scanner.outcomes import plan_of
from services.scanner.params import TIMEFRAMES, frame_of, moment_of, symbol_of, timeframe_of
from services.scanner.patterns import Found
from services.scanner.rounding import shown
from services.scanner.snapshot import Snapshot, snapshot
from services.scanner.store import NEWEST, Store
from services.scanner.times import iso

RULE = (
    "Entry at the close of the bar that made the formation known; stop 1.5 ATR against it, target 2.25 ATR "
    "with it; counted from the next bar for 30 bars; stop and target in one bar: loss; neither: expired."
)
STATUSES: Mapping[str, tuple[int, ...] | None] = {"all": None, "active": (0,), "closed": (1, 2, 3)}
OUTCOMES: Mapping[str, tuple[int, ...]] = {"open": (0,), "win": (1,), "loss": (2,), "expired": (3,)}


class Scans:
    """See the module's text."""

    def __init__(
        self,
        *,
        market: Market,
        history: History,
        database: Database,
        store: Store,
        evidence: EvidenceBook,
        clock: Clock,
    ) -> None:
        self._market = market
        self._history = history
        self._database = database
        self._store = store
        self._evidence = evidence
        self._clock = clock

    # ── scan ──────────────────────────────────────────────────────────────────────────────────────

    async def scan(self, ask: m.ScanAsk) -> m.ScanView:
        """The formations, levels, regime and indicators of the newest 200 closed candles."""
        timeframe = timeframe_of(ask.tf, "tf", TIMEFRAMES)
        wanted = _patterns_of(ask.patterns)
        symbol = await symbol_of(self._market, ask.symbol)
        bars = await self._history.closed(symbol, timeframe, WINDOW)
        if len(bars) < CANDLES_MIN:
            raise TooFewCandles(
                f"a scan needs {CANDLES_MIN} candles, there are {len(bars)}", have=len(bars), need=CANDLES_MIN
            )
        now = snapshot(bars)
        found = in_window(bars, now, wanted)
        return m.ScanView(
            symbol=views.symbol_view(symbol),
            tf=timeframe,
            scanned_at=iso(self._clock.now_ms()),
            candles=len(bars),
            price=shown(now.close, self._market.digits(symbol)),
            patterns=await self._detections(symbol, timeframe, bars, now, found),
            levels=rendering.levels_of(now),
            regime=rendering.regime_of(now),
            indicators=rendering.indicators_of(now),
            quota=m.QuotaView(limit=ask.quota_limit, used=ask.quota_used, resets_at=iso(ask.quota_resets_ms)),
        )

    async def _detections(
        self, symbol: str, timeframe: str, bars: Bars, now: Snapshot, found: Sequence[Found]
    ) -> list[m.DetectionView]:
        """Formations as a scan shows them; where one has a record, its plan is the record's."""
        ids = [detection_uuid(symbol, timeframe, f.name, int(bars.open_ms[f.at])) for f in found]
        async with self._database.connection() as connection:
            known = await self._store.known(connection, ids)
        return [
            self._detection(symbol, timeframe, bars, now, one, id_, known.get(id_))
            for one, id_ in zip(found, ids, strict=True)
        ]

    def _detection(
        self,
        symbol: str,
        timeframe: str,
        bars: Bars,
        now: Snapshot,
        found: Found,
        id_: Uuid,
        record: Mapping[str, Any] | None,
    ) -> m.DetectionView:
        digits = self._market.digits(symbol)
        direction = DIRECTIONS[found.name]
        entry: float | None = None
        stop: float | None = None
        targets: list[float] | None = None
        if record is not None and record["entry"] is not None:
            entry, stop = record["entry"], record["stop"]
            targets = [record["target1"], record["target2"]]
        elif record is None:
            plan = plan_of(
                direction, float(bars.close[min(found.at + BY_ID[found.name].lag, len(bars) - 1)]), now.atr
            )
            if plan is not None:
                entry, stop, targets = plan.entry, plan.stop, list(plan.targets)
        return m.DetectionView(
            detection_id=shown_id("det", id_),
            pattern=found.name,
            direction=direction,
            confidence=shown(found.confidence, views.SCORE_DIGITS),
            at=found.at,
            start_time=iso(int(bars.open_ms[found.at - found.span + 1])),
            end_time=iso(int(bars.open_ms[found.at])),
            entry=views.price_view(entry, digits),
            stop=views.price_view(stop, digits),
            targets=None if targets is None else [shown(target, digits) for target in targets],
            context_id=shown_id("ctx", id_),
            evidence=views.evidence_view(self._evidence.of(found.name, symbol, timeframe)),
        )

    # ── patterns ──────────────────────────────────────────────────────────────────────────────────

    def patterns(self) -> m.PatternList:
        """The catalogue."""
        return m.PatternList(patterns=[views.pattern_view(p) for p in PATTERNS], count=len(PATTERNS))

    def pattern(self, id_: str) -> m.PatternView:
        """One pattern."""
        if id_ not in BY_ID:
            raise PatternNotFound(f"there is no pattern {id_[:64]}")
        return views.pattern_view(BY_ID[id_])

    async def performance(self, ask: m.PerformanceAsk) -> m.PerformanceView:
        """What became of a pattern's closed records, beside the baseline of its direction."""
        pattern = self.pattern(ask.id)
        symbol = await symbol_of(self._market, ask.symbol) if ask.symbol else None
        frame = frame_of(ask.tf, "tf") if ask.tf else None
        base = baseline_of(pattern.id)
        frame_id = None if frame is None else frame.id
        async with self._database.connection() as connection:
            rows = await self._store.performance(connection, [pattern.id], symbol, frame_id)
            bases = (
                []
                if base is None
                else await self._store.performance_counts(connection, [base], symbol, frame_id)
            )
        beside = {_part(row): row for row in bases}
        total = [row for row in rows if _part(row)[0] == "total"]
        return m.PerformanceView(
            pattern=pattern.id,
            direction=pattern.direction,
            symbol=None if symbol is None else views.symbol_view(symbol),
            tf=None if frame is None else frame.name,
            rule=RULE,
            total=views.performance_of(total[0], beside.get(_part(total[0]))),
            by_tf=_parts(rows, beside, "tf"),
            by_symbol=_parts(rows, beside, "symbol"),
            by_hour=_parts(rows, beside, "hour"),
            disclaimer=rendering.DISCLAIMER,
        )

    # ── records ───────────────────────────────────────────────────────────────────────────────────

    async def records(self, ask: m.RecordsAsk) -> m.RecordPage:
        """A page of records, newest first."""
        if ask.status not in STATUSES:
            raise InvalidParam("status was unknown", field="status", allowed=list(STATUSES))
        if ask.outcome and ask.outcome not in OUTCOMES:
            raise InvalidParam("outcome was unknown", field="outcome", allowed=list(OUTCOMES))
        patterns = _patterns_of([ask.pattern] if ask.pattern else [])
        symbol = await symbol_of(self._market, ask.symbol) if ask.symbol else None
        frame = frame_of(ask.tf, "tf") if ask.tf else None
        outcomes = STATUSES[ask.status]
        if ask.outcome:
            both = OUTCOMES[ask.outcome]
            outcomes = both if outcomes is None else tuple(o for o in both if o in outcomes)
        async with self._database.connection() as connection:
            rows = await self._store.records(
                connection,
                limit=ask.limit + 1,
                symbol=symbol,
                timeframe_id=None if frame is None else frame.id,
                patterns=None if patterns is None else sorted(patterns),
                outcomes=outcomes,
                from_ms=moment_of(ask.from_time, "from", 0),
                to_ms=moment_of(ask.to_time, "to", 2**62),
                before=_cursor(ask.cursor),
            )
        page, more = views.page_of(rows, ask.limit)
        last = page[-1] if more else None
        return m.RecordPage(
            records=[views.record_view(row, self._market.digits(row["symbol"])) for row in page],
            returned_count=len(page),
            has_more=more,
            next_cursor=None if last is None else f"{last['detected_ms']}.{last['id'].hex}",
        )

    async def showcase(self, ask: m.ShowcaseAsk) -> m.Showcase:
        """The newest records, reduced."""
        async with self._database.connection() as connection:
            rows = await self._store.records(connection, limit=ask.count)
        return m.Showcase(
            records=[views.reduced_view(row, self._market.digits(row["symbol"])) for row in rows]
        )

    async def record(self, id_: str) -> m.RecordView:
        """One record, by its id or its detection's."""
        known = read("rec", id_) or read("det", id_)
        row = None
        if known is not None:
            async with self._database.connection() as connection:
                row = await self._store.detection(connection, known)
        if row is None or row["entry"] is None:
            raise RecordNotFound("there is no such record")
        return views.record_view(row, self._market.digits(row["symbol"]))


def _patterns_of(ids: Sequence[str]) -> frozenset[str] | None:
    """The patterns asked for, None for all; an unknown one is refused."""
    wanted = frozenset(name for name in (text.strip() for text in ids) if name)
    if not wanted <= BY_ID.keys():
        raise InvalidParam("a pattern was unknown", field="patterns", allowed=list(BY_ID))
    return wanted or None


def _part(row: Mapping[str, Any]) -> tuple[str, Any]:
    """Which part of a pattern's records a row counts: the bits say what was left out of the grouping."""
    kind = {7: "total", 3: "tf", 5: "symbol", 6: "hour"}[row["level"]]
    return kind, {"total": None, "tf": row["timeframe"], "symbol": row["symbol"], "hour": row["hour"]}[kind]


def _parts(
    rows: Sequence[Mapping[str, Any]], beside: Mapping[tuple[str, Any], Mapping[str, Any]], kind: str
) -> list[m.Performance]:
    found = []
    for row in rows:
        part = _part(row)
        if part[0] == kind:
            found.append(views.performance_of(row, beside.get(part), views.part_key(*part)))
    return found


def _cursor(text: str) -> tuple[int, Uuid]:
    """Where a page begins."""
    if not text:
        return NEWEST
    at, _, digits = text.partition(".")
    id_ = read("rec", f"rec_{digits}")
    if not (at.isascii() and at.isdigit() and len(at) < 19) or id_ is None:
        raise InvalidParam("cursor was none of ours", field="cursor")
    return int(at), id_
