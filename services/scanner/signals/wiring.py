"""The object graph of the signals, beside the scanner's rounds."""

from __future__ import annotations

from pathlib import Path

from libs.common.errors import ConfigInvalid
from libs.common.lease import Guard
from libs.common.service import Base
from services.scanner.asking import Market
from services.scanner.following import Following
from services.scanner.signals.asking import Pricing
from services.scanner.signals.assets import Asset, read_file
from services.scanner.signals.feeds.folder import Folder
from services.scanner.signals.rounds import SignalRounds
from services.scanner.signals.service import Signals
from services.scanner.signals.store import SignalStore
from services.scanner.signals.writer import Writer


def build_signals(
    base: Base, market: Market, following: Following, assets_file: str, guard: Guard, texts_dir: str
) -> tuple[Signals, SignalRounds]:
    """The use cases, and the rounds that make what they tell of."""
    store = SignalStore()
    writer = Writer(base.database, store, base.outbox, base.relay, base.clock, _assets(assets_file), guard)
    rounds = SignalRounds(
        market=market,
        following=following,
        writer=writer,
        database=base.database,
        store=store,
        pools=Pricing(base.bus),
        texts=Folder(texts_dir) if texts_dir else None,
        clock=base.clock,
    )
    signals = Signals(
        writer=writer,
        rounds=rounds,
        market=market,
        database=base.database,
        store=store,
        clock=base.clock,
    )
    return signals, rounds


def _assets(path: str) -> list[Asset]:
    if not path:
        return []
    try:
        return read_file(Path(path).read_bytes())
    except OSError as e:
        raise ConfigInvalid(f"TRADEWIND_ASSETS_FILE: {e}") from e
