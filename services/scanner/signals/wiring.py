"""The object graph of the signals, beside the scanner's rounds."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

from libs.common.errors import ConfigInvalid
from libs.common.lease import Guard
from libs.common.outbound import Outbound
from libs.common.service import Base
from services.scanner.asking import Market
from services.scanner.config import ScannerConfig
from services.scanner.following import Following
from services.scanner.signals import llm
from services.scanner.signals.asking import Pricing
from services.scanner.signals.assets import Asset, read_file
from services.scanner.signals.feeds import poller
from services.scanner.signals.feeds.folder import Folder
from services.scanner.signals.feeds.inbox import Inbox
from services.scanner.signals.feeds.kept import KeptTexts
from services.scanner.signals.feeds.poller import Poller
from services.scanner.signals.feeds.sources import Source, Sources
from services.scanner.signals.rounds import SignalRounds
from services.scanner.signals.service import Signals
from services.scanner.signals.store import SignalStore
from services.scanner.signals.text_store import TextStore
from services.scanner.signals.writer import Writer


def build_signals(
    base: Base,
    market: Market,
    following: Following,
    config: ScannerConfig,
    guard: Guard,
    stack: AsyncExitStack,
) -> tuple[Signals, SignalRounds]:
    """The use cases, and the rounds that make what they tell of."""
    store = SignalStore()
    assets = _assets(config.assets_file)
    writer = Writer(base.database, store, base.outbox, base.relay, base.clock, assets, guard, base.bus)
    kept = KeptTexts(base.database, TextStore(), base.clock, guard)
    rounds = SignalRounds(
        market=market,
        following=following,
        writer=writer,
        database=base.database,
        store=store,
        pools=Pricing(base.bus),
        texts=_texts(config, kept, base, stack),
        rewording=_rewording(config, base, stack),
        clock=base.clock,
    )
    signals = Signals(
        writer=writer,
        rounds=rounds,
        market=market,
        database=base.database,
        store=store,
        inbox=Inbox(kept, config.texts_secret, base.clock),
        clock=base.clock,
    )
    return signals, rounds


def _texts(config: ScannerConfig, kept: KeptTexts, base: Base, stack: AsyncExitStack) -> Sources | None:
    """The sources of texts that are on; None when none is."""
    sources: list[Source] = []
    if config.texts_dir:
        sources.append(Folder(config.texts_dir))
    if config.texts_feeds or config.texts_secret:
        sources.append(kept)
    if config.texts_feeds:
        private = config.texts_allow_private == "on"
        outbound = Outbound(poller.AGENT, allow_private=private, total_s=poller.TOTAL_S)
        feeds = poller.feeds_of(config.texts_feeds, outbound)
        polling = Poller(feeds, kept, outbound, base.clock, config.texts_poll_s)
        polling.start()
        stack.push_async_callback(polling.stop)
    return Sources(sources) if sources else None


def _rewording(config: ScannerConfig, base: Base, stack: AsyncExitStack) -> llm.Rewording:
    if not config.llm_url:
        return llm.Templates()
    model = llm.LanguageModel(
        Outbound(llm.AGENT),
        base.clock,
        url=config.llm_url,
        model=config.llm_model,
        key=config.llm_key,
        calls_per_hour=config.llm_calls_per_hour,
    )
    stack.push_async_callback(model.close)
    return model


def _assets(path: str) -> list[Asset]:
    if not path:
        return []
    try:
        return read_file(Path(path).read_bytes())
    except OSError as e:
        raise ConfigInvalid(f"TRADEWIND_ASSETS_FILE: {e}") from e
