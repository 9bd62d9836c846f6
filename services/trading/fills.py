"""How fills are simulated: latency, slippage, partial fills and rejections, by named profiles. Pure.

A profile is drawn from by the order's number and the kind of its deal, hashed with the profile's seed:
the same order meets the same fate wherever and however often it is decided. What was drawn stays with
the fill. The profile "" fills everything at once at the quote: that is the contract, and the default.

The price slips by what the market might move while the order is under way: up to ``points_per_s`` for
each second of latency, mostly against the client, ``favourable_percent`` of the time for it. A level
that is a limit (TP, a limit order) is never filled beyond itself.

These are fills of paper money and of nothing else: only ``PaperFill`` is made here and accepted by the
facts of the engine. A live venue would report fills of a type of its own, for accounts of its own.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import NamedTuple

import msgspec

OPENS, CLOSES = "open", "close"
_SCALE = 10_000


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """The odds of one simulated venue; chances are in hundredths of a percent."""

    name: str
    seed: int
    latency_ms_min: int
    latency_ms_max: int
    points_per_s: int
    favourable_percent: int
    partial_chance: int = 0
    reject_chance: int = 0


PROFILES = {
    profile.name: profile
    for profile in (
        Profile(
            name="direct",
            seed=1,
            latency_ms_min=20,
            latency_ms_max=60,
            points_per_s=20,
            favourable_percent=40,
        ),
        Profile(
            name="retail",
            seed=2,
            latency_ms_min=80,
            latency_ms_max=250,
            points_per_s=60,
            favourable_percent=25,
            partial_chance=100,
            reject_chance=50,
        ),
        Profile(
            name="slow",
            seed=3,
            latency_ms_min=300,
            latency_ms_max=1_500,
            points_per_s=60,
            favourable_percent=20,
            partial_chance=300,
            reject_chance=200,
        ),
        Profile(
            name="storm",
            seed=4,
            latency_ms_min=500,
            latency_ms_max=4_000,
            points_per_s=400,
            favourable_percent=10,
            partial_chance=2_000,
            reject_chance=1_000,
        ),
    )
}


class PaperFill(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile made of one deal: quoted and filled price in points, asked and filled volume."""

    profile: str
    deal: str
    latency_ms: int
    quoted_points: int
    points: int
    asked_volume: int
    volume: int
    rejected: bool = False

    @property
    def slippage_points(self) -> int:
        """How far the fill is from the quote; above 0 the price rose."""
        return self.points - self.quoted_points


class _Draw(NamedTuple):
    latency: int
    size: int
    side: int
    partial: int
    share: int
    reject: int


def simulate(
    name: str, *, order: int, deal: str, buys: bool, points: int, volume: int, lot_min: int, lot_step: int
) -> PaperFill | None:
    """The fate of a deal at the quoted ``points``; None by the default profile.

    ``buys`` says which way a slip costs. Only an opening is filled in part or rejected.
    """
    profile = PROFILES.get(name)
    if profile is None:
        return None
    draw = _drawn(profile.seed, order, deal)
    span = profile.latency_ms_max - profile.latency_ms_min + 1
    latency = profile.latency_ms_min + draw.latency % span
    slip = latency * profile.points_per_s * (draw.size % (_SCALE + 1)) // (1000 * _SCALE)
    if draw.side % 100 < profile.favourable_percent:
        slip = -slip
    opens = deal == OPENS
    rejected = opens and draw.reject % _SCALE < profile.reject_chance
    return PaperFill(
        profile=name,
        deal=deal,
        latency_ms=latency,
        quoted_points=points,
        points=max(points + (slip if buys else -slip), 1),
        asked_volume=volume,
        volume=_part(profile, draw, volume, lot_min, lot_step) if opens and not rejected else volume,
        rejected=rejected,
    )


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """What a profile may do to an opening at worst: the price in points, and whether it may be filled in part
    or rejected."""

    points: int
    may_be_partial: bool = False
    may_be_rejected: bool = False


def bounds(name: str, *, buys: bool, points: int) -> Bounds:
    """The worst that ``simulate`` makes of an opening at the quoted ``points``."""
    profile = PROFILES.get(name)
    if profile is None:
        return Bounds(points=points)
    slip = profile.latency_ms_max * profile.points_per_s // 1000
    return Bounds(
        points=max(points + (slip if buys else -slip), 1),
        may_be_partial=profile.partial_chance > 0,
        may_be_rejected=profile.reject_chance > 0,
    )


def at_limit(fill: PaperFill, limit: int, *, buys: bool) -> PaperFill:
    """The fill of an order that takes no price worse than ``limit``."""
    if (fill.points > limit) if buys else (fill.points < limit):
        return msgspec.structs.replace(fill, points=limit)
    return fill


def _part(profile: Profile, draw: _Draw, volume: int, lot_min: int, lot_step: int) -> int:
    if draw.partial % _SCALE >= profile.partial_chance:
        return volume
    part = volume * (draw.share % 100) // 100 // lot_step * lot_step
    return part if part >= lot_min else volume


def _drawn(seed: int, order: int, deal: str) -> _Draw:
    digest = blake2b(f"{seed}/{order}/{deal}".encode(), digest_size=48).digest()
    return _Draw(*(int.from_bytes(digest[at : at + 8], "big") for at in range(0, 48, 8)))
