"""What judged bars told, as the facts others hear. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from libs.common.ids import Uuid
from libs.common.messages import scanner as m
from libs.common.messages.scan_people import MonitorHeard
from libs.common.outbox import Fact, fact
from libs.common.subjects import LEVEL_BROKEN, MONITOR_HEARD, PATTERN_DETECTED, RECORD_CLOSED, REGIME_FLIPPED
from services.scanner.catalogue import BY_ID
from services.scanner.evidence import EvidenceBook
from services.scanner.ids import event_uuid, shown
from services.scanner.places import Opened, Told
from services.scanner.views import feed_event
from services.scanner.watching import FeedRow

PUBLISHED_BARS = 48  # of history that was loaded, only the newest bars are told to others


def facts_of(told: Told, new: Set[Uuid], evidence: EvidenceBook, *, live: bool) -> Iterator[Fact]:
    """The facts of one bar; ``new`` are the detections that were not known before."""
    if told.back >= PUBLISHED_BARS:
        return
    for opened in told.opened:
        if not opened.is_baseline and opened.id in new:
            yield _detected(told, opened, evidence, live)
    snap = told.snapshot
    if told.flipped is not None and snap is not None:
        was, now = told.flipped
        flipped = m.RegimeFlipped(
            event_id=_id("flipped", told),
            was=was,
            now=now,
            strength=snap.regime.strength,
            vol_pct=snap.regime.vol_pct,
            price=told.close,
            live=live,
            **_bar(told),
        )
        yield fact(REGIME_FLIPPED, flipped, flipped.event_id, **_keys(told))
    for number, one in enumerate(told.broken):
        broken = m.LevelBroken(
            event_id=_id("broken", told, number),
            kind=one.kind,
            direction=one.direction,
            level=one.level.price,
            strength=one.level.strength,
            touches=one.level.touches,
            price=told.close,
            price_before=told.close_before,
            live=live,
            **_bar(told),
        )
        yield fact(LEVEL_BROKEN, broken, broken.event_id, **_keys(told))
    for opened in told.ended:
        if not opened.is_baseline:
            yield _closed(told, opened, live)


def heard_of(row: FeedRow) -> Fact:
    """An event of the feed, for the channels its monitor tells on."""
    d, closed = row.heard.detection, row.heard.closed
    event = feed_event(row)
    heard = MonitorHeard(
        event_id=event.id,
        person_id=row.person_id,
        heard_ms=row.created_ms,
        channels=row.monitor.channels,
        monitor_name=row.monitor.name,
        symbol=row.symbol,
        pattern_name=BY_ID[row.pattern].name,
        direction=d.direction,
        confidence=d.confidence,
        price=d.price if closed is None else closed.exit_price,
        event=event,
        outcome=None if closed is None else closed.outcome,
        return_pct=None if closed is None else closed.return_pct,
    )
    return fact(MONITOR_HEARD, heard, heard.event_id, person=row.person_id)


def _detected(told: Told, opened: Opened, evidence: EvidenceBook, live: bool) -> Fact:
    d = opened.detection
    place = told.place
    has_record = d.plan is not None
    event = m.PatternDetected(
        event_id=str(event_uuid("detected", opened.id)),
        detection_id=shown("det", opened.id),
        pattern=d.pattern,
        direction=d.direction,
        category=BY_ID[d.pattern].category,
        confidence=d.confidence,
        start_ms=d.start_ms,
        end_ms=d.end_ms,
        span=d.span,
        price=d.price,
        atr=d.atr,
        live=live,
        record_id=shown("rec", opened.id) if has_record else None,
        context_id=shown("ctx", opened.id),
        entry=d.plan.entry if d.plan is not None else None,
        stop=d.plan.stop if d.plan is not None else None,
        targets=d.plan.targets if d.plan is not None else (),
        evidence=evidence.of(d.pattern, place.symbol, place.frame.name),
        **_bar(told),
    )
    return fact(PATTERN_DETECTED, event, event.event_id, **_keys(told))


def _closed(told: Told, opened: Opened, live: bool) -> Fact:
    d, closed = opened.detection, opened.closed
    if d.plan is None or closed is None:
        raise ValueError("only a record that ended has an end")
    event = m.RecordClosed(
        event_id=str(event_uuid("closed", opened.id)),
        record_id=shown("rec", opened.id),
        detection_id=shown("det", opened.id),
        context_id=shown("ctx", opened.id),
        pattern=d.pattern,
        direction=d.direction,
        confidence=d.confidence,
        detected_ms=opened.detected_ms,
        entry=d.plan.entry,
        stop=d.plan.stop,
        targets=d.plan.targets,
        outcome=closed.outcome,
        exit_price=closed.exit_price,
        exit_ms=opened.exit_ms,
        return_pct=closed.return_pct,
        mfe_pct=closed.mfe_pct,
        mae_pct=closed.mae_pct,
        bars=closed.bars,
        live=live,
        **_bar(told),
    )
    return fact(RECORD_CLOSED, event, event.event_id, **_keys(told))


def _id(kind: str, told: Told, *more: object) -> str:
    return str(event_uuid(kind, *told.place.key, told.open_ms, *more))


def _keys(told: Told) -> dict[str, str]:
    return {"symbol": told.place.symbol, "timeframe": told.place.frame.name}


def _bar(told: Told) -> dict[str, Any]:
    return {**_keys(told), "bar_open_ms": told.open_ms, "bar_close_ms": told.close_ms}
