"""What became of signals, and how that compares with any bar of the same market. Pure.

An outcome is measured from the close that triggered to the first close at or after its horizon; a
timeframe longer than a horizon can't say what happened in it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from services.scanner.bars import Bars
from services.scanner.evidence import Share, wilson
from services.scanner.signals.measures import HOUR_MS

HORIZONS = (1, 4, 24)  # hours
COST = 0.001  # a move must be worth more than trading it costs to count as a hit
ENOUGH = 30
SIGNS = {"bullish": 1, "bearish": -1, "neutral": 0}


class Outcome(NamedTuple):
    """What the price did until a horizon, as parts of 1; excursions in the direction of the sentiment, for
    neutral ones upwards. ``hit`` is None where there was no direction."""

    forward: float
    mfe: float
    mae: float
    hit: bool | None


class Tally(NamedTuple):
    """Sums over the signals of one trigger, timeframe, sentiment and horizon of one asset."""

    trigger: str
    timeframe: str
    sentiment: str
    horizon: int
    cmc_id: int
    n: int
    hits: int
    forward: float
    mfe: float
    mae: float
    brier: float


class Base(NamedTuple):
    """Any bar of a market: the mean return until a horizon, and how often it was a hit upwards and down."""

    n: int
    forward: float
    ups: float
    downs: float


class Group(NamedTuple):
    """What is shown of a trigger, timeframe, sentiment and horizon."""

    trigger: str
    timeframe: str
    sentiment: str
    horizon: int
    share: Share  # of hits
    n: int
    forward: float
    mfe: float
    mae: float
    brier: float | None
    base_forward: float | None
    base_rate: float | None


def outcome_of(after: Bars, price: float, sentiment: str) -> Outcome:
    """The outcome of a signal at ``price``; ``after`` are the bars from the next one to the horizon's."""
    sign = SIGNS[sentiment]
    forward = float(after.close[-1]) / price - 1.0
    up, down = float(after.high.max()) / price - 1.0, float(after.low.min()) / price - 1.0
    best, worst = (up, down) if sign >= 0 else (-down, -up)
    hit = None if sign == 0 else sign * forward > COST
    return Outcome(forward, max(best, 0.0), min(worst, 0.0), hit)


def after(bars: Bars, close_ms: int, step_ms: int, hours: int) -> Bars | None:
    """The bars from a close to the first close at or after the horizon; None while there is none, and
    where a bar is longer than the horizon."""
    if step_ms > hours * HOUR_MS:
        return None
    closes_ms = bars.open_ms + step_ms
    first = int(np.searchsorted(closes_ms, close_ms, "right"))
    last = int(np.searchsorted(closes_ms, close_ms + hours * HOUR_MS, "left"))
    return None if last >= len(bars) else bars.cut(first, last + 1)


def base_of(bars: Bars, step_ms: int, hours: int) -> Base | None:
    """What any bar of a series did until a horizon; None where nothing can be said."""
    if step_ms > hours * HOUR_MS or len(bars) < 2:
        return None
    closes_ms = bars.open_ms + step_ms
    to = np.searchsorted(closes_ms, closes_ms + hours * HOUR_MS, "left")
    known = to < len(bars)
    if not known.any():
        return None
    forward = bars.close[to[known]] / bars.close[known] - 1.0
    return Base(
        len(forward), float(forward.mean()), float((forward > COST).mean()), float((forward < -COST).mean())
    )


def groups_of(tallies: Iterable[Tally], bases: Mapping[tuple[int, str, int], Base]) -> list[Group]:
    """Every group; its baseline is that of its markets, each counted as often as it has signals.
    ``bases`` by (cmc_id, timeframe, hours)."""
    gathered: dict[tuple[str, str, str, int], list[Tally]] = defaultdict(list)
    for tally in tallies:
        gathered[tally[:4]].append(tally)
    return [_group(*key, gathered[key], bases) for key in sorted(gathered)]


def _group(
    trigger: str,
    timeframe: str,
    sentiment: str,
    horizon: int,
    its: list[Tally],
    bases: Mapping[tuple[int, str, int], Base],
) -> Group:
    n = sum(tally.n for tally in its)
    sign = SIGNS[sentiment]
    weighed = [
        (tally.n, base)
        for tally in its
        if (base := bases.get((tally.cmc_id, timeframe, horizon))) is not None
    ]
    known = sum(count for count, _ in weighed)
    rate = None
    if sign and known:
        rate = math.fsum(c * (base.ups if sign > 0 else base.downs) for c, base in weighed) / known
    return Group(
        trigger=trigger,
        timeframe=timeframe,
        sentiment=sentiment,
        horizon=horizon,
        share=wilson(sum(tally.hits for tally in its), n) if sign else Share(n, None, None, None),
        n=n,
        forward=math.fsum(tally.forward for tally in its) / n,
        mfe=math.fsum(tally.mfe for tally in its) / n,
        mae=math.fsum(tally.mae for tally in its) / n,
        brier=math.fsum(tally.brier for tally in its) / n if sign else None,
        base_forward=math.fsum(c * base.forward for c, base in weighed) / known if known else None,
        base_rate=rate,
    )
