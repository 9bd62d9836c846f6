"""Money and prices as integers, and the one rounding rule of the house.

Money is an integer in the currency's minor unit, prices inside trading are integer points
(10^-digits). Rounding is half away from zero, once per stored amount.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

MINOR_DIGITS = {"JPY": 0, "KRW": 0, "BTC": 8, "ETH": 8}
MINOR_DIGITS_DEFAULT = 2
_SCALES: tuple[int, ...] = tuple(10**digits for digits in range(20))


def minor_digits(currency: str) -> int:
    """Decimal places of a currency's minor unit."""
    return MINOR_DIGITS.get(currency, MINOR_DIGITS_DEFAULT)


def round_half_away(value: Fraction | Decimal) -> int:
    """The nearest integer; a tie goes away from zero."""
    exact = Fraction(value)
    magnitude = (abs(exact) * 2 + 1) // 2
    return int(magnitude) if exact >= 0 else -int(magnitude)


def to_minor(amount: float | str | Decimal, currency: str) -> int:
    """Minor units of an amount from the wire, read as its shortest decimal."""
    return round_half_away(Fraction(Decimal(str(amount))) * 10 ** minor_digits(currency))


def from_minor(minor: int, currency: str) -> float:
    """The JSON number of an amount in minor units."""
    # Python divides whole numbers with one right rounding, so this is the double nearest to the decimal.
    return minor / _SCALES[MINOR_DIGITS.get(currency, MINOR_DIGITS_DEFAULT)]


def round_price(price: float, digits: int) -> float:
    """``price`` rounded half away from zero to ``digits``, read as its shortest decimal."""
    return float(Decimal(str(price)).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP))


def to_points(price: float, digits: int) -> int:
    """Integer points of a price."""
    return round_half_away(Fraction(Decimal(str(price))) * 10**digits)


def from_points(points: int, digits: int) -> float:
    """The JSON number of a price in points."""
    scale: int = _SCALES[digits] if 0 <= digits < len(_SCALES) else 10**digits
    return points / scale
