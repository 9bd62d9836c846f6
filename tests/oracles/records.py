"""What becomes of a record, by its definition and in plain loops; and Wilson's interval by its equation."""

from __future__ import annotations

from collections.abc import Sequence

Bar = tuple[float, float, float]  # high, low, close


def outcome(direction: str, entry: float, atr: float, later: Sequence[Bar]) -> tuple[str, float, int] | None:
    """(outcome, exit price, bars) of a record; None while it is open."""
    risk = 1.5 * atr
    if direction == "bullish":
        stop, target = entry - risk, entry + 1.5 * risk
    else:
        stop, target = entry + risk, entry - 1.5 * risk
    for number, (high, low, close) in enumerate(later[:30], 1):
        stopped = low <= stop if direction == "bullish" else high >= stop
        reached = high >= target if direction == "bullish" else low <= target
        if stopped:
            return "loss", stop, number
        if reached:
            return "win", target, number
        if number == 30:
            return "expired", close, number
    return None


def excursions(direction: str, entry: float, lived: Sequence[Bar]) -> tuple[float, float]:
    """The greatest moves for and against, in percent of the entry, over the bars a record lived through."""
    best = worst = 0.0
    for high, low, _ in lived:
        up, down = 100 * (high - entry) / entry, 100 * (entry - low) / entry
        gain, pain = (up, down) if direction == "bullish" else (down, up)
        best, worst = max(best, gain), max(worst, pain)
    return best, worst


def wilson_holds(hits: int, n: int, bound: float, z: float = 1.959963984540054) -> bool:
    """Whether a share is a bound of Wilson's interval: it solves (p̂ − p)² = z² p (1 − p) / n."""
    return abs((hits / n - bound) ** 2 - z * z * bound * (1 - bound) / n) < 1e-9
