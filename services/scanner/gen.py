"""``docs/patterns.md``, written from the catalogue: what every pattern is, with an anchor of its own."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from services.scanner.catalogue import BASELINE_EVERY, CHARTS, PATTERNS, SEVEN, Pattern
from services.scanner.outcomes import BARS_MAX, RISK_ATR, TARGET_RISKS

HEAD = f"""# Patterns

Every pattern the scanner knows, with its exact rule. `GET /api/v1/patterns` gives the same list, `GET
/api/v1/patterns/{{id}}/performance` what became of its records. Thresholds of the seven patterns of the
analysis stand in [methodology](methodology.md).

**When it is known.** A candlestick is known when its last bar closes; a formation of swing points three
bars after its last one, because a swing point tops three bars on each side. Nothing is detected earlier
and nothing is back-dated. ATR is the ATR(14) of the window of 200 closed bars that ends with the telling
bar.

**What is counted.** A record opens at the close of the telling bar: the stop lies {RISK_ATR} ATR against
the direction, the first target {RISK_ATR * TARGET_RISKS[0]} ATR with it, the second {
    RISK_ATR * TARGET_RISKS[1]
}. From the next bar on: stop touched is a loss, first target touched a win, both in one
bar a loss, neither within {BARS_MAX} bars expired at that close. Neutral patterns have no record. At
every {BASELINE_EVERY}th bar a record opens each way whatever the bar looks like; their share of wins is
the baseline. `lift` is the hit rate minus the baseline of the same direction, timeframe and symbols. An
interval that holds the baseline says nothing. What was measured on real prices stands in [pattern
records](pattern-records.md).

This describes shapes of past prices. It is no advice and no forecast.
"""


def main(folder: Path) -> None:
    """Write the page below ``folder``."""
    rest = [p for p in PATTERNS if p not in SEVEN and p not in CHARTS]
    parts = [
        HEAD,
        *_section("The seven of the analysis", SEVEN),
        *_section("Chart patterns", CHARTS),
        *_section("TA-Lib's candlesticks", rest),
    ]
    path = folder / "docs/patterns.md"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(parts).rstrip() + "\n", encoding="utf-8")


def _section(title: str, patterns: Sequence[Pattern]) -> list[str]:
    lines = [f"## {title}", ""]
    for pattern in patterns:
        known = "on its last bar" if pattern.lag == 0 else f"{pattern.lag} bars after its last one"
        lines += [
            f'<a id="{pattern.id}"></a>',
            "",
            f"### {pattern.name}",
            "",
            f"`{pattern.id}` · {pattern.direction} · {pattern.category} · needs {pattern.min_candles} "
            f"candles · known {known}",
            "",
            pattern.description,
            "",
            pattern.definition,
            "",
        ]
    return lines


if __name__ == "__main__":
    main(Path(sys.argv[1]))
