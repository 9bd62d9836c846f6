"""A slow, plain account of what metering and plans must do, written without the code it judges."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from fractions import Fraction


@dataclass
class PlainTill:
    """One wallet and one quota by the book: every call is looked through from its beginning each time."""

    deposits: int = 0
    quota_limit: int = 0
    calls: dict[str, dict[str, int | str]] = field(default_factory=dict)

    def held(self) -> int:
        return sum(int(c["held"]) for c in self.calls.values() if c["state"] == "held")

    def charged(self) -> int:
        return sum(int(c["charged"]) for c in self.calls.values() if c["state"] == "charged")

    def available(self) -> int:
        return self.deposits - self.charged() - self.held()

    def quota_used(self) -> int:
        return sum(1 for c in self.calls.values() if c["quota"] and c["state"] in ("held", "charged"))

    def hold(self, id: str, micros: int, quota: bool) -> str:
        if id in self.calls:
            return "ok"
        if micros > self.available():
            return "credit"
        if quota and self.quota_used() >= self.quota_limit:
            return "quota"
        self.calls[id] = {"state": "held", "held": micros, "charged": 0, "quota": int(quota)}
        return "ok"

    def take(self, id: str, micros: int) -> str:
        call = self.calls.get(id)
        if call is None or call["state"] == "released":
            return "unknown"
        if call["state"] == "charged":
            return "ok"
        micros = min(micros, int(call["held"]))
        if call["state"] == "expired" and micros > self.available():
            return "credit"
        call["state"], call["charged"] = "charged", micros
        return "ok"

    def drop(self, id: str, expired: bool) -> str:
        call = self.calls.get(id)
        if call is None:
            return "unknown"
        if call["state"] == "held":
            call["state"] = "expired" if expired else "released"
        return "ok"


RANKS = {"free": 0, "go": 1, "plus": 2, "pro": 3}


def covered(spans: list[tuple[str, int, int]], at_ms: int) -> str:
    """The highest plan whose span holds a moment."""
    best = "free"
    for plan, starts_ms, ends_ms in spans:
        if starts_ms <= at_ms < ends_ms and RANKS[plan] > RANKS[best]:
            best = plan
    return best


def plus_months(ms: int, months: int) -> int:
    """The same day so many months later, walking down from the day where the month is shorter."""
    seconds, rest = divmod(ms, 1000)
    start = datetime.fromtimestamp(seconds, tz=UTC)
    year, month = start.year, start.month
    for _ in range(months):
        month += 1
        if month == 13:
            year, month = year + 1, 1
    day = start.day
    while True:
        try:
            moved = start.replace(year=year, month=month, day=day)
        except ValueError:
            day -= 1
            continue
        return int(moved.timestamp()) * 1000 + rest


@dataclass
class PlainSpan:
    """A plan's time and the money in it, by payment, as of its beginning. Times and money are exact."""

    plan: str
    starts: Fraction
    ends: Fraction
    money: dict[str, Fraction]


@dataclass
class PlainPlans:
    """Plans of one person, kept as money that runs out: nothing is rounded, nothing is linked."""

    spans: list[PlainSpan] = field(default_factory=list)

    def pass_to(self, now: int) -> None:
        """Let time go by: what is over goes, of what runs the money that has passed is gone."""
        self.spans = [span for span in self.spans if span.ends > now]
        for span in self.spans:
            if span.starts < now:
                share = (span.ends - now) / (span.ends - span.starts)
                span.money = {payment: micros * share for payment, micros in span.money.items()}
                span.starts = Fraction(now)

    def buy(self, payment: str, plan: str, price: int, months: int, now: int) -> None:
        self.pass_to(now)
        level = RANKS[plan]
        first = [span for span in self.spans if RANKS[span.plan] >= level]
        lower = [span for span in self.spans if RANKS[span.plan] < level]
        money = {payment: Fraction(price)}
        starts = max((span.ends for span in first), default=Fraction(now))
        length = Fraction(plus_months(int(starts), months) - int(starts))
        if first:
            for span in lower:
                if span.starts >= starts:
                    span.starts, span.ends = span.starts + length, span.ends + length
        else:
            self.spans = []
            for span in lower:
                money |= span.money
            length = length * sum(money.values()) / price
        self.spans.append(PlainSpan(plan, starts, starts + length, money))

    def refund(self, payment: str, now: int) -> None:
        self.pass_to(now)
        for span in self.spans:
            if payment not in span.money:
                continue
            whole = sum(span.money.values())
            share = 1 - span.money.pop(payment) / whole
            free = (span.ends - span.starts) * (1 - share)
            for behind in self.spans:
                if behind is not span and behind.starts >= span.ends:
                    behind.starts, behind.ends = behind.starts - free, behind.ends - free
            span.ends -= free
        self.spans = [span for span in self.spans if span.money]

    def tier(self, at: int) -> str:
        return covered([(span.plan, int(span.starts), int(span.ends)) for span in self.spans], at)
