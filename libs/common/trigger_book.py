"""The trigger book: which armed levels a price move has reached. Alerts and trading share it.

Pure. A ``Ladder`` watches one price (one side of one symbol in one price profile); a ``TriggerBook``
is the ladders of a house by key. Every kind of level is a range query on sorted levels, nothing is
re-armed per tick. With q the price before and p the price now:

| kind | fires when | as a range |
|---|---|---|
| TOUCH_UP, AT_OR_ABOVE | q < T <= p | T in (q, p] |
| ABOVE (p > T) | q <= T < p | the double after T in (q, p] |
| TOUCH_DOWN, AT_OR_BELOW | p <= T < q | -T in (-q, -p] |
| BELOW (p < T) | p < T <= q | the double after -T in (-q, -p] |

The level conditions (ABOVE, BELOW, AT_OR_*) also fire on the first move after they were armed when
they hold then; a touch needs a move across. Without a previous price a move only sets it, for
touches. A level armed once leaves the ladder when it fires, a repeating one stays: a level condition
that stays fires again only after it has turned false, which the range gives for free.

What fires comes in the order the move meets it, equal levels by id. A ladder remembers the interval
around its price in which no move can fire anything, so that such a move costs two comparisons
whatever is armed. Levels are doubles; integer points below 2^53 are as good.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Hashable, Iterator, Sequence
from enum import Enum
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

BLOCK = 512  # levels a block is filled to; it splits at twice as many
_TAG_MAX = 2**63 - 1
_NOTHING: Sequence[int] = ()
_BULK = 64  # from here on a bulk load beats adding one by one


class Kind(Enum):
    """What a level waits for; see the module's table."""

    TOUCH_UP = "touch_up"
    TOUCH_DOWN = "touch_down"
    ABOVE = "above"
    BELOW = "below"
    AT_OR_ABOVE = "at_or_above"
    AT_OR_BELOW = "at_or_below"


_UP = frozenset({Kind.TOUCH_UP, Kind.ABOVE, Kind.AT_OR_ABOVE})
_TOUCH = frozenset({Kind.TOUCH_UP, Kind.TOUCH_DOWN})
_BEYOND = frozenset({Kind.ABOVE, Kind.BELOW})


