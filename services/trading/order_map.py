"""Orders by number in a map that is never changed: a new one shares what did not change. Pure.

Two levels of dicts, 128 numbers a bucket, so that putting and removing copies a bucket and the list
of buckets, not every order: an account of tens of thousands of positions costs a few microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.trading.position import Trade

_SHIFT = 7


class OrderMap:
    """See the module's text."""

    __slots__ = ("_buckets", "_count", "linked")

    def __init__(
        self, buckets: dict[int, dict[int, Trade]] | None = None, count: int = 0, linked: int = 0
    ) -> None:
        """``linked`` is how many of the orders know of others (``links.py``)."""
        self._buckets = buckets if buckets is not None else {}
        self._count = count
        self.linked = linked

    def get(self, order: int) -> Trade | None:
        """The order of this number."""
        bucket = self._buckets.get(order >> _SHIFT)
        return bucket.get(order) if bucket is not None else None

    def put(self, trade: Trade) -> OrderMap:
        """The map with ``trade`` in the place of its number."""
        buckets = dict(self._buckets)
        key = trade.order >> _SHIFT
        old = buckets.get(key)
        bucket = dict(old) if old is not None else {}
        before = bucket.get(trade.order)
        bucket[trade.order] = trade
        buckets[key] = bucket
        return OrderMap(
            buckets, self._count + (before is None), self.linked + trade.is_linked - _is_linked(before)
        )

    def without(self, order: int) -> OrderMap:
        """The map without an order that is in it."""
        buckets = dict(self._buckets)
        key = order >> _SHIFT
        bucket = dict(buckets[key])
        gone = bucket.pop(order)
        if bucket:
            buckets[key] = bucket
        else:
            del buckets[key]
        return OrderMap(buckets, self._count - 1, self.linked - gone.is_linked)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Trade]:
        """In no stated order; sort by number where the order matters."""
        for bucket in self._buckets.values():
            yield from bucket.values()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, OrderMap) and self._buckets == other._buckets

    __hash__ = None  # type: ignore[assignment]


def _is_linked(trade: Trade | None) -> bool:
    return trade is not None and trade.is_linked


EMPTY = OrderMap()
