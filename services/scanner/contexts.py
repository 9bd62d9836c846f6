"""Contexts: detections with the chart around them, their figures, pictures and conditions.

A context shows what was known when its formation became known: its window ends at the telling bar, so a
picture never changes and never shows what came later. The use cases write nothing but confirmations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from libs.common.candles import BY_ID as FRAMES
from libs.common.candles import DAY_MS
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.ids import Uuid, named_uuid
from libs.common.messages import scan as m
from services.scanner import rendering, views
from services.scanner.asking import Market
from services.scanner.bars import Bars
from services.scanner.catalogue import BY_ID
from services.scanner.chart_spec import ChartSpec
from services.scanner.conditions import CONDITIONS, price_above_vwap, price_volume_state, window_days_of
from services.scanner.constants import CANDLES_MIN
from services.scanner.detections import WINDOW
from services.scanner.drawing import Drawer
from services.scanner.errors import ConfirmationFailed, InvalidParam, NotFound
from services.scanner.evidence import EvidenceBook
from services.scanner.history import History
from services.scanner.ids import read
from services.scanner.params import EVERY, symbol_of, timeframe_of
from services.scanner.people_store import PeopleStore
from services.scanner.rounding import shown
from services.scanner.snapshot import Snapshot, snapshot
from services.scanner.store import Store
from services.scanner.times import iso

WIDE = 600
RETRY_AFTER_S = 30
MANIFEST_SCHEMA = "tradewind.context_manifest.v1"
DIMENSIONS = {"width": 1920, "height": 1080}
CODE_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that look alike
CODE_LENGTH = 6
CONFIRMED = "visual_confirmed"


class Contexts:
    """See the module's text."""

    def __init__(
        self,
        *,
        market: Market,
        history: History,
        database: Database,
        store: Store,
        people: PeopleStore,
        evidence: EvidenceBook,
        drawer: Drawer,
        clock: Clock,
    ) -> None:
        self._market = market
        self._history = history
        self._database = database
        self._store = store
        self._people = people
        self._evidence = evidence
        self._drawer = drawer
        self._clock = clock

    async def contexts(self, ask: m.ContextsAsk) -> m.ContextPage:
        """The newest contexts of a place; none yet: an empty list, and when to ask again."""
        timeframe = timeframe_of(ask.timeframe, "timeframe", EVERY)
        symbol = await symbol_of(self._market, ask.symbol)
        frame_id = next(frame.id for frame in FRAMES.values() if frame.name == timeframe)
        async with self._database.connection() as connection:
            rows = await self._store.contexts(connection, symbol, frame_id, ask.limit)
        found = [self._view(row) for row in rows]
        return m.ContextPage(
            contexts=found,
            returned_count=len(found),
            queued=not found,
            retry_after_s=None if found else RETRY_AFTER_S,
        )

    async def context(self, ask: m.ContextAsk) -> m.ContextView:
        """One context, and whether who asks has confirmed its chart."""
        row = await self._row(ask.id)
        async with self._database.connection() as connection:
            seen_ms = await self._people.confirmed_ms(connection, ask.person_id, row["id"])
        return replace(self._view(row), visual_status="unconfirmed" if seen_ms is None else CONFIRMED)

    async def inspect(self, id_: str) -> m.Inspection:
        """Where the context's chart is."""
        await self._row(id_)
        base = f"/api/v1/contexts/{id_}"
        return m.Inspection(
            chart=m.ChartOf(
                endpoint=f"{base}/chart", inspection_endpoint=f"{base}/inspect/chart", dimensions=DIMENSIONS
            ),
            context={"context_id": id_},
        )

    async def ohlcv(self, ask: m.ContextAsk) -> m.OhlcvView:
        """The candles of the context's chart, or of the wider one."""
        if ask.window not in ("context", "wide"):
            raise InvalidParam(
                "window was neither context nor wide", field="window", allowed=["context", "wide"]
            )
        row = await self._row(ask.id)
        bars = await self._bars(row, WINDOW if ask.window == "context" else WIDE)
        return m.OhlcvView(
            context_id=ask.id,
            symbol=views.symbol_view(row["symbol"]),
            timeframe=FRAMES[row["timeframe"]].name,
            window=ask.window,
            columns=("time", "open", "high", "low", "close", "volume"),
            candles=_rows(bars),
            returned_count=len(bars),
        )

    async def manifest(self, id_: str) -> m.ManifestView:
        """What the context is made of, so that somebody else comes to the same."""
        row = await self._row(id_)
        bars, now = await self._analysed(row)
        pattern = BY_ID[row["pattern"]]
        digits = self._market.digits(row["symbol"])
        base = f"/api/v1/contexts/{id_}"
        view = self._view(row)
        plan: dict[str, object] | None = None
        if view.entry is not None:
            plan = {
                "entry": view.entry,
                "stop": view.stop,
                "targets": view.targets,
                "atr": shown(row["atr"], digits),
            }
        return m.ManifestView(
            manifest=m.Manifest(
                schema=MANIFEST_SCHEMA,
                context_id=id_,
                detection_id=view.detection_id,
                symbol=view.symbol,
                timeframe=view.timeframe,
                pattern=pattern.id,
                definition=pattern.definition,
                direction=view.direction,
                confidence=view.confidence,
                formation={
                    "start_time": view.start_time,
                    "end_time": view.end_time,
                    "detected_at": view.detected_at,
                    "candles": row["span"],
                },
                window={
                    "candles": len(bars),
                    "from": iso(int(bars.open_ms[0])),
                    "to": iso(int(bars.open_ms[-1])),
                    "source": await self._history.source(row["symbol"], view.timeframe),
                },
                levels=rendering.levels_of(now),
                regime=rendering.regime_of(now),
                indicators=rendering.indicators_of(now),
                plan=plan,
                evidence=view.evidence,
                charts={
                    "chart": f"{base}/chart",
                    "original": f"{base}/original-chart",
                    "inspection": f"{base}/inspect/chart",
                },
                disclaimer=rendering.DISCLAIMER,
            )
        )

    # ── pictures ──────────────────────────────────────────────────────────────────────────────────

    async def chart(self, ask: m.ChartAsk) -> bytes:
        """A picture: with levels and plan, the original without them, or with the code to confirm."""
        row = await self._row(ask.id)
        bars, now = await self._analysed(row)
        code = visual_code(row["id"], ask.person_id) if ask.kind == "inspection" else ""
        return await self._drawer.draw(self._spec(row, bars, now, plain=ask.kind == "original", code=code))

    def _spec(
        self, row: Mapping[str, Any], bars: Bars, now: Snapshot, *, plain: bool, code: str
    ) -> ChartSpec:
        frame = FRAMES[row["timeframe"]]
        pattern = BY_ID[row["pattern"]]
        positions = {at: number for number, at in enumerate(bars.open_ms.tolist())}
        end = positions.get(row["end_ms"], len(bars) - 1)
        return ChartSpec(
            candles=[tuple(bar) for bar in _rows(bars)],  # type: ignore[misc]  # six numbers each
            span_ms=frame.span_ms,
            digits=self._market.digits(row["symbol"]),
            title=f"{views.symbol_view(row['symbol'])} · {frame.name} · {pattern.name}",
            subtitle=(
                f"{pattern.direction} · confidence {row['confidence']:.2f} · known at "
                f"{iso(row['detected_ms'])} · regime {now.regime.trend} · RSI {now.rsi:.1f}"
            ),
            footer=f"{len(bars)} closed candles up to the bar that made it known. {rendering.DISCLAIMER}",
            pattern_name=pattern.name,
            direction=pattern.direction,
            formation=(positions.get(row["start_ms"], 0), end),
            support=[(level.price, level.strength) for level in now.support],
            resistance=[(level.price, level.strength) for level in now.resistance],
            entry=row["entry"],
            stop=row["stop"],
            targets=() if row["entry"] is None else (row["target1"], row["target2"]),
            plain=plain,
            code=code,
        )

    async def confirm(self, ask: m.ConfirmAsk) -> m.Confirmed:
        """Somebody read the code off the inspection chart: so it was looked at."""
        row = await self._row(ask.id)
        seen = "".join(ask.observed_visual_code.split()).upper()
        if seen != visual_code(row["id"], ask.person_id):
            raise ConfirmationFailed(
                "the code is not the one on the inspection chart",
                hint="fetch the inspection chart and read the code at its top right",
                guidance=["inspect_chart_context", "confirm_chart_visual_inspection"],
            )
        async with self._database.transaction() as tx:
            await self._people.confirm(
                tx, ask.person_id, row["id"], self._clock.now_ms(), ask.method, ask.observations
            )
        return m.Confirmed(visual_status=CONFIRMED, context_id=ask.id)

    # ── conditions ────────────────────────────────────────────────────────────────────────────────

    async def condition(self, ask: m.ConditionAsk) -> m.ConditionView:
        """Is a condition true at the context's last bar?"""
        if ask.condition_id not in CONDITIONS:
            raise InvalidParam("condition_id was unknown", field="condition_id", allowed=list(CONDITIONS))
        row = await self._row(ask.id)
        digits = self._market.digits(row["symbol"])
        if ask.condition_id == "price_above_vwap":
            days = window_days_of(ask.parameters)
            if days is None:
                raise InvalidParam("window_days was no number from 1 to 365", field="parameters.window_days")
            span = FRAMES[row["timeframe"]].span_ms or 30 * DAY_MS
            bars = await self._bars(row, max(CANDLES_MIN, min(18_000, days * DAY_MS // span + 1)))
            met, values = price_above_vwap(bars, days, digits)
            parameters: dict[str, object] = {"window_days": days}
        else:
            if ask.parameters:
                raise InvalidParam("price_volume_state takes no parameters", field="parameters")
            met, values = price_volume_state(await self._bars(row, WINDOW), digits)
            parameters = {}
        return m.ConditionView(
            condition_id=ask.condition_id, parameters=parameters, met=met, values=values, context_id=ask.id
        )

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    async def _row(self, id_: str) -> Mapping[str, Any]:
        known = read("ctx", id_)
        row: Mapping[str, Any] | None = None
        if known is not None:
            async with self._database.connection() as connection:
                row = await self._store.detection(connection, known)
        if row is None:
            raise NotFound("there is no such context", guidance=["scan_contexts"])
        return row

    def _view(self, row: Mapping[str, Any]) -> m.ContextView:
        evidence = self._evidence.of(row["pattern"], row["symbol"], FRAMES[row["timeframe"]].name)
        return views.context_view(row, self._market.digits(row["symbol"]), evidence)

    async def _bars(self, row: Mapping[str, Any], limit: int) -> Bars:
        """The bars of a context: they end where it became known."""
        bars = await self._history.around(
            row["symbol"], FRAMES[row["timeframe"]].name, row["known_ms"], limit
        )
        if len(bars) == 0:
            raise NotFound("the candles of this context are gone")
        return bars

    async def _analysed(self, row: Mapping[str, Any]) -> tuple[Bars, Snapshot]:
        bars = await self._bars(row, WINDOW)
        if len(bars) < CANDLES_MIN:
            raise NotFound("the candles of this context are gone")
        return bars, snapshot(bars)


def visual_code(id_: Uuid, person_id: int) -> str:
    """The letters on a person's inspection chart of a context."""
    digest = named_uuid("visual", id_, person_id).bytes
    return "".join(CODE_LETTERS[byte % len(CODE_LETTERS)] for byte in digest[:CODE_LENGTH])


def _rows(bars: Bars) -> list[list[float]]:
    columns = (bars.open_ms, bars.open, bars.high, bars.low, bars.close, bars.volume)
    return [list(row) for row in zip(*(column.tolist() for column in columns), strict=True)]
