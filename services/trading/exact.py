"""Exact arithmetic in scaled integers, and the one rounding of trading. Pure.

Money is an integer in minor units, a price an integer in points, a volume an integer in hundredths of
a lot. What lies between is an exact ratio of two integers; a stored amount is rounded once, half away
from zero. Settings come as JSON numbers: each is read as its shortest decimal, so 0.1 is a tenth.
"""

from __future__ import annotations

from fractions import Fraction
from math import gcd
from typing import TypeAlias

from libs.common.money import minor_digits, to_points

Ratio: TypeAlias = tuple[int, int]  # numerator, denominator > 0

ONE: Ratio = (1, 1)
VOLUME_PER_LOT = 100
POINTS_MAX = 10**15  # a price above it is no price
_TIE = 1e-3


def rounded(numerator: int, denominator: int) -> int:
    """The integer nearest to the ratio, a tie away from zero; ``denominator`` > 0."""
    if numerator >= 0:
        return (2 * numerator + denominator) // (2 * denominator)
    return -((denominator - 2 * numerator) // (2 * denominator))


def exact(setting: float) -> Fraction:
    """A setting as the decimal it was written as."""
    return Fraction(repr(setting))


def ratio(value: Fraction) -> Ratio:
    """The two integers of a fraction."""
    return value.numerator, value.denominator


def reduced(numerator: int, denominator: int) -> Ratio:
    """The same ratio in its smallest integers; ``denominator`` > 0."""
    common = gcd(numerator, denominator)
    return numerator // common, denominator // common


def scale_of(currency: str) -> int:
    """Minor units of one unit of a currency."""
    scale: int = 10 ** minor_digits(currency)
    return scale


def points_of(price: float, digits: int) -> int:
    """Integer points of a price, as ``libs.common.money.to_points`` gives them.

    Multiplying and rounding differs from it only at a tie of the shortest decimal; near one, and for
    prices a double holds coarsely, the exact way is taken.
    """
    scaled = price * float(10**digits)
    near = round(scaled)
    if abs(abs(scaled - near) - 0.5) > _TIE and -(2**40) < near < 2**40:
        return near
    return to_points(price, digits)
