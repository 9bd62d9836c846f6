"""Whether a symbol's market is open at a moment, in integer arithmetic. Pure.

``None`` is always open; seven days without a span are never open. A span whose close is not after its
open runs over midnight. Index 0 is Sunday; times are UTC. Orders, expiries, swaps and sessions go by
the server's clock, never by a quote's time. Market shows by these rules and trading trades by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import NamedTuple

from libs.common.messages.market import SessionDay

DAY_MS = 86_400_000
MINUTE_MS = 60_000
DAY_MIN = 24 * 60
CLOSED, OPEN = 0, 1
_EPOCH_WEEKDAY = 4  # 1970-01-01 was a Thursday; Sunday is 0


class Reason(IntEnum):
    """Why a market is closed (contract 10.4)."""

    NONE = 0
    HOLIDAY = 1
    WORK_TIME = 2
    SESSION = 3
    DISABLED = 4


class MarketState(NamedTuple):
    """``state`` is 1 when open, else 0 with the reason."""

    state: int
    reason: int


def day_of(at_ms: int) -> int:
    """Days since 1970-01-01, UTC."""
    return at_ms // DAY_MS


def weekday_of(day: int) -> int:
    """0 is Sunday."""
    return (day + _EPOCH_WEEKDAY) % 7


def is_open(sessions: Sequence[SessionDay] | None, at_ms: int) -> bool:
    """Whether a span holds the moment ``at_ms``."""
    if sessions is None:
        return True
    minute = at_ms % DAY_MS // MINUTE_MS
    today = weekday_of(day_of(at_ms))
    for span in sessions[today].trade:
        opens, closes = span.open_hour * 60 + span.open_min, span.close_hour * 60 + span.close_min
        if opens <= minute < (closes if closes > opens else DAY_MIN):
            return True
    for span in sessions[today - 1].trade:
        opens, closes = span.open_hour * 60 + span.open_min, span.close_hour * 60 + span.close_min
        if closes <= opens and minute < closes:
            return True
    return False


def market_state(trade_mode: int, sessions: Sequence[SessionDay] | None, at_ms: int) -> MarketState:
    """``market_state`` and ``market_reason`` of the contract (10.4)."""
    if trade_mode == 0:
        return MarketState(CLOSED, Reason.DISABLED)
    if not is_open(sessions, at_ms):
        return MarketState(CLOSED, Reason.SESSION)
    return MarketState(OPEN, Reason.NONE)