class Levels:
    """Sorted (level, tag) pairs in blocks of flat arrays: 16 bytes a pair and O(log n) to change.

    A tag is the id shifted left by one, its lowest bit says that the level stays when it fires.
    """

    __slots__ = ("_block", "_levels", "_tags", "_tops", "count", "stay")

    def __init__(self, block: int = BLOCK) -> None:
        self._block = block
        self._levels: list[array[float]] = []
        self._tags: list[array[int]] = []
        self._tops: list[tuple[float, int]] = []  # the last pair of each block
        self.count = 0
        self.stay = 0  # how many of them stay when they fire

    def add(self, level: float, tag: int) -> None:
        """Insert a pair; ValueError when it is there already."""
        if not self._tops:
            self._levels, self._tags = [array("d", (level,))], [array("q", (tag,))]
            self._tops = [(level, tag)]
        else:
            index = min(bisect_left(self._tops, (level, tag)), len(self._tops) - 1)
            levels, tags = self._levels[index], self._tags[index]
            at, found = _place(levels, tags, level, tag)
            if found:
                raise ValueError(f"id {tag >> 1} is armed at this level already")
            levels.insert(at, level)
            tags.insert(at, tag)
            self._tops[index] = (levels[-1], tags[-1])
            if len(levels) > 2 * self._block:
                self._split(index)
        self.count += 1
        self.stay += tag & 1

    def discard(self, level: float, tag: int) -> bool:
        """Remove a pair; whether it was there."""
        index = bisect_left(self._tops, (level, tag))
        if index == len(self._tops):
            return False
        levels, tags = self._levels[index], self._tags[index]
        at, found = _place(levels, tags, level, tag)
        if not found:
            return False
        del levels[at], tags[at]
        self.count -= 1
        self.stay -= tag & 1
        self._settle(index, index + 1)
        return True

    def load(self, levels: Sequence[float], tags: Sequence[int]) -> None:
        """Add many pairs that are not there yet at once; the caller sees to that."""
        if len(levels) < _BULK and self.count >= _BULK:
            for level, tag in zip(levels, tags, strict=True):
                self.add(level, tag)
            return
        import numpy as np

        every_level = np.concatenate([*map(np.frombuffer, self._levels), np.asarray(levels, np.float64)])
        old = (np.frombuffer(part, np.int64) for part in self._tags)
        every_tag = np.concatenate([*old, np.asarray(tags, np.int64)])
        order = np.lexsort((every_tag, every_level))
        every_level, every_tag = every_level[order], every_tag[order]
        self._levels, self._tags = [], []
        for start in range(0, len(order), self._block):
            end = start + self._block
            self._levels.append(array("d", every_level[start:end].tobytes()))
            self._tags.append(array("q", every_tag[start:end].tobytes()))
        self._tops = [(part[-1], tag[-1]) for part, tag in zip(self._levels, self._tags, strict=True)]
        self.count = len(order)
        self.stay = int((every_tag & 1).sum())

    def take(self, above: float, upto: float) -> tuple[list[float], list[int]]:
        """The pairs with ``above`` < level <= ``upto`` in order; those that do not stay are removed."""
        first = index = bisect_right(self._tops, (above, _TAG_MAX))
        taken_levels: list[float] = []
        taken_tags: list[int] = []
        while index < len(self._tops):
            levels, tags = self._levels[index], self._tags[index]
            start = bisect_right(levels, above) if index == first else 0
            end = bisect_right(levels, upto, start)
            if start == end:
                break
            part_levels, part_tags = levels[start:end], tags[start:end]
            taken_levels += part_levels
            taken_tags += part_tags
            whole = end == len(levels)
            if self.stay:
                kept = [at for at, tag in enumerate(part_tags) if tag & 1]
                levels[start:end] = array("d", [part_levels[at] for at in kept])
                tags[start:end] = array("q", [part_tags[at] for at in kept])
                self.count -= len(part_tags) - len(kept)
            else:
                del levels[start:end], tags[start:end]
                self.count -= len(part_tags)
            index += 1
            if not whole:
                break
        if index > first:
            self._settle(first, index)
        return taken_levels, taken_tags

    def around(self, price: float) -> tuple[float, float]:
        """The last level at or below ``price`` and the first above it; infinite where there is none."""
        index = bisect_right(self._tops, (price, _TAG_MAX))
        if index == len(self._tops):
            return (self._tops[-1][0] if index else -math.inf), math.inf
        levels = self._levels[index]
        at = bisect_right(levels, price)
        if at:
            return levels[at - 1], levels[at]
        return (self._tops[index - 1][0] if index else -math.inf), levels[0]

    def __iter__(self) -> Iterator[tuple[float, int]]:
        for levels, tags in zip(self._levels, self._tags, strict=True):
            yield from zip(levels, tags, strict=True)

    def _split(self, index: int) -> None:
        levels, tags = self._levels[index], self._tags[index]
        half = len(levels) // 2
        self._levels[index : index + 1] = [levels[:half], levels[half:]]
        self._tags[index : index + 1] = [tags[:half], tags[half:]]
        self._tops[index : index + 1] = [(levels[half - 1], tags[half - 1]), (levels[-1], tags[-1])]

    def _settle(self, first: int, end: int) -> None:
        """After removals in blocks ``first`` to ``end``: drop empty ones, renew tops, join small ones."""
        kept = [at for at in range(first, end) if self._levels[at]]
        self._levels[first:end] = [self._levels[at] for at in kept]
        self._tags[first:end] = [self._tags[at] for at in kept]
        self._tops[first:end] = [
            (self._levels[at][-1], self._tags[at][-1]) for at in range(first, first + len(kept))
        ]
        for at in (first + len(kept) - 1, first):
            self._join_next(at)

    def _join_next(self, at: int) -> None:
        if not 0 <= at < len(self._tops) - 1:
            return
        if len(self._levels[at]) + len(self._levels[at + 1]) > self._block // 2:
            return
        self._levels[at] += self._levels.pop(at + 1)
        self._tags[at] += self._tags.pop(at + 1)
        del self._tops[at]


def _place(levels: array[float], tags: array[int], level: float, tag: int) -> tuple[int, bool]:
    """Where (level, tag) stands or belongs in a block, and whether it stands there."""
    start = bisect_left(levels, level)
    end = bisect_right(levels, level, start)
    at = bisect_left(tags, tag, start, end)
    return at, at < end and tags[at] == tag


