"""What market counts. Everything is registered, and zeroed, when this is imported."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

TICKS = Counter("tradewind_market_ticks_total", "Quotes published")
TICKS_UNKNOWN = Counter(
    "tradewind_market_ticks_unknown_total", "Ticks dropped because nobody knows their symbol"
)
FRAMES_UNSENT = Counter(
    "tradewind_market_frames_unsent_total", "Quote frames the bus did not take; readers fetch them by seq"
)
SEQ_LAST = Gauge("tradewind_market_seq_last", "Seq of the last quote that was counted", ["symbol"])
SEQ_BLOCKS = Counter("tradewind_market_seq_blocks_total", "Reservations of seq numbers")
FEED_STALENESS = Gauge(
    "tradewind_market_feed_staleness_seconds", "Time since the feed last gave a quote", ["feed"]
)
FEED_RECONNECTS = Counter(
    "tradewind_market_feed_reconnects_total", "Reconnects of a live feed by cause", ["feed", "cause"]
)
FEED_GARBAGE = Counter(
    "tradewind_market_feed_garbage_messages_total", "Messages of a feed that could not be read", ["feed"]
)
CANDLE_ROWS = Counter("tradewind_market_candle_rows_total", "Candle rows written")
CANDLE_LAG = Gauge(
    "tradewind_market_candle_write_lag_seconds", "Age of the oldest candle change that is not stored"
)
CANDLE_BACKLOG = Gauge("tradewind_market_candle_backlog_rows", "Closed candles that wait to be stored")
CANDLE_WRITE = Histogram(
    "tradewind_market_candle_write_seconds",
    "Time to store what changed",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
)
CANDLE_WAIT = Histogram(
    "tradewind_market_candle_wait_seconds",
    "How long changes waited until they were stored: from the flush before to the end of theirs",
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 2, 3, 5, 10, 30, 60),
)
BACKFILL_ROWS = Counter("tradewind_market_backfill_rows_total", "Candle rows made by back-fill")
SYMBOLS = Gauge("tradewind_market_symbols", "Known instruments")
GROUPS = Gauge("tradewind_market_groups", "Known groups of accounts")
