"""A trace is found by its id and by the id of the request it came with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from deploy.local.errors import StartRefused
from deploy.local.trace import show_trace

TRACE, REQUEST = "fc7398b6668f96c5e356969ba3078eb0", "01a1f98a-5352-77dc-88a1-6b82e9daa128"
STEPS: list[tuple[str, dict[str, object]]] = [
    ("gateway", {"step": "http POST /price_alert", "event": "span", "ms": 2.5, "request_id": REQUEST}),
    ("alerts", {"event": "alert made"}),
]


@pytest.mark.parametrize("asked", [TRACE, f"00-{TRACE}-00f067aa0ba902b7-01", REQUEST, REQUEST.upper()])
def test_a_story_is_told_by_its_trace_and_by_its_request(
    asked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    for second, (service, said) in enumerate(STEPS):
        line = {**said, "service": service, "trace": TRACE, "timestamp": f"2026-01-01T00:00:0{second}.000Z"}
        (folder / f"{service}.log").write_text(f"cut off {REQUEST}\n{json.dumps(line)}\n")
    assert show_trace(SimpleNamespace(data=tmp_path), asked) == 0  # type: ignore[arg-type]
    told = capsys.readouterr().out.splitlines()
    assert len(told) == 2 and "POST /price_alert" in told[0] and "alert made" in told[1]


@pytest.mark.parametrize("asked", ["0" * 32, REQUEST])
def test_what_no_log_holds_is_said(asked: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "logs").mkdir()
    assert show_trace(SimpleNamespace(data=tmp_path), asked) == 1  # type: ignore[arg-type]
    assert asked in capsys.readouterr().out


def test_what_is_neither_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StartRefused, match="neither"):
        show_trace(SimpleNamespace(data=tmp_path), "yesterday")  # type: ignore[arg-type]
