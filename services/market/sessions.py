"""Trading sessions as market reads and shows them; the rules stand in ``libs.common.sessions``. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from libs.common import sessions as rules
from libs.common.clock import unix_ms
from libs.common.errors import InvalidData
from libs.common.messages.market import Instrument, SessionDay, SessionSpan
from libs.common.sessions import DAY_MIN, MarketState

SPANS_MAX = 3  # a day, as the contract lays it out


ALL_DAY = SessionSpan(open_hour=0, open_min=0, close_hour=24, close_min=0)
EMPTY_SPAN = SessionSpan()


def _minutes(span: SessionSpan) -> tuple[int, int]:
    return span.open_hour * 60 + span.open_min, span.close_hour * 60 + span.close_min


def read_sessions(given: Any) -> tuple[SessionDay, ...] | None:
    """Sessions from a request: null, or seven days, each an object or a plain list of spans."""
    if given is None:
        return None
    if not isinstance(given, list) or len(given) != 7:
        raise InvalidData("sessions was not null or a list of seven days, Sunday first")
    days = [{"trade": day} if isinstance(day, list) else day for day in given]
    try:
        read = msgspec.convert(days, type=tuple[_SessionDayIn, ...])
    except msgspec.ValidationError as e:
        raise InvalidData(f"sessions: {e}") from e
    return tuple(_day(day.trade) for day in read)


class _SessionDayIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    trade_overnight: int = 0
    trade: tuple[SessionSpan, ...] = ()


def _day(spans: Sequence[SessionSpan]) -> SessionDay:
    kept = tuple(span for span in spans if span != EMPTY_SPAN)
    if len(kept) > SPANS_MAX:
        raise InvalidData(f"sessions: a day has {len(kept)} spans, at most {SPANS_MAX} are possible")
    for span in kept:
        opens, closes = _minutes(span)
        good = 0 <= span.open_min < 60 and 0 <= span.close_min < 60 and 0 <= opens < DAY_MIN
        if not good or not 0 <= closes <= DAY_MIN:
            raise InvalidData("sessions: a span was not between 00:00 and 24:00")
    overnight = any(closes <= opens for opens, closes in map(_minutes, kept))
    return SessionDay(trade_overnight=int(overnight), trade=kept)


def is_open(sessions: Sequence[SessionDay] | None, at: datetime) -> bool:
    """Whether a span holds the moment ``at`` (UTC)."""
    return rules.is_open(sessions, unix_ms(at))


def market_state(instrument: Instrument, at: datetime) -> MarketState:
    """Open or closed, and why, by the server's clock."""
    return rules.market_state(instrument.trade, instrument.sessions, unix_ms(at))


def shown(sessions: Sequence[SessionDay] | None) -> tuple[SessionDay, ...]:
    """Sessions as the contract prints them: seven days of exactly three spans, unused ones zero."""
    days = sessions if sessions is not None else (SessionDay(trade=(ALL_DAY,)),) * 7
    return tuple(
        SessionDay(
            trade_overnight=day.trade_overnight,
            trade=(*day.trade, *(EMPTY_SPAN,) * (SPANS_MAX - len(day.trade))),
        )
        for day in days
    )


def weekly(open_day: int, open_hour: int, close_day: int, close_hour: int) -> tuple[SessionDay, ...]:
    """One long session from ``open_day`` to ``close_day`` (0 is Sunday), as of forex and metals."""
    days = []
    for day in range(7):
        opens = open_hour if day == open_day else 0
        closes = close_hour if day == close_day else 24
        inside = open_day <= day <= close_day
        span = SessionSpan(open_hour=opens, close_hour=closes)
        days.append(SessionDay(trade=(span,) if inside else ()))
    return tuple(days)
