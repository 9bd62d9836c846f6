"""Many titles as one text that is searched for a part of any of them. Pure.

Three ways, by what a needle costs: blocks of 64 titles each have a signature of their three-byte pieces, so
that a rare needle is looked for in few of them; a needle that is in some titles is found one by one; one
that is in many by the places of its rarest byte, all at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Column = NDArray[Any]
END = b"\n"  # no title holds one
BLOCK = 64  # titles with one signature
BITS = 1024  # of a signature
FEW = 0.2  # of the blocks: from here on all are looked through
SAMPLE_BYTES = 1 << 17
LONG = 16  # neighbouring blocks that are looked through as a whole
BYTES_PER_HIT = 400  # looking at so many bytes at once costs what finding one hit does
ONE_BY_ONE = 8  # where so many titles lie for each that is asked about, each is looked at by itself
GROWTH = 4096  # blocks by which signatures grow at least


@dataclass(frozen=True, eq=False)
class Titles:
    """Never changed: ``added`` gives another one. ``starts`` is where each title begins.

    ``signatures`` may be longer than there are blocks, and is shared with the text this one was made from:
    what is added later only sets bits of the last block and of blocks behind it.
    """

    text: bytes = b""
    starts: Column = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    signatures: Column = field(default_factory=lambda: np.zeros((BITS, 0), dtype=np.bool_))

    def __len__(self) -> int:
        return len(self.starts)

    def added(self, titles: Sequence[str]) -> Titles:
        """With more titles behind those there are. They are folded; a line's end in one is a space."""
        more = [title.replace("\n", " ").casefold().encode() + END for title in titles]
        lengths = np.array([0, *map(len, more[:-1])], dtype=np.int64)
        new = b"".join(more)
        starts = np.concatenate((self.starts, len(self.text) + np.cumsum(lengths)))
        signatures = _grown(self.signatures, -(-len(starts) // BLOCK))
        _sign(signatures, new, np.cumsum(lengths), len(self))
        return Titles(self.text + new, starts, signatures)

    def holding(self, needle: bytes, first: int, last: int) -> Mask:
        """Which of the titles ``first`` to ``last`` (it, too) hold a needle that is not empty."""
        starts = self.starts[first : last + 1]
        begin = int(starts[0])
        end = int(self.starts[last + 1]) if last + 1 < len(self) else len(self.text)
        if END in needle:
            return np.zeros(len(starts), dtype=np.bool_)
        blocks = self._blocks(needle, first // BLOCK, last // BLOCK)
        if blocks is None:
            return _holding(self.text, needle, starts, begin, end)
        found = np.zeros(len(starts), dtype=np.bool_)
        hits: list[int] = []
        for low, high in _runs(blocks):
            here, there = max(low * BLOCK, first), min(high * BLOCK, last + 1)
            stop = int(self.starts[there]) if there < len(self) else len(self.text)
            if high - low > LONG:
                part = self.starts[here:there]
                held = _holding(self.text, needle, part, int(part[0]), stop)
                found[here - first : there - first] = held
            else:
                hits += _hits(self.text, needle, int(self.starts[here]), stop, there - here)
        found[_titles_at(starts, hits)] = True
        return found

    def among(self, needle: bytes, positions: Column) -> Mask:
        """Which of some titles, by position and at least one, hold a needle that is not empty."""
        first, last = int(positions.min()), int(positions.max())
        if len(positions) * ONE_BY_ONE > last - first:
            held: Mask = self.holding(needle, first, last)[positions - first]
            return held
        text, starts = self.text, self.starts
        behind = np.append(starts[1:], len(text)) - len(END)
        pairs = zip(starts[positions].tolist(), behind[positions].tolist(), strict=True)
        return np.array([text.find(needle, begin, end) >= 0 for begin, end in pairs])

    def _blocks(self, needle: bytes, first: int, last: int) -> Column | None:
        """The blocks that may hold a needle; None where it is shorter than a piece or most blocks may."""
        if len(needle) < 3:
            return None
        rows = np.unique(_pieces(np.frombuffer(needle, dtype=np.uint8)))
        may = np.logical_and.reduce(self.signatures[rows, first : last + 1])
        found = np.flatnonzero(may) + first
        return None if len(found) > FEW * (last + 1 - first) else found


def _pieces(letters: Column) -> Column:
    """The number of each three-byte piece, below ``BITS``."""
    wide = letters.astype(np.uint32)
    mixed = (wide[:-2] * 0x9E3779B1) ^ (wide[1:-1] * 0x85EBCA6B) ^ (wide[2:] * 0xC2B2AE35)
    return (mixed >> 15) % BITS


def _grown(signatures: Column, blocks: int) -> Column:
    """Signatures for so many blocks at least: the same, or a larger copy."""
    if signatures.shape[1] >= blocks:
        return signatures
    larger = np.zeros((BITS, max(blocks, signatures.shape[1] * 3 // 2 + GROWTH)), dtype=np.bool_)
    larger[:, : signatures.shape[1]] = signatures
    return larger


def _sign(signatures: Column, new: bytes, starts: Column, first: int) -> None:
    """Set the bits of titles that begin at ``starts`` of a text, the first of them title ``first``."""
    if len(new) < 3:
        return
    pieces = _pieces(np.frombuffer(new, dtype=np.uint8))
    titles = np.repeat(np.arange(len(starts)), np.diff(np.append(starts, len(new))))
    signatures[pieces, (first + titles[: len(pieces)]) // BLOCK] = True


def _runs(blocks: Column) -> list[tuple[int, int]]:
    """Neighbouring numbers as ranges, the end not within."""
    if not len(blocks):
        return []
    breaks = np.flatnonzero(np.diff(blocks) > 1)
    lows = blocks[np.concatenate(([0], breaks + 1))]
    highs = blocks[np.concatenate((breaks, [len(blocks) - 1]))] + 1
    return list(zip(lows.tolist(), highs.tolist(), strict=True))


def _holding(text: bytes, needle: bytes, starts: Column, begin: int, end: int) -> Mask:
    """Which of the titles that lie between two places, ``starts`` where each begins, hold a needle."""
    seen = min(end, begin + SAMPLE_BYTES)
    if text.count(needle, begin, seen) * BYTES_PER_HIT > seen - begin:
        return _frequent(text, needle, starts, end)
    found = np.zeros(len(starts), dtype=np.bool_)
    most = max(256, (end - begin) // BYTES_PER_HIT)
    hits = _hits(text, needle, begin, end, most)
    found[_titles_at(starts, hits)] = True
    if len(hits) == most:
        rest = int(_titles_at(starts, hits[-1:])[0])
        found[rest:] |= _frequent(text, needle, starts[rest:], end)
    return found


def _hits(text: bytes, needle: bytes, begin: int, end: int, most: int) -> list[int]:
    """Where the first titles between two places hold a needle, one hit a title."""
    hits: list[int] = []
    at = text.find(needle, begin, end)
    while at >= 0 and len(hits) < most:
        hits.append(at)
        at = text.find(needle, text.find(END, at), end)
    return hits


def _titles_at(starts: Column, hits: Sequence[int]) -> Column:
    """The titles that places lie in."""
    return np.searchsorted(starts, np.array(hits, dtype=np.int64), "right") - 1


def _frequent(text: bytes, needle: bytes, starts: Column, end: int) -> Mask:
    """The same for a needle that is in many titles, from the first of ``starts`` on: the places of its rarest
    byte, fewer with each other byte."""
    begin = int(starts[0])
    letters = np.frombuffer(text, dtype=np.uint8, count=end - begin, offset=begin)
    if len(needle) == 1:
        held: Mask = np.logical_or.reduceat(letters == needle[0], starts - begin)
        return held
    sample = np.bincount(letters[: 1 << 16], minlength=256)
    order = sorted(range(len(needle)), key=lambda at: int(sample[needle[at]]))
    last = len(letters) - len(needle) + 1
    places = np.flatnonzero(letters[order[0] : order[0] + last] == needle[order[0]])
    for at in order[1:]:
        places = places[letters[places + at] == needle[at]]
    edges = np.searchsorted(places, np.append(starts - begin, len(letters)))
    some: Mask = np.diff(edges) > 0
    return some
