"""A signal as it is recorded: its id, its JSON, its place in the chain. Pure.

What is written here is never written again: the same bar gives the same id, and the hash of each signal
commits to every one recorded before it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from libs.common.candles import Timeframe
from libs.common.ids import Uuid, url_uuid
from libs.common.messages import signals as m
from services.scanner.bars import Bars
from services.scanner.signals.assets import Asset, tags_of
from services.scanner.signals.derived import Figures, figures_of
from services.scanner.signals.generation import Draft
from services.scanner.signals.score import WEIGHTS
from services.scanner.signals.titles import Words

ALGO_VERSION = "1"
DISCLAIMER = "Informational market data only; not investment advice."
FIRST_HASH = "0" * 64
TEMPLATE = m.Generator(kind="template")
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Entry:
    """A signal on its way into the record. ``body`` and ``evidence`` are JSON objects."""

    id: Uuid
    asset: Asset
    frame: Timeframe
    open_ms: int
    close_ms: int
    draft: Draft
    words: Words
    tags: tuple[str, ...]
    body: bytes
    evidence: bytes
    live: bool


def iso_ms(at_ms: int) -> str:
    """Unix milliseconds as ``2026-01-31T12:00:00.000Z``."""
    moment = datetime.fromtimestamp(at_ms // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}Z"


def signal_id(cmc_id: int, timeframe: str, close_ms: int) -> Uuid:
    """One signal per asset, timeframe and bar, for ever the same id."""
    return url_uuid(f"{cmc_id}|{timeframe}|{iso_ms(close_ms)}|{ALGO_VERSION}")


def entry_of(
    asset: Asset,
    frame: Timeframe,
    bars: Bars,
    draft: Draft,
    words: Words,
    *,
    generator: m.Generator = TEMPLATE,
    live: bool = False,
) -> Entry:
    """The record of a draft about the last bar of ``bars``."""
    open_ms = int(bars.open_ms[-1])
    step_ms = frame.end_ms(open_ms) - open_ms
    id_ = signal_id(asset.cmc_id, frame.name, draft.close_ms)
    tags = tags_of(asset, (trigger.tag for trigger in draft.triggers))
    figures = figures_of(bars, draft.close_ms, step_ms, asset)
    return Entry(
        id=id_,
        asset=asset,
        frame=frame,
        open_ms=open_ms,
        close_ms=draft.close_ms,
        draft=draft,
        words=words,
        tags=tags,
        body=_encode(_body(id_, asset, draft, words, tags, figures)),
        evidence=_encode(_evidence(asset, frame, draft, generator)),
        live=live,
    )


def _body(
    id_: Uuid, asset: Asset, draft: Draft, words: Words, tags: tuple[str, ...], figures: Figures
) -> m.SignalBody:
    return m.SignalBody(
        id=str(id_),
        sentiment=draft.sentiment,
        price=figures.price,
        market_cap=figures.market_cap,
        fully_diluted_market_cap=figures.diluted_cap,
        volume_24h=figures.volume_24h,
        price_change_1h=figures.change_1h,
        title=words.title,
        summary=words.summary,
        recorded_at=iso_ms(draft.close_ms),
        coin=m.Coin(
            cmc_id=asset.cmc_id, name=asset.name, symbol=asset.symbol, slug=asset.slug, logo=asset.logo
        ),
        tags=tags,
        narratives=asset.narratives,
        graph_data=[
            m.GraphPoint(time=iso_ms(point.at_ms), price=point.price, volume=point.volume)
            for point in figures.graph
        ],
    )


def _evidence(asset: Asset, frame: Timeframe, draft: Draft, generator: m.Generator) -> m.Evidence:
    return m.Evidence(
        confidence=draft.score.confidence,
        strength=draft.strength,
        score=draft.score.score,
        agreement=draft.score.agreement,
        coverage=draft.score.coverage,
        components=[
            m.ComponentView(name=c.name, value=c.value, quality=c.quality, weight=WEIGHTS[c.name])
            for c in draft.components
        ],
        triggers=[
            m.TriggerView(kind=t.kind, tag=t.tag, direction=t.direction, facts=dict(t.facts))
            for t in draft.triggers
        ],
        market=asset.market,
        timeframe=frame.name,
        bar_close=iso_ms(draft.close_ms),
        algo_version=ALGO_VERSION,
        generator=generator,
        disclaimer=DISCLAIMER,
    )


def joined(body: bytes, *more: bytes) -> bytes:
    """One JSON object of several; none is empty."""
    return b"{" + b",".join(part.strip()[1:-1] for part in (body, *more)) + b"}"


def hash_of(previous: str, body: str, evidence: str) -> str:
    """The hash of a signal: SHA-256 of the hash before, its body and its evidence, each on a line."""
    return hashlib.sha256(f"{previous}\n{body}\n{evidence}".encode()).hexdigest()


def broken_at(rows: Iterable[tuple[int, str, str, str]]) -> int | None:
    """The first position at which a chain of (position, body, evidence, hash), from 1 on, does not hold;
    None when it does."""
    previous, expected = FIRST_HASH, 1
    for position, body, evidence, hash_ in rows:
        if position != expected or hash_of(previous, body, evidence) != hash_:
            return expected
        previous, expected = hash_, expected + 1
    return None
