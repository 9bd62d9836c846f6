"""What the scan surface shows of what is stored: rounded once, in the contract's fields. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from libs.common.candles import BY_ID as FRAMES
from libs.common.messages import scan as m
from libs.common.messages import scan_people as pm
from libs.common.messages.market import Instrument
from libs.common.messages.scanner import Evidence
from services.scanner.catalogue import METHODOLOGY, Pattern
from services.scanner.evidence import wilson
from services.scanner.ids import shown as shown_id
from services.scanner.rounding import number, rounded, shown
from services.scanner.times import iso
from services.scanner.watching import FeedRow, Monitor

OUTCOMES = ("open", "win", "loss", "expired")
DIRECTION_NAMES = {1: "bullish", -1: "bearish", 0: "neutral"}
ASSETS = {0: "forex", 1: "metal", 2: "crypto", 3: "index", 4: "stock"}
SCORE_DIGITS = 2
PERCENT_DIGITS = 4
SHARE_DIGITS = 4
Row = Mapping[str, Any]  # of the database


def symbol_view(symbol: str) -> str:
    """A symbol as the scan surface writes it: ``BINANCE:BTCUSDT`` for pairs, ``TRADEWIND:EURUSD`` else."""
    if "/" in symbol:
        return f"BINANCE:{symbol.replace('/', '')}"
    return f"TRADEWIND:{symbol}"


def price_view(value: float | None, digits: int) -> float | None:
    """A price to the instrument's digits."""
    return None if value is None else shown(value, digits)


def percent_view(value: float | None) -> float | None:
    """A figure in percent."""
    return None if value is None else shown(value, PERCENT_DIGITS)


def share_view(value: float | None) -> float | None:
    """A share or a difference of shares."""
    return None if value is None else number(_signed(value))


def _signed(value: float) -> float:
    return rounded(value, SHARE_DIGITS) if value >= 0 else -rounded(-value, SHARE_DIGITS)


def evidence_view(evidence: Evidence | None) -> Evidence | None:
    """Evidence with its shares rounded."""
    if evidence is None:
        return None
    return Evidence(
        scope=evidence.scope,
        n=evidence.n,
        hit_rate=share_view(evidence.hit_rate),
        ci_low=share_view(evidence.ci_low),
        ci_high=share_view(evidence.ci_high),
        baseline=share_view(evidence.baseline),
        lift=share_view(evidence.lift),
    )


def pattern_view(pattern: Pattern) -> m.PatternView:
    """A pattern of the catalogue."""
    return m.PatternView(
        id=pattern.id,
        name=pattern.name,
        direction=pattern.direction,
        category=pattern.category,
        min_candles=pattern.min_candles,
        description=pattern.description,
        definition=pattern.definition,
        definition_url=f"{METHODOLOGY}#{pattern.id}",
    )


def record_view(row: Row, digits: int) -> m.RecordView:
    """A record in full."""
    return m.RecordView(
        id=shown_id("rec", row["id"]),
        detection_id=shown_id("det", row["id"]),
        symbol=symbol_view(row["symbol"]),
        tf=FRAMES[row["timeframe"]].name,
        pattern=row["pattern"],
        direction=DIRECTION_NAMES[row["direction"]],
        confidence=shown(row["confidence"], SCORE_DIGITS),
        detected_at=iso(row["detected_ms"]),
        entry=shown(row["entry"], digits),
        stop=shown(row["stop"], digits),
        targets=[shown(row["target1"], digits), shown(row["target2"], digits)],
        mfe_pct=percent_view(row["mfe_pct"]),
        mae_pct=percent_view(row["mae_pct"]),
        bars=row["bars"],
        context_id=shown_id("ctx", row["id"]),
        **_end(row, digits),
    )


def reduced_view(row: Row, digits: int) -> m.ReducedRecord:
    """A record without entry, stop and targets."""
    return m.ReducedRecord(
        id=shown_id("rec", row["id"]),
        detection_id=shown_id("det", row["id"]),
        symbol=symbol_view(row["symbol"]),
        tf=FRAMES[row["timeframe"]].name,
        pattern=row["pattern"],
        direction=DIRECTION_NAMES[row["direction"]],
        confidence=shown(row["confidence"], SCORE_DIGITS),
        detected_at=iso(row["detected_ms"]),
        **_end(row, digits),
    )


def _end(row: Row, digits: int) -> dict[str, Any]:
    outcome = OUTCOMES[row["outcome"]]
    return {
        "status": "active" if outcome == "open" else "closed",
        "outcome": outcome,
        "exit_price": price_view(row["exit_price"], digits),
        "exit_at": None if row["exit_ms"] is None else iso(row["exit_ms"]),
        "return_pct": None if row["return_pct"] is None else signed_percent(row["return_pct"]),
    }


def signed_percent(value: float) -> float:
    """A return in percent, half away from zero on both sides."""
    return percent_view(value) if value >= 0 else -(percent_view(-value) or 0.0)  # type: ignore[return-value]


