"""Plans as spans of time: what a purchase, a refund and the passing of time make of them. Pure.

- A higher plan begins at once. What is left of the lower ones is worth its share of their price, and buys
  more time of the new plan at its own price (rounded down to the millisecond).
- The same plan follows itself. A lower plan begins when the higher ones are over.
- A refund ends its span now; what was waiting behind it comes forward.
The tier of a moment is the highest plan that covers it.
"""

from __future__ import annotations

import calendar
from collections.abc import Sequence
from dataclasses import dataclass, replace

from libs.common.clock import from_unix_ms, unix_ms
from libs.common.plans import TIERS


@dataclass(frozen=True, slots=True)
class Span:
    """A plan that was bought, from ``starts_ms`` until before ``ends_ms``."""

    id: str
    person_id: int
    payment_id: str
    plan: str
    period: str
    price_micros: int
    starts_ms: int
    ends_ms: int

    @property
    def rank(self) -> int:
        return TIERS.index(self.plan)

    def worth(self, now_ms: int) -> int:
        """What is left of it, in micros, rounded down."""
        left_ms = self.ends_ms - max(self.starts_ms, now_ms)
        whole_ms = self.ends_ms - self.starts_ms
        return self.price_micros * left_ms // whole_ms if left_ms > 0 and whole_ms > 0 else 0


@dataclass(frozen=True, slots=True)
class Change:
    """The new span, and the old ones that moved, each with the reason."""

    bought: Span
    moved: tuple[tuple[Span, str], ...] = ()


def after_period(start_ms: int, period: str) -> int:
    """The end of a month or a year from a moment: the same day of the month, or its last."""
    start = from_unix_ms(start_ms)
    months = start.month - 1 + (12 if period == "year" else 1)
    year, month = start.year + months // 12, months % 12 + 1
    day = min(start.day, calendar.monthrange(year, month)[1])
    return unix_ms(start.replace(year=year, month=month, day=day))


def buy(spans: Sequence[Span], new: Span, now_ms: int) -> Change:
    """A purchase; ``new`` comes with any times. ``spans`` are the person's, in order of time."""
    alive = [span for span in spans if span.ends_ms > now_ms]
    above = [span for span in alive if span.rank > new.rank]
    same = [span for span in alive if span.rank == new.rank]
    below = [span for span in alive if span.rank < new.rank]
    starts_ms = max((span.ends_ms for span in (*above, *same)), default=now_ms)
    ends_ms = after_period(starts_ms, new.period)
    if above or same:
        moved = _behind(below, ends_ms, starts_ms)
        return Change(replace(new, starts_ms=starts_ms, ends_ms=ends_ms), moved)
    worth = sum(span.worth(now_ms) for span in below)
    extra_ms = worth * (ends_ms - starts_ms) // new.price_micros if new.price_micros else 0
    ended = tuple(
        (replace(span, starts_ms=min(span.starts_ms, now_ms), ends_ms=now_ms), "upgraded") for span in below
    )
    return Change(replace(new, starts_ms=starts_ms, ends_ms=ends_ms + extra_ms), ended)


def refund(spans: Sequence[Span], gone: Span, now_ms: int) -> tuple[tuple[Span, str], ...]:
    """A purchase was paid back: its span ends now, and what starts after it comes forward by what is free."""
    if gone.ends_ms <= now_ms:
        return ()
    begins_ms = max(gone.starts_ms, now_ms)
    free_ms = gone.ends_ms - begins_ms
    ended = replace(gone, starts_ms=min(gone.starts_ms, now_ms), ends_ms=now_ms)
    moved = tuple(
        (replace(span, starts_ms=span.starts_ms - free_ms, ends_ms=span.ends_ms - free_ms), "came forward")
        for span in spans
        if span.id != gone.id and span.starts_ms >= gone.ends_ms
    )
    return ((ended, "refunded"), *moved)


def tier_at(spans: Sequence[Span], now_ms: int) -> tuple[str, int]:
    """The tier of a moment, and until when it is the same (0: nothing was bought for then)."""
    covering = [span for span in spans if span.starts_ms <= now_ms < span.ends_ms]
    if not covering:
        return TIERS[0], 0
    best = max(covering, key=lambda span: (span.rank, span.ends_ms))
    until_ms = best.ends_ms
    for span in sorted(spans, key=lambda span: span.starts_ms):
        if span.rank == best.rank and span.starts_ms <= until_ms < span.ends_ms:
            until_ms = span.ends_ms
    return best.plan, until_ms


def next_change(spans: Sequence[Span], now_ms: int) -> int:
    """When a span begins or ends next; 0 for never."""
    moments = [at for span in spans for at in (span.starts_ms, span.ends_ms) if at > now_ms]
    return min(moments, default=0)


def _behind(below: Sequence[Span], ends_ms: int, starts_ms: int) -> tuple[tuple[Span, str], ...]:
    """Lower plans that wait begin later, by what the new one takes."""
    step_ms = ends_ms - starts_ms
    return tuple(
        (replace(span, starts_ms=span.starts_ms + step_ms, ends_ms=span.ends_ms + step_ms), "postponed")
        for span in below
        if span.starts_ms >= starts_ms
    )
