"""``tradewind trace ID``: one story out of the logs of every process, where no collector runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from deploy.local.errors import StartRefused
from deploy.local.settings import Settings

_ID = re.compile(r"(?:00-)?([0-9a-f]{32})(?:-[0-9a-f]{16}-[0-9a-f]{2})?")
_KNOWN = ("timestamp", "service", "step", "event", "ms", "level", "trace")


def show_trace(settings: Settings, asked: str) -> int:
    """Print every step of the trace in order; 1 when the logs hold none."""
    found = _ID.fullmatch(asked.strip().lower())
    if found is None:
        raise StartRefused(f"{asked} is no trace: 32 hex digits, or a whole traceparent")
    steps = sorted(steps_of(settings.data / "logs", found.group(1)), key=lambda step: str(step["timestamp"]))
    if not steps:
        print(
            f"no log in {settings.data / 'logs'} holds {found.group(1)}: "
            "was it sampled (TRADEWIND_TRACE_SAMPLE)?"
        )
        return 1
    for line in told(steps):
        print(line)
    return 0


def steps_of(folder: Path, trace: str) -> Iterator[dict[str, Any]]:
    """The log events of a trace in every log of ``folder``, rotated ones too."""
    mark = f'"{trace}"'
    for path in sorted(folder.glob("*.log*")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if mark not in line:
                    continue
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # cut off in the middle by a rotation
                if isinstance(event, dict) and event.get("trace") == trace and "timestamp" in event:
                    yield event


def told(steps: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line per step: time, process, what, how long, and whatever else it says."""
    for step in steps:
        took = f"{step['ms']:>9.3f} ms" if isinstance(step.get("ms"), (int, float)) else " " * 12
        what = step["step"] if step.get("event") == "span" and "step" in step else step.get("event", "")
        rest = " ".join(f"{k}={v}" for k, v in step.items() if k not in _KNOWN)
        yield f"{str(step['timestamp'])[11:23]}  {step.get('service', ''):<9} {took}  {what}  {rest}".rstrip()
