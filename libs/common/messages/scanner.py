"""Messages owned by scanner. Major 1 of each: what the continuous scanner saw on a closed bar.

Times are Unix milliseconds. ``bar_open_ms`` and ``bar_close_ms`` are those of the closed bar that told
the fact; ``bar_close_ms`` is when it became known. ``live`` is False for bars that were caught up on
later than their close (history that was loaded, a scanner that was down): rules that wake people
should ask for True, statistics need not.
"""

from __future__ import annotations

import msgspec


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """How a pattern has done before, from closed records: counts and shares, no promise.

    ``scope`` is ``symbol`` when the symbol alone has enough records, else ``all``. ``hit_rate`` is wins
    over closed records, ``ci_low`` and ``ci_high`` its Wilson interval at 95 %, ``baseline`` the share
    among all bars without a condition, ``lift`` hit_rate − baseline. None where nothing is known.
    """

    scope: str
    n: int
    hit_rate: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    baseline: float | None = None
    lift: float | None = None


class PatternDetected(msgspec.Struct, frozen=True, kw_only=True):
    """A formation became known on a closed bar. Told once per (symbol, timeframe, pattern, end_ms).

    ``start_ms`` and ``end_ms`` are open times of the formation's first and last bar; ``price`` is the
    close of the telling bar. ``entry`` and what follows are None for neutral patterns, which have no
    record.
    """

    event_id: str
    detection_id: str
    symbol: str
    timeframe: str
    pattern: str
    direction: str  # bullish | bearish | neutral
    category: str  # candlestick | reversal | continuation
    confidence: float
    bar_open_ms: int
    bar_close_ms: int
    start_ms: int
    end_ms: int
    span: int
    price: float
    atr: float
    live: bool
    record_id: str | None = None
    context_id: str | None = None
    entry: float | None = None
    stop: float | None = None
    targets: tuple[float, ...] = ()
    evidence: Evidence | None = None


class RegimeFlipped(msgspec.Struct, frozen=True, kw_only=True):
    """The trend of the last 200 bars reads differently than on the bar before."""

    event_id: str
    symbol: str
    timeframe: str
    bar_open_ms: int
    bar_close_ms: int
    was: str  # up | down | range
    now: str
    strength: float
    vol_pct: float
    price: float
    live: bool


class LevelBroken(msgspec.Struct, frozen=True, kw_only=True):
    """A bar closed beyond a level that stood before it: above a resistance or below a support."""

    event_id: str
    symbol: str
    timeframe: str
    bar_open_ms: int
    bar_close_ms: int
    kind: str  # support | resistance
    direction: str  # bullish | bearish
    level: float
    strength: float
    touches: int
    price: float
    price_before: float
    live: bool


class RecordClosed(msgspec.Struct, frozen=True, kw_only=True):
    """A detection's record came to its end.

    ``outcome`` is win, loss or expired; ``return_pct``, ``mfe_pct`` and ``mae_pct`` (greatest move for
    and against, ≥ 0) are in percent of the entry, signed by the direction; ``bars`` counts the bars
    after the entry up to and with the last.
    """

    event_id: str
    record_id: str
    detection_id: str
    symbol: str
    timeframe: str
    pattern: str
    direction: str
    confidence: float
    detected_ms: int
    entry: float
    stop: float
    targets: tuple[float, ...]
    outcome: str
    exit_price: float
    exit_ms: int
    return_pct: float
    mfe_pct: float
    mae_pct: float
    bars: int
    bar_open_ms: int
    bar_close_ms: int
    live: bool
    context_id: str | None = None
