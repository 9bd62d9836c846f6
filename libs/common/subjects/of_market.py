"""What market says and is asked: quotes, candles, instruments, groups, watch lists."""

from __future__ import annotations

from libs.common.messages import house, market
from libs.common.subjects.kinds import Command, Subject

QUOTE = Subject("market.tick.quote.v1.{profile}.{symbol}", market.Quote)
INSTRUMENT_CHANGED = Subject(
    "market.evt.instrument.changed.v1.{symbol}", market.InstrumentChanged, stream="MARKET"
)
GROUP_CHANGED = Subject("market.evt.group.changed.v1.{group}", market.GroupChanged, stream="MARKET")

SYMBOL_PUT = Command("market.cmd.symbol.put.v1", market.SymbolPut, market.Instrument, effect=True)
SYMBOL_LIST = Command(
    "market.cmd.symbol.list.v1",
    market.SymbolList,
    market.Instruments,
    callers=("gateway", "trading", "alerts", "notifier", "scanner"),
)
GROUP_PUT = Command("market.cmd.group.put.v1", market.GroupPut, market.Group, effect=True)
GROUP_LIST = Command(
    "market.cmd.group.list.v1", market.GroupList, market.Groups, callers=("gateway", "trading")
)
GROUP_GET = Command(
    "market.cmd.group.get.v1",
    market.GroupGet,
    market.Group,
    callers=("gateway", "auth", "trading", "alerts"),
)
GROUP_VIEW = Command(
    "market.cmd.group.view.v1",
    market.GroupViewAsk,
    market.GroupView,
    callers=("gateway", "trading", "alerts"),
)
ASSETS = Command("market.cmd.assets.v1", market.AssetsAsk, market.Assets)
SHORT_LIST = Command("market.cmd.short_list.v1", market.AssetsAsk, market.ShortList)
SYMBOL_INFO = Command("market.cmd.symbol.info.v1", market.SymbolAsk, market.AssetInfo)
CANDLES = Command(
    "market.cmd.candles.v1",
    market.CandlesAsk,
    market.CandleTable,
    callers=("gateway", "trading", "alerts"),
)
# Closed bars in bulk, as arrays, and what is new among them: told after the commit, holes show in ``seq``.
BARS_CLOSED = Subject("market.tick.bars.v1", market.BarsClosed)
CANDLES_BULK = Command(
    "market.cmd.candles.bulk.v1",
    market.CandlesBulk,
    bytes,
    callers=("gateway", "scanner", "signals", "alerts"),
    timeout_s=30.0,
)
FORMING = Command(
    "market.cmd.bars.forming.v1", market.FormingAsk, market.Forming, callers=("gateway", "scanner")
)
CANDLES_PUT = Command(
    "market.cmd.candles.put.v1",
    market.CandlesPut,
    house.Done,
    effect=True,
    callers=("gateway", "cli"),
    timeout_s=30.0,
)
QUOTES_PUT = Command("market.cmd.quotes.put.v1", market.QuotesPut, house.Done, effect=True, timeout_s=30.0)
QUOTES_SNAPSHOT = Command(
    "market.cmd.quotes.snapshot.v1",
    market.SnapshotAsk,
    market.Snapshot,
    callers=("gateway", "trading", "alerts", "pricing"),
)
TICKS_SINCE = Command(
    "market.cmd.ticks.since.v1", market.TicksSince, market.Ticks, callers=("gateway", "trading", "alerts")
)
WATCH_LIST = Command("market.cmd.watch.list.v1", market.WatchAsk, market.WatchList)
WATCH_ADD = Command("market.cmd.watch.add.v1", market.WatchAdd, market.WatchAdded, effect=True)
WATCH_UPDATE = Command("market.cmd.watch.update.v1", market.WatchUpdate, house.Done, effect=True)
WATCH_REMOVE = Command("market.cmd.watch.remove.v1", market.WatchRemove, house.Done, effect=True)
