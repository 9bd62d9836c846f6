"""Real data: a simple moving-average strategy trades hourly EURUSD and daily GOOG through the REST API.

Where the fast average of the closes crosses the slow one, that close is made the quote and the strategy turns
its position. What the account earned equals a plain vectorised calculation over the same closes, to the cent.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from tests.integration.trading.floor_client import CLOSED, OPEN, Staff, Trader
from tests.series import series

Doubles = npt.NDArray[np.float64]


def average(closes: Doubles, bars: int) -> Doubles:
    """The simple moving average; not a number before there are enough bars."""
    sums = np.cumsum(np.insert(closes, 0, 0.0))
    return np.concatenate([np.full(bars - 1, np.nan), (sums[bars:] - sums[:-bars]) / bars])


def sides(closes: Doubles, fast: int, slow: int) -> npt.NDArray[np.int64]:
    """1 long, -1 short, 0 while the slow average is not known."""
    difference = average(closes, fast) - average(closes, slow)
    return np.nan_to_num(np.sign(difference)).astype(np.int64)


def earned(closes: Doubles, side: npt.NDArray[np.int64], spread: float, worth: float) -> list[float]:
    """What each round trip brings, rounded to the cent: in at ask or bid, out at the other."""
    turns = np.flatnonzero(np.diff(side, prepend=0))
    opened, held = closes[turns], side[turns]
    closed = np.append(closes[turns[1:]], closes[-1])
    gain = np.where(held > 0, closed - (opened + spread), opened - (closed + spread))
    return [float(x) for x in np.round(gain[held != 0] * worth, 2)]


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("name", "symbol", "digits", "size", "spread", "volume", "bars"),
    [("EURUSD", "EURUSD", 5, 100_000, 0.0001, 10, 2500), ("GOOG", "GOOGUSD", 2, 10, 0.04, 100, 2148)],
)
async def test_a_moving_average_strategy_earns_what_the_calculation_says(
    staff: Staff,
    trader: Trader,
    name: str,
    symbol: str,
    digits: int,
    size: int,
    spread: float,
    volume: int,
    bars: int,
) -> None:
    margin_mode = 0 if symbol == "EURUSD" else 4
    await staff.symbol(symbol, digits=digits, contract_size=size, margin_mode=margin_mode)
    closes = np.round(np.array([row[4] for row in series(name)[-bars:]]), digits)
    side = sides(closes, 10, 40)
    now, order = 0, 0
    for close, wanted in zip(closes.tolist(), side.tolist(), strict=True):
        if wanted == now:
            continue
        await staff.quote(close, round(close + spread, digits), symbol)
        if order:
            await trader.call("DELETE", "/trade/close", {"order": order})
            order = 0
        if wanted:
            order = await trader.open(0 if wanted > 0 else 1, volume, symbol)
        now = wanted
    last = float(closes[-1])
    await staff.quote(last, round(last + spread, digits), symbol)
    if order:
        await trader.call("DELETE", "/trade/close", {"order": order})
    expected = earned(closes, side, spread, size * volume / 100)
    assert len(expected) > 20, "the test would prove little"
    assert await trader.trades(OPEN) == {}
    closed = [row["profit"] for row in reversed((await trader.trades(CLOSED)).values())]
    assert closed == expected
    assert (await trader.balance())["balance"] == round(10_000 + sum(expected), 2)
