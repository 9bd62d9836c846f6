"""What the scanner counts; everything is registered at start."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

places = Gauge("tradewind_scanner_places", "Symbols and timeframes whose bars are held")
pending = Gauge("tradewind_scanner_pending_places", "Places with closed bars that are not judged yet")
holes = Counter("tradewind_scanner_holes", "Times closed bars were missed and asked for")
judged = Counter("tradewind_scanner_judged_bars", "Closed bars judged and written")
detections = Counter("tradewind_scanner_detected_patterns", "Detections written, without baselines")
closed_records = Counter(
    "tradewind_scanner_closed_records", "Records that ended, without baselines", ["outcome"]
)
open_records = Gauge("tradewind_scanner_open_records", "Records under way, baselines included")
rejudged = Counter("tradewind_scanner_reloads", "Times the state was loaded again after a failed write")
round_seconds = Histogram(
    "tradewind_scanner_round_seconds",
    "Time of one round: judging what closed and writing it",
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
chart_seconds = Histogram(
    "tradewind_scanner_chart_seconds",
    "Time to draw one chart, without waiting",
    buckets=(0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5),
)
charts_refused = Counter("tradewind_scanner_refused_charts", "Charts refused because too many were waiting")
for _outcome in ("win", "loss", "expired"):
    closed_records.labels(_outcome)
signals_recorded = Counter("tradewind_scanner_recorded_signals", "Signals written, live and back-filled")
signals_held = Gauge("tradewind_scanner_held_signals", "Signals that questions are answered from")
signals_behind = Counter(
    "tradewind_scanner_signal_failures", "Rounds of signals that failed and were begun again"
)
texts_taken = Counter("tradewind_scanner_text_records", "Texts taken in, by their way", ["way"])
feed_failures = Counter("tradewind_scanner_feed_failures", "Times a feed could not be read")
rewordings = Counter(
    "tradewind_scanner_rewording_calls", "Texts of signals given to be reworded", ["outcome"]
)
for _way in ("feed", "webhook"):
    texts_taken.labels(_way)
for _outcome in ("taken", "refused", "failed", "skipped"):
    rewordings.labels(_outcome)