def context_view(row: Row, digits: int, evidence: Evidence | None) -> m.ContextView:
    """A detection with the chart around it."""
    has_record = row["entry"] is not None
    return m.ContextView(
        context_id=shown_id("ctx", row["id"]),
        detection_id=shown_id("det", row["id"]),
        record_id=shown_id("rec", row["id"]) if has_record else None,
        symbol=symbol_view(row["symbol"]),
        timeframe=FRAMES[row["timeframe"]].name,
        pattern=row["pattern"],
        direction=DIRECTION_NAMES[row["direction"]],
        confidence=shown(row["confidence"], SCORE_DIGITS),
        start_time=iso(row["start_ms"]),
        end_time=iso(row["end_ms"]),
        detected_at=iso(row["detected_ms"]),
        price=shown(row["price"], digits),
        entry=price_view(row["entry"], digits),
        stop=price_view(row["stop"], digits),
        targets=[shown(row["target1"], digits), shown(row["target2"], digits)] if has_record else None,
        outcome=OUTCOMES[row["outcome"]] if has_record else None,
        evidence=evidence_view(evidence),
    )


def performance_of(row: Row, base: Row | None, key: str = "") -> m.Performance:
    """Counts of a pattern beside those of its baseline in the same part."""
    n, wins = row["n"], row["wins"]
    hit = wilson(wins, n)
    beside = wilson(base["wins"], base["n"]) if base is not None else wilson(0, 0)
    lift = None if hit.rate is None or beside.rate is None else hit.rate - beside.rate
    median = row["median_return_pct"]
    return m.Performance(
        n=n,
        wins=wins,
        losses=row["losses"],
        expired=row["expired"],
        hit_rate=share_view(hit.rate),
        ci_low=share_view(hit.low),
        ci_high=share_view(hit.high),
        baseline=share_view(beside.rate),
        baseline_n=beside.n,
        lift=share_view(lift),
        median_return_pct=None if median is None else signed_percent(median),
        median_mfe_pct=percent_view(row["median_mfe_pct"]),
        median_mae_pct=percent_view(row["median_mae_pct"]),
        key=key,
    )


def part_key(kind: str, value: Any) -> str:
    """The name of a part: a timeframe, a symbol, an hour."""
    if kind == "tf":
        return FRAMES[value].name
    return symbol_view(value) if kind == "symbol" else f"{value:02d}"


def watchlist_view(row: Row) -> m.WatchlistView:
    """A watchlist."""
    return m.WatchlistView(
        id=shown_id("wl", row["id"]),
        name=row["name"],
        symbols=list(row["symbols"]),
        created_at=iso(row["created_ms"]),
        updated_at=iso(row["updated_ms"]),
    )


def monitor_view(monitor: Monitor) -> pm.MonitorView:
    """A monitor; symbols as the surface writes them."""
    return pm.MonitorView(
        id=shown_id("mon", monitor.id),
        name=monitor.name,
        symbol_filters=[symbol_view(symbol) for symbol in monitor.symbols],
        pattern_filters=monitor.patterns,
        timeframe_filters=monitor.timeframes,
        status="active" if monitor.is_active else "paused",
        created_at=iso(monitor.created_ms),
        channels=monitor.channels,
    )


def feed_event(row: FeedRow) -> pm.FeedEvent:
    """An event that was just written."""
    return stored_event(
        {
            "id": row.id,
            "monitor_id": row.monitor_id,
            "kind": row.kind,
            "symbol": row.symbol,
            "timeframe": row.timeframe,
            "pattern": row.pattern,
            "detection_id": row.detection_id,
            "created_ms": row.created_ms,
            "is_read": False,
        }
    )


def stored_event(row: Row) -> pm.FeedEvent:
    """An event of the feed."""
    return pm.FeedEvent(
        id=shown_id("evt", row["id"]),
        monitor_id=shown_id("mon", row["monitor_id"]),
        type=row["kind"],
        symbol=symbol_view(row["symbol"]),
        timeframe=row["timeframe"],
        pattern=row["pattern"],
        context_id=shown_id("ctx", row["detection_id"]),
        detection_id=shown_id("det", row["detection_id"]),
        created_at=iso(row["created_ms"]),
        read=row["is_read"],
    )


def symbol_item(instrument: Instrument) -> m.SymbolView:
    """A symbol in a search."""
    return m.SymbolView(
        symbol=symbol_view(instrument.symbol),
        name=instrument.symbol,
        description=instrument.description,
        asset=asset_of(instrument),
        digits=instrument.digits,
    )


def asset_of(instrument: Instrument) -> str:
    """crypto, forex, stock, …: by the instrument's security group."""
    return ASSETS.get(instrument.sec_index, "other")


def page_of(rows: Sequence[Row], limit: int) -> tuple[Sequence[Row], bool]:
    """The rows of a page that was asked for with one row more, and whether there is that row."""
    return rows[:limit], len(rows) > limit
