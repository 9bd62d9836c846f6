"""What is remembered of the prices that were shown: the bars under way and the mean of each token. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from services.pricing.history import HOUR_MS, MINUTE_MS, PriceBar, Recent, Sample, begin_of, merged, opened

SAMPLE_MS = 30_000  # how often the mean takes a price


class Tape:
    """Bars by token. ``note`` takes prices as they change; ``due`` gives what is to be stored."""

    def __init__(self) -> None:
        self.live: dict[str, PriceBar] = {}
        self._done: dict[tuple[str, int], PriceBar] = {}
        self._recent: dict[str, Recent] = {}
        self._sampled_ms = 0

    def recall(self, token_id: str, at_ms: int, usd: float) -> None:
        """A price from before the start."""
        self._recent.setdefault(token_id, Recent()).add(at_ms, usd)

    def note(self, token_id: str, sample: Sample) -> None:
        """A token's price now."""
        bar = self.live.get(token_id)
        if bar is not None and bar.begin_ms == begin_of(sample.at_ms, MINUTE_MS):
            self.live[token_id] = bar.with_sample(sample)
            return
        if bar is not None:
            self._done[token_id, bar.begin_ms] = bar
        self.live[token_id] = opened(sample, MINUTE_MS)

    def means(self, prices: Iterable[tuple[str, float]], now_ms: int) -> dict[str, float | None] | None:
        """Take the prices into the means and give these; None when it is not yet time."""
        if now_ms - self._sampled_ms < SAMPLE_MS:
            return None
        self._sampled_ms = now_ms
        found: dict[str, float | None] = {}
        for token_id, usd in prices:
            recent = self._recent.setdefault(token_id, Recent())
            recent.add(now_ms, usd)
            found[token_id] = recent.mean(now_ms)
        for gone in self._recent.keys() - found.keys():
            del self._recent[gone]
        return found

    def due(self, now_ms: int, *, everything: bool = False) -> list[tuple[str, int, PriceBar]]:
        """Bars to be stored, by token and width; the caller says ``stored`` when they are."""
        minute = begin_of(now_ms, MINUTE_MS)
        for token_id, bar in tuple(self.live.items()):
            if everything or bar.begin_ms < minute:
                self._done[token_id, bar.begin_ms] = bar
                if bar.begin_ms < minute:
                    del self.live[token_id]
        minutes: dict[str, list[PriceBar]] = {}
        for (token_id, _), bar in sorted(self._done.items()):
            minutes.setdefault(token_id, []).append(bar)
        return [
            *((token_id, MINUTE_MS, bar) for (token_id, _), bar in self._done.items()),
            *(
                (token_id, HOUR_MS, bar)
                for token_id, bars in minutes.items()
                for bar in merged(bars, HOUR_MS)
            ),
        ]

    def stored(self) -> None:
        """What was due is stored."""
        self._done.clear()

    def forget_beyond(self, bars_max: int) -> int:
        """Drop the oldest bars that wait when there are too many; how many were dropped."""
        dropped = max(0, len(self._done) - bars_max)
        for key in sorted(self._done, key=lambda key: key[1])[:dropped]:
            del self._done[key]
        return dropped
