"""The use cases of the signals surface: pages, lookups, performance, bullishness; the registry, the past."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec
from msgspec import UNSET

from libs.common.bulk import BARS_MAX, columns
from libs.common.candles import BY_ID, BY_NAME, DAY_MS
from libs.common.clock import Clock
from libs.common.db import Database, Record
from libs.common.ids import Uuid
from libs.common.messages import signals as m
from services.scanner.asking import Market
from services.scanner.errors import SignalNotFound, SignalsUnreadable, TextsClosed
from services.scanner.rings import bars_of_columns
from services.scanner.rounding import rounded
from services.scanner.signals.assets import checked
from services.scanner.signals.bullishness import bullishness
from services.scanner.signals.calibration import Calibration, calibration_of
from services.scanner.signals.feeds.inbox import Inbox
from services.scanner.signals.performance import (
    COST,
    ENOUGH,
    HORIZONS,
    SIGNS,
    Base,
    Group,
    base_of,
    groups_of,
)
from services.scanner.signals.record import DISCLAIMER, joined
from services.scanner.signals.rounds import SignalRounds
from services.scanner.signals.shelf import SENTIMENTS, Wanted, folded
from services.scanner.signals.store import SignalStore
from services.scanner.signals.walking import step_of
from services.scanner.signals.writer import Writer

LIMIT_MAX = 50
FOLLOWED_MAX = 20
SECONDS_MAX = 1e11  # a later second is taken for milliseconds sent by mistake
LEAN_MS = 7 * DAY_MS  # what is older weighs below 1 %
BASES_MS = 600_000  # how long baselines are kept
KEPT_MAX = 64  # answers about performance
DECIMALS = 4  # of shares and of per cent
_encode = msgspec.json.Encoder().encode


class Signals:
    """Answers from the shelf and the record."""

    def __init__(
        self,
        *,
        writer: Writer,
        rounds: SignalRounds,
        market: Market,
        database: Database,
        store: SignalStore,
        inbox: Inbox | None = None,
        clock: Clock,
    ) -> None:
        self._inbox = inbox
        self._writer = writer
        self._rounds = rounds
        self._market = market
        self._database = database
        self._store = store
        self._clock = clock
        self._bases: dict[tuple[int, str, int], Base] = {}
        self._bases_ms = -BASES_MS
        self._bases_of = 0
        self._measuring = asyncio.Lock()
        self._measured_at = (0, 0)
        self._kept: dict[m.OutcomesAsk, tuple[list[m.PerformanceRow], list[m.CalibrationRow]]] = {}

    async def ready(self) -> None:
        """Wait until what is stored was read."""
        await self._writer.ready()

    # ── pages ─────────────────────────────────────────────────────────────────────────────────────

    async def details(self, ask: m.SignalsAsk) -> m.RawDetails:
        """A page of signals, newest first."""
        limit = min(ask.limit, LIMIT_MAX)
        wanted = await self._wanted(ask)
        before = _cursor(ask.cursor) if ask.cursor else None
        page = await self._writer.find(wanted, limit, 0 if ask.cursor is not None else ask.offset, before)
        data, last = await self._shown(page.positions, evidence=ask.evidence)
        cursor: str | msgspec.UnsetType | None = UNSET
        if ask.cursor is not None:
            full = len(page.positions) == limit and last is not None
            cursor = f"{last['recorded_ms']}.{last['id'].hex}" if full and last is not None else None
        offset = 0 if ask.cursor is not None else ask.offset
        return m.RawDetails(
            data=m.RawList(data=data, total=page.total, limit=limit, offset=offset, next_cursor=cursor)
        )

    async def one(self, ask: m.SignalAsk) -> m.RawSignal:
        """One signal. Raises SignalNotFound."""
        position = await self._position(ask.id)
        if position is None:
            raise SignalNotFound
        (data,), _ = await self._shown([position], evidence=ask.evidence)
        return m.RawSignal(data=data)

    async def follow(self, ask: m.FollowAsk) -> m.Followed:
        """What was recorded after a position, oldest first."""
        wanted = await self._wanted(ask.filters)
        at = ask.position
        if at is None and ask.filters.since:
            at = wanted.since + 1
        if at is None:
            return m.Followed(position=len(self._writer.shelf), ids=(), signals=(), more=False)
        wanted = wanted._replace(since=at - 1, told=True)
        found, at = await self._writer.following(wanted, FOLLOWED_MAX)
        ids, given = [], []
        if found:
            async with self._database.connection() as connection:
                rows = await self._store.bodies(connection, found)
            ids = [str(rows[position]["id"]) for position in found]
            given = [msgspec.Raw(rows[position]["body"].encode()) for position in found]
        return m.Followed(position=at, ids=ids, signals=given, more=len(found) == FOLLOWED_MAX)

    async def take_texts(self, call: m.TextsCall) -> m.TextsTaken:
        """Texts that a caller sent."""
        if self._inbox is None:
            raise TextsClosed
        return await self._inbox.take(call)

    async def _position(self, text: str) -> int | None:
        try:
            id_ = Uuid(text)
        except ValueError:
            return None
        async with self._database.connection() as connection:
            return await self._store.position(connection, id_)

    async def _shown(
        self, positions: Sequence[int], *, evidence: bool
    ) -> tuple[list[msgspec.Raw], Record | None]:
        """Signals at positions, in that order, and the last one's row."""
        if not positions:
            return [], None
        async with self._database.connection() as connection:
            read = self._store.with_evidence if evidence else self._store.bodies
            rows = await read(connection, positions)
        given = [rows[position] for position in positions]
        if not evidence:
            return [msgspec.Raw(row["body"].encode()) for row in given], given[-1]
        return [msgspec.Raw(_with_evidence(row)) for row in given], given[-1]

    async def _wanted(self, ask: m.SignalsAsk) -> Wanted:
        for name, seconds in (("from", ask.from_s), ("to", ask.to_s)):
            if seconds is not None and seconds > SECONDS_MAX:
                raise SignalsUnreadable(f"{name}: Unix seconds are wanted, this looks like milliseconds")
        if ask.from_s is not None and ask.to_s is not None and ask.from_s > ask.to_s:
            raise SignalsUnreadable("from: must not be later than to")
        sentiment = tuple(name.strip() for name in ask.sentiment if name.strip())
        for name in sentiment:
            if name not in SENTIMENTS:
                raise SignalsUnreadable(f"sentiment: {name!r} is none of bullish, bearish, neutral")
        if ask.timeframe and ask.timeframe not in BY_NAME:
            raise SignalsUnreadable(f"timeframe: is none of {' '.join(BY_NAME)}")
        since = -1
        if ask.since:
            position = await self._position(ask.since)
            if position is None:
                raise SignalsUnreadable("since: there is no such signal")
            since = position - 1
        return Wanted(
            chain=_texts(ask.chain),
            search=folded(ask.search),
            tag=_texts(ask.tag),
            narrative=tuple(ask.narrative),
            cmc_id=ask.cmc_id,
            from_ms=None if ask.from_s is None else ask.from_s * 1000,
            to_ms=None if ask.to_s is None else ask.to_s * 1000,
            sentiment=sentiment,
            symbol=folded(ask.symbol),
            timeframe_id=BY_NAME[ask.timeframe].id if ask.timeframe else None,
            trigger=_texts(ask.trigger),
            min_confidence=ask.min_confidence,
            since=since,
        )

    # ── lookups ───────────────────────────────────────────────────────────────────────────────────

    async def names(self, ask: m.NamesAsk) -> m.NamedIds:
        """Chains, tags or narratives that hold a text; chains without a text only those with a signal."""
        text = folded(ask.search)
        known = self._writer.names.get(ask.kind, {})
        named = sorted((id_, name) for name, id_ in known.items() if text in name.casefold())
        if ask.kind == "chain" and not text:
            used = self._writer.shelf.chains.names()
            named = [(id_, name) for id_, name in named if name.casefold() in used]
        return m.NamedIds(items=[m.NamedId(id=id_, name=name) for id_, name in named])

    # ── accountability ────────────────────────────────────────────────────────────────────────────

    async def performance(self, ask: m.OutcomesAsk) -> m.SignalPerformance:
        """What became of signals, by trigger, timeframe, sentiment and horizon."""
        if ask.timeframe and ask.timeframe not in BY_NAME:
            raise SignalsUnreadable(f"timeframe: is none of {' '.join(BY_NAME)}")
        async with self._database.connection() as connection:
            _, head = await self._store.head(connection)
        rows, calibration = await self._measured(ask)
        return m.SignalPerformance(
            rows=rows,
            signals=len(self._writer.shelf),
            head_hash=head,
            cost_pct=100.0 * COST,
            disclaimer=DISCLAIMER,
            calibration=calibration,
        )

    async def _measured(self, ask: m.OutcomesAsk) -> tuple[list[m.PerformanceRow], list[m.CalibrationRow]]:
        """What outcomes say, counted anew when there are others."""
        async with self._measuring:
            state = len(self._writer.shelf), self._writer.outcomes
            if state != self._measured_at or len(self._kept) >= KEPT_MAX:
                self._measured_at, self._kept = state, {}
            if ask not in self._kept:
                self._kept[ask] = await self._measure(ask)
            return self._kept[ask]

    async def _measure(self, ask: m.OutcomesAsk) -> tuple[list[m.PerformanceRow], list[m.CalibrationRow]]:
        frame_id = BY_NAME[ask.timeframe].id if ask.timeframe else None
        names = {id_: frame.name for id_, frame in BY_ID.items()}
        async with self._database.connection() as connection:
            tallies = await self._store.tallies(connection, frame_id, ask.cmc_id or None, names)
            halves = await self._store.calibration(connection, frame_id, ask.cmc_id or None)
        groups = groups_of(tallies, await self._baselines() if tallies else {})
        fits = {key: calibration_of(*both) for key, both in sorted(halves.items())}
        return [_row(group) for group in groups], [
            _calibrated(names[frame], hours, one) for (frame, hours), one in fits.items() if one is not None
        ]

    async def _baselines(self) -> Mapping[tuple[int, str, int], Base]:
        """What any bar did on the markets that have signals, over the time of their signals."""
        now_ms = self._clock.now_ms()
        if now_ms - self._bases_ms < BASES_MS and self._bases_of == len(self._writer.shelf):
            return self._bases
        signals = len(self._writer.shelf)
        async with self._database.connection() as connection:
            spans = await self._store.spans(connection)
        found: dict[tuple[int, str, int], Base] = {}
        for span in spans:
            frame = BY_ID[span["timeframe"]]
            from_ms, to_ms = span["first_ms"] - step_of(frame), span["last_ms"] + DAY_MS + 2 * step_of(frame)
            told = await self._market.closed(
                span["market"], frame.name, BARS_MAX, from_ms=from_ms, to_ms=to_ms
            )
            bars = bars_of_columns(columns(told.rows))
            for hours in HORIZONS:
                base = base_of(bars, step_of(frame), hours)
                if base is not None:
                    found[span["cmc_id"], frame.name, hours] = base
        self._bases, self._bases_ms, self._bases_of = found, now_ms, signals
        return found

    async def bullishness(self, ask: m.BullishnessAsk) -> m.Bullishness:
        """How coins and narratives lean, the most bullish first."""
        now_ms = self._clock.now_ms()
        async with self._database.connection() as connection:
            rows = await self._store.leaning(connection, now_ms - LEAN_MS - DAY_MS)
        coins, narratives = defaultdict(list), defaultdict(list)
        for row in rows:
            part = (SIGNS[row["sentiment"]], row["confidence"], row["recorded_ms"])
            coins[row["cmc_id"]].append(part)
            for id_ in row["narratives"]:
                narratives[id_].append(part)
        for asset in self._writer.assets.values():
            coins.setdefault(asset.cmc_id, [])
        name_of = {id_: name for name, id_ in self._writer.names["narrative"].items()}
        for id_ in name_of:
            narratives.setdefault(id_, [])
        symbols = {row["cmc_id"]: row["symbol"] for row in rows}
        symbols.update({asset.cmc_id: asset.symbol for asset in self._writer.assets.values()})
        return m.Bullishness(
            coins=[
                m.CoinBullishness(
                    cmc_id=key, symbol=symbols[key], bullishness=value, rank=rank, rank_change=change
                )
                for key, value, rank, change in _ranked(coins, now_ms)
            ],
            narratives=[
                m.NarrativeBullishness(
                    id=key, name=name_of[key], bullishness=value, rank=rank, rank_change=change
                )
                for key, value, rank, change in _ranked(narratives, now_ms)
            ],
        )

    # ── staff ─────────────────────────────────────────────────────────────────────────────────────

    async def put_assets(self, ask: m.AssetsPut) -> m.AssetsTaken:
        """Add or replace assets; in force for the next question."""
        assets = [
            msgspec.structs.replace(asset, market=self._market.known(asset.market) or asset.market)
            for asset in checked(ask.assets)
        ]
        await self._writer.put_assets(assets)
        self._rounds.due.set()
        return m.AssetsTaken(taken=len(assets), assets=len(self._writer.assets))

    async def registry(self, ask: m.RegistryAsk) -> m.Registry:
        """Every asset."""
        return m.Registry(assets=list(self._writer.assets.values()))

    async def backfill(self, ask: m.BackfillAsk) -> m.Backfilled:
        """Make the signals of past bars."""
        frame = BY_NAME.get(ask.timeframe)
        if frame is None:
            raise SignalsUnreadable(f"timeframe: is none of {' '.join(BY_NAME)}")
        assets = [a for a in self._writer.assets.values() if a.market and ask.cmc_id in (0, a.cmc_id)]
        if ask.cmc_id and not assets:
            raise SignalsUnreadable("cmcId: there is no such asset with a market")
        bars, signals, new = await self._rounds.backfill(assets, frame, ask.from_ms, ask.to_ms)
        return m.Backfilled(bars=bars, signals=signals, new_signals=new)


