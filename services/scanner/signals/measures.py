"""What a closed bar measures beside the bars before it: moves, volatility, volume. Pure and causal.

A value depends on a window of fixed length that ends with the bar, never on how far history happens to go
back: live and back-fill measure the same.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from libs.common.indicators import MAD_TO_SIGMA
from services.scanner.bars import Bars

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
LAMBDA = 0.94  # RiskMetrics' decay of daily variance
RETURNS = 200  # 0.94^200 is 4e-6: nothing older weighs
RETURNS_MIN = 20
VOLUME_BARS = 96
SEASON_MS = 14 * DAY_MS
VOLUME_FLOOR = 1e-9  # a volume below is taken for it, so that its logarithm exists
FRESH_BARS = 24

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Measures:
    """A bar's measures. Moves are logarithmic; ``None`` where there are too few bars before it.

    ``z_1h`` and ``z_24h`` are moves in standard deviations of the volatility known before the bar;
    ``volume_z`` is robust and in the logarithm, ``volume_ratio`` the volume beside the usual one;
    ``stale`` is the share of the last 24 bars in which nothing was traded.
    """

    close: float
    move_1h: float | None
    move_24h: float | None
    z_1h: float | None
    z_24h: float | None
    volume_z: float | None
    volume_ratio: float | None
    stale: float


def bars_needed(step_ms: int) -> int:
    """How many bars, the measured one included, a measure can depend on."""
    return max(RETURNS + 2, VOLUME_BARS + 1, SEASON_MS // step_ms + 2)


def measure(bars: Bars, step_ms: int) -> Measures:
    """The measures of the last bar of ``bars``; ``step_ms`` is the length of a bar.

    An hour is as many bars as it holds, and one bar where bars are longer; likewise a day.
    """
    logs = np.log(bars.close)
    hour, day = max(1, HOUR_MS // step_ms), max(1, DAY_MS // step_ms)
    sigma = volatility(logs)
    move_1h, move_24h = _move(logs, hour), _move(logs, day)
    volume_z, ratio = volume_of(bars)
    recent = bars.volume[-FRESH_BARS:]
    return Measures(
        close=float(bars.close[-1]),
        move_1h=move_1h,
        move_24h=move_24h,
        z_1h=_z(move_1h, sigma, hour),
        z_24h=_z(move_24h, sigma, day),
        volume_z=volume_z,
        volume_ratio=ratio,
        stale=float(np.count_nonzero(recent <= 0.0)) / len(recent),
    )


def volatility(logs: Floats) -> float | None:
    """The standard deviation of a one-bar move as known before the last bar: an exponentially weighted
    mean of the last 200 squared moves, weights adding up to 1."""
    moves = np.diff(logs[-(RETURNS + 2) : -1])
    if len(moves) < RETURNS_MIN:
        return None
    weights = LAMBDA ** np.arange(len(moves) - 1, -1, -1, dtype=np.float64)
    return float(np.sqrt((weights * moves**2).sum() / weights.sum()))


def volume_of(bars: Bars) -> tuple[float | None, float | None]:
    """How unusual the last bar's volume is: ``(ln V - median) / (1.4826 · MAD)`` and V beside the usual one.

    The MAD is that of the 96 bars before; the median too, until 14 days are known: then it is the median
    of the bars of those days that opened in the same hour of the day. A MAD of 0 gives a z of 0.
    """
    logs = np.log(np.maximum(bars.volume, VOLUME_FLOOR))
    before = logs[-(VOLUME_BARS + 1) : -1]
    if len(before) < VOLUME_BARS:
        return None, None
    usual = float(np.median(before))
    spread = MAD_TO_SIGMA * float(np.median(np.abs(before - usual)))
    opened = int(bars.open_ms[-1])
    if int(bars.open_ms[0]) <= opened - SEASON_MS:
        within = (bars.open_ms >= opened - SEASON_MS) & (bars.open_ms < opened)
        same = within & (bars.open_ms // HOUR_MS % 24 == opened // HOUR_MS % 24)
        if same.any():
            usual = float(np.median(logs[same]))
    above = float(logs[-1]) - usual
    return (above / spread if spread > 0.0 else 0.0), float(np.exp(above))


def _move(logs: Floats, bars: int) -> float | None:
    return float(logs[-1] - logs[-1 - bars]) if len(logs) > bars else None


def _z(move: float | None, sigma: float | None, bars: int) -> float | None:
    if move is None or sigma is None:
        return None
    return move / (sigma * float(np.sqrt(bars))) if sigma > 0.0 else 0.0
