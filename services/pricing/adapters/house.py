"""Our own market as a source: the quotes of the house, as they come over the bus."""

from __future__ import annotations

from collections.abc import Sequence

import structlog

from libs.common.bus import Bus, decode
from libs.common.clock import Clock
from libs.common.errors import AppError, MessageUnreadable
from libs.common.messages.market import Quote, SnapshotAsk
from libs.common.subjects import QUOTE, QUOTES_SNAPSHOT
from services.pricing.sources import SourceFailed

log = structlog.get_logger()

PROFILE = "raw"
OLD_MS = 300_000


class HouseQuotes:
    """The last quote of some symbols. ``start`` hears them, ``catch_up`` asks for what was before."""

    def __init__(self, bus: Bus, clock: Clock, symbols: Sequence[str]) -> None:
        self._bus = bus
        self._clock = clock
        self._symbols = tuple(dict.fromkeys(symbols))
        self._last: dict[str, Quote] = {}
        self._caught_up = False

    async def start(self) -> None:
        """Hear quotes from now on."""
        for symbol in self._symbols:
            await self._bus.subscribe(QUOTE.at(profile=PROFILE, symbol=symbol), self._heard)
        self._bus.on_reconnect(self._forgot)

    def _forgot(self) -> None:
        self._caught_up = False

    async def catch_up(self) -> None:
        """Ask for the last quotes once, and again after a reconnect; a market that is away is no error."""
        if self._caught_up:
            return
        try:
            snapshot = await self._bus.request(QUOTES_SNAPSHOT, SnapshotAsk())
        except AppError as e:
            log.debug("no quotes from the market yet", error=str(e))
            return
        self._caught_up = True
        for profile, frame in snapshot.frames:
            if profile == PROFILE:
                self._take(decode(bytes(frame), Quote))

    def _heard(self, subject: str, payload: bytes) -> None:
        try:
            self._take(decode(payload, Quote))
        except MessageUnreadable:
            log.warning("quote unreadable", subject=subject)

    def _take(self, quote: Quote) -> None:
        known = self._last.get(quote.symbol)
        newer = known is None or (quote.ctm_ms, quote.seq) >= (known.ctm_ms, known.seq)
        if quote.symbol in self._symbols and newer and quote.bid > 0 and quote.ask > 0:
            self._last[quote.symbol] = quote

    def mid(self, symbol: str) -> float | None:
        """The middle of the last quote; None without one."""
        quote = self._last.get(symbol)
        return None if quote is None else (quote.bid + quote.ask) / 2

    def mids(self) -> dict[str, float]:
        """The middle of every quote there is."""
        return {symbol: (quote.bid + quote.ask) / 2 for symbol, quote in self._last.items()}

    def age_ms(self, symbol: str) -> int | None:
        """How old the last quote is."""
        quote = self._last.get(symbol)
        return None if quote is None else self._clock.now_ms() - quote.ctm_ms


class HouseAnchor:
    """The anchor's price from our own quotes: the first of the symbols with a quote of the last minutes."""

    name = "market"
    priority = 0
    remote = False

    def __init__(self, quotes: HouseQuotes, symbols: Sequence[str]) -> None:
        self._quotes = quotes
        self._symbols = symbols

    async def price(self) -> float:
        """The middle of the quote; raises SourceFailed when there is none, or only an old one."""
        await self._quotes.catch_up()
        for symbol in self._symbols:
            price, age_ms = self._quotes.mid(symbol), self._quotes.age_ms(symbol)
            if price is not None and age_ms is not None and age_ms <= OLD_MS:
                return price
        raise SourceFailed(f"no quote of {' or '.join(self._symbols)} in the last minutes")
