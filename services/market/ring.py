"""The last ticks of a symbol, compact: three arrays that grow to a bound and then go round. Pure."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

RING_MAX = 100_000


class TickRing:
    """Ticks with consecutive seq numbers; the oldest go when ``capacity`` is reached."""

    __slots__ = ("_asks", "_base", "_bids", "_capacity", "_last_seq", "_times")

    def __init__(self, last_seq: int = 0, capacity: int = RING_MAX) -> None:
        self._capacity = capacity
        self._last_seq = self._base = last_seq
        self._bids = array("d")
        self._asks = array("d")
        self._times = array("q")

    def put(self, bid: float, ask: float, at_ms: int) -> None:
        """The next tick."""
        if len(self._times) < self._capacity:
            self._bids.append(bid)
            self._asks.append(ask)
            self._times.append(at_ms)
        else:
            place = (self._last_seq - self._base) % self._capacity
            self._bids[place] = bid
            self._asks[place] = ask
            self._times[place] = at_ms
        self._last_seq += 1

    @property
    def first_seq(self) -> int:
        """The oldest seq that is held, 0 when empty."""
        return self._last_seq - len(self._times) + 1 if self._times else 0

    @property
    def last_seq(self) -> int:
        return self._last_seq

    def since(self, after_seq: int, limit: int) -> Iterator[tuple[int, float, float, int]]:
        """(seq, bid, ask, ms) above ``after_seq``, oldest first, at most ``limit``."""
        if not self._times:
            return
        begin = max(after_seq + 1, self.first_seq)
        for seq in range(begin, min(begin + limit - 1, self._last_seq) + 1):
            place = (seq - 1 - self._base) % self._capacity
            yield seq, self._bids[place], self._asks[place], self._times[place]
