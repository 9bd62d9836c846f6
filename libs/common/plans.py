"""Prices, tiers and limits: configuration that doors and the ledger read from one file.

``TRADEWIND_PLANS_FILE`` names it; without one the built-in ``plans.json`` beside this module counts. A file
is whole: nothing is merged into it. A change counts within ``LOOK_EVERY_S``; a file that can't be read or
contradicts itself stops a start, and at a reload the plans before stay in force.

Money is in micros of USD.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Annotated, Final

import msgspec
import structlog
from msgspec import Meta

from libs.common.clock import Clock
from libs.common.errors import ConfigInvalid

log = structlog.get_logger()

BUILT_IN: Final = Path(__file__).parent / "plans.json"
TIERS: Final = ("free", "go", "plus", "pro")  # in their order
PERIODS: Final = ("month", "year")
LOOK_EVERY_S: Final = 1.0
UNLIMITED: Final = 0

Micros = Annotated[int, Meta(ge=0, le=10**15)]
Count = Annotated[int, Meta(ge=1, le=10**9)]


class Tier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a tier may do, and what it costs; ``free`` costs nothing. Quotas are per day (UTC)."""

    requests_per_min: Count
    burst: Count
    quotas: dict[str, Count]
    month_micros: Micros = 0
    year_micros: Micros = 0

    def price_micros(self, period: str) -> int:
        """The price of a month or a year."""
        return self.month_micros if period == "month" else self.year_micros


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Calls per minute of the surfaces without tiers, and of the free demo."""

    analysis_per_key: Count
    analysis_per_address: Count
    signals_per_key: Count
    prices_per_address: Count
    demo_per_hour: Count
    demo_per_day: Count


class Starter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a new e-mail is given, how often per address and day, and what a test key may play with."""

    micros: Micros
    per_address_and_day: Count
    test_micros: Micros


class Topup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much may be paid in at once; ``card_min_micros`` by card."""

    min_micros: Count
    max_micros: Count
    default_micros: Count
    card_min_micros: Count


class Affiliate(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The share of each paid invoice, for how long, and how long it is held back."""

    percent: Annotated[int, Meta(ge=0, le=100)]
    months: Count
    hold_days: Annotated[int, Meta(ge=0, le=3650)]
    click_days: Count


class Plans(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole file."""

    prices: dict[str, Micros]
    tiers: dict[str, Tier]
    limits: Limits
    starter: Starter
    topup: Topup
    affiliate: Affiliate

    def tier(self, name: str) -> Tier:
        """A tier by name; an unknown one is the lowest."""
        return self.tiers.get(name) or self.tiers["free"]

    def next_with(self, quota: str, tier: str) -> tuple[str, int] | None:
        """The next tier above ``tier`` with more of ``quota``, and how much; None for the highest."""
        now = self.tier(tier).quotas.get(quota, 0)
        for name in TIERS[TIERS.index(tier) + 1 if tier in TIERS else 1 :]:
            more = self.tiers[name].quotas.get(quota, 0)
            if more > now:
                return name, more
        return None


def read_plans(body: bytes) -> Plans:
    """The plans a file holds; ConfigInvalid says what is wrong."""
    try:
        plans = msgspec.json.decode(body, type=Plans)
    except msgspec.DecodeError as e:
        raise ConfigInvalid(f"the plans can't be used: {e}") from e
    if set(plans.tiers) != set(TIERS):
        raise ConfigInvalid(f"the plans can't be used: tiers are {', '.join(TIERS)}")
    topup = plans.topup
    if not topup.min_micros <= topup.default_micros <= topup.max_micros:
        raise ConfigInvalid("the plans can't be used: topup's default is outside of its bounds")
    if any(not tier.price_micros(p) for name, tier in plans.tiers.items() if name != "free" for p in PERIODS):
        raise ConfigInvalid("the plans can't be used: a paid tier has no price")
    return plans


def version_of(body: bytes) -> str:
    """The name of exactly these plans: the start of the file's SHA-256."""
    return sha256(body).hexdigest()[:16]


class PlansFile:
    """The plans in force, read again when the file changes. Owned by one event loop."""

    def __init__(self, path: str, clock: Clock) -> None:
        self._path = Path(path) if path else BUILT_IN
        self._clock = clock
        self._looked_s = clock.monotonic_s()
        self._stamp = self._look()
        self.body = self._read()
        self._plans = read_plans(self.body)
        self.version = version_of(self.body)

    def now(self) -> Plans:
        """The plans in force."""
        now_s = self._clock.monotonic_s()
        if now_s - self._looked_s >= LOOK_EVERY_S:
            self._looked_s = now_s
            self._reload()
        return self._plans

    def _reload(self) -> None:
        try:
            stamp = self._look()
            if stamp == self._stamp:
                return
            self._stamp = stamp
            body = self._read()
            plans = read_plans(body)
        except ConfigInvalid as e:
            log.error("plans not reloaded", error=str(e))
            return
        self.body, self._plans, self.version = body, plans, version_of(body)
        log.info("plans reloaded", version=self.version)

    def _look(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as e:
            raise ConfigInvalid(f"the plans can't be read: {e}") from e
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> bytes:
        try:
            return self._path.read_bytes()
        except OSError as e:
            raise ConfigInvalid(f"the plans can't be read: {e}") from e
