"""What pricing counts; everything is registered, and zeroed, when this is imported."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

TOKENS = Gauge("tradewind_pricing_tokens", "Tokens of the graph")
POOLS = Gauge("tradewind_pricing_pools", "Pools of the graph")
PRICED = Gauge("tradewind_pricing_priced_tokens", "Tokens that have a price")
CONFIDENCE = Gauge("tradewind_pricing_confidence_mean_ratio", "Mean confidence of the prices")
ANCHOR_AGE = Gauge("tradewind_pricing_anchor_age_seconds", "Time since the anchor's sources last agreed")
ANCHOR_FAILURES = Gauge("tradewind_pricing_anchor_failures_rounds", "Rounds in a row without a price")
SOURCE_FAILURES = Counter(
    "tradewind_pricing_source_failures_total", "Questions a source did not answer", ["source"]
)
SOURCE_FAILURES.labels("pools")
FRAMES = Counter("tradewind_pricing_frames_total", "Prices sent on the stream")
DEPEGS = Counter("tradewind_pricing_depeg_facts_total", "Facts about stablecoins off or back on their dollar")
BARS = Counter("tradewind_pricing_bars_total", "Bars of prices stored")
_WIDTHS = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
WHOLE = Histogram("tradewind_pricing_whole_seconds", "Time to price every token", buckets=_WIDTHS)
UPDATE = Histogram("tradewind_pricing_update_seconds", "Time to follow changed reserves", buckets=_WIDTHS)
