"""The limits of whole surfaces: what a tier, a key or an address may ask, and the headers that say so.

- scan: a person or key (an address where nobody says who they are, as of tier free) has the tier's requests
  per minute, in windows aligned to the minute, and at most its burst in any second;
- analysis: ``limits.analysis_per_key`` and ``limits.analysis_per_address`` per minute;
- signals: ``limits.signals_per_key`` per minute;
- prices: an address has ``limits.prices_per_address`` in the 60 s from its first call.

A refused call is not counted. Staff is exempt. What the headers say is what the limiter just decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from libs.common.clock import Clock
from libs.common.plans import PlansFile
from libs.common.principal import Principal
from services.gateway.addresses import limit_key
from services.gateway.limits.shared import SharedWindows
from services.gateway.limits.spans import RING, SharedSpans
from services.gateway.limits.windows import Rule, Verdict, rule_of

MINUTE_MS = 60_000
SECOND_MS = 1_000
SURFACES = frozenset({"scan", "analysis", "signals", "prices"})


class Bucket(NamedTuple):
    """One window that a call counts in; ``shown`` is the one the headers tell of."""

    name: str
    rule: Rule
    shown: bool = True


class Paced(NamedTuple):
    """Whether a call may go on, and what its headers say."""

    taken: bool
    limit: int
    remaining: int
    resets_ms: int
    retry_after_s: int

    @property
    def headers(self) -> Mapping[str, str]:
        """``X-RateLimit-*``; the reset in Unix seconds."""
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(-(-self.resets_ms // 1000)),
        }


class Pacing:
    """Counts calls in the table all gateway processes share."""

    def __init__(self, windows: SharedWindows, spans: SharedSpans, plans: PlansFile, clock: Clock) -> None:
        self._windows = windows
        self._spans = spans
        self._plans = plans
        self._clock = clock

    def count(self, surface: str, principal: Principal, address: str) -> Paced | None:
        """Count one call; None where the surface has no pace or the caller is staff."""
        if surface not in SURFACES or principal.is_staff:
            return None
        buckets = self._buckets(surface, principal, address)
        verdict: Verdict | None = None
        for bucket in buckets:
            found = self._hit(bucket)
            if not found.taken:
                return self._seen(buckets)._replace(
                    taken=False, retry_after_s=self._seconds_to(found.resets_ms)
                )
            if bucket.shown:
                verdict, rule = found, bucket.rule
        return _paced(rule, verdict) if verdict is not None else None

    def look(self, surface: str, principal: Principal, address: str) -> Paced | None:
        """The same without counting: for answers to calls that were refused before."""
        if surface not in SURFACES:
            return None
        return self._seen(self._buckets(surface, principal, address))

    def _hit(self, bucket: Bucket) -> Verdict:
        """A burst is counted in any second, as far as the ring reaches; the rest in windows."""
        rule = bucket.rule
        if bucket.shown or rule.count > RING:
            return self._windows.hit(bucket.name, rule)
        return self._spans.hit(bucket.name, rule.count, rule.window_ms)

    def _seen(self, buckets: tuple[Bucket, ...]) -> Paced:
        bucket = next(b for b in buckets if b.shown)
        return _paced(bucket.rule, self._windows.look(bucket.name, bucket.rule))

    def _seconds_to(self, ms: int) -> int:
        return max(-(-(ms - self._clock.now_ms()) // 1000), 1)

    def _buckets(self, surface: str, principal: Principal, address: str) -> tuple[Bucket, ...]:
        """In the order they are asked; exactly one is shown."""
        plans = self._plans.now()
        limits = plans.limits
        who = holder(principal, address)
        if surface == "scan":
            known = principal.kind != "anonymous"
            tier = plans.tier(principal.tier if known else "free")
            return (
                Bucket(f"scan-burst|{who}", rule_of(tier.burst, SECOND_MS), shown=False),
                Bucket(f"scan|{who}", rule_of(tier.requests_per_min, MINUTE_MS, aligned=True)),
            )
        if surface == "prices":
            return (Bucket(f"prices|{limit_key(address)}", rule_of(limits.prices_per_address, MINUTE_MS)),)
        if surface == "signals":
            return (Bucket(f"signals|{who}", rule_of(limits.signals_per_key, MINUTE_MS)),)
        own = Bucket(f"analysis|{who}", rule_of(limits.analysis_per_key, MINUTE_MS))
        everyone = rule_of(limits.analysis_per_address, MINUTE_MS)
        place = Bucket(
            f"analysis-address|{limit_key(address)}", everyone, shown=principal.kind == "anonymous"
        )
        return (place,) if principal.kind == "anonymous" else (place, own)


def _paced(rule: Rule, verdict: Verdict) -> Paced:
    return Paced(verdict.taken, rule.count, verdict.remaining, verdict.resets_ms, 0)


def holder(principal: Principal, address: str) -> str:
    """Whose bucket it is: the person's, the key's, the account's, or the address's."""
    if principal.kind == "key":
        return principal.subject
    if principal.kind == "anonymous":
        return f"address:{limit_key(address)}"
    if principal.person_id is not None:
        return f"person:{principal.person_id}"
    return f"{principal.kind}:{principal.login}"
