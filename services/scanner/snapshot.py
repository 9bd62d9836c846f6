"""Everything the analysis says of a series at its last bar, for one symbol or many at once. Pure.

Nothing is rounded here. A symbol of a batch gets bit for bit what it gets alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from libs.common.indicators import atr as atr_of
from libs.common.indicators import ema, rsi
from services.scanner.bars import Bars
from services.scanner.codec import precision_of
from services.scanner.constants import EMA_FAST, EMA_SLOW, RSI_OVERBOUGHT, RSI_OVERSOLD
from services.scanner.levels import Level, levels_of
from services.scanner.patterns import Found, Rows, found_in
from services.scanner.pivots import swing_highs, swing_lows
from services.scanner.regime import Regime, regimes
from services.scanner.sax import words

RsiState = Literal["overbought", "oversold", "neutral"]
EmaState = Literal["above_20_50", "below_20_50", "mixed", "above_20", "below_20"]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The analysis of the last ``n`` (>= 20) bars. ``ema_slow`` is None below 50 bars."""

    n: int
    close: float
    before: float  # the close before
    precision: int  # decimals of prices
    sax: str
    rsi: float
    rsi_state: RsiState
    ema_fast: float
    ema_slow: float | None
    ema_state: EmaState
    atr: float
    regime: Regime
    support: tuple[Level, ...]
    resistance: tuple[Level, ...]
    patterns: tuple[Found, ...]


def snapshot(bars: Bars) -> Snapshot:
    """The analysis of one series of at least 20 sound bars."""
    return snapshots([bars])[0]


def snapshots(many: Sequence[Bars]) -> list[Snapshot]:
    """The analysis of each series, in order; series of one length are computed together."""
    by_length: dict[int, list[int]] = defaultdict(list)
    for place, bars in enumerate(many):
        by_length[len(bars)].append(place)
    out: dict[int, Snapshot] = {}
    for places in by_length.values():
        out.update(zip(places, _together([many[place] for place in places]), strict=True))
    return [out[place] for place in range(len(many))]


def rsi_state_of(value: float) -> RsiState:
    """The word for an RSI."""
    if value >= RSI_OVERBOUGHT:
        return "overbought"
    return "oversold" if value <= RSI_OVERSOLD else "neutral"


def ema_state_of(close: float, fast: float, slow: float | None) -> EmaState:
    """Where the close stands; equality is neither above nor below both, and above the fast one alone."""
    if slow is None:
        return "above_20" if close >= fast else "below_20"
    if close > fast and close > slow:
        return "above_20_50"
    return "below_20_50" if close < fast and close < slow else "mixed"


def _together(many: Sequence[Bars]) -> list[Snapshot]:
    """The analysis of series of one length."""
    opened, high, low, close = (
        np.stack([getattr(bars, column) for bars in many]) for column in ("open", "high", "low", "close")
    )
    n = close.shape[1]
    atr = np.ascontiguousarray(atr_of(high, low, close)[:, -1])
    strength = rsi(close)[:, -1].tolist()
    fast = ema(close, EMA_FAST)[:, -1].tolist()
    slow: list[float | None] = [None] * len(many)
    if n >= EMA_SLOW:
        slow = ema(close, EMA_SLOW)[:, -1].tolist()
    tops, bottoms = swing_highs(high), swing_lows(low)
    highs, lows = _indices(tops), _indices(bottoms)
    found = found_in(Rows(opened, high, low, close, atr), highs, lows)
    trends, saxes, tallest = regimes(close, atr), words(close), high.max(axis=1).tolist()
    last, before, ranges = close[:, -1].tolist(), close[:, -2].tolist(), atr.tolist()
    out = []
    for i in range(len(many)):
        swings = high[i, highs[i]].tolist() + low[i, lows[i]].tolist()
        levels = levels_of(swings, ranges[i], last[i])
        out.append(
            Snapshot(
                n=n,
                close=last[i],
                before=before[i],
                precision=precision_of(tallest[i]),
                sax=saxes[i],
                rsi=strength[i],
                rsi_state=rsi_state_of(strength[i]),
                ema_fast=fast[i],
                ema_slow=slow[i],
                ema_state=ema_state_of(last[i], fast[i], slow[i]),
                atr=ranges[i],
                regime=trends[i],
                support=levels.support,
                resistance=levels.resistance,
                patterns=found[i],
            )
        )
    return out


def _indices(mask: NDArray[np.bool_]) -> list[list[int]]:
    """The places of True of each row, ascending."""
    rows, columns = np.nonzero(mask)
    cuts = np.searchsorted(rows, np.arange(1, len(mask)))
    return [part.tolist() for part in np.split(columns, cuts)]
