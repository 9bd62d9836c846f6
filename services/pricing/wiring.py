"""The object graph of pricing, opened top to bottom and closed bottom to top."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from libs.common.errors import ConfigInvalid
from libs.common.service import App, Base
from services.pricing.adapters.binance import Binance
from services.pricing.adapters.coingecko import CoinGecko
from services.pricing.adapters.documents import FilePools, UrlPools
from services.pricing.adapters.geckoterminal import GeckoTerminal
from services.pricing.adapters.house import HouseAnchor, HouseQuotes
from services.pricing.adapters.kraken import Kraken
from services.pricing.adapters.web import Web
from services.pricing.config import PricingConfig, words
from services.pricing.desk import Desk, Ports, Terms
from services.pricing.handlers import handlers_for
from services.pricing.intake import BEAT_S, Intake
from services.pricing.sample import SYMBOLS
from services.pricing.service import PricingService
from services.pricing.sources import AnchorSource, PoolSource
from services.pricing.store import Store

INDEXER = "geckoterminal:"


@asynccontextmanager
async def build(config: PricingConfig, base: Base) -> AsyncIterator[App]:
    """Everything pricing is made of."""
    async with AsyncExitStack() as stack:
        store = Store()
        web = Web()
        stack.push_async_callback(web.close)
        symbols = words(config.anchor_symbols)
        quotes = HouseQuotes(base.bus, base.clock, [*symbols, *(SYMBOLS if config.has_sample else ())])
        await quotes.start()
        await quotes.catch_up()
        desk = Desk(
            Ports(
                bus=base.bus,
                database=base.database,
                store=store,
                outbox=base.outbox,
                relay=base.relay,
                clock=base.clock,
                ids=base.ids,
            ),
            Terms(
                rules=config.rules,
                anchor_id=config.anchor_id,
                allowed=frozenset(words(config.stable_tokens)),
                denied=frozenset(words(config.unstable_tokens)),
            ),
        )
        await desk.load()
        anchors = anchors_of(config, web, quotes, symbols)
        only_house = all(source.name == "market" for source in anchors)
        intake = Intake(
            desk,
            base.clock,
            anchors=anchors,
            anchor_poll_s=BEAT_S if only_house else config.anchor_poll_s,
            pools=pools_of(config, web, base),
            pools_name=config.pools.partition("?")[0],
            pools_poll_s=config.pools_poll_s,
            quotes=quotes.mids if config.has_sample else None,
        )
        service = PricingService(desk, base.database, store, base.clock, [source.name for source in anchors])
        await intake.start()
        stack.push_async_callback(intake.stop)
        yield App(handlers=handlers_for(service))


def anchors_of(
    config: PricingConfig, web: Web, quotes: HouseQuotes, symbols: Sequence[str]
) -> list[AnchorSource]:
    """The anchor's sources the settings name."""
    known: dict[str, AnchorSource] = {
        "market": HouseAnchor(quotes, symbols),
        "coingecko": CoinGecko(web, config.coingecko_url),
        "kraken": Kraken(web, config.kraken_rest_url),
        "binance": Binance(web, config.binance_rest_url),
    }
    return [known[name] for name in config.sources]


def pools_of(config: PricingConfig, web: Web, base: Base) -> PoolSource | None:
    """The source of pools the settings name; None without one."""
    named = config.pools
    if not named:
        return None
    if named.startswith(INDEXER):
        network, _, addresses = named.removeprefix(INDEXER).partition(":")
        if not network or not words(addresses):
            raise ConfigInvalid("TRADEWIND_POOLS can't be used: it is geckoterminal:NETWORK:POOL,POOL…")
        return GeckoTerminal(web, config.geckoterminal_url, network, words(addresses), base.clock)
    if named.startswith(("http://", "https://")):
        return UrlPools(named, web, base.clock)
    return FilePools(Path(named.removeprefix("file:")), base.clock)
