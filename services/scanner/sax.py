"""SAX: the shape of the returns as at most eight letters, a falling hardest and g rising hardest. Pure."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.scanner.constants import SAX_BREAKPOINTS, SAX_FLAT, SAX_LETTERS

_BREAKPOINTS = np.array(SAX_BREAKPOINTS)


def words(close: NDArray[np.float64]) -> list[str]:
    """The word of each row of closes, shape ``(symbols, n)`` with n >= 2.

    Close-to-close returns, z-normalised over the whole row (population deviation; a flat row is all zero),
    averaged over min(8, n - 1) segments; a letter counts the breakpoints its average reaches.
    """
    returns = close[:, 1:] / close[:, :-1] - 1.0
    centred = returns - returns.mean(axis=1, keepdims=True)
    deviation = np.sqrt(np.square(centred).mean(axis=1, keepdims=True))
    flat = deviation < SAX_FLAT
    z = np.where(flat, 0.0, centred / np.where(flat, 1.0, deviation))
    m = z.shape[1]
    letters = min(SAX_LETTERS, m)
    edges = [j * m // letters for j in range(letters + 1)]
    segments = np.stack([z[:, a:b].mean(axis=1) for a, b in pairwise(edges)], axis=1)
    codes = np.searchsorted(_BREAKPOINTS, segments, side="right") + ord("a")
    return [bytes(row).decode() for row in codes.astype(np.uint8)]
