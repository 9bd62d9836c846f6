"""When a price goes out on the stream: it moved by half a per cent, or half a minute is over. Pure."""

from __future__ import annotations

from dataclasses import dataclass

DEVIATION_SHARE = 0.005
HEARTBEAT_MS = 30_000
CONFIDENCE_STEP = 0.05


@dataclass(slots=True)
class Said:
    """What was last sent of a token."""

    usd: float
    confidence: float
    at_ms: int
    seq: int


def is_due(said: Said | None, usd: float, confidence: float, now_ms: int) -> bool:
    """Whether a price should be sent: new, moved, less or more sure, or quiet for long enough."""
    if said is None:
        return True
    if abs(usd - said.usd) >= DEVIATION_SHARE * said.usd or now_ms - said.at_ms >= HEARTBEAT_MS:
        return True
    return abs(confidence - said.confidence) >= CONFIDENCE_STEP
