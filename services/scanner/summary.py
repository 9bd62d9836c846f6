"""The line of plain English under a brief. Pure."""

from __future__ import annotations

from services.scanner.constants import MODERATE_BELOW, WEAK_BELOW
from services.scanner.rounding import plain
from services.scanner.snapshot import Snapshot

_PHRASES = {"up": "uptrend", "down": "downtrend", "range": "range-bound"}


def word_of(strength: float) -> str:
    """How a strength is called."""
    if strength < WEAK_BELOW:
        return "weak"
    return "moderate" if strength < MODERATE_BELOW else "strong"


def change_of(now: Snapshot) -> str:
    """The last bar's change in percent, with its sign; a change that rounds to zero is `+0`."""
    text = plain(100.0 * (now.close / now.before - 1.0), 2)
    return text if text.startswith("-") else f"+{text}"


def line_of(symbol: str, timeframe: str, now: Snapshot, history: str = "") -> str:
    """`{sym}: {phrase} ({word}), {±chg}% last {tf}, RSI {v} ({state})[, {name} (conf {c})].`

    The pattern is the surest one, the latest of equals. ``history`` is what is added in its bracket.
    """
    text = (
        f"{symbol}: {_PHRASES[now.regime.trend]} ({word_of(now.regime.strength)}), "
        f"{change_of(now)}% last {timeframe}, RSI {plain(now.rsi, 2)} ({now.rsi_state})"
    )
    if now.patterns:
        # Patterns come latest first, and max takes the first of equals.
        best = max(now.patterns, key=lambda found: found.confidence)
        text += f", {best.name} (conf {plain(best.confidence, 2)}{history})"
    return f"{text}."