class Ladder:
    """The levels armed on one price, and that price. ``last`` is None before the first one."""

    # A falling price is a rising negated one: levels that wait for a fall are kept negated, so that
    # both families ask the same question, (before, now], and come out in the order the move meets them.
    __slots__ = ("_down", "_fresh", "_high", "_low", "_up", "last")

    def __init__(self, last: float | None = None, *, block: int = BLOCK) -> None:
        self._up = Levels(block)
        self._down = Levels(block)
        self._fresh: list[tuple[bool, float, int]] = []  # level conditions no move has judged yet
        self.last = last
        self._low = math.inf  # while low < price < high nothing can fire; the widest truth is looked up late
        self._high = -math.inf

    def __len__(self) -> int:
        return self._up.count + self._down.count + len(self._fresh)

    def move(self, price: float) -> Sequence[int]:
        """The price is now ``price``: the ids that fire, in the order the move meets their levels."""
        if self._low < price < self._high:
            self.last = price
            return _NOTHING
        return self._move(price)

    def arm(self, kind: Kind, level: float, id: int, *, repeat: bool = False, fresh: bool = True) -> None:
        """Wait for ``level``. One id may wait once upwards and once downwards.

        ``fresh=False`` says that a move has judged this level condition before: it fires on a change only.
        """
        up, stored = _stored(kind, level)
        tag = id << 1 | repeat
        if fresh and kind not in _TOUCH:
            self._fresh.append((up, stored, tag))
            self._low = math.inf
            return
        (self._up if up else self._down).add(stored, tag)
        self._narrow(up, stored)

    def load(
        self, kind: Kind, levels: Sequence[float], ids: Sequence[int], *, repeat: Sequence[bool] | bool
    ) -> None:
        """Arm many at once that are not armed yet; what they wait for has been judged at ``last``."""
        stays = [repeat] * len(ids) if isinstance(repeat, bool) else repeat
        tags = [id << 1 | stay for id, stay in zip(ids, stays, strict=True)]
        up = kind in _UP
        (self._up if up else self._down).load([_stored(kind, level)[1] for level in levels], tags)
        self._low = math.inf

    def disarm(self, kind: Kind, level: float, id: int) -> bool:
        """Wait no longer; whether it was armed. ``kind`` and ``level`` are those it was armed with.

        The owner of a level keeps what it armed; an index by id here would double the memory.
        """
        up, stored = _stored(kind, level)
        levels = self._up if up else self._down
        tag = id << 1
        if levels.discard(stored, tag) or levels.discard(stored, tag | 1):
            return True
        for at, (fresh_up, fresh_level, fresh_tag) in enumerate(self._fresh):
            if fresh_up is up and fresh_level == stored and fresh_tag >> 1 == id:
                del self._fresh[at]
                return True
        return False

    def _move(self, price: float) -> Sequence[int]:
        if not math.isfinite(price):
            raise ValueError(f"price was {price}")
        before = price if self.last is None else self.last
        rising = price >= before
        if rising:
            levels, tags = self._up.take(before, price)
        else:
            levels, tags = self._down.take(-before, -price)
        if self._fresh:
            tags = self._judge_fresh(price, rising, levels, tags)
        self.last = price
        self._widen(price)
        return [tag >> 1 for tag in tags]

    def _judge_fresh(self, price: float, rising: bool, levels: list[float], tags: list[int]) -> list[int]:
        """Judge the newly armed level conditions and let them wait for a change if they stay."""
        met = list(zip(levels, tags, strict=True))
        for up, level, tag in self._fresh:
            fires = level <= (price if up else -price)
            if fires:
                met.append((level if up is rising else -level, tag))
            if not fires or tag & 1:
                (self._up if up else self._down).add(level, tag)
        self._fresh.clear()
        return [tag for _, tag in sorted(met)]

    def _widen(self, price: float) -> None:
        """The widest interval around ``price`` in which no move fires and none prepares a fire.

        A level that waits for a rise bounds it from above when it lies above the price; one at or below
        the price bounds it from below, since falling under it is what lets it be met again.
        """
        below, above = self._up.around(price)
        rest_below, rest_above = self._down.around(-price)
        self._low = max(math.nextafter(below, -math.inf), -rest_above)
        self._high = min(above, math.nextafter(-rest_below, math.inf))

    def _narrow(self, up: bool, stored: float) -> None:
        """A level was added: the interval may not reach beyond it."""
        if self.last is None:
            return
        if stored > (self.last if up else -self.last):
            low, high = -math.inf, stored
        else:
            low, high = math.nextafter(stored, -math.inf), math.inf
        if not up:
            low, high = -high, -low
        self._low = max(self._low, low)
        self._high = min(self._high, high)


def _stored(kind: Kind, level: float) -> tuple[bool, float]:
    """Whether the level waits for a rise, and the double that a rising (or negated) price must reach."""
    if not math.isfinite(level):
        raise ValueError(f"level was {level}")
    up = kind in _UP
    stored = float(level) if up else -float(level)
    return up, math.nextafter(stored, math.inf) if kind in _BEYOND else stored


class TriggerBook(Generic[K]):
    """The ladders of a house by key, say (profile, symbol, side)."""

    def __init__(self) -> None:
        self._ladders: dict[K, Ladder] = {}

    def ladder(self, key: K) -> Ladder:
        """The ladder of ``key``; made at the first call."""
        found = self._ladders.get(key)
        if found is None:
            found = self._ladders[key] = Ladder()
        return found

    def move(self, key: K, price: float) -> Sequence[int]:
        """See ``Ladder.move``."""
        return self.ladder(key).move(price)

    def arm(self, key: K, kind: Kind, level: float, id: int, *, repeat: bool = False) -> None:
        """See ``Ladder.arm``."""
        self.ladder(key).arm(kind, level, id, repeat=repeat)

    def disarm(self, key: K, kind: Kind, level: float, id: int) -> bool:
        """See ``Ladder.disarm``."""
        return self.ladder(key).disarm(kind, level, id)

    def __len__(self) -> int:
        return sum(len(ladder) for ladder in self._ladders.values())

    def __iter__(self) -> Iterator[K]:
        return iter(self._ladders)
