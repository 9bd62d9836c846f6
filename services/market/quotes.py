"""The book of quotes: seq numbers, last prices, the ring, candles and frames of every symbol. Pure.

``apply`` is the hot path of the house: one pass per tick makes the raw frame, the frames of the price
profiles in use, the place in the ring and the candle. Seq numbers come from a reserved block; the
caller keeps at least ``SEQ_LOW`` of them ahead of every symbol before it applies a batch of at most
that many ticks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import msgspec

from libs.common.candles import CandleBuilder
from libs.common.messages.market import Quote
from libs.common.subjects import QUOTE
from services.market.feed import Tick
from services.market.profiles import RAW, Profile
from services.market.ring import TickRing
from services.market.rounding import rounded

SEQ_LOW = 1_000

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Outlet:
    """A price profile of a symbol and the subject of its frames."""

    profile: Profile
    subject: str


class Line:
    """Everything in flight of one symbol. Owned by the book; ``builder`` makes its candles."""

    __slots__ = (
        "ask",
        "bid",
        "builder",
        "changed",
        "ctm_ms",
        "digits",
        "instrument_id",
        "low_at",
        "outlets",
        "raw_subject",
        "ring",
        "seq",
        "seq_end",
        "symbol",
    )

    def __init__(self, symbol: str, instrument_id: int, digits: int, seq: int = 0) -> None:
        self.symbol = symbol
        self.instrument_id = instrument_id
        self.digits = digits
        self.seq = self.seq_end = self.low_at = seq
        self.bid = self.ask = 0.0
        self.ctm_ms = 0
        self.ring = TickRing(seq)
        self.builder = CandleBuilder()
        self.changed = False  # since the last flush
        self.raw_subject = QUOTE.at(profile=RAW.name, symbol=symbol)
        self.outlets: list[Outlet] = []  # besides raw

    @property
    def quoted(self) -> bool:
        """Whether there has ever been a quote."""
        return self.ctm_ms > 0

    def reserve(self, seq_end: int) -> None:
        """Numbers up to ``seq_end`` may be used."""
        self.seq_end = seq_end
        self.low_at = max(seq_end - SEQ_LOW, self.seq)

    def restart(self) -> None:
        """Let time begin anew; seq goes on."""
        self.ctm_ms = 0
        self.builder = CandleBuilder()

    def prices(self, profile: Profile) -> tuple[float, float]:
        """The last bid and ask of a profile, 0 when there was no quote."""
        if not self.quoted:
            return 0.0, 0.0
        if profile is RAW or profile == RAW:
            return self.bid, self.ask
        return profile.prices(self.bid, self.ask, self.digits)

    def frame(self, profile: Profile) -> bytes:
        """The last quote as the client's frame."""
        bid, ask = self.prices(profile)
        return frame_of(self.symbol, bid, ask, self.ctm_ms, self.seq)


def frame_of(symbol: str, bid: float, ask: float, at_ms: int, seq: int) -> bytes:
    """The JSON of a quote."""
    return _encode(Quote("t", symbol, bid, ask, at_ms // 1000, at_ms, seq))


class QuoteBook:
    """The lines of all symbols."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}
        self.low: set[Line] = set()  # lines whose reserved seq numbers run out
        self.ticks_total = 0
        self.unknown_total = 0

    def add(self, line: Line) -> None:
        """Begin quoting a symbol."""
        self.lines[line.symbol] = line
        self.low.add(line)

    def set_outlets(self, symbol: str, digits: int, profiles: Iterable[Profile]) -> None:
        """The price profiles in use for a symbol, raw being always there."""
        line = self.lines[symbol]
        line.digits = digits
        others = sorted({p for p in profiles if p != RAW}, key=lambda p: p.name)
        line.outlets = [Outlet(p, QUOTE.at(profile=p.name, symbol=symbol)) for p in others]

    def apply(self, ticks: Iterable[Tick]) -> list[tuple[str, bytes]]:
        """Count ticks in order; the subjects and frames to publish, in order.

        Prices are rounded to the symbol's digits. A time before the symbol's last one becomes that
        one: candles and clients never see time go back. Unknown symbols are counted and dropped.
        """
        frames: list[tuple[str, bytes]] = []
        lines = self.lines
        for symbol, given_bid, given_ask, given_ms, size in ticks:
            line = lines.get(symbol)
            if line is None:
                self.unknown_total += 1
                continue
            digits = line.digits
            line.bid = bid = rounded(given_bid, digits)
            line.ask = ask = rounded(given_ask, digits)
            line.ctm_ms = at_ms = max(given_ms, line.ctm_ms)
            line.seq = seq = line.seq + 1
            if seq >= line.low_at:
                self.low.add(line)
            line.ring.put(bid, ask, at_ms)
            line.builder.add(bid, at_ms, size)
            line.changed = True
            second = at_ms // 1000
            frames.append((line.raw_subject, _encode(Quote("t", symbol, bid, ask, second, at_ms, seq))))
            for outlet in line.outlets:
                own_bid, own_ask = outlet.profile.prices(bid, ask, digits)
                frames.append(
                    (outlet.subject, _encode(Quote("t", symbol, own_bid, own_ask, second, at_ms, seq)))
                )
            self.ticks_total += 1
        return frames

    def snapshot(self) -> Iterator[tuple[str, bytes]]:
        """(profile, frame) of the last quote of every symbol and profile."""
        for line in self.lines.values():
            if line.quoted:
                yield RAW.name, line.frame(RAW)
                for outlet in line.outlets:
                    yield outlet.profile.name, line.frame(outlet.profile)

    def since(self, symbol: str, profile: Profile, after_seq: int, limit: int) -> list[bytes]:
        """The frames of a symbol above a seq that the ring still holds, oldest first."""
        line = self.lines[symbol]
        frames: list[bytes] = []
        for seq, bid, ask, at_ms in line.ring.since(after_seq, limit):
            own = (bid, ask) if profile == RAW else profile.prices(bid, ask, line.digits)
            frames.append(frame_of(symbol, *own, at_ms, seq))
        return frames
