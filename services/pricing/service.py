"""What clients and staff ask of pricing: one method per command."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import UNSET, structs

from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.messages import pricing as m
from services.pricing import history, views
from services.pricing.board import Board
from services.pricing.desk import Desk
from services.pricing.errors import (
    AnchorUnavailable,
    GraphRefused,
    PastUnknown,
    QueryInvalid,
    TokenIdInvalid,
    TokenUnknown,
    TokenUnpriced,
)
from services.pricing.history import HOUR_MS, MINUTE_MS, PriceBar
from services.pricing.oracle import is_price
from services.pricing.reading import pools_of, tokens_of
from services.pricing.sources import PoolGraph
from services.pricing.store import Store
from services.pricing.tokens import GraphInvalid, check_id

STALE_GRAPH_MS = 300_000
OLD_GRAPH_MS = 600_000
SEARCH_MS = 6 * HOUR_MS
SIZE_USD_MAX = 1e12
READ_MAX = 20_000  # stored bars read for one answer


class PricingService:
    """Answers from the desk's board and from the stored bars. ``names`` are the anchor's sources."""

    def __init__(
        self, desk: Desk, database: Database, store: Store, clock: Clock, names: Sequence[str]
    ) -> None:
        self._desk = desk
        self._database = database
        self._store = store
        self._clock = clock
        self._names = tuple(names)

    # ── staff ─────────────────────────────────────────────────────────────────────────────────────

    async def put_pools(self, ask: m.PoolsPut) -> m.PoolsTaken:
        """Replace the graph, whole or not at all."""
        now_ms = self._clock.now_ms()
        for quote in ask.btc_prices or ():
            if not is_price(quote.price) or not quote.source:
                raise GraphRefused(f"btcPrices: {quote.source or 'a source'} gives no price above 0")
        sources = [quote.source for quote in ask.btc_prices or ()]
        if len(set(sources)) != len(sources):
            raise GraphRefused("btcPrices: a source stands twice")
        try:
            graph = PoolGraph(tokens_of(ask.tokens), pools_of(ask.pools, now_ms), ask.anchor_token_id or "")
            if graph.anchor_id and check_id(graph.anchor_id):
                raise GraphInvalid(f"anchorTokenId: {check_id(graph.anchor_id)}")
            board = await self._desk.replace(graph, "admin", quotes=ask.btc_prices)
        except GraphInvalid as e:
            raise GraphRefused(str(e)) from e
        empty = sum(1 for pool in board.graph.pools if pool.reserve_a == 0 or pool.reserve_b == 0)
        return m.PoolsTaken(
            tokens=len(board.listed),
            pools=len(board.graph.pools),
            ignored_pools=empty,
            priced=len(board.priced()) if board.reading else 0,
            anchor_token_id=board.graph.tokens[board.graph.anchor].id,
            version=self._desk.version,
        )

    # ── prices ────────────────────────────────────────────────────────────────────────────────────

    async def prices(self, ask: m.PriceListAsk) -> m.PriceList:
        """Prices, the surest first."""
        begun_s = self._clock.monotonic_s()
        board = self._priced_board()
        page = views.chosen(board, ask)[ask.offset : ask.offset + ask.limit]
        data = [views.token_price(board, number, whole=False) for number in page]
        return m.PriceList(
            status="success",
            data=data,
            metadata=m.PriceListMeta(
                count=len(data),
                total_tokens_available=len(board.listed),
                processing_time_ms=self._spent_ms(begun_s),
                min_confidence=ask.min_confidence,
                include_details=True,
                graph_stats=views.graph_stats(board, self._clock.now_ms()),
                limit=ask.limit,
                offset=ask.offset,
            ),
        )

    async def one(self, ask: m.PriceAsk) -> m.OnePrice | m.Envelope[Any]:
        """One token, with the pools of its primary path; with ``at_ms`` its price as it stood then."""
        if ask.at_ms:
            return await self.at(ask)
        begun_s = self._clock.monotonic_s()
        board, number = self._token(ask.token_id)
        if board.usd[number] <= 0:
            raise TokenUnpriced
        data = structs.replace(
            views.token_price(board, number, whole=True),
            change_pct=await self._changes(ask.token_id, float(board.usd[number])),
            explanation=views.explanation(board, number) if ask.explain else UNSET,
        )
        return m.OnePrice(
            status="success", data=data, metadata=m.PriceMeta(processing_time_ms=self._spent_ms(begun_s))
        )

    async def liquidity(self, ask: m.PriceAsk) -> m.Envelope[Any]:
        """How a token's liquidity is spread over its pools."""
        begun_s = self._clock.monotonic_s()
        board, number = self._token(ask.token_id)
        return self._wrapped(views.liquidity_view(board, number), begun_s)

    async def quote(self, ask: m.TokenQuoteAsk) -> m.Envelope[Any]:
        """What a trade would get."""
        begun_s = self._clock.monotonic_s()
        if not 0 < ask.size_usd <= SIZE_USD_MAX:
            raise QueryInvalid("sizeUsd: above 0 and at most 10^12")
        board, number = self._token(ask.token_id)
        found = views.quote(board, number, ask)
        if found is None:
            raise TokenUnpriced
        return self._wrapped(found, begun_s)

    # ── the past ──────────────────────────────────────────────────────────────────────────────────

    async def at(self, ask: m.PriceAsk) -> m.Envelope[Any]:
        """The price as it stood at a moment."""
        begun_s = self._clock.monotonic_s()
        symbol = self._symbol(ask.token_id)
        found = await self._price_at(ask.token_id, ask.at_ms, ask.search_ms or SEARCH_MS)
        if found is None:
            raise PastUnknown
        at_ms, usd, bar = found
        past = m.PastPrice(
            token_id=ask.token_id,
            symbol=symbol,
            usd_price=usd,
            sbtc_ratio=bar.ratio,
            confidence=bar.confidence,
            at=at_ms,
            age_ms=ask.at_ms - at_ms,
        )
        return self._wrapped(past, begun_s)

    async def history(self, ask: m.HistoryAsk) -> m.Envelope[Any]:
        """Bars of a token, oldest first."""
        begun_s = self._clock.monotonic_s()
        symbol = self._symbol(ask.token_id)
        width_ms = history.INTERVALS.get(ask.interval)
        if width_ms is None:
            raise QueryInvalid(f"interval: one of {', '.join(history.INTERVALS)}")
        to_ms = ask.to_ms or self._clock.now_ms()
        from_ms = ask.from_ms or to_ms - width_ms * ask.limit
        if from_ms > to_ms:
            raise QueryInvalid("from: not after to")
        bars = await self._bars(ask.token_id, width_ms, from_ms, to_ms, ask.limit)
        last = bars[-1].close if bars else 0.0
        data = m.History(
            token_id=ask.token_id,
            symbol=symbol,
            interval=ask.interval,
            bars=[_bar_view(bar) for bar in bars],
            change_pct=await self._changes(ask.token_id, last),
        )
        return self._wrapped(data, begun_s)

    async def _bars(
        self, token_id: str, width_ms: int, from_ms: int, to_ms: int, limit: int
    ) -> list[PriceBar]:
        stored_ms = history.resolution(width_ms)
        begin_ms = history.begin_of(from_ms, width_ms)
        if begin_ms < from_ms:
            begin_ms += width_ms
        count = min(READ_MAX, limit * (width_ms // stored_ms))
        async with self._database.connection() as connection:
            stored = await self._store.bars(connection, token_id, stored_ms, begin_ms, to_ms, count)
        live = self._desk.tape.live.get(token_id)
        if live is not None and begin_ms <= live.begin_ms <= to_ms:
            stored = [bar for bar in stored if bar.begin_ms != live.begin_ms or stored_ms > MINUTE_MS]
            stored.append(live)
        return history.merged(stored, width_ms)[-limit:]

    async def _price_at(
        self, token_id: str, at_ms: int, search_ms: int
    ) -> tuple[int, float, PriceBar] | None:
        """Moment, price and bar: the close of the last bar that was over, or the open of one under way."""
        live = self._desk.tape.live.get(token_id)
        if live is not None and live.begin_ms <= at_ms:
            over = at_ms >= self._clock.now_ms()
            return (at_ms, live.close, live) if over else (live.begin_ms, live.open, live)
        async with self._database.connection() as connection:
            for width_ms in (MINUTE_MS, HOUR_MS):
                bars = await self._store.bars(connection, token_id, width_ms, at_ms - search_ms, at_ms, 1)
                if bars:
                    end_ms = bars[0].begin_ms + width_ms
                    if end_ms <= at_ms:
                        return end_ms, bars[0].close, bars[0]
                    return bars[0].begin_ms, bars[0].open, bars[0]
        return None

    async def _changes(self, token_id: str, now: float) -> dict[str, float | None]:
        now_ms = self._clock.now_ms()
        found: dict[str, float | None] = {}
        for name, span_ms in history.CHANGES.items():
            before = await self._price_at(token_id, now_ms - span_ms, span_ms // 4)
            found[name] = history.change_pct(now, before[1] if before else None)
        return found

    # ── the anchor and health ─────────────────────────────────────────────────────────────────────

    async def anchor(self, ask: m.OracleAsk) -> m.Envelope[Any]:
        """The anchor's price; 503 without one."""
        now_ms = self._clock.now_ms()
        reading = self._desk.oracle.reading(now_ms)
        if reading is None:
            raise AnchorUnavailable
        data = m.OraclePrice(
            price=reading.price,
            source=reading.source,
            confidence=reading.confidence,
            timestamp=reading.at_ms,
            age=max(0, now_ms - reading.at_ms),
            health=self._oracle_health() if ask.health else UNSET,
        )
        return m.Envelope(status="success", data=data)

    def _oracle_health(self) -> m.OracleHealth:
        oracle, now_ms = self._desk.oracle, self._clock.now_ms()
        names = [quote.source for quote in self._desk.quotes] if self._desk.quotes else self._names
        return m.OracleHealth(
            last_successful_update=oracle.last_ms,
            consecutive_failures=oracle.failures_in_row,
            available_sources=oracle.available(names, now_ms),
            last_error=oracle.last_error if oracle.last_error and oracle.failures_in_row else UNSET,
        )

    async def health(self, ask: m.PriceHealthAsk) -> m.Envelope[Any]:
        """How the prices do: a score of 25, 50, 75 or 100 and what speaks against it."""
        now_ms = self._clock.now_ms()
        board, oracle = self._desk.board, self._desk.oracle
        reading = oracle.reading(now_ms)
        oracle_ok = reading is not None and oracle.failures_in_row < 3
        graph_ok = bool(board.listed) and bool(board.graph.pools)
        age_ms = max(0, now_ms - board.at_ms) if board.at_ms else None
        fresh = age_ms is not None and age_ms < OLD_GRAPH_MS
        score = 25 if not oracle_ok else 50 if not graph_ok else 100 if fresh else 75
        priced = len(board.priced()) if board.reading else 0
        total = len(board.listed)
        warnings = self._warnings(board, age_ms)
        data = m.PriceHealth(
            overall=m.Standing(status="healthy" if score == 100 else "degraded", score=score),
            btc_oracle=m.OracleStanding(
                price=reading.price if reading else None,
                confidence=reading.confidence if reading else 0.0,
                **structs.asdict(self._oracle_health()),
            ),
            price_graph=m.GraphStanding(
                **structs.asdict(views.graph_stats(board, now_ms)),
                age_minutes=None if age_ms is None else round(age_ms / 60_000, 2),
                freshness="fresh" if fresh else "stale",
                version=self._desk.version,
            ),
            data_availability=m.Coverage(
                total_tokens_in_system=total,
                tokens_with_pricing=priced,
                pricing_coverage=round(100 * priced / total, 2) if total else 0.0,
            ),
            warnings=warnings or UNSET,
        )
        return m.Envelope(status="success", data=data)

    def _warnings(self, board: Board, age_ms: int | None) -> list[str]:
        found = []
        if self._desk.oracle.failures_in_row:
            found.append(f"The anchor's sources failed {self._desk.oracle.failures_in_row} times in a row")
        if age_ms is None or age_ms > STALE_GRAPH_MS:
            found.append("The price graph is older than five minutes")
        if not board.graph.touching[board.graph.anchor]:
            found.append("No pool holds the anchor")
        if len(board.graph.pools) < 10:
            found.append("Fewer than ten pools")
        return found

    async def frames(self, ask: m.PriceFramesAsk) -> m.PriceFrames:
        """The last frame of every token."""
        return m.PriceFrames(
            frames=[
                (token, symbol, msgspec.Raw(frame)) for token, (symbol, frame) in self._desk.frames.items()
            ]
        )

    # ── inside ────────────────────────────────────────────────────────────────────────────────────

    def _priced_board(self) -> Board:
        board = self._desk.board
        if board.reading is None or self._desk.oracle.reading(self._clock.now_ms()) is None:
            raise AnchorUnavailable
        return board

    def _token(self, token_id: str) -> tuple[Board, int]:
        """The board and the token's number; refuses bad and unknown ids, and all without an anchor."""
        fault = check_id(token_id)
        if fault:
            raise TokenIdInvalid(fault)
        board = self._priced_board()
        number = board.graph.index.get(token_id)
        if number is None or number not in board.listed_set:
            raise TokenUnknown
        return board, number

    def _symbol(self, token_id: str) -> str:
        fault = check_id(token_id)
        if fault:
            raise TokenIdInvalid(fault)
        graph = self._desk.board.graph
        number = graph.index.get(token_id)
        if number is None:
            raise TokenUnknown
        return graph.tokens[number].symbol

    def _wrapped(self, data: Any, begun_s: float) -> m.Envelope[Any]:
        return m.Envelope(
            status="success", data=data, metadata=m.PriceMeta(processing_time_ms=self._spent_ms(begun_s))
        )

    def _spent_ms(self, begun_s: float) -> float:
        return round((self._clock.monotonic_s() - begun_s) * 1000, 3)


def _bar_view(bar: PriceBar) -> m.Bar:
    return m.Bar(
        time=bar.begin_ms,
        open=bar.open,
        high=bar.high,
        low=bar.low,
        close=bar.close,
        sbtc_ratio=bar.ratio,
        confidence=bar.confidence,
    )
