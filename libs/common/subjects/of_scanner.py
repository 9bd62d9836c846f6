"""What the scanner says and is asked: patterns, records, contexts, monitors, feeds, signals."""

from __future__ import annotations

from libs.common.messages import analysis, house, notifier, scan, scan_people, scanner, signals
from libs.common.subjects.kinds import Command, Subject

SCANNER_NOTICE = Subject("scanner.evt.notice.raised.v1.{login}", notifier.Notice, stream="SCANNER")
MONITOR_HEARD = Subject("scanner.evt.monitor.heard.v1.{person}", scan_people.MonitorHeard, stream="SCANNER")
PATTERN_DETECTED = Subject(
    "scanner.evt.pattern.detected.v1.{timeframe}.{symbol}", scanner.PatternDetected, stream="SCANNER"
)
REGIME_FLIPPED = Subject(
    "scanner.evt.regime.flipped.v1.{timeframe}.{symbol}", scanner.RegimeFlipped, stream="SCANNER"
)
LEVEL_BROKEN = Subject(
    "scanner.evt.level.broken.v1.{timeframe}.{symbol}", scanner.LevelBroken, stream="SCANNER"
)
SIGNAL_RECORDED = Subject(
    "scanner.evt.signal.recorded.v1.{timeframe}.{symbol}", signals.SignalRecorded, stream="SCANNER"
)
RECORD_CLOSED = Subject(
    "scanner.evt.record.closed.v1.{timeframe}.{symbol}", scanner.RecordClosed, stream="SCANNER"
)

BRIEF = Command("scanner.cmd.brief.v1", analysis.BriefAsk, analysis.Brief, timeout_s=15.0)
DELTA = Command("scanner.cmd.delta.v1", analysis.DeltaAsk, analysis.Delta, effect=True)
CODEC_CANDLES = Command("scanner.cmd.candles.v1", analysis.CandlesAsk, analysis.Candles)
ANALOGS = Command("scanner.cmd.analogs.v1", analysis.AnalogsAsk, analysis.Analogs)
MULTI = Command("scanner.cmd.multi.v1", analysis.MultiAsk, analysis.Multi)
SCAN_TABLE = Command("scanner.cmd.table.v1", analysis.ScanTableAsk, analysis.ScanTable, timeout_s=30.0)

# Feeds are kept by the scanner; this only wakes the sockets that are open.
FEED_TOLD = Subject("scanner.tick.feed.v1.{person}", scan_people.FeedFrame)

