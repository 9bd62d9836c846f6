"""The codec: bars as short text, `o,h,l,c,v` joined by `;`, without times. Pure."""

from __future__ import annotations

import numpy as np
import orjson
from numpy.typing import NDArray

from services.scanner.bars import Bars
from services.scanner.constants import PRICE_DECIMALS, VOLUME_DECIMALS
from services.scanner.rounding import plain, rounded_all


def precision_of(highest: float) -> int:
    """The decimals of prices where ``highest`` is the highest high of the window."""
    return next((decimals for floor, decimals in PRICE_DECIMALS if highest >= floor), PRICE_DECIMALS[-1][1])


def rows_of(bars: Bars, precision: int) -> str:
    """The rows: prices at ``precision``, volumes by their size, zeros at the end stripped, no exponents."""
    columns = np.empty((len(bars), 5))
    for at, prices in enumerate((bars.open, bars.high, bars.low, bars.close)):
        columns[:, at] = rounded_all(prices, precision)
    columns[:, 4] = _volumes(bars.volume)
    text = orjson.dumps(columns, option=orjson.OPT_SERIALIZE_NUMPY)
    if b"e" in text:  # below 0.00001 or above 10^16 a shortest float has an exponent
        return ";".join(",".join(_texts(row, precision)) for row in columns.tolist())
    # The text is [[1.0,2.5,…],[…]]: the brackets and the zero of a whole number go.
    return (
        text[2:-2]
        .replace(b"],[", b";")
        .replace(b".0,", b",")
        .replace(b".0;", b";")
        .decode()
        .removesuffix(".0")
    )


def _volumes(volume: NDArray[np.float64]) -> NDArray[np.float64]:
    out = np.empty(len(volume))
    left = np.ones(len(volume), dtype=bool)
    for floor, decimals in VOLUME_DECIMALS:
        here = left & (volume >= floor)
        if here.any():
            out[here] = rounded_all(volume[here], decimals)
        left &= ~here
    return out


def _texts(row: list[float], precision: int) -> list[str]:
    return [plain(value, precision) for value in row[:4]] + [plain(row[4], VOLUME_DECIMALS[-1][1])]
