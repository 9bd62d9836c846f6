"""The synthetic market: a seeded world of prices that is a function of time. Pure.

Every price is fixed by the seed and the moment, wherever one starts: history, live ticks and the
fill of a gap are the same path, and bars made of the ticks equal the bars of the history.

Time is cut into legs of four hours. The chain of legs (regime by a Markov chain, log price with a
pull to its anchor, returns correlated between underlyings) is walked once from 2020. Inside a leg
the minutes are a Brownian bridge between its ends, shaped by the hour's activity; inside a minute
the ticks go from open to close through high and low.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from libs.common.candles import HOUR_MS, MINUTE_MS, TIMEFRAMES, candles_of
from services.market.bars import Bars, Floats, Ints, bars_of, concatenated
from services.market.feed import Tick
from services.market.synthetic_models import CORRELATION, MODELS, UNDERLYINGS, Activity, Model

EPOCH_MS = 1_577_836_800_000  # 2020-01-01: the world begins
LEG_MS = 4 * HOUR_MS
LEG_MINUTES = LEG_MS // MINUTE_MS
LEGS_A_YEAR = 365.25 * 6
CHUNK = 1024  # legs drawn from one generator
TICKS_MIN = 4  # a minute needs its open, high, low and close


class Regime(IntEnum):
    """What a market is doing in a leg."""

    RANGE = 0
    TREND = 1
    VOLATILE = 2


# Rows: from, columns: to. A leg lasts four hours, so a range holds about a day and a half.
_TRANSITIONS = np.array([[0.88, 0.08, 0.04], [0.11, 0.85, 0.04], [0.15, 0.10, 0.75]])
_VOLATILITY = np.array([0.6, 1.0, 1.9])
_SPREAD = np.array([1.0, 1.1, 1.9])
_VOLUME = np.array([0.8, 1.1, 1.9])
_DRIFT = 0.6  # of a leg's sigma, in a trend
_PULL = np.log(2) / 360  # back to the anchor, half of the way in sixty days
_TAIL = 0.45  # of a minute's sigma, beyond its open and close

# Activity by UTC hour: of the day's average, for volatility; spreads widen at the day's end.
_HOURS = {
    Activity.FOREX: np.array(
        [
            [0.6, 0.6, 0.6, 0.6, 0.6, 0.7, 0.9, 1.3, 1.4, 1.3, 1.1, 1.0],
            [1.3, 1.7, 1.7, 1.5, 1.1, 0.9, 0.8, 0.7, 0.6, 0.5, 0.5, 0.6],
        ]
    ).ravel(),
    Activity.CRYPTO: np.array(
        [
            [1.0, 0.9, 0.9, 0.9, 0.8, 0.8, 0.8, 0.9, 1.0, 1.0, 1.0, 1.0],
            [1.1, 1.3, 1.4, 1.3, 1.2, 1.1, 1.0, 1.0, 1.0, 0.9, 0.9, 0.9],
        ]
    ).ravel(),
}
_SPREAD_HOURS = {
    Activity.FOREX: np.array([1.2] * 7 + [1.0] * 13 + [1.3, 2.2, 2.5, 1.6]),
    Activity.CRYPTO: np.ones(24),
}
_WEEKEND = {Activity.FOREX: 0.4, Activity.CRYPTO: 0.85}


@dataclass(frozen=True, slots=True)
class Leg:
    """Four hours of minutes of every symbol: prices in integer points, shape (minutes, symbols)."""

    start_ms: int
    open: Ints
    high: Ints
    low: Ints
    close: Ints
    volume: Ints
    regime: NDArray[np.int64]  # by underlying


class _Chain:
    """The ends of legs, walked from the epoch as far as anybody has asked."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        count = len(UNDERLYINGS)
        self._anchor = np.log([u.price for u in UNDERLYINGS])
        self._sigma = np.array([u.sigma_year for u in UNDERLYINGS]) / np.sqrt(LEGS_A_YEAR)
        self._mix = np.linalg.cholesky(CORRELATION)
        self._reach = _TRANSITIONS.cumsum(axis=1)
        self._regime = np.zeros(count, dtype=np.int64)
        self._direction = np.ones(count)
        self.price = np.empty((0, count))  # log price at the start of each leg
        self.regime = np.empty((0, count), dtype=np.int64)
        self._next = self._anchor.copy()
        self._walking = threading.Lock()

    def reach(self, leg: int) -> None:
        """Walk on until the end of ``leg`` is known."""
        with self._walking:  # history is made in a thread beside the live feed
            while len(self.regime) <= leg + 1:
                self._walk(len(self.regime) // CHUNK)

    def _walk(self, chunk: int) -> None:
        random = generator(self._seed, 1, chunk)
        count = len(UNDERLYINGS)
        shocks = random.standard_normal((CHUNK, count)) @ self._mix.T
        turns = random.random((CHUNK, count))
        sides = random.random((CHUNK, count))
        prices = np.empty((CHUNK, count))
        regimes = np.empty((CHUNK, count), dtype=np.int64)
        for i in range(CHUNK):
            before = self._regime
            self._regime = (turns[i][:, None] > self._reach[before]).sum(axis=1)
            entered = (self._regime == Regime.TREND) & (before != Regime.TREND)
            self._direction = np.where(entered, np.where(sides[i] < 0.5, -1.0, 1.0), self._direction)
            prices[i], regimes[i] = self._next, self._regime
            drift = np.where(self._regime == Regime.TREND, _DRIFT * self._direction, 0.0)
            step = self._sigma * (_VOLATILITY[self._regime] * shocks[i] + drift)
            self._next = self._next + step + _PULL * (self._anchor - self._next)
        self.price = np.concatenate((self.price, prices))
        self.regime = np.concatenate((self.regime, regimes))


def generator(*key: int) -> np.random.Generator:
    """A generator of its own for every place in the world."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(key)))


class SyntheticMarket:
    """The world of one seed. ``ticks_a_minute`` is the same for every symbol."""

    def __init__(self, seed: int, ticks_a_minute: int = 120, models: tuple[Model, ...] = MODELS) -> None:
        self._seed = abs(seed)
        self.ticks_a_minute = max(ticks_a_minute, TICKS_MIN)
        self.models = models
        self._chain = _Chain(self._seed)
        self._mix = np.linalg.cholesky(CORRELATION)
        self._sigma = self._chain._sigma
        names = [u.name for u in UNDERLYINGS]
        self._of = np.array([names.index(m.underlying) for m in models])
        self._basis = np.array([m.basis for m in models])
        self._scale = np.array([10.0**m.digits for m in models])
        self._activity = [u.activity for u in UNDERLYINGS]
        self._base_volume = np.array([m.volume_minute for m in models])
        self.leg = lru_cache(maxsize=8)(self._leg)
        self._minute = lru_cache(maxsize=4)(self._make_minute)

    # ── minutes ───────────────────────────────────────────────────────────────────────────────────

    def _leg(self, number: int) -> Leg:
        """The minutes of a leg."""
        chain = self._chain
        chain.reach(number)
        start_ms = EPOCH_MS + number * LEG_MS
        random = generator(self._seed, 2, number)
        count = len(UNDERLYINGS)
        regime = chain.regime[number]
        weight = self._weights(start_ms)
        sigma = self._sigma * _VOLATILITY[regime]
        steps = (random.standard_normal((LEG_MINUTES, count)) @ self._mix.T) * weight * sigma
        path = np.vstack((np.zeros(count), steps.cumsum(axis=0)))
        # A bridge in the time of activity: quiet minutes take less of the correction.
        clock = np.vstack((np.zeros(count), (weight**2).cumsum(axis=0)))
        path += chain.price[number] + clock * (chain.price[number + 1] - chain.price[number] - path[-1])
        prices = np.exp(path[:, self._of]) * self._basis * self._scale
        points = np.maximum(np.rint(prices), 1).astype(np.int64)
        opens, closes = points[:-1], points[1:]
        tail = prices[:-1] * (weight * sigma)[:, self._of] * _TAIL
        shape = (LEG_MINUTES, len(self.models))
        above = np.rint(tail * np.abs(random.standard_normal(shape))).astype(np.int64)
        below = np.rint(tail * np.abs(random.standard_normal(shape))).astype(np.int64)
        low = np.maximum(np.minimum(opens, closes) - below, 1)
        high = np.maximum(opens, closes) + above
        activity = weight * np.sqrt(LEG_MINUTES) * _VOLUME[regime]
        stir = 0.6 + 0.4 * np.abs(steps) / (weight * sigma)
        noise = np.exp(0.35 * random.standard_normal(shape))
        volume = np.maximum(np.rint((activity * stir)[:, self._of] * noise * self._base_volume), 1)
        return Leg(start_ms, opens, high, low, closes, volume.astype(np.int64), regime)

    def _weights(self, start_ms: int) -> Floats:
        """Each minute's share of its leg's sigma, by underlying; the squares add up to 1."""
        minutes = start_ms // MINUTE_MS + np.arange(LEG_MINUTES)
        hours = minutes // 60 % 24
        weekend = np.isin((minutes // 1440 + 4) % 7, (0, 6))  # Unix time began on a Thursday
        by_activity = {
            kind: _HOURS[kind][hours] * np.where(weekend, _WEEKEND[kind], 1.0) for kind in Activity
        }
        weight = np.stack([by_activity[kind] for kind in self._activity], axis=1)
        return weight / np.sqrt((weight**2).sum(axis=0))  # type: ignore[no-any-return]

    def minutes(self, from_ms: int, to_ms: int) -> list[Bars]:
        """The minutes in [from, to), both on a minute, of every symbol in the order of ``models``."""
        parts: list[list[Bars]] = [[] for _ in self.models]
        first, last = (from_ms - EPOCH_MS) // LEG_MS, (to_ms - 1 - EPOCH_MS) // LEG_MS
        for number in range(first, last + 1):
            leg = self._leg(number) if last - first > 8 else self.leg(number)
            begin = max(from_ms - leg.start_ms, 0) // MINUTE_MS
            end = min(to_ms - leg.start_ms, LEG_MS) // MINUTE_MS
            opens_ms = leg.start_ms + np.arange(begin, end, dtype=np.int64) * MINUTE_MS
            for i, scale in enumerate(self._scale):
                here = slice(begin, end), i
                volume = leg.volume[here].astype(np.float64)
                o, h, low, c = (points[here] / scale for points in (leg.open, leg.high, leg.low, leg.close))
                parts[i].append(Bars(opens_ms, o, h, low, c, volume))
        return [concatenated(part) for part in parts]

    # ── ticks ─────────────────────────────────────────────────────────────────────────────────────

    def ticks(self, after_ms: int, until_ms: int) -> Iterator[Tick]:
        """The ticks with time in (after, until], in order of time, then of ``models``."""
        minute_ms = after_ms - after_ms % MINUTE_MS
        while minute_ms <= until_ms:
            for at_ms, row in self._minute(minute_ms):
                if after_ms < at_ms <= until_ms:
                    yield from row
            minute_ms += MINUTE_MS

    def path(self, since_ms: int, until_ms: int) -> list[Bars]:
        """The ticks in (since, until] as bars of a minute, by symbol in the order of ``models``.

        The first and the last bar hold only the part of their minute that is asked for.
        """
        first = (since_ms // MINUTE_MS + 1) * MINUTE_MS
        last = (until_ms + 1) // MINUTE_MS * MINUTE_MS
        if first >= last:
            return self._part(since_ms, until_ms)
        parts = [self._part(since_ms, first - 1), self.minutes(first, last), self._part(last - 1, until_ms)]
        return [concatenated(of_symbol) for of_symbol in zip(*parts, strict=True)]

    def _part(self, since_ms: int, until_ms: int) -> list[Bars]:
        ticks: dict[str, list[tuple[int, float, float]]] = {model.symbol: [] for model in self.models}
        for symbol, bid, _, at_ms, size in self.ticks(since_ms, until_ms):
            ticks[symbol].append((at_ms, bid, size))
        return [bars_of(candles_of(of_symbol, TIMEFRAMES[0])) for of_symbol in ticks.values()]

    def next_tick_ms(self, after_ms: int) -> int:
        """When the next tick after ``after_ms`` is due."""
        minute_ms = after_ms - after_ms % MINUTE_MS
        number = (after_ms - minute_ms) * self.ticks_a_minute // MINUTE_MS + 1
        return minute_ms + -(-number * MINUTE_MS // self.ticks_a_minute)

    def _make_minute(self, minute_ms: int) -> list[tuple[int, list[Tick]]]:
        """All ticks of a minute, by moment."""
        number, offset_ms = divmod(minute_ms - EPOCH_MS, LEG_MS)
        leg = self.leg(number)
        row = offset_ms // MINUTE_MS
        random = generator(self._seed, 3, minute_ms // MINUTE_MS)
        count = self.ticks_a_minute
        moments = [minute_ms + -(-k * MINUTE_MS // count) for k in range(count)]
        hour = minute_ms // HOUR_MS % 24
        columns: list[list[Tick]] = []
        for i, model in enumerate(self.models):
            underlying = self._of[i]
            bids = _within(
                leg.open[row, i], leg.high[row, i], leg.low[row, i], leg.close[row, i], count, random
            )
            wide = _SPREAD[leg.regime[underlying]] * _SPREAD_HOURS[self._activity[underlying]][hour]
            spreads = np.maximum(np.rint(model.spread * wide * (0.8 + 0.4 * random.random(count))), 1)
            sizes = np.diff(np.arange(count + 1) * leg.volume[row, i] // count)
            scale = self._scale[i]
            bid_prices, ask_prices = bids / scale, (bids + spreads) / scale
            columns.append(
                [
                    (model.symbol, bid, ask, at, size)
                    for bid, ask, at, size in zip(
                        bid_prices.tolist(),
                        ask_prices.tolist(),
                        moments,
                        sizes.astype(np.float64).tolist(),
                        strict=True,
                    )
                ]
            )
        return [(at, [column[k] for column in columns]) for k, at in enumerate(moments)]


def _within(open_: int, high: int, low: int, close: int, count: int, random: np.random.Generator) -> Ints:
    """``count`` prices from open to close that touch high and low and stay between them."""
    first, second = sorted((1 + random.choice(count - 2, size=2, replace=False)).tolist())
    turn = (high, low) if random.random() < 0.5 else (low, high)
    knots = np.array([0, first, second, count - 1])
    levels = np.array([open_, *turn, close], dtype=np.float64)
    line = np.interp(np.arange(count), knots, levels)
    noise = random.standard_normal(count) * max(high - low, 1) * 0.08
    prices = np.clip(np.rint(line + noise), low, high).astype(np.int64)
    prices[knots] = levels.astype(np.int64)
    return prices
