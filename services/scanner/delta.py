"""What is new since the last look: a changed trend, a new pattern, an RSI that left its state. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from services.scanner.snapshot import Snapshot

FIRST_NOTE = "first brief for this ticker+timeframe"


class Seen(msgspec.Struct, frozen=True):
    """What a key last saw of a symbol and timeframe. Prices and levels are no news."""

    trend: str
    rsi_state: str
    patterns: tuple[str, ...]  # names, in the order of the list


def seen_of(now: Snapshot) -> Seen:
    """What this look shows."""
    return Seen(now.regime.trend, now.rsi_state, tuple(found.name for found in now.patterns))


def notes_of(before: Seen | None, now: Seen) -> Sequence[str]:
    """What changed, empty when nothing did; a pattern that went away is no change."""
    if before is None:
        return (FIRST_NOTE,)
    notes = []
    if before.trend != now.trend:
        notes.append(f"trend {before.trend} -> {now.trend}")
    if new := [name for name in now.patterns if name not in before.patterns]:
        notes.append(f"new pattern(s): {', '.join(new)}")
    if before.rsi_state != now.rsi_state:
        notes.append(f"RSI {before.rsi_state} -> {now.rsi_state}")
    return tuple(notes)
