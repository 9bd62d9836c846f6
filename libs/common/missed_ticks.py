"""What candles tell of ticks nobody can give any more: alerts and trading judge them. Pure.

Candles that lie whole between the last tick judged and the first one after the hole count as they are. The
minutes in which the hole begins and ends hold judged prices too: of these only an extreme counts that lies
beyond what was judged in that minute, for it can only have been in the hole.
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


def pieces_between(seen_ms: int, next_ms: int) -> list[Gap]:
    """The whole candles between two ticks, no minute left out: fine ones where coarse ones do not reach."""
    gap = gap_between(seen_ms, next_ms)
    minute = _FRAMES[0]
    if gap is None or gap.frame is minute:
        return [gap] if gap is not None else []
    pieces = [
        Gap(minute, minute.end_ms(minute.open_ms(seen_ms)), gap.from_ms),
        gap,
        Gap(minute, gap.to_ms, minute.open_ms(next_ms)),
    ]
    return [piece for piece in pieces if piece.from_ms < piece.to_ms]


def minute_of(at_ms: int) -> Gap:
    """The minute that holds an instant."""
    minute = _FRAMES[0]
    open_ms = minute.open_ms(at_ms)
    return Gap(minute, open_ms, minute.end_ms(open_ms))


def beyond(
    candles: Iterable[Sequence[float]],
    high: float,
    low: float,
    *,
    symbol: str,
    shift: float,
    spread: float,
    digits: int,
    seq: int,
) -> list[Quote]:
    """Ticks at the extremes of a minute that lie beyond ``high`` and ``low``, the bids judged in it."""
    ticks: list[Quote] = []
    for opened, top, bottom, close, _, time_s in candles:
        for price in (bottom, top) if close >= opened else (top, bottom):
            bid = round(price + shift, digits)
            if bid > high or bid < low:
                ask = round(price + shift + spread, digits)
                ticks.append(Quote("t", symbol, bid, ask, int(time_s), int(time_s) * 1000, seq))
    return ticks


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
