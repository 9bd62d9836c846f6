"""What pricing keeps in PostgreSQL. One method per named query; the caller's connection everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from libs.common.db import Connection, load_queries
from libs.common.messages.pricing import AnchorQuote
from services.pricing.history import PriceBar
from services.pricing.oracle import Agreed
from services.pricing.stablecoins import Peg

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")


class StoredGraph(NamedTuple):
    """The graph as it was kept: where it came from, its JSON, static prices of the anchor (None: none)."""

    origin: str
    body: bytes
    anchor_quotes: list[AnchorQuote] | None
    at_ms: int


class StoredBar(NamedTuple):
    """A bar with its token and width."""

    token_id: str
    width_ms: int
    bar: PriceBar


class Store:
    """The tables of the schema ``pricing``."""

    async def graph(self, tx: Connection) -> StoredGraph | None:
        """The graph that was in force last."""
        row = await tx.fetchrow(QUERIES["graph"])
        if row is None:
            return None
        given = row["anchor_quotes"]
        quotes = None if given is None else msgspec.convert(given, list[AnchorQuote])
        return StoredGraph(row["origin"], bytes(row["body"]), quotes, row["at_ms"])

    async def put_graph(self, tx: Connection, graph: StoredGraph) -> None:
        """This graph is in force now."""
        quotes = None if graph.anchor_quotes is None else msgspec.to_builtins(graph.anchor_quotes)
        await tx.execute(QUERIES["put_graph"], graph.origin, graph.body, quotes, graph.at_ms)

    async def anchor(self, tx: Connection) -> tuple[Agreed, int] | None:
        """The last price the anchor's sources agreed on, and when."""
        row = await tx.fetchrow(QUERIES["anchor"])
        if row is None:
            return None
        return Agreed(row["price"], row["confidence"], tuple(row["sources"])), row["at_ms"]

    async def put_anchor(self, tx: Connection, agreed: Agreed, at_ms: int) -> None:
        """The anchor's sources agreed on this price."""
        await tx.execute(QUERIES["put_anchor"], agreed.price, agreed.confidence, list(agreed.sources), at_ms)

    async def pegs(self, tx: Connection) -> dict[str, Peg]:
        """How every stablecoin held when it was last looked at."""
        rows = await tx.fetch(QUERIES["pegs"])
        return {row["token_id"]: Peg(row["lost"], row["since_ms"], row["level"]) for row in rows}

    async def put_peg(self, tx: Connection, token_id: str, peg: Peg) -> None:
        """How a stablecoin holds now."""
        await tx.execute(QUERIES["put_peg"], token_id, peg.lost, peg.since_ms, peg.level)

    async def add_tokens(self, tx: Connection, token_ids: Sequence[str]) -> None:
        """Make tokens known to the bars."""
        await tx.execute(QUERIES["add_tokens"], sorted(token_ids))

    async def put_bars(self, tx: Connection, bars: Sequence[StoredBar]) -> None:
        """Store bars; no two of one call are the same bar."""
        ordered = sorted(bars, key=lambda b: (b.token_id, b.width_ms, b.bar.begin_ms))
        await tx.execute(
            QUERIES["put_bars"],
            [b.token_id for b in ordered],
            [b.width_ms for b in ordered],
            [b.bar.begin_ms for b in ordered],
            [b.bar.open for b in ordered],
            [b.bar.high for b in ordered],
            [b.bar.low for b in ordered],
            [b.bar.close for b in ordered],
            [b.bar.ratio for b in ordered],
            [b.bar.confidence for b in ordered],
        )

    async def bars(
        self, tx: Connection, token_id: str, width_ms: int, from_ms: int, to_ms: int, limit: int
    ) -> list[PriceBar]:
        """The newest bars that begin within two moments, oldest first."""
        rows = await tx.fetch(QUERIES["bars"], token_id, width_ms, from_ms, to_ms, limit)
        return [PriceBar(*row.values()) for row in reversed(rows)]

    async def recent_bars(self, tx: Connection, from_ms: int) -> list[tuple[str, int, float]]:
        """Token, begin and close of every minute bar since a moment, oldest first."""
        return [tuple(row.values()) for row in await tx.fetch(QUERIES["recent_bars"], from_ms)]

    async def forget_bars(self, tx: Connection, width_ms: int, before_ms: int) -> None:
        """Drop bars that are kept no longer."""
        await tx.execute(QUERIES["forget_bars"], width_ms, before_ms)
