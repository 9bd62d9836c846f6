"""The desk: the one place where prices change.

Ownership: the desk holds the board (the graph and its prices) and the oracle's state. Whoever has a new
graph, new reserves, or an answer of the anchor's sources awaits a method; one lock keeps them in order.
``beat`` is called about once a second: it prices anew when the anchor moved or ages should move on, sends
frames that are due, looks at the pegs, and keeps the tape.

Never: price anything without a reading of the oracle; change what is shown before a new graph was checked
and priced as a whole; stop because the bus or the database is away.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import structlog

from libs.common.bus import Bus, encode
from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import AppError
from libs.common.ids import Ids
from libs.common.messages.pricing import AnchorQuote, BoardTick, Depegged, PriceTick
from libs.common.outbox import Outbox, Relay, fact
from libs.common.subjects import DEPEGGED, PRICE_BOARD, TOKEN_PRICE
from services.pricing import history, metrics, stablecoins
from services.pricing.board import Board, sides
from services.pricing.history import Sample
from services.pricing.oracle import Oracle, SourcePrice
from services.pricing.push import Said, is_due
from services.pricing.reading import document_of, graph_of
from services.pricing.rules import Rules
from services.pricing.sources import PoolGraph
from services.pricing.stablecoins import Peg
from services.pricing.store import Store, StoredBar, StoredGraph
from services.pricing.tape import Tape
from services.pricing.tokens import GraphInvalid, Pool, Token

log = structlog.get_logger()

MOVE_ON_MS = 30_000  # ages are counted anew at least this often
ANCHOR_SHARE = 0.0002  # a smaller move of the anchor waits for that
AT_ONCE_TOKENS = 2_000  # larger graphs are made beside the loop
BARS_WAITING_MAX = 500_000
QUIET_S = 30.0
SAMPLE = "sample"


@dataclass(frozen=True, kw_only=True)
class Ports:
    """What the desk works with."""

    bus: Bus
    database: Database
    store: Store
    outbox: Outbox
    relay: Relay
    clock: Clock
    ids: Ids


@dataclass(frozen=True, kw_only=True)
class Terms:
    """How prices are calculated here."""

    rules: Rules
    anchor_id: str
    allowed: frozenset[str] = field(default_factory=frozenset)
    denied: frozenset[str] = field(default_factory=frozenset)


class Desk:
    """Holds ``board``; ``version`` grows with every change of what is shown."""

    def __init__(self, ports: Ports, terms: Terms) -> None:
        self._ports, self._terms = ports, terms
        self._lock = asyncio.Lock()
        self.oracle = Oracle()
        self.quotes: list[AnchorQuote] | None = None  # static prices of the anchor
        self.pegs: dict[str, Peg] = {}
        self.tape = Tape()
        self.said: dict[str, Said] = {}
        self.frames: dict[str, tuple[str, bytes]] = {}
        self.origin = ""
        self.version = ports.clock.now_ms()
        self._sent_version = 0
        self._kept_minute = 0
        self._warned_s = -QUIET_S
        self._unsaved = False
        self.board = self._board((), (), terms.anchor_id)

    # ── starting ──────────────────────────────────────────────────────────────────────────────────

    async def load(self) -> None:
        """What was known before the last stop."""
        store, now_ms = self._ports.store, self._ports.clock.now_ms()
        async with self._ports.database.connection() as connection:
            kept = await store.graph(connection)
            anchor = await store.anchor(connection)
            self.pegs = await store.pegs(connection)
            for token_id, begin_ms, close in await store.recent_bars(connection, now_ms - history.TWAP_MS):
                self.tape.recall(token_id, begin_ms, close)
        if anchor is not None:
            self.oracle.last, self.oracle.last_ms = anchor
        if kept is not None and kept.origin != SAMPLE:
            self.quotes = kept.anchor_quotes
            try:
                graph = await asyncio.to_thread(graph_of, kept.body, kept.at_ms)
                await self.replace(graph, kept.origin, keep=False)
            except GraphInvalid as e:  # written by an older version with other rules
                log.error("the stored graph can't be used", error=str(e))

    def _board(self, tokens: Sequence[Token], pools: Sequence[Pool], anchor_id: str) -> Board:
        lost = {token_id for token_id, peg in self.pegs.items() if peg.lost}
        terms = self._terms
        return Board(
            tokens,
            pools,
            anchor_id,
            terms.rules,
            lost=lost,
            allowed=terms.allowed,
            denied=terms.denied,
        )

    # ── what changes prices ───────────────────────────────────────────────────────────────────────

    async def replace(
        self,
        graph: PoolGraph,
        origin: str,
        *,
        quotes: Sequence[AnchorQuote] | None = None,
        keep: bool = True,
    ) -> Board:
        """A whole graph; GraphInvalid changes nothing. ``quotes`` None: as before, empty: none."""
        anchor_id = self._anchor_of(graph)
        async with self._lock:
            if len(graph.tokens) > AT_ONCE_TOKENS:
                board = await asyncio.to_thread(self._board, graph.tokens, graph.pools, anchor_id)
            else:
                board = self._board(graph.tokens, graph.pools, anchor_id)
            static = self.quotes if quotes is None else (list(quotes) or None)
            if keep:
                await self._keep(graph, anchor_id, origin, static)
            self.quotes, self.origin = static, origin
            if quotes:
                self._hear_static()
            board.adopt(self.board)
            self.board = board
            gone = self.said.keys() - {board.graph.tokens[number].id for number in board.listed}
            for token_id in gone:
                del self.said[token_id], self.frames[token_id]
            self._reprice()
        await self._send_frames()
        log.info("graph in force", origin=origin, tokens=len(graph.tokens), pools=len(graph.pools))
        return board

    def _anchor_of(self, graph: PoolGraph) -> str:
        """The graph's own anchor, else the one before, the configured one, or a token called sBTC."""
        if graph.anchor_id:
            return graph.anchor_id
        known = {token.id for token in graph.tokens}
        before = self.board.graph.tokens[self.board.graph.anchor].id
        for candidate in (before, self._terms.anchor_id):
            if candidate in known:
                return candidate
        named = sorted(token.id for token in graph.tokens if token.symbol.upper() == "SBTC")
        return named[0] if named else self._terms.anchor_id

    async def _keep(
        self, graph: PoolGraph, anchor_id: str, origin: str, quotes: list[AnchorQuote] | None
    ) -> None:
        ports = self._ports
        body = document_of(graph.tokens, graph.pools, anchor_id)
        kept = StoredGraph(origin, body, quotes, ports.clock.now_ms())
        async with ports.database.transaction() as tx:
            await ports.store.put_graph(tx, kept)
        self._unsaved = False

    async def take(self, graph: PoolGraph, origin: str) -> None:
        """A source's graph: only its reserves where its shape is the one there is, else the whole of it."""
        board = self.board
        same = (
            origin == self.origin
            and {token.id: token for token in graph.tokens}
            == {board.graph.tokens[number].id: board.graph.tokens[number] for number in board.listed}
            and sides(graph.pools) == sides(board.graph.pools)
            and len(graph.pools) == len(board.graph.pools)
        )
        if not same:
            await self.replace(graph, origin, keep=origin != SAMPLE)
            return
        changed = [pool for pool in graph.pools if pool != self._known(pool)]
        await self.reserves(changed)
        self._unsaved = self._unsaved or (bool(changed) and origin != SAMPLE)

    def _known(self, pool: Pool) -> Pool:
        graph = self.board.graph
        return graph.pools[graph.pool_index[pool.id]]

    async def reserves(self, pools: Sequence[Pool]) -> None:
        """These pools of the graph have other reserves: what they can change is priced again."""
        if not pools:
            return
        async with self._lock:
            if self.board.reading is None:
                graph = self.board.graph
                for pool in pools:
                    graph.set_reserves(graph.pool_index[pool.id], pool, self._ports.clock.now_ms())
                self._reprice()
                return
            begun_s = self._ports.clock.monotonic_s()
            self.board.update(pools)
            metrics.UPDATE.observe(self._ports.clock.monotonic_s() - begun_s)
            self.version += 1

    def heard(self, said: Sequence[SourcePrice], errors: dict[str, str]) -> None:
        """The anchor's sources answered."""
        now_ms = self._ports.clock.now_ms()
        if self.quotes:
            self._hear_static()
        else:
            self.oracle.heard(said, errors, now_ms)
        for name in errors:
            metrics.SOURCE_FAILURES.labels(name).inc()
        metrics.ANCHOR_FAILURES.set(self.oracle.failures_in_row)
        metrics.ANCHOR_AGE.set(max(0, now_ms - self.oracle.last_ms) / 1000 if self.oracle.last else 0)

    def _hear_static(self) -> None:
        static = [SourcePrice(quote.source, quote.price, quote.priority) for quote in self.quotes or ()]
        self.oracle.heard(static, {}, self._ports.clock.now_ms())

    # ── once a second ─────────────────────────────────────────────────────────────────────────────

    async def beat(self) -> None:
        """Whatever is due by now."""
        now_ms = self._ports.clock.now_ms()
        async with self._lock:
            if self._is_out_of_date(now_ms):
                self._reprice()
        await self._look_at_pegs(now_ms)
        self._note(now_ms)
        await self._send_frames()
        await self._store(now_ms)

    def _is_out_of_date(self, now_ms: int) -> bool:
        reading, shown = self.oracle.reading(now_ms), self.board.reading
        if reading is None or shown is None:
            return reading is not shown
        if now_ms - self.board.at_ms >= MOVE_ON_MS or reading.backup != shown.backup:
            return True
        return abs(reading.price - shown.price) > ANCHOR_SHARE * shown.price

    def _reprice(self) -> None:
        """Everything anew as of now; without a reading nothing is priced."""
        clock = self._ports.clock
        now_ms = clock.now_ms()
        reading = self.oracle.reading(now_ms)
        self.version += 1
        if reading is None:
            self.board.reading = None
            return
        begun_s = clock.monotonic_s()
        self.board.reprice(now_ms, reading)
        metrics.WHOLE.observe(clock.monotonic_s() - begun_s)
        self._gauge()

    def _gauge(self) -> None:
        board = self.board
        priced = [number for number in board.listed if board.usd[number] > 0]
        metrics.TOKENS.set(len(board.listed))
        metrics.POOLS.set(len(board.graph.pools))
        metrics.PRICED.set(len(priced))
        metrics.CONFIDENCE.set(float(board.confidence[priced].mean()) if priced else 0.0)

    def _note(self, now_ms: int) -> None:
        board = self.board
        if board.reading is None:
            return
        shown = [(number, board.graph.tokens[number].id) for number in board.listed if board.usd[number] > 0]
        for number, token_id in shown:
            sample = Sample(
                now_ms,
                float(board.usd[number]),
                float(board.ratio[number]),
                float(board.confidence[number]),
            )
            self.tape.note(token_id, sample)
        means = self.tape.means(((token_id, float(board.usd[n])) for n, token_id in shown), now_ms)
        for number, token_id in shown if means is not None else ():
            mean = (means or {}).get(token_id)
            board.twap[number] = float("nan") if mean is None else mean

    # ── telling ───────────────────────────────────────────────────────────────────────────────────

    async def _send_frames(self) -> None:
        """Frames that are due, and that there is a new version; a bus that is away misses them."""
        board, now_ms = self.board, self._ports.clock.now_ms()
        due: list[tuple[str, bytes]] = []
        for number in board.listed if board.reading is not None else ():
            usd, confidence = float(board.usd[number]), float(board.confidence[number])
            token = board.graph.tokens[number]
            if usd <= 0 or not is_due(self.said.get(token.id), usd, confidence, now_ms):
                continue
            said = self.said.get(token.id)
            seq = said.seq + 1 if said else 1
            self.said[token.id] = Said(usd, confidence, now_ms, seq)
            frame = encode(PriceTick("p", token.id, usd, confidence, board.at_ms, seq))
            self.frames[token.id] = (token.symbol, frame)
            due.append((TOKEN_PRICE.at(token=token.id, symbol=token.symbol), frame))
        if self._sent_version != self.version:
            self._sent_version = self.version
            due.append((PRICE_BOARD.at(), encode(BoardTick(version=self.version, at_ms=now_ms))))
        await self._quietly(lambda: self._publish(due))
        metrics.FRAMES.inc(max(0, len(due) - 1))

    async def _publish(self, due: Sequence[tuple[str, bytes]]) -> None:
        for subject, payload in due:
            await self._ports.bus.publish(subject, payload)

    async def _look_at_pegs(self, now_ms: int) -> None:
        board = self.board
        if board.reading is None:
            return
        turned = False
        for number in sorted(board.stables):
            token, market = board.graph.tokens[number], board.market_price(number)
            if market is None:
                continue
            before = self.pegs.get(token.id, Peg())
            off = stablecoins.deviation_pct(market[0])
            after = stablecoins.watch(before, off, market[1], now_ms)
            if after == before:
                continue
            told = (after.lost, after.level) != (before.lost, before.level)
            about = Depegged(
                token_id=token.id,
                symbol=token.symbol,
                market_price=market[0],
                deviation_pct=off,
                confidence=market[1],
                level=after.level,
                overridden=not after.lost,
                at_ms=now_ms,
            )
            if await self._quietly(lambda: self._keep_peg(token.id, after, about if told else None)):  # noqa: B023
                self.pegs[token.id] = after
                turned = turned or after.lost != before.lost
        if turned:
            async with self._lock:
                listed = [board.graph.tokens[number] for number in board.listed]
                anchor_id = board.graph.tokens[board.graph.anchor].id
                again = self._board(listed, board.graph.pools, anchor_id)
                again.adopt(board)
                self.board = again
                self._reprice()

    async def _keep_peg(self, token_id: str, peg: Peg, about: Depegged | None) -> None:
        ports = self._ports
        async with ports.database.transaction() as tx:
            await ports.store.put_peg(tx, token_id, peg)
            if about is not None:
                await ports.outbox.append(tx, [fact(DEPEGGED, about, ports.ids.event_id(), token=token_id)])
        if about is not None:
            metrics.DEPEGS.inc()
            ports.relay.wake()
            log.warning("peg", token=token_id, level=peg.level, lost=peg.lost, off_pct=about.deviation_pct)

    # ── keeping ───────────────────────────────────────────────────────────────────────────────────

    async def _store(self, now_ms: int) -> None:
        minute = now_ms // history.MINUTE_MS
        if minute != self._kept_minute and await self._quietly(lambda: self.keep_bars(now_ms)):
            self._kept_minute = minute
            if self._unsaved:
                await self._quietly(self._keep_reserves)

    async def keep_bars(self, now_ms: int, *, everything: bool = False) -> None:
        """Store the bars that are over (all of them at the stop), the anchor's price, and drop old bars."""
        ports = self._ports
        self.tape.forget_beyond(BARS_WAITING_MAX)
        due = [StoredBar(*row) for row in self.tape.due(now_ms, everything=everything)]
        async with ports.database.transaction() as tx:
            if due:
                await ports.store.add_tokens(tx, list({bar.token_id for bar in due}))
                await ports.store.put_bars(tx, due)
            if self.oracle.last is not None:
                await ports.store.put_anchor(tx, self.oracle.last, self.oracle.last_ms)
            for width_ms, kept_ms in history.KEPT_MS.items():
                await ports.store.forget_bars(tx, width_ms, now_ms - kept_ms)
        self.tape.stored()
        metrics.BARS.inc(len(due))

    async def _keep_reserves(self) -> None:
        board = self.board
        graph = PoolGraph([board.graph.tokens[n] for n in board.listed], list(board.graph.pools))
        await self._keep(graph, board.graph.tokens[board.graph.anchor].id, self.origin, self.quotes)

    async def _quietly(self, act: Callable[[], Awaitable[None]]) -> bool:
        """Do it; where the bus or the database is away it is left for the next time. Whether it was done."""
        try:
            await act()
        except (AppError, OSError) as e:
            now_s = self._ports.clock.monotonic_s()
            if now_s - self._warned_s >= QUIET_S:
                self._warned_s = now_s
                log.warning("not done now", error=f"{type(e).__name__}: {e}")
            return False
        return True
