"""Bars in bulk: how market hands on many closed bars in one reply, as arrays instead of rows of JSON.

A reply is a big-endian 32-bit length, a JSON header of that length, and the bars of every place one after
the other as ``ROW`` (48 bytes a bar). Pure: bytes in, arrays out.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from libs.common.errors import MessageUnreadable

# PostgreSQL's own binary form of the columns, so that nobody converts them on the way.
ROW = np.dtype(
    [(name, kind) for name, kind in (("open_ms", ">i8"),)]
    + [(name, ">f8") for name in ("open", "high", "low", "close", "volume")]
)
BARS_MAX = 18_000  # in one reply: 864 kB of the bus's 1 MiB
_LENGTH = struct.Struct(">I")


class PlaceBars(NamedTuple):
    """The bars of one symbol and timeframe, oldest first; ``source`` says where the newest came from."""

    symbol: str
    timeframe: str
    source: str
    rows: NDArray[np.void]


class _Header(msgspec.Struct, array_like=True, frozen=True):
    places: Sequence[tuple[str, str, str, int]]


def pack(places: Sequence[PlaceBars]) -> bytes:
    """The reply's bytes."""
    header = msgspec.json.encode(_Header([(p.symbol, p.timeframe, p.source, len(p.rows)) for p in places]))
    bodies = [np.ascontiguousarray(p.rows, dtype=ROW).tobytes() for p in places]
    return b"".join((_LENGTH.pack(len(header)), header, *bodies))


def unpack(payload: bytes) -> list[PlaceBars]:
    """The places of a reply, in the order they were asked for; MessageUnreadable when it is broken."""
    try:
        (length,) = _LENGTH.unpack_from(payload)
        body_at = _LENGTH.size + length
        header = msgspec.json.decode(payload[_LENGTH.size : body_at], type=_Header)
        if any(count < 0 for _, _, _, count in header.places):
            raise ValueError("a count was below 0")
        rows = np.frombuffer(payload, dtype=ROW, offset=body_at)
        if len(rows) != sum(count for _, _, _, count in header.places):
            raise ValueError("the header counts other bars than there are")
    except (struct.error, ValueError, msgspec.MsgspecError) as e:
        raise MessageUnreadable(f"bars in bulk: {e}") from e
    found, at = [], 0
    for symbol, timeframe, source, count in header.places:
        found.append(PlaceBars(symbol, timeframe, source, rows[at : at + count]))
        at += count
    return found


def columns(rows: NDArray[np.void]) -> NDArray[np.float64]:
    """Bars as float64 of shape (6, n): open_ms (exact below 2^53), open, high, low, close, volume."""
    out = np.empty((6, len(rows)), dtype=np.float64)
    for position, name in enumerate(ROW.names or ()):
        out[position] = rows[name]
    return out
