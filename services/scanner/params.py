"""What callers of the scan surface write, read or refused with the field's name."""

from __future__ import annotations

from collections.abc import Sequence

from libs.common.candles import TIMEFRAMES as FRAMES
from libs.common.candles import Timeframe, timeframe
from services.scanner.asking import Market
from services.scanner.errors import InvalidParam, SymbolNotSupported
from services.scanner.times import read_iso

TIMEFRAMES = ("30m", "1h", "4h", "1d")  # of scans
EVERY = tuple(frame.name for frame in FRAMES)


async def symbol_of(market: Market, text: str, field: str = "symbol") -> str:
    """Market's symbol for what a caller wrote; ``symbol_not_supported`` when there is none."""
    if not text.strip():
        raise InvalidParam(f"{field} was missing", field=field)
    found = await market.find(text.strip())
    if found is None:
        raise SymbolNotSupported(
            f"{text[:64]} is not supported",
            hint="search for it, or resolve another way of writing it",
            guidance=["search_symbols", "resolve_symbol", "scan_contexts"],
        )
    return found


def timeframe_of(text: str, field: str, allowed: Sequence[str]) -> str:
    """A timeframe of those allowed, in any case; minutes and months differ by it, so they keep theirs."""
    for name in allowed:
        if text == name or (text.lower() == name.lower() and name not in ("1m", "1M")):
            return name
    raise InvalidParam(f"{field} was none of {' '.join(allowed)}", field=field, allowed=list(allowed))


def frame_of(text: str, field: str) -> Timeframe:
    """Any timeframe of the house."""
    found = timeframe(timeframe_of(text, field, EVERY))
    if found is None:
        raise InvalidParam(f"{field} was unknown", field=field, allowed=list(EVERY))
    return found


def moment_of(text: str, field: str, absent: int) -> int:
    """A time in ISO 8601 as Unix ms; ``absent`` where nothing was given."""
    if not text:
        return absent
    found = read_iso(text)
    if found is None:
        raise InvalidParam(f"{field} was no time in ISO 8601", field=field)
    return found
