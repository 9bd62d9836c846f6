"""When a live feed is to be left and tried again: two clocks, and delays that grow. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class FeedAction(Enum):
    """What to do about a connection."""

    NONE = "none"
    RECONNECT = "dead"  # nothing at all arrives
    RESUBSCRIBE = "mute"  # connected, but no quotes: often a subscription the other side has lost


@dataclass(frozen=True, slots=True)
class FeedSilence:
    """How long the socket has given no frame at all, and how long no quote."""

    transport_s: float
    data_s: float


@dataclass(frozen=True, slots=True)
class FeedLimits:
    """How much silence is borne. Judged per feed, never per symbol: an illiquid one may well be quiet."""

    transport_s_max: float = 30.0
    data_s_max: float = 60.0
    ping_every_s: float = 10.0


def diagnose(silence: FeedSilence, limits: FeedLimits, *, session_open: bool) -> FeedAction:
    """Is the socket alive, and is it saying anything? A closed market is quiet, not broken."""
    if silence.transport_s > limits.transport_s_max:
        return FeedAction.RECONNECT
    if session_open and silence.data_s > limits.data_s_max:
        return FeedAction.RESUBSCRIBE
    return FeedAction.NONE


@dataclass(frozen=True, slots=True)
class Backoff:
    """Delays between attempts: doubling from ``first_s`` to ``max_s``, spread by half around them."""

    first_s: float = 0.5
    max_s: float = 30.0

    def delay_s(self, attempt: int, chance: float) -> float:
        """The delay after failed attempt ``attempt`` (from 0); ``chance`` is uniform in [0, 1)."""
        grown = min(self.first_s * 2.0 ** min(attempt, 30), self.max_s)
        return grown * (0.5 + chance)