def _texts(given: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text in map(folded, given) if text)


def _cursor(text: str) -> tuple[int, Uuid]:
    at, _, id_ = text.partition(".")
    try:
        if not (at.isdecimal() and at.isascii() and len(at) <= 16):
            raise ValueError
        return int(at), Uuid(hex=id_)
    except ValueError:
        raise SignalsUnreadable("cursor: is none of ours") from None


def _with_evidence(row: Record) -> bytes:
    more = {
        "outcomes": [
            m.OutcomeView(
                horizon=f"{hours}h",
                return_pct=_pct(forward),
                mfe_pct=_pct(mfe),
                mae_pct=_pct(mae),
                hit=hit,
            )
            for hours, forward, mfe, mae, hit in row["outcomes"]
        ],
        "chain": m.Link(position=row["position"], previous_hash=row["previous_hash"], hash=row["hash"]),
    }
    return joined(row["body"].encode(), row["evidence"].encode(), _encode(more))


def _row(group: Group) -> m.PerformanceRow:
    return m.PerformanceRow(
        trigger=group.trigger,
        timeframe=group.timeframe,
        sentiment=group.sentiment,
        horizon=f"{group.horizon}h",
        n=group.n,
        hit_rate=_part(group.share.rate),
        ci_low=_part(group.share.low),
        ci_high=_part(group.share.high),
        mean_return_pct=_pct(group.forward),
        baseline_return_pct=None if group.base_forward is None else _pct(group.base_forward),
        baseline_hit_rate=_part(group.base_rate),
        mean_mfe_pct=_pct(group.mfe),
        mean_mae_pct=_pct(group.mae),
        brier=_part(group.brier),
        insufficient=group.n < ENOUGH,
    )


