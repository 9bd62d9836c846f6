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
from typing import TYPE_CHECKING, NamedTuple

from libs.common.clock import Clock
from libs.common.plans import PlansFile
from libs.common.principal import Principal
from services.gateway.addresses import limit_key
from services.gateway.limits.limiter import Limiter
from services.gateway.limits.tables import Bucket, Buckets, Counted
from services.gateway.limits.windows import rule_of

if TYPE_CHECKING:
    from services.gateway.endpoints.row import Limit  # rows ask here whose bucket a call is

MINUTE_MS = 60_000
SECOND_MS = 1_000
SURFACES = frozenset({"scan", "analysis", "signals", "prices"})


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
    """Counts calls where the whole house counts them."""

    def __init__(self, limiter: Limiter, plans: PlansFile, clock: Clock) -> None:
        self._limiter = limiter
        self._plans = plans
        self._clock = clock

    @property
    def at_hand(self) -> bool:
        """Whether ``count_here`` may count: no other machine is asked."""
        return self._limiter.here

    def count_of(self, limit: Limit) -> int:
        """What a row's limit allows: the plans file may say so."""
        allowed: int = getattr(self._plans.now().limits, limit.setting) if limit.setting else limit.count
        return allowed

    async def count(self, surface: str, principal: Principal, address: str) -> Paced | None:
        """Count one call; None where the surface has no pace or the caller is staff."""
        if surface not in SURFACES or principal.is_staff:
            return None
        buckets = self._buckets(surface, principal, address)
        if self._limiter.here:
            return self._paced(buckets, self._limiter.count_here(buckets))
        return self._paced(buckets, await self._limiter.count(buckets))

    def count_here(self, surface: str, principal: Principal, address: str) -> Paced | None:
        """The same on this machine's tables, at once."""
        if surface not in SURFACES or principal.is_staff:
            return None
        buckets = self._buckets(surface, principal, address)
        return self._paced(buckets, self._limiter.count_here(buckets))

    def look(self, surface: str, principal: Principal, address: str) -> Paced | None:
        """The same without counting: for answers to calls that were refused before."""
        if surface not in SURFACES:
            return None
        buckets = self._buckets(surface, principal, address)
        seen = self._limiter.look(buckets)
        return Paced(seen.taken, _shown(buckets).rule.count, seen.remaining, seen.resets_ms, 0)

    def _paced(self, buckets: Buckets, counted: Counted) -> Paced:
        wait_s = 0 if counted.taken else self._seconds_to(counted.refused_until_ms)
        limit = _shown(buckets).rule.count
        return Paced(counted.taken, limit, counted.remaining, counted.resets_ms, wait_s)

    def _seconds_to(self, ms: int) -> int:
        return max(-(-(ms - self._clock.now_ms()) // 1000), 1)

    def _buckets(self, surface: str, principal: Principal, address: str) -> Buckets:
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


def _shown(buckets: Buckets) -> Bucket:
    return next(b for b in buckets if b.shown)


def holder(principal: Principal, address: str) -> str:
    """Whose bucket it is: the person's, the key's, the account's, or the address's."""
    if principal.kind == "key":
        return principal.subject
    if principal.kind == "anonymous":
        return f"address:{limit_key(address)}"
    if principal.person_id is not None:
        return f"person:{principal.person_id}"
    return f"{principal.kind}:{principal.login}"
