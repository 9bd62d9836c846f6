"""What became of signals on real series: the tables in docs/api/signals.md.

``python -m bench.signal_performance`` walks EURUSD (hourly) and GOOG (daily), the series the package
``backtesting`` carries, as a back-fill does, and measures every signal as the outcome job does.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from libs.common.candles import BY_NAME, Timeframe
from services.scanner.bars import Bars, bars_of
from services.scanner.signals.calibration import Bin, Calibration, calibration_of
from services.scanner.signals.performance import (
    ENOUGH,
    HORIZONS,
    Base,
    Group,
    Outcome,
    Tally,
    after,
    base_of,
    groups_of,
    outcome_of,
)
from services.scanner.signals.walking import step_of, walk
from tests.series import series

SERIES = (("EURUSD", "1h", 1), ("GOOG", "1d", 2))


def main() -> None:
    """Print the tables."""
    fits: list[str] = []
    head = ("market", "trigger", "sentiment", "horizon", "n", "hit rate (95 %)", "any bar")
    print(f"| {' | '.join((*head, 'mean return', 'any bar', 'Brier'))} |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, timeframe, cmc_id in SERIES:
        frame, bars = BY_NAME[timeframe], bars_of(series(name))
        tallies, total = tallies_of(bars, frame, cmc_id)
        bases: dict[tuple[int, str, int], Base] = {}
        for hours in HORIZONS:
            base = base_of(bars, step_of(frame), hours)
            if base is not None:
                bases[cmc_id, timeframe, hours] = base
        for group in groups_of(tallies, bases):
            print(_line(f"{name} {timeframe}", group))
        print(f"<!-- {name}: {len(bars)} bars, {total} signals -->")
        fits += [_fitted(f"{name} {timeframe}", hours, judged(bars, frame, hours)) for hours in HORIZONS]
    print("\n| market | horizon | n | Brier as told | Brier calibrated | steps: from confidence, hit rate |")
    print("|---|---|---|---|---|---|")
    print("\n".join(line for line in fits if line))


def judged(bars: Bars, frame: Timeframe, hours: int) -> Calibration | None:
    """The fit of hits over confidence, as performance shows it; None with too few outcomes."""
    told = [
        Bin(round(confidence, 2), 1, int(outcome.hit))
        for _, _, confidence, after_hours, outcome in _outcomes(bars, frame)
        if after_hours == hours and outcome.hit is not None
    ]
    half = (len(told) + 1) // 2
    return calibration_of(told[:half], told[half:])


def _fitted(market: str, hours: int, found: Calibration | None) -> str:
    if found is None:
        return ""
    steps = ", ".join(f"{step.confidence:.2f}: {step.rate:.0%} ({step.n})" for step in found.steps)
    return f"| {market} | {hours}h | {found.n} | {found.brier:.3f} | {found.brier_calibrated:.3f} | {steps} |"


def tallies_of(bars: Bars, frame: Timeframe, cmc_id: int) -> tuple[list[Tally], int]:
    """Sums of the outcomes of every signal of a series, and how many signals there were."""
    gathered: dict[tuple[str, str, int], list[tuple[Outcome, float]]] = defaultdict(list)
    total = 0
    for kinds, sentiment, confidence, hours, outcome in _outcomes(bars, frame):
        if hours == 0:
            total += 1
            continue
        for kind in ("(any)", *kinds):
            gathered[kind, sentiment, hours].append((outcome, confidence))
    return [
        Tally(
            trigger=kind,
            timeframe=frame.name,
            sentiment=sentiment,
            horizon=hours,
            cmc_id=cmc_id,
            n=len(its),
            hits=sum(bool(outcome.hit) for outcome, _ in its),
            forward=sum(outcome.forward for outcome, _ in its),
            mfe=sum(outcome.mfe for outcome, _ in its),
            mae=sum(outcome.mae for outcome, _ in its),
            brier=sum((confidence - float(bool(outcome.hit))) ** 2 for outcome, confidence in its),
        )
        for (kind, sentiment, hours), its in gathered.items()
    ], total


def _outcomes(bars: Bars, frame: Timeframe) -> Iterator[tuple[tuple[str, ...], str, float, int, Outcome]]:
    """Every signal once with horizon 0, then with each horizon that can be measured."""
    span = step_of(frame)
    for part in walk(bars, frame, 0):
        for one in part:
            draft = one.draft
            if draft is None:
                continue
            kinds = tuple(dict.fromkeys(trigger.kind for trigger in draft.triggers))
            yield kinds, draft.sentiment, draft.score.confidence, 0, Outcome(0.0, 0.0, 0.0, None)
            for hours in HORIZONS:
                later = after(bars, draft.close_ms, span, hours)
                if later is not None:
                    outcome = outcome_of(later, draft.measures.close, draft.sentiment)
                    yield kinds, draft.sentiment, draft.score.confidence, hours, outcome


def _line(market: str, group: Group) -> str:
    share = "–"
    if group.share.rate is not None and group.share.low is not None and group.share.high is not None:
        share = f"{group.share.rate:.0%} ({group.share.low:.0%}–{group.share.high:.0%})"
    n = f"{group.n}" + (" insufficient" if group.n < ENOUGH else "")
    rate = "–" if group.base_rate is None else f"{group.base_rate:.0%}"
    forward = "–" if group.base_forward is None else f"{100 * group.base_forward:+.3f} %"
    brier = "–" if group.brier is None else f"{group.brier:.2f}"
    return (
        f"| {market} | {group.trigger} | {group.sentiment} | {group.horizon}h | {n} | {share} | {rate} "
        f"| {100 * group.forward:+.3f} % | {forward} | {brier} |"
    )


if __name__ == "__main__":
    main()
