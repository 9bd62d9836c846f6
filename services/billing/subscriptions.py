"""Plans as spans of time: what a purchase, a refund and the passing of time make of them. Pure.

- A higher plan begins at once. What is left of the lower ones is worth its share of their price, and buys
  more time of the new plan at its own price (rounded down to the millisecond).
- The same plan follows itself. A lower plan begins when the higher ones are over.
- A refund takes its own money out of what is left: its span ends now, or is shorter where other payments
  have bought time of it, too; where its money had bought time of a higher plan, that is taken back. What was
  waiting behind comes forward.
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
    """A plan that was bought, from ``starts_ms`` until before ``ends_ms``.

    ``value_micros`` is all the money that bought its time: its price, and what was left of lower plans. At an
    upgrade the rest of a span (``carried_micros``) goes into another one (``carried_into``).
    """

    id: str
    person_id: int
    payment_id: str
    plan: str
    period: str
    price_micros: int
    starts_ms: int
    ends_ms: int
    value_micros: int
    carried_into: str = ""
    carried_micros: int = 0

    @property
    def rank(self) -> int:
        return TIERS.index(self.plan)

    def worth(self, now_ms: int) -> int:
        """What is left of it, in micros, rounded down."""
        left_ms = self.ends_ms - max(self.starts_ms, now_ms)
        whole_ms = self.ends_ms - self.starts_ms
        return self.value_micros * left_ms // whole_ms if left_ms > 0 and whole_ms > 0 else 0


@dataclass(frozen=True, slots=True)
class Change:
    """The new span, and the old ones that moved, each with the reason."""

    bought: Span
    moved: tuple[tuple[Span, str], ...] = ()


def after_period(start_ms: int, period: str) -> int:
    """The end of a month or a year from a moment: the same day of the month, or its last."""
    return after_months(start_ms, 12 if period == "year" else 1)


def after_months(start_ms: int, count: int) -> int:
    """So many months later: the same day of the month, or its last."""
    start = from_unix_ms(start_ms)
    months = start.month - 1 + count
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
        bought = replace(new, starts_ms=starts_ms, ends_ms=ends_ms, value_micros=new.price_micros)
        return Change(bought, moved)
    carried = {span.id: span.worth(now_ms) for span in below}
    worth = sum(carried.values())
    extra_ms = worth * (ends_ms - starts_ms) // new.price_micros if new.price_micros else 0
    ended = tuple(
        (replace(_ended(span, now_ms), carried_into=new.id, carried_micros=carried[span.id]), "upgraded")
        for span in below
    )
    value = new.price_micros + worth
    return Change(replace(new, starts_ms=starts_ms, ends_ms=ends_ms + extra_ms, value_micros=value), ended)


def refund(spans: Sequence[Span], gone: Span, now_ms: int) -> tuple[tuple[Span, str], ...]:
    """A purchase was paid back; ``spans`` are all the person ever had. What changed, with reasons."""
    book = {span.id: span for span in spans}
    changed: dict[str, str] = {}
    span, micros = book[gone.id], min(gone.price_micros, book[gone.id].value_micros)
    while span.carried_into and span.value_micros:  # its rest went into a higher plan, in the same shares
        part = span.carried_micros * micros // span.value_micros
        left, rest = span.value_micros - micros, span.carried_micros - part
        book[span.id] = replace(span, value_micros=left, carried_micros=rest)
        changed[span.id] = "refunded"
        span, micros = book[span.carried_into], part
    begins_ms = max(span.starts_ms, now_ms)
    if span.ends_ms > begins_ms and micros:
        shorter = _without(span, micros, now_ms)
        free_ms = span.ends_ms - max(shorter.ends_ms, begins_ms)
        for behind in spans:
            if behind.id != span.id and behind.starts_ms >= span.ends_ms:
                book[behind.id] = _shifted(book[behind.id], -free_ms)
                changed[behind.id] = "came forward"
        book[span.id] = shorter
        changed[span.id] = "refunded"
    return tuple((book[id], reason) for id, reason in changed.items())


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


def _ended(span: Span, now_ms: int) -> Span:
    return replace(span, starts_ms=min(span.starts_ms, now_ms), ends_ms=now_ms)


def _shifted(span: Span, step_ms: int) -> Span:
    return replace(span, starts_ms=span.starts_ms + step_ms, ends_ms=span.ends_ms + step_ms)


def _without(span: Span, micros: int, now_ms: int) -> Span:
    """The span as if ``micros`` of its money had never been there: what is left of it, and what has passed,
    are shorter by their share."""
    rest = span.value_micros - micros
    if rest <= 0:
        return replace(_ended(span, now_ms), value_micros=0)
    begins_ms = max(span.starts_ms, now_ms)
    ends_ms = begins_ms + (span.ends_ms - begins_ms) * rest // span.value_micros
    whole_ms = (span.ends_ms - span.starts_ms) * rest // span.value_micros
    return replace(span, starts_ms=ends_ms - whole_ms, ends_ms=ends_ms, value_micros=rest)


def _behind(below: Sequence[Span], ends_ms: int, starts_ms: int) -> tuple[tuple[Span, str], ...]:
    """Lower plans that wait begin later, by what the new one takes."""
    step_ms = ends_ms - starts_ms
    return tuple((_shifted(span, step_ms), "postponed") for span in below if span.starts_ms >= starts_ms)
