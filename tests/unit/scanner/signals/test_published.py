"""The tables of real series in the signals' page are what their program prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import signal_performance

PAGE = Path(__file__).parents[4] / "docs/api/signals.md"


@pytest.mark.soak
@pytest.mark.timeout(600)
def test_the_published_tables_are_what_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    signal_performance.main()
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert len(printed) > 50
    published = PAGE.read_text(encoding="utf-8").splitlines()
    assert [line for line in published if line in set(printed)] == printed
