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
_REQUEST = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KNOWN = ("timestamp", "service", "step", "event", "ms", "level", "trace")


def show_trace(settings: Settings, asked: str) -> int:
    """Print every step of the trace, or of the request of that id, in order; 1 when the logs hold none."""
    asked, folder = asked.strip().lower(), settings.data / "logs"
    found = _ID.fullmatch(asked)
    if found is None and not _REQUEST.fullmatch(asked):
        raise StartRefused(
            f"{asked} is neither a trace (32 hex digits, or a traceparent) nor an X-Request-Id"
        )
    trace = found.group(1) if found else trace_of(folder, asked)
    steps = sorted(steps_of(folder, trace), key=lambda step: str(step["timestamp"])) if trace else []
    if not steps:
        print(f"no log in {folder} holds {asked}: was it sampled (TRADEWIND_TRACE_SAMPLE)?")
        return 1
    for line in told(steps):
        print(line)
    return 0


def trace_of(folder: Path, request_id: str) -> str:
    """The trace of the request that was answered with this ``X-Request-Id``; empty when no log tells."""
    return next(
        (str(event["trace"]) for event in _events(folder, "request_id", request_id) if "trace" in event), ""
    )


def steps_of(folder: Path, trace: str) -> Iterator[dict[str, Any]]:
    """The log events of a trace in every log of ``folder``, rotated ones too."""
    return _events(folder, "trace", trace)


def _events(folder: Path, field: str, value: str) -> Iterator[dict[str, Any]]:
    mark = f'"{value}"'
    for path in sorted(folder.glob("*.log*")):
        with path.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if mark not in line:
                    continue
                try:
                    event = json.loads(line)
                except ValueError:
                    continue  # cut off in the middle by a rotation
                if isinstance(event, dict) and event.get(field) == value and "timestamp" in event:
                    yield event


def told(steps: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line per step: time, process, what, how long, and whatever else it says."""
    for step in steps:
        took = f"{step['ms']:>9.3f} ms" if isinstance(step.get("ms"), (int, float)) else " " * 12
        what = step["step"] if step.get("event") == "span" and "step" in step else step.get("event", "")
        rest = " ".join(f"{k}={v}" for k, v in step.items() if k not in _KNOWN)
        yield f"{str(step['timestamp'])[11:23]}  {step.get('service', ''):<9} {took}  {what}  {rest}".rstrip()
