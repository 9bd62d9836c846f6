"""The tables of the signals: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from libs.common.db import Connection, Record, load_queries
from libs.common.ids import Uuid
from services.scanner.signals.assets import Asset
from services.scanner.signals.calibration import Bin
from services.scanner.signals.generation import Memory
from services.scanner.signals.performance import HORIZONS, Outcome, Tally
from services.scanner.signals.record import Entry
from services.scanner.signals.shelf import Item, Packed

QUERIES = load_queries(Path(__file__).parents[1] / "sql/signals.sql")
HOUR_MS = 3_600_000
Place = tuple[int, int, str]  # cmcId, timeframe id, market


class Written(msgspec.Struct, frozen=True):
    """A signal with its place in the record and the numbers of its narratives."""

    entry: Entry
    position: int
    hash: str
    narratives: tuple[int, ...]
    told: bool


class SignalStore:
    """See the module's text."""

    # ── registry and names ────────────────────────────────────────────────────────────────────────

    async def assets(self, connection: Connection) -> list[Asset]:
        """The registry, by cmcId."""
        rows = await connection.fetch(QUERIES["assets"])
        return [msgspec.json.decode(row["body"], type=Asset) for row in rows]

    async def put_assets(self, tx: Connection, assets: Sequence[Asset], now_ms: int) -> None:
        """Add or replace assets."""
        bodies = [msgspec.json.encode(asset).decode() for asset in assets]
        await tx.execute(QUERIES["put_assets"], [asset.cmc_id for asset in assets], bodies, now_ms)

    async def add_names(self, tx: Connection, names: Mapping[str, Sequence[str]]) -> None:
        """Give every name an id that has none. The head is held."""
        for kind, its in names.items():
            if its:
                await tx.execute(QUERIES["add_names"], kind, list(its))

    async def names(self, connection: Connection) -> dict[str, dict[str, int]]:
        """kind → name → id."""
        found: dict[str, dict[str, int]] = {"chain": {}, "tag": {}, "narrative": {}}
        for row in await connection.fetch(QUERIES["names"]):
            found[row["kind"]][row["name"]] = row["id"]
        return found

    # ── the record ────────────────────────────────────────────────────────────────────────────────

    async def hold_head(self, tx: Connection) -> tuple[int, str]:
        """Where the record ends; nobody else adds to it until the transaction ends."""
        return tuple(await tx.fetchrow(QUERIES["head"]))

    async def head(self, connection: Connection) -> tuple[int, str]:
        """Where the record ends."""
        return tuple(await connection.fetchrow(QUERIES["see_head"]))

    async def known(self, tx: Connection, ids: Sequence[Uuid]) -> set[Uuid]:
        """Those that are in the record."""
        return {row["id"] for row in await tx.fetch(QUERIES["known_signals"], list(ids))}

    async def add_signals(self, tx: Connection, written: Sequence[Written]) -> None:
        """Add to the end of the record, with the outcomes they wait for. The head is held."""
        rows = [_columns(one) for one in written]
        await tx.execute(QUERIES["add_signals"], *map(list, zip(*rows, strict=True)))
        await tx.execute(QUERIES["set_head"], written[-1].position, written[-1].hash)
        waiting = [
            (
                one.position,
                hours,
                one.entry.close_ms + hours * HOUR_MS,
                one.entry.frame.id,
                one.entry.asset.market,
            )
            for one in written
            for hours in HORIZONS
            if 0 < one.entry.frame.span_ms <= hours * HOUR_MS
        ]
        if waiting:
            await tx.execute(QUERIES["add_waiting"], *map(list, zip(*waiting, strict=True)))

    async def packed(self, connection: Connection, position: int, limit: int) -> Packed | None:
        """What filters look at, behind a position; None where the record ends."""
        row = await connection.fetchrow(QUERIES["packed"], position, limit)
        return None if row["ids"] is None else Packed(*row)

    async def bodies(self, connection: Connection, positions: Sequence[int]) -> dict[int, Record]:
        """Position → the signal as it is shown."""
        rows = await connection.fetch(QUERIES["bodies"], list(positions))
        return {row["position"]: row for row in rows}

    async def with_evidence(self, connection: Connection, positions: Sequence[int]) -> dict[int, Record]:
        """Position → the signal with evidence, outcomes and hashes."""
        rows = await connection.fetch(QUERIES["bodies_with_evidence"], list(positions))
        return {row["position"]: row for row in rows}

    async def position(self, connection: Connection, id_: Uuid) -> int | None:
        """Where a signal stands in the record; None when there is no such signal."""
        found: int | None = await connection.fetchval(QUERIES["position_of"], id_)
        return found

    # ── bars looked at ────────────────────────────────────────────────────────────────────────────

    async def places(self, connection: Connection) -> dict[Place, tuple[int, Memory]]:
        """How far bars were looked at (open time of the last one), and what is remembered."""
        return {
            (row["cmc_id"], row["timeframe"], row["market"]): (
                row["done_ms"],
                msgspec.json.decode(row["memory"], type=Memory),
            )
            for row in await connection.fetch(QUERIES["places"])
        }

    async def put_place(self, tx: Connection, place: Place, done_ms: int, memory: Memory) -> None:
        """Bars were looked at up to one."""
        await tx.execute(QUERIES["put_place"], *place, done_ms, msgspec.json.encode(memory).decode())

    async def add_input(
        self, tx: Connection, cmc_id: int, close_ms: int, pools: str | None, texts: str | None
    ) -> None:
        """What was known beside a bar."""
        await tx.execute(QUERIES["add_input"], cmc_id, close_ms, pools, texts)

    async def inputs(self, connection: Connection, cmc_id: int, from_ms: int, to_ms: int) -> list[Record]:
        """What was known beside the bars of a range, oldest first."""
        rows: list[Record] = await connection.fetch(QUERIES["inputs"], cmc_id, from_ms, to_ms)
        return rows

    # ── outcomes ──────────────────────────────────────────────────────────────────────────────────

    async def due(
        self, connection: Connection, market: str, timeframe_id: int, now_ms: int, from_ms: int, limit: int
    ) -> list[Record]:
        """Outcomes that should be known."""
        rows: list[Record] = await connection.fetch(
            QUERIES["due"], market, timeframe_id, now_ms, from_ms, limit
        )
        return rows

    async def add_outcomes(self, tx: Connection, came: Iterable[tuple[int, int, Outcome]]) -> None:
        """Outcomes by position and horizon."""
        rows = [(position, hours, *outcome) for position, hours, outcome in came]
        if rows:
            await tx.execute(QUERIES["add_outcomes"], *map(list, zip(*rows, strict=True)))

    async def tallies(
        self, connection: Connection, timeframe_id: int | None, cmc_id: int | None, names: Mapping[int, str]
    ) -> list[Tally]:
        """Sums of outcomes; ``names`` of timeframes by id."""
        rows = await connection.fetch(QUERIES["tallies"], timeframe_id, cmc_id)
        return [Tally(row["trigger"], names[row["timeframe"]], *tuple(row)[2:]) for row in rows]

    async def calibration(
        self, connection: Connection, timeframe_id: int | None, cmc_id: int | None
    ) -> dict[tuple[int, int], tuple[list[Bin], list[Bin]]]:
        """(timeframe id, horizon) → outcomes by confidence, of the earlier and of the later half."""
        found: dict[tuple[int, int], tuple[list[Bin], list[Bin]]] = {}
        for row in await connection.fetch(QUERIES["calibration"], timeframe_id, cmc_id):
            halves = found.setdefault((row["timeframe"], row["horizon"]), ([], []))
            halves[row["half"] - 1].append(Bin(row["confidence"], row["n"], row["hits"]))
        return found

    async def spans(self, connection: Connection) -> list[Record]:
        """From when to when there are signals, by asset, market and timeframe."""
        rows: list[Record] = await connection.fetch(QUERIES["spans"])
        return rows

    async def leaning(self, connection: Connection, since_ms: int) -> list[Record]:
        """The signals since a moment, as bullishness reads them."""
        rows: list[Record] = await connection.fetch(QUERIES["leaning"], since_ms)
        return rows


