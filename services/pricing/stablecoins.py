"""Which tokens are worth a dollar by their nature, and how far they are from it. Pure.

A token whose market price is more than 5 % off with a confidence of at least 0.6 for ten minutes is no longer
shown at a dollar; it is again after ten minutes within 2 %.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from services.pricing.tokens import Token

NAMES = frozenset(
    ("USDC", "USDT", "DAI", "FRAX", "TUSD", "BUSD", "LUSD", "SUSD", "GUSD", "HUSD", "DUSD", "OUSD", "USD")
) | {"USDD", "AEUSD", "AEUSDC", "USDH"}
EXCLUDED = frozenset({"SUSDH", "STETH", "RETH"})
WARN_PCT = 1.0
ALERT_PCT = 5.0
BACK_PCT = 2.0
CONFIDENCE_MIN = 0.6
HOLD_MS = 600_000


def is_stable(
    token: Token, allowed: AbstractSet[str] = frozenset(), denied: AbstractSet[str] = frozenset()
) -> bool:
    """Whether a token is a stablecoin: by contract id where that was said, else by its symbol."""
    if token.id in denied:
        return False
    if token.id in allowed:
        return True
    symbol = token.symbol.upper()
    if symbol in EXCLUDED or token.lp_pool:
        return False
    return symbol in NAMES or "USD" in symbol or "DAI" in symbol


@dataclass(frozen=True, slots=True)
class Peg:
    """How a stablecoin holds: ``since_ms`` is when what would change ``lost`` began, 0 when nothing would."""

    lost: bool = False
    since_ms: int = 0
    level: str = "ok"


def watch(peg: Peg, deviation_pct: float, confidence: float, now_ms: int) -> Peg:
    """The peg after a look at the market. A price of low confidence says nothing about it."""
    if confidence < CONFIDENCE_MIN:
        return Peg(peg.lost, 0, peg.level)
    off = abs(deviation_pct)
    level = "alert" if off > ALERT_PCT else "warn" if off >= WARN_PCT else "ok"
    turning = off <= BACK_PCT if peg.lost else off > ALERT_PCT
    if not turning:
        return Peg(peg.lost, 0, level)
    since_ms = peg.since_ms or now_ms
    if now_ms - since_ms >= HOLD_MS:
        return Peg(not peg.lost, 0, level)
    return Peg(peg.lost, since_ms, level)


def deviation_pct(market_price: float) -> float:
    """How far a market price is from a dollar, in per cent."""
    return (market_price - 1.0) * 100.0
