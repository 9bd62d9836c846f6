"""What market keeps in PostgreSQL. One method per named query; the caller's connection everywhere."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from libs.common.candles import Candle
from libs.common.db import Connection, load_queries
from services.market.bars import Bars

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")

# A candle in PostgreSQL's binary COPY form: the count of fields, then each with its length before it.
_COPY_ROW = np.dtype(
    [("fields", ">i2")]
    + [
        part
        for name, kind in (
            ("open_ms", ">i8"),
            ("open", ">f8"),
            ("high", ">f8"),
            ("low", ">f8"),
            ("close", ">f8"),
            ("volume", ">f8"),
            ("instrument_id", ">i4"),
            ("timeframe", ">i2"),
            ("source_id", ">i2"),
        )
        for part in ((f"{name}_bytes", ">i4"), (name, kind))
    ]
)
_COPY_COLUMNS = [name for name in _COPY_ROW.names or () if name != "fields" and not name.endswith("_bytes")]
_COPY_HEAD = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_COPY_TAIL = b"\xff\xff"


class Place(NamedTuple):
    """Which candle: instrument, timeframe and open time."""

    instrument_id: int
    timeframe_id: int
    open_ms: int


class Stored(NamedTuple):
    """What is stored of a candle besides its place."""

    source_id: int
    open: float
    high: float
    low: float
    close: float
    volume: float


@dataclass(frozen=True, slots=True)
class Block:
    """Bars of one instrument and timeframe, to be stored whole."""

    instrument_id: int
    timeframe_id: int
    source_id: int
    bars: Bars


@dataclass(frozen=True, slots=True)
class LastQuote:
    """The last quote of a symbol as it is stored."""

    instrument_id: int
    seq_spent: int
    bid: float
    ask: float
    ctm_ms: int


@dataclass(frozen=True, slots=True)
class WatchedRow:
    """A symbol on a watch list."""

    instrument_id: int
    sort_index: int
    color: str


class Store:
    """The named queries of market."""

    # ── instruments and groups ────────────────────────────────────────────────────────────────────

    async def instruments(self, connection: Connection) -> list[tuple[int, str, Mapping[str, Any]]]:
        rows = await connection.fetch(QUERIES["instruments"])
        return [(row["id"], row["symbol"], row["said"]) for row in rows]

    async def add_instruments(self, connection: Connection, symbols: Sequence[str]) -> None:
        await connection.execute(QUERIES["add_instruments"], symbols)

    async def put_instrument(self, connection: Connection, symbol: str, said: Mapping[str, Any]) -> int:
        return int(await connection.fetchval(QUERIES["put_instrument"], symbol, said))

    async def groups(self, connection: Connection) -> list[tuple[str, Mapping[str, Any]]]:
        return [(row["name"], row["said"]) for row in await connection.fetch(QUERIES["groups"])]

    async def add_groups(self, connection: Connection, names: Sequence[str]) -> None:
        await connection.execute(QUERIES["add_groups"], names)

    async def put_group(self, connection: Connection, name: str, said: Mapping[str, Any]) -> None:
        await connection.execute(QUERIES["put_group"], name, said)

    async def source_id(self, connection: Connection, name: str) -> int:
        """The id of a source of candles, made when it is new."""
        found = await connection.fetchval(QUERIES["source_id"], name)
        if found is None:
            await connection.execute(QUERIES["add_source"], name)
            found = await connection.fetchval(QUERIES["source_id"], name)
        return int(found)

    # ── quotes ────────────────────────────────────────────────────────────────────────────────────

    async def quotes(self, connection: Connection) -> list[LastQuote]:
        return [LastQuote(*row) for row in await connection.fetch(QUERIES["quotes"])]

    async def reserve_seqs(self, connection: Connection, ends: Mapping[int, int]) -> None:
        await connection.execute(QUERIES["reserve_seqs"], list(ends), list(ends.values()))

    async def settle_seqs(self, connection: Connection, last: Mapping[int, int]) -> None:
        await connection.execute(QUERIES["settle_seqs"], list(last), list(last.values()))

    async def save_quotes(
        self, connection: Connection, quotes: Sequence[tuple[int, float, float, int]]
    ) -> None:
        if quotes:
            await connection.execute(QUERIES["save_quotes"], *map(list, zip(*quotes, strict=True)))

    async def cursor(self, connection: Connection, feed: str) -> Any:
        return await connection.fetchval(QUERIES["cursor"], feed)

    async def save_cursor(self, connection: Connection, feed: str, at: Any) -> None:
        await connection.execute(QUERIES["save_cursor"], feed, at)

    # ── candles ───────────────────────────────────────────────────────────────────────────────────

    async def upsert_candles(self, connection: Connection, candles: Mapping[Place, Stored]) -> None:
        """Put candles in place; the later word about a bar holds."""
        if not candles:
            return
        ids, frames, opens_ms = map(list, zip(*candles, strict=True))
        sources, *prices = map(list, zip(*candles.values(), strict=True))
        await connection.execute(QUERIES["upsert_candles"], ids, frames, sources, opens_ms, *prices)

    async def upsert_block(self, connection: Connection, block: Block) -> None:
        """Put many bars of one instrument and timeframe in place.

        Copied where nothing stands in their range yet, three times as fast; upserted elsewhere. Market
        is the only writer, so nothing can come between the look and the copy.
        """
        if len(block.bars) == 0:
            return
        first, last = int(block.bars.open_ms[0]), int(block.bars.open_ms[-1])
        place = block.instrument_id, block.timeframe_id
        if await connection.fetchval(QUERIES["has_candles"], *place, first, last):
            rows = zip(*(column.tolist() for column in block.bars.columns()), strict=True)
            await self.upsert_candles(
                connection, {Place(*place, at): Stored(block.source_id, *rest) for at, *rest in rows}
            )
            return
        await connection.copy_to_table(
            "candle",
            schema_name="market",
            columns=_COPY_COLUMNS,
            source=io.BytesIO(_copy_form(block)),
            format="binary",
        )

    async def candles(
        self,
        connection: Connection,
        instrument_id: int,
        timeframe_id: int,
        from_ms: int,
        to_ms: int,
        limit: int,
    ) -> list[Candle]:
        """The newest ``limit`` candles that open in [from, to], oldest first."""
        rows = await connection.fetch(QUERIES["candles"], instrument_id, timeframe_id, from_ms, to_ms, limit)
        return [Candle(*row) for row in reversed(rows)]

    async def latest_candles(
        self, connection: Connection, instrument_ids: Sequence[int], timeframe_id: int, limit: int
    ) -> dict[int, list[Candle]]:
        """Instrument → its newest ``limit`` candles, oldest first."""
        rows = await connection.fetch(QUERIES["latest_candles"], instrument_ids, timeframe_id, limit)
        found: dict[int, list[Candle]] = {}
        for instrument_id, *candle in reversed(rows):
            found.setdefault(instrument_id, []).append(Candle(*candle))
        return found

    async def candles_bulk(
        self, connection: Connection, places: Sequence[tuple[int, int, int, int]], limit: int
    ) -> list[tuple[bytes, str]]:
        """(instrument, timeframe, from_ms, to_ms) → its newest bars as ``bulk.ROW``, and their source."""
        rows = await connection.fetch(QUERIES["candles_bulk"], *map(list, zip(*places, strict=True)), limit)
        return [(packed or b"", source or "") for packed, source in rows]

    async def candles_at(self, connection: Connection, places: Iterable[Place]) -> dict[Place, Candle]:
        """The candles that stand at these very places."""
        wanted = list(places)
        if not wanted:
            return {}
        rows = await connection.fetch(QUERIES["candles_at"], *map(list, zip(*wanted, strict=True)))
        return {Place(*row[:3]): Candle(*row[2:]) for row in map(tuple, rows)}

    # ── watch lists ───────────────────────────────────────────────────────────────────────────────

    async def watched(self, connection: Connection, login: int) -> list[WatchedRow]:
        return [WatchedRow(*row) for row in await connection.fetch(QUERIES["watched"], login)]

    async def watch(self, connection: Connection, login: int, instrument_id: int, symbols_max: int) -> bool:
        """Put a symbol on a list; False when there is no room."""
        await connection.execute(QUERIES["watch"], login, instrument_id, symbols_max)
        return bool(await connection.fetchval(QUERIES["is_watched"], login, instrument_id))

    async def change_watched(
        self,
        connection: Connection,
        login: int,
        instrument_id: int,
        sort_index: int | None,
        color: str | None,
    ) -> bool:
        """Change a watched symbol; False when it is not on the list."""
        query = QUERIES["change_watched"]
        return await connection.fetchval(query, login, instrument_id, sort_index, color) is not None

    async def unwatch(self, connection: Connection, login: int, instrument_id: int) -> None:
        await connection.execute(QUERIES["unwatch"], login, instrument_id)

    # ── one at a time ─────────────────────────────────────────────────────────────────────────────

    async def lock_single(self, connection: Connection) -> bool:
        """Become the only market on this database, for as long as the connection lives."""
        return bool(await connection.fetchval(QUERIES["lock_single"]))


def _copy_form(block: Block) -> bytes:
    """The bars as PostgreSQL's binary COPY reads them."""
    rows = np.empty(len(block.bars), dtype=_COPY_ROW)
    rows["fields"] = len(_COPY_COLUMNS)
    columns = dict(zip(_COPY_COLUMNS, block.bars.columns(), strict=False))
    ids = {
        "instrument_id": block.instrument_id,
        "timeframe": block.timeframe_id,
        "source_id": block.source_id,
    }
    for name in _COPY_COLUMNS:
        rows[f"{name}_bytes"] = rows.dtype[name].itemsize
        rows[name] = columns[name] if name in columns else ids[name]
    return _COPY_HEAD + rows.tobytes() + _COPY_TAIL