def item_of(one: Written) -> Item:
    """What filters look at in a signal that was just written."""
    entry = one.entry
    return Item(
        id=entry.id,
        recorded_ms=entry.close_ms,
        cmc_id=entry.asset.cmc_id,
        symbol=entry.asset.symbol,
        sentiment=entry.draft.sentiment,
        timeframe_id=entry.frame.id,
        confidence=entry.draft.score.confidence,
        title=entry.words.title,
        chains=tuple(entry.asset.chains),
        tags=entry.tags,
        narratives=one.narratives,
        triggers=_kinds(entry),
        told=one.told,
    )


def _kinds(entry: Entry) -> tuple[str, ...]:
    return tuple(dict.fromkeys(trigger.kind for trigger in entry.draft.triggers))


def _columns(one: Written) -> tuple[Any, ...]:
    entry = one.entry
    return (
        one.position,
        entry.id,
        entry.close_ms,
        entry.draft.score.confidence,
        entry.draft.measures.close,
        entry.asset.cmc_id,
        entry.frame.id,
        entry.draft.sentiment,
        entry.asset.symbol,
        entry.asset.market,
        entry.words.title,
        one.hash,
        {  # arrays of arrays would have to be of one length
            "chains": entry.asset.chains,
            "tags": entry.tags,
            "narratives": one.narratives,
            "triggers": _kinds(entry),
        },
        entry.body.decode(),
        entry.evidence.decode(),
        one.told,
    )