def _calibrated(timeframe: str, hours: int, found: Calibration) -> m.CalibrationRow:
    return m.CalibrationRow(
        timeframe=timeframe,
        horizon=f"{hours}h",
        n=found.n,
        steps=[
            m.CalibrationStep(
                confidence=rounded(step.confidence, 2), hit_rate=rounded(step.rate, DECIMALS), n=step.n
            )
            for step in found.steps
        ],
        brier=rounded(found.brier, DECIMALS),
        brier_calibrated=rounded(found.brier_calibrated, DECIMALS),
    )


def _pct(part: float) -> float:
    return rounded(100.0 * part, DECIMALS)


def _part(value: float | None) -> float | None:
    return None if value is None else rounded(value, DECIMALS)


def _ranked(
    parts: Mapping[int, list[tuple[int, float, int]]], now_ms: int
) -> list[tuple[int, float, int, int]]:
    """(key, bullishness, rank, change of the rank since a day ago), the most bullish first."""

    def at(moment_ms: int) -> dict[int, float]:
        return {
            key: bullishness(
                (sign, confidence, moment_ms - told_ms)
                for sign, confidence, told_ms in its
                if moment_ms - LEAN_MS <= told_ms <= moment_ms
            )
            for key, its in parts.items()
        }

    now = at(now_ms)
    before = _ranks(at(now_ms - DAY_MS))
    return [(key, rounded(now[key], DECIMALS), rank, before[key] - rank) for key, rank in _ranks(now).items()]


def _ranks(values: Mapping[int, float]) -> dict[int, int]:
    ordered = sorted(values, key=lambda key: (-values[key], key))
    return {key: rank for rank, key in enumerate(ordered, 1)}
