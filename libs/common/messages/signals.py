"""Messages about signals. Owner: scanner, whose process makes them. Major 1 of each."""

from __future__ import annotations

import msgspec


class SignalRecorded(msgspec.Struct, frozen=True, kw_only=True):
    """A signal was recorded on a closed bar. Alert rules hear it.

    ``name`` is the signal's kind, ``direction`` bullish, bearish or neutral, ``confidence`` 0 to 1; times
    are Unix milliseconds, ``bar_open_ms`` that of the bar which told it.
    """

    event_id: str
    signal_id: str
    symbol: str
    timeframe: str
    name: str
    direction: str
    confidence: float
    bar_open_ms: int
    bar_close_ms: int
    price: float
    live: bool
