"""Every signal in columns, so that any mix of filters has its page and its exact total at once. Pure.

A shelf is never changed: ``added`` gives another one. Rows stand by time, then id, ascending; chains, tags,
narratives and triggers are numbers of distinct lists (``Lists``), so that a partial match looks at each
distinct name once. Titles lie in one text (``titles_text.py``), in the order they were recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.common.errors import InvariantBroken
from libs.common.ids import Uuid
from services.scanner.signals.titles_text import Titles

SENTIMENTS = ("neutral", "bullish", "bearish")
LINE = "\n"
Mask = NDArray[np.bool_]
Column = NDArray[Any]


class Item(NamedTuple):
    """What filters look at in a signal."""

    id: Uuid
    recorded_ms: int
    cmc_id: int
    symbol: str
    sentiment: str
    timeframe_id: int
    confidence: float
    title: str
    chains: tuple[str, ...]
    tags: tuple[str, ...]
    narratives: tuple[int, ...]
    triggers: tuple[str, ...]
    told: bool = True  # to others when it was recorded; not what a back-fill made


class Packed(NamedTuple):
    """The same of many signals in the order of the record, as PostgreSQL sends columns: numbers big-endian
    one behind another, texts a line each, lists as JSON a line each."""

    positions: bytes  # from 1
    ids: bytes
    recorded_ms: bytes
    cmc_ids: bytes
    timeframe_ids: bytes
    confidences: bytes
    told: bytes
    sentiments: str
    symbols: str
    titles: str
    chains: str
    tags: str
    narratives: str
    triggers: str


class Wanted(NamedTuple):
    """Filters; empty ones ask nothing. Texts are folded. Times in Unix ms, both ends count."""

    chain: tuple[str, ...] = ()
    search: str = ""
    tag: tuple[str, ...] = ()
    narrative: tuple[int, ...] = ()
    cmc_id: int | None = None
    from_ms: float | None = None
    to_ms: float | None = None
    sentiment: tuple[str, ...] = ()
    symbol: str = ""
    timeframe_id: int | None = None
    trigger: tuple[str, ...] = ()
    min_confidence: float = 0.0
    since: int = -1  # only what was recorded after this position
    told: bool = False  # only what others were told


NOTHING = Wanted()


class Page(NamedTuple):
    """Positions of a page in the order of the record, newest first, and how many match in all."""

    positions: list[int]
    total: int


def folded(text: str) -> str:
    """A text as it is compared: trimmed, without case."""
    return text.strip().casefold()


class Lists:
    """Distinct lists, each with a number; a number is never reused."""

    def __init__(self) -> None:
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._holding: dict[Any, list[int]] = {}
        self._read: dict[str, int] = {}  # as JSON

    def number(self, names: tuple[Any, ...]) -> int:
        """The number of a list."""
        known = self._numbers.get(names)
        if known is None:
            known = self._numbers[names] = len(self._numbers)
            for name in dict.fromkeys(n.casefold() if isinstance(n, str) else n for n in names):
                self._holding.setdefault(name, []).append(known)
        return known

    def numbers(self, lines: str) -> Column:
        """The numbers of lists that come as JSON, one a line."""
        known = self._read
        given = lines.split(LINE)
        for text in set(given) - known.keys():
            known[text] = self.number(tuple(msgspec.json.decode(text)))
        return np.fromiter(map(known.__getitem__, given), dtype=np.int32, count=len(given))

    def names(self) -> Collection[Any]:
        """Every name a list holds, without case."""
        return self._holding.keys()

    def where(self, matches: Callable[[Any], bool]) -> Mask:
        """By number: whether a list holds a name that matches."""
        found = np.zeros(len(self._numbers), dtype=np.bool_)
        for name, numbers in self._holding.items():
            if matches(name):
                found[numbers] = True
        return found


@dataclass(frozen=True, eq=False)
class Shelf:
    """See the module's text. ``position`` of a row is its place in the order of the record, from 0."""

    columns: Mapping[str, Column] = field(default_factory=lambda: _columns(()))
    titles: Titles = field(default_factory=Titles)
    chains: Lists = field(default_factory=Lists)
    tags: Lists = field(default_factory=Lists)
    narratives: Lists = field(default_factory=Lists)
    triggers: Lists = field(default_factory=Lists)
    symbols: Lists = field(default_factory=Lists)

    def __len__(self) -> int:
        return len(self.titles)

    def added(self, items: Sequence[Item]) -> Shelf:
        """The shelf with these signals behind the ones it has."""
        if not items:
            return self
        first = len(self)
        more = _columns(
            [
                (
                    item.recorded_ms,
                    item.id.int >> 64,
                    item.id.int & (2**64 - 1),
                    first + number,
                    item.cmc_id,
                    SENTIMENTS.index(item.sentiment),
                    item.timeframe_id,
                    item.confidence,
                    self.chains.number(item.chains),
                    self.tags.number(item.tags),
                    self.narratives.number(item.narratives),
                    self.triggers.number(item.triggers),
                    self.symbols.number((item.symbol,)),
                    item.told,
                )
                for number, item in enumerate(items)
            ]
        )
        return self._grown(more, [item.title for item in items])

    def taken(self, packed: Packed) -> Shelf:
        """The same as ``added``, of many that come from the record, each in its place there."""
        positions = np.frombuffer(packed.positions, dtype=">i8") - 1
        if not np.array_equal(positions, np.arange(len(self), len(self) + len(positions))):
            raise InvariantBroken("the record of signals has a hole, or came in another order")
        ids = np.frombuffer(packed.ids, dtype=">u8").reshape(-1, 2)
        sentiments = {name: at for at, name in enumerate(SENTIMENTS)}
        more = {
            "recorded": np.frombuffer(packed.recorded_ms, dtype=">i8"),
            "high": ids[:, 0],
            "low": ids[:, 1],
            "position": positions,
            "cmc": np.frombuffer(packed.cmc_ids, dtype=">i4"),
            "sentiment": [sentiments[name] for name in packed.sentiments.split(LINE)],
            "timeframe": np.frombuffer(packed.timeframe_ids, dtype=">i2"),
            "confidence": np.frombuffer(packed.confidences, dtype=">f8"),
            "chains": self.chains.numbers(packed.chains),
            "tags": self.tags.numbers(packed.tags),
            "narratives": self.narratives.numbers(packed.narratives),
            "triggers": self.triggers.numbers(packed.triggers),
            "symbols": self.symbols.numbers(packed.symbols),
            "told": np.frombuffer(packed.told, dtype=np.bool_),
        }
        typed = {name: np.asarray(more[name]).astype(kind) for name, kind in _TYPES.items()}
        return self._grown(typed, packed.titles.split(LINE))

    def _grown(self, more: Mapping[str, Column], titles: Sequence[str]) -> Shelf:
        both = {name: np.concatenate((column, more[name])) for name, column in self.columns.items()}
        start = int(np.searchsorted(self.columns["recorded"], more["recorded"].min()))
        order = np.lexsort(tuple(both[name][start:] for name in ("low", "high", "recorded")))
        for column in both.values():
            column[start:] = column[start:][order]
        return Shelf(
            both,
            self.titles.added(titles),
            self.chains,
            self.tags,
            self.narratives,
            self.triggers,
            self.symbols,
        )

    def find(self, wanted: Wanted, limit: int, offset: int, before: tuple[int, Uuid] | None = None) -> Page:
        """A page of what matches, newest first. ``before``: only rows behind this one, by time and id;
        the total counts all the same."""
        recorded = self.columns["recorded"]
        low = 0 if wanted.from_ms is None else int(np.searchsorted(recorded, wanted.from_ms, "left"))
        high = len(self) if wanted.to_ms is None else int(np.searchsorted(recorded, wanted.to_ms, "right"))
        if low >= high:
            return Page([], 0)
        if wanted._replace(from_ms=None, to_ms=None) == NOTHING:
            total = high - low
            end = high if before is None else min(high, self._behind(before))
            stop = max(end - offset, low)
            rows = np.arange(max(stop - limit, low), stop)
        else:
            found = self._rows(wanted, low, high)
            total = len(found)
            end = total if before is None else int(np.searchsorted(found, self._behind(before)))
            stop = max(end - offset, 0)
            rows = found[max(stop - limit, 0) : stop]
        return Page(self.columns["position"][rows][::-1].tolist(), total)

    def following(self, wanted: Wanted, limit: int) -> list[int]:
        """The first positions of what matches, in the order of the record."""
        recorded = self.columns["recorded"]
        low = 0 if wanted.from_ms is None else int(np.searchsorted(recorded, wanted.from_ms, "left"))
        high = len(self) if wanted.to_ms is None else int(np.searchsorted(recorded, wanted.to_ms, "right"))
        if low >= high:
            return []
        positions = np.sort(self.columns["position"][self._rows(wanted, low, high)])
        found: list[int] = positions[:limit].tolist()
        return found

    def _rows(self, wanted: Wanted, low: int, high: int) -> Column:
        """The rows of a range that match, ascending."""
        masks = list(self._masks(wanted, slice(low, high)))
        found = np.arange(low, high) if not masks else np.flatnonzero(np.logical_and.reduce(masks)) + low
        if wanted.search:
            found = found[self._titled(wanted.search.encode(), self.columns["position"][found])]
        return found

    def _behind(self, before: tuple[int, Uuid]) -> int:
        """The first row that is not older than a moment and id."""
        at_ms, id_ = before
        recorded = self.columns["recorded"]
        low, high = (int(np.searchsorted(recorded, at_ms, side)) for side in ("left", "right"))
        while low < high:
            middle = (low + high) // 2
            known = int(self.columns["high"][middle]) << 64 | int(self.columns["low"][middle])
            low, high = (middle + 1, high) if known < id_.int else (low, middle)
        return low

    def _masks(self, wanted: Wanted, part: slice) -> Iterable[Mask]:
        def of(name: str) -> Column:
            return self.columns[name][part]

        if wanted.cmc_id is not None:
            yield of("cmc") == wanted.cmc_id
        if wanted.sentiment:
            yield np.array([name in wanted.sentiment for name in SENTIMENTS])[of("sentiment")]
        if wanted.timeframe_id is not None:
            yield of("timeframe") == wanted.timeframe_id
        if wanted.min_confidence > 0.0:
            yield of("confidence") >= wanted.min_confidence
        if wanted.since >= 0:
            yield of("position") > wanted.since
        if wanted.told:
            yield of("told")
        if wanted.chain:
            yield self.chains.where(_holds(wanted.chain))[of("chains")]
        if wanted.tag:
            yield self.tags.where(_holds(wanted.tag))[of("tags")]
        if wanted.narrative:
            yield self.narratives.where(set(wanted.narrative).__contains__)[of("narratives")]
        if wanted.trigger:
            yield self.triggers.where(set(wanted.trigger).__contains__)[of("triggers")]
        if wanted.symbol:
            yield self.symbols.where(wanted.symbol.__eq__)[of("symbols")]

    def _titled(self, needle: bytes, positions: Column) -> Mask:
        """By row: whether the title of the signal at a position holds a text."""
        if not len(positions):
            return np.zeros(0, dtype=np.bool_)
        return self.titles.among(needle, positions)


def _holds(needles: Iterable[str]) -> Callable[[str], bool]:
    wanted = tuple(needles)
    return lambda name: any(needle in name for needle in wanted)


_TYPES: Mapping[str, Any] = {
    "recorded": np.int64,
    "high": np.uint64,
    "low": np.uint64,
    "position": np.int64,
    "cmc": np.int32,
    "sentiment": np.int8,
    "timeframe": np.int8,
    "confidence": np.float64,
    "chains": np.int32,
    "tags": np.int32,
    "narratives": np.int32,
    "triggers": np.int32,
    "symbols": np.int32,
    "told": np.bool_,
}


def _columns(rows: Sequence[Sequence[Any]]) -> dict[str, Column]:
    return {
        name: np.array([row[at] for row in rows], dtype=kind)
        for at, (name, kind) in enumerate(_TYPES.items())
    }
