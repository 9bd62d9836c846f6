"""The symbols as the scan surface tells of them: search, resolve, what there is."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.messages import scan as m
from services.scanner import views
from services.scanner.asking import Market
from services.scanner.catalogue import PATTERNS
from services.scanner.conditions import CONDITIONS
from services.scanner.errors import InvalidParam
from services.scanner.following import Following
from services.scanner.params import EVERY, symbol_of
from services.scanner.times import iso

ASSETS = ("crypto", "stock", "forex", "metal", "index")
INDICATORS = ("rsi", "ema20", "ema50", "atr", "levels", "regime", "sax", "vwap")
USAGE_POLICY = {
    "advice": "Informational market data only; not investment advice.",
    "look_ahead": "What is told at a bar is made of that bar and older ones, and never changes later.",
    "limits": "Requests and scans are limited by tier; every answer carries X-RateLimit headers.",
}


class Symbols:
    """Use cases about symbols; asks market for those it has."""

    def __init__(self, market: Market, following: Following, clock: Clock) -> None:
        self._market = market
        self._following = following
        self._clock = clock

    def status(self, ask: m.StatusAsk) -> m.StatusView:
        """How the scanner is."""
        return m.StatusView(
            ok=not self._following.is_stale,
            time=iso(self._clock.now_ms()),
            symbols=len(self._market.instruments),
            places=len(self._following.places),
            pending_places=len(self._following.pending),
            recovery=None if ask.has_key else m.KEY_RECOVERY,
        )

    async def search(self, ask: m.SymbolSearch) -> m.SymbolPage:
        """Symbols whose name or description holds a text, in the order of their names."""
        if ask.asset and ask.asset not in ASSETS:
            raise InvalidParam("asset was unknown", field="asset", allowed=list(ASSETS))
        await self._market.refresh()
        wanted = ask.query.strip().upper()
        plain = wanted.partition(":")[2] or wanted
        items = sorted(
            (
                views.symbol_item(instrument)
                for instrument in self._market.instruments.values()
                if plain.replace("/", "") in instrument.symbol.upper().replace("/", "")
                or wanted in instrument.description.upper()
            ),
            key=lambda item: item.symbol,
        )
        matching = [item for item in items if not ask.asset or item.asset == ask.asset]
        after = [item for item in matching if item.symbol > ask.cursor]
        page = after[: ask.limit]
        more = len(after) > len(page)
        return m.SymbolPage(
            items=page,
            returned_count=len(page),
            total_count=len(matching),
            has_more=more,
            next_cursor=page[-1].symbol if more else None,
        )

    async def resolve(self, ask: m.SymbolResolve) -> m.SymbolView:
        """The symbol a text means."""
        symbol = await symbol_of(self._market, ask.symbol)
        return views.symbol_item(self._market.instruments[symbol])

    async def capabilities(self) -> m.Capabilities:
        """Markets, timeframes, patterns, indicators and conditions."""
        await self._market.refresh()
        return m.Capabilities(
            markets=sorted({views.asset_of(i) for i in self._market.instruments.values()}),
            timeframes=EVERY,
            patterns=[pattern.id for pattern in PATTERNS],
            indicators=INDICATORS,
            conditions=[{"id": id_, "description": text} for id_, text in CONDITIONS.items()],
            usage_policy=USAGE_POLICY,
        )
