"""The real price series the package ``backtesting`` carries; the package itself is never imported."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path

Row = tuple[int, float, float, float, float, float]


def series_file(name: str) -> Path:
    """``EURUSD`` (hourly), ``GOOG`` (daily) or ``BTCUSD`` (monthly) as CSV."""
    spec = find_spec("backtesting")
    assert spec is not None and spec.submodule_search_locations, "run `make test`: it installs the data"
    return Path(spec.submodule_search_locations[0]) / f"test/{name}.csv"


@cache
def series(name: str) -> tuple[Row, ...]:
    """Its bars, oldest first: open time in Unix ms (UTC), open, high, low, close, volume."""
    bars = []
    with series_file(name).open(newline="") as lines:
        for row in list(csv.reader(lines))[1:]:
            opened = datetime.fromisoformat(row[0]).replace(tzinfo=UTC)
            o, h, low, c, v = (float(cell) for cell in row[1:6])
            bars.append((int(opened.timestamp()) * 1000, o, h, low, c, v))
    return tuple(bars)
