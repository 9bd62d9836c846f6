"""Prices rounded to a symbol's digits, fast where it can be and exact where it must be. Pure."""

from __future__ import annotations

from libs.common.money import round_price

_TIE = 1e-3


def rounded(price: float, digits: int) -> float:
    """``price`` to ``digits``, half away from zero on its shortest decimal, as ``round_price``.

    ``round`` differs only at a tie of the shortest decimal; near one the exact way is taken.
    """
    near = round(price, digits)
    off = abs(price - near) * 10.0**digits
    return near if abs(off - 0.5) > _TIE else round_price(price, digits)
