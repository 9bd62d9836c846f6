"""Rounding half away from zero on the shortest decimal of a value: one number or a whole array. Pure.

Everything is computed in full precision and rounded once, here, on its way out.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_EVERY_FLOAT = Context(prec=400, rounding=ROUND_HALF_UP)
_TIE_ULPS = 2.0**-50  # how near to a tie a scaled value may be and be none, as a part of itself
_EXACT_BELOW = 2.0**49  # above, a float has no digits left behind the point of the scaled value


def rounded(value: float, digits: int) -> float:
    """``value`` to ``digits`` decimals, a tie of its shortest decimal away from zero; finite values only."""
    return float(_quantized(value, digits)) + 0.0  # minus zero becomes zero


def number(value: float) -> int | float:
    """The value as JSON shows it: 1, not 1.0."""
    return int(value) if value == int(value) else value


def shown(value: float, digits: int) -> int | float:
    """Rounded, as JSON shows it."""
    return number(rounded(value, digits))


def plain(value: float, digits: int) -> str:
    """Rounded, as plain decimal text: no exponent, no zeros at the end; ``0`` has no sign."""
    text = f"{_quantized(value, digits):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def rounded_all(values: Floats, digits: int) -> Floats:
    """Every value of an array (finite, >= 0) as ``rounded`` gives it.

    A scaled value is at most two units in its last place off, so only where it lies that near to a tie
    does the decimal have to decide.
    """
    scale = 10.0**digits
    scaled = values * scale
    whole = np.floor(scaled)
    up = scaled - whole >= 0.5
    near = np.abs(scaled - whole - 0.5) <= scaled * _TIE_ULPS
    if near.any():
        up[near] = [_rounds_up(value, digits) for value in values[near].tolist()]
    out = np.asarray((whole + up) / scale)
    large = scaled >= _EXACT_BELOW
    if large.any():
        out[large] = [rounded(value, digits) for value in values[large].tolist()]
    return out


def _rounds_up(value: float, digits: int) -> bool:
    """Whether the digit behind the last one kept is at least 5."""
    text = repr(value)
    if "e" in text:
        text = f"{Decimal(text):f}"
    behind = text.partition(".")[2][digits : digits + 1]
    return behind >= "5"


def _quantized(value: float, digits: int) -> Decimal:
    return Decimal(repr(float(value))).quantize(Decimal((0, (1,), -digits)), context=_EVERY_FLOAT)