SCAN = Command("scanner.cmd.scan.v1", scan.ScanAsk, scan.ScanView, timeout_s=10.0)
PATTERN_LIST = Command("scanner.cmd.pattern.list.v1", scan.PatternsAsk, scan.PatternList)
PATTERN_GET = Command("scanner.cmd.pattern.get.v1", scan.PatternAsk, scan.PatternView)
PATTERN_PERFORMANCE = Command(
    "scanner.cmd.pattern.performance.v1", scan.PerformanceAsk, scan.PerformanceView, timeout_s=15.0
)
RECORD_LIST = Command("scanner.cmd.record.list.v1", scan.RecordsAsk, scan.RecordPage)
RECORD_SHOWCASE = Command("scanner.cmd.record.showcase.v1", scan.ShowcaseAsk, scan.Showcase)
RECORD_GET = Command("scanner.cmd.record.get.v1", scan.RecordAsk, scan.RecordView)
WATCHLISTS = Command("scanner.cmd.watchlist.list.v1", scan.PersonAsk, scan.WatchlistsView)
WATCHLIST_PUT = Command("scanner.cmd.watchlist.put.v1", scan.WatchlistPut, scan.WatchlistView, effect=True)
WATCHLIST_REMOVE = Command("scanner.cmd.watchlist.remove.v1", scan.WatchlistRemove, house.Done, effect=True)
SCAN_STATUS = Command("scanner.cmd.status.v1", scan.StatusAsk, scan.StatusView)
CAPABILITIES = Command("scanner.cmd.capabilities.v1", scan.CapabilitiesAsk, scan.Capabilities)
SYMBOL_SEARCH = Command("scanner.cmd.symbol.search.v1", scan.SymbolSearch, scan.SymbolPage)
SYMBOL_RESOLVE = Command("scanner.cmd.symbol.resolve.v1", scan.SymbolResolve, scan.SymbolView)
CONTEXT_LIST = Command("scanner.cmd.context.list.v1", scan.ContextsAsk, scan.ContextPage)
CONTEXT_GET = Command("scanner.cmd.context.get.v1", scan.ContextAsk, scan.ContextView)
CONTEXT_INSPECT = Command("scanner.cmd.context.inspect.v1", scan.ContextAsk, scan.Inspection)
CONTEXT_MANIFEST = Command("scanner.cmd.context.manifest.v1", scan.ContextAsk, scan.ManifestView)
CONTEXT_OHLCV = Command("scanner.cmd.context.ohlcv.v1", scan.ContextAsk, scan.OhlcvView)
# The reply is a PNG, no JSON.
CONTEXT_CHART = Command("scanner.cmd.context.chart.v1", scan.ChartAsk, bytes, timeout_s=15.0)
CONDITION_CHECK = Command("scanner.cmd.condition.check.v1", scan.ConditionAsk, scan.ConditionView)
CONFIRM_VISUAL = Command("scanner.cmd.context.confirm.v1", scan.ConfirmAsk, scan.Confirmed, effect=True)
ASSET_REGISTRY_PUT = Command("scanner.cmd.asset.put.v1", signals.AssetsPut, signals.AssetsTaken, effect=True)
ASSET_REGISTRY = Command("scanner.cmd.asset.list.v1", signals.RegistryAsk, signals.Registry)
SIGNAL_BACKFILL = Command(
    "scanner.cmd.signal.backfill.v1", signals.BackfillAsk, signals.Backfilled, effect=True, timeout_s=120.0
)
# The record is the scanner's; this only wakes who follows it.
SIGNALS_GREW = Subject("scanner.tick.signals.v1", signals.SignalsGrew)
SIGNAL_TEXTS = Command("scanner.cmd.signal.texts.v1", signals.TextsCall, signals.TextsTaken, effect=True)
SIGNAL_LIST = Command("scanner.cmd.signal.list.v1", signals.SignalsAsk, signals.RawDetails, timeout_s=10.0)
SIGNAL_FOLLOW = Command("scanner.cmd.signal.follow.v1", signals.FollowAsk, signals.Followed, timeout_s=10.0)
SIGNAL_GET = Command("scanner.cmd.signal.get.v1", signals.SignalAsk, signals.RawSignal)
SIGNAL_NAMES = Command("scanner.cmd.signal.names.v1", signals.NamesAsk, signals.NamedIds)
SIGNAL_PERFORMANCE = Command(
    "scanner.cmd.signal.performance.v1", signals.OutcomesAsk, signals.SignalPerformance, timeout_s=30.0
)
SIGNAL_BULLISHNESS = Command("scanner.cmd.signal.bullishness.v1", signals.BullishnessAsk, signals.Bullishness)
MONITOR_MAKE = Command(
    "scanner.cmd.monitor.make.v1", scan_people.MonitorMake, scan_people.MonitorView, effect=True
)
MONITOR_LIST = Command("scanner.cmd.monitor.list.v1", scan.PersonAsk, scan_people.MonitorsView)
MONITOR_SET = Command(
    "scanner.cmd.monitor.set.v1", scan_people.MonitorChange, scan_people.MonitorView, effect=True
)
MONITOR_REMOVE = Command("scanner.cmd.monitor.remove.v1", scan_people.MonitorChange, house.Done, effect=True)
FEED_LIST = Command("scanner.cmd.feed.list.v1", scan_people.FeedAsk, scan_people.FeedPage)
FEED_ACK = Command("scanner.cmd.feed.ack.v1", scan_people.FeedAck, scan_people.FeedAcked, effect=True)
SCAN_USAGE = Command("scanner.cmd.usage.get.v1", scan_people.UsageAsk, scan_people.UsageView)
TIMEZONE_GET = Command("scanner.cmd.timezone.get.v1", scan.PersonAsk, scan_people.TimezoneView)
TIMEZONE_PUT = Command(
    "scanner.cmd.timezone.put.v1", scan_people.TimezonePut, scan_people.TimezoneView, effect=True
)
