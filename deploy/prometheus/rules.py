"""Prometheus' rule files from the service levels and alarms: ``python -m deploy.prometheus.rules FOLDER``.

``scale`` shortens every window and duration by its factor, so that a test sees in minutes what takes hours.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from deploy.prometheus.alarms import ALARMS, Alarm
from deploy.prometheus.slos import BURNS, SLOS, Slo

RUNBOOKS = "docs/runbooks"
WINDOWS_S = sorted({window for burn in BURNS for window in (burn.long_s, burn.short_s)})
_HEAD = "# Written by `make gen` from deploy/prometheus/{source}: change that.\n"


def main(folder: Path) -> None:
    """Write both files below ``folder``."""
    target = folder / "deploy/prometheus/rules"
    target.mkdir(parents=True, exist_ok=True)
    (target / "slos.yml").write_text(_HEAD.format(source="slos.py") + slo_rules())
    (target / "alarms.yml").write_text(_HEAD.format(source="alarms.py") + alarm_rules())


def slo_rules(scale: int = 1) -> str:
    """Recordings of every level's error ratio over every window, and its burn-rate alerts."""
    return "groups:\n" + "".join(
        _group(f"slo-{slo.name}", max(1, 30 // scale), [*_recordings(slo, scale), *_burn_alerts(slo, scale)])
        for slo in SLOS
    )


def alarm_rules(scale: int = 1) -> str:
    """The alarms as one group."""
    return "groups:\n" + _group(
        "alarms", max(1, 15 // scale), [_alarm_rule(alarm, scale) for alarm in ALARMS]
    )


def recorded(slo: Slo, window_s: int) -> str:
    """The name of a recorded error ratio; it names the window at full size."""
    return f"slo:{slo.name}:errors_{_text(window_s)}"


def _recordings(slo: Slo, scale: int) -> Iterator[str]:
    for window_s in WINDOWS_S:
        window = _text(max(5, window_s // scale))
        good, every = (part.replace("{w}", window) for part in (slo.good, slo.all))
        # Without events there is nothing to be late with: the ratio is absent, and no alert fires.
        yield _rule(record=recorded(slo, window_s), expr=f"1 - ({good}) / ({every} > 0)")


def _burn_alerts(slo: Slo, scale: int) -> Iterator[str]:
    budget = round(1.0 - slo.objective, 6)
    for severity in dict.fromkeys(burn.severity for burn in BURNS):
        pairs = [
            f"({recorded(slo, burn.long_s)} > {burn.factor:g} * {budget:g} and "
            f"{recorded(slo, burn.short_s)} > {burn.factor:g} * {budget:g})"
            for burn in BURNS
            if burn.severity == severity
        ]
        name = slo.name if severity == "page" else f"{slo.name}Slow"
        yield _rule(
            alert=name,
            expr=" or ".join(pairs),
            for_s=max(1, 60 // scale),
            severity=severity,
            summary=f"Too often it is not so that {slo.title}",
            runbook=f"{RUNBOOKS}/{slo.name}.md",
        )


def _alarm_rule(alarm: Alarm, scale: int) -> str:
    return _rule(
        alert=alarm.name,
        expr=alarm.expr.replace("{w}", _text(max(5, alarm.window_s // scale))),
        for_s=alarm.for_s // scale,
        severity=alarm.severity,
        summary=alarm.summary,
        runbook=f"{RUNBOOKS}/{alarm.name}.md",
    )


def _group(name: str, interval_s: int, rules: list[str]) -> str:
    return f"  - name: {name}\n    interval: {interval_s}s\n    rules:\n" + "".join(rules)


def _rule(
    *,
    expr: str,
    record: str = "",
    alert: str = "",
    for_s: int = 0,
    severity: str = "",
    summary: str = "",
    runbook: str = "",
) -> str:
    head = f"record: {record}" if record else f"alert: {alert}"
    lines = [f"      - {head}", f"        expr: {json.dumps(expr)}"]
    if alert:
        lines += [f"        for: {for_s}s"] if for_s else []
        lines += ["        labels:", f"          severity: {severity}", "        annotations:"]
        lines += [f"          summary: {json.dumps(summary)}", f"          runbook: {runbook}"]
    return "\n".join(lines) + "\n"


def _text(seconds: int) -> str:
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
