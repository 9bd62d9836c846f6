"""What candles tell of ticks nobody can give any more: alerts and trading judge them. Pure.

Only candles that lie whole between the last tick judged and the first one after the hole are used: one
that began before the last tick judged holds prices of before, one under way holds prices still to come.
Their prices are taken in the order a replay would give them; candles are on bid, the ask follows at the
spread last seen.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from libs.common.candles import BY_NAME, Timeframe
from libs.common.messages.market import CandlesAsk, Quote

CANDLES_MAX = 5_000  # of one question
_FRAMES = tuple(BY_NAME[name] for name in ("1m", "15m", "1h", "4h", "1d"))


@dataclass(frozen=True, slots=True)
class Gap:
    """From the first millisecond not judged to the one of the first tick after it, on whole candles."""

    frame: Timeframe
    from_ms: int
    to_ms: int  # exclusive

    def ask(self, symbol: str) -> CandlesAsk:
        """The question for the candles of the gap."""
        return CandlesAsk(
            symbol=symbol,
            frame=self.frame.broker,
            from_s=self.from_ms // 1000,
            to_s=self.to_ms // 1000 - 1,
        )


def gap_between(seen_ms: int, next_ms: int) -> Gap | None:
    """The whole candles between two ticks, in the finest frame that is not too many; None without one."""
    for frame in _FRAMES:
        from_ms = frame.end_ms(frame.open_ms(seen_ms))
        to_ms = frame.open_ms(next_ms)
        if to_ms <= from_ms:
            return None
        if (to_ms - from_ms) // frame.span_ms <= CANDLES_MAX:
            return Gap(frame, from_ms, to_ms)
    return None


def ticks_of(
    candles: Iterable[Sequence[float]], *, symbol: str, shift: float, spread: float, digits: int, seq: int
) -> list[Quote]:
    """Ticks that touch what the candles touched (rows open, high, low, close, volume, time in s).

    ``shift`` is what the account's bid lies above the raw one.
    """
    ticks: list[Quote] = []
    for opened, high, low, close, _, time_s in candles:
        order = (opened, low, high, close) if close >= opened else (opened, high, low, close)
        for price in order:
            bid = round(price + shift, digits)
            ask = round(price + shift + spread, digits)
            ticks.append(Quote("t", symbol, bid, ask, int(time_s), int(time_s) * 1000, seq))
    return ticks


def digits_of(*prices: float) -> int:
    """The most decimals any of the prices is printed with."""
    return max(len(f"{price:.10f}".rstrip("0").partition(".")[2]) for price in prices)
