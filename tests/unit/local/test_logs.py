"""Log files that rotate, and the lines a person sees."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.local.logs import Echo, LineSplitter, Progress, RotatingLog, progress_of, rotate_appended
from libs.common.clock import ManualClock


def entry(**fields: object) -> bytes:
    return json.dumps(fields).encode() + b"\n"


def shown(echo: Echo, line: bytes) -> str | None:
    heard = echo.hear(line)
    return None if heard is None else echo.readable(heard)


def an_echo(clock: ManualClock | None = None) -> Echo:
    return Echo(clock or ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), burst=3, window_s=10)


def test_a_full_log_moves_on_and_the_oldest_goes(tmp_path: Path) -> None:
    log = RotatingLog(tmp_path / "x.log", bytes_max=10, kept=2)
    for number in range(5):
        log.write(b"line %d\n" % number)
    log.close()
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == {
        "x.log": b"line 4\n",
        "x.log.1": b"line 3\n",
        "x.log.2": b"line 2\n",
    }


def test_a_log_is_continued_by_the_next_run(tmp_path: Path) -> None:
    for text in (b"first\n", b"second\n"):
        log = RotatingLog(tmp_path / "x.log")
        log.write(text)
        log.close()
    assert (tmp_path / "x.log").read_bytes() == b"first\nsecond\n"


def test_a_log_that_cannot_be_written_loses_lines_and_counts_them() -> None:
    log = RotatingLog(Path("/dev/full"))
    log.write(b"lost\n")
    assert log.bytes_lost == 5


def test_a_log_of_another_program_is_copied_and_emptied(tmp_path: Path) -> None:
    path = tmp_path / "postgres.log"
    path.write_bytes(b"x" * 100)
    rotate_appended(path, bytes_max=100)
    assert path.stat().st_size == 100
    rotate_appended(path, bytes_max=99)
    assert (path.stat().st_size, (tmp_path / "postgres.log.1").stat().st_size) == (0, 100)


@given(st.lists(st.binary(max_size=40)))
def test_lines_are_the_same_however_the_bytes_arrive(chunks: list[bytes]) -> None:
    splitter = LineSplitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)]
    rest = splitter.rest()
    whole = b"".join(chunks)
    expected = [line + b"\n" for line in whole.split(b"\n")]
    last = expected.pop().removesuffix(b"\n")
    assert lines == expected
    assert rest == (last + b"\n" if last else b"")


def test_an_endless_line_is_cut() -> None:
    splitter = LineSplitter(line_max=10)
    assert splitter.feed(b"x" * 11) == [b"x" * 11 + b"\n"]


@pytest.mark.parametrize("level", ["debug", "info"])
def test_quiet_entries_are_not_shown(level: str) -> None:
    assert shown(an_echo(), entry(event="tick", level=level)) is None


def test_a_warning_is_shown_with_its_fields() -> None:
    line = entry(event="bus disconnected", level="warning", timestamp="…", service="auth", tries=3)
    assert shown(an_echo(), line) == "WARNING bus disconnected tries=3"


def test_an_exception_shows_its_last_line_only() -> None:
    line = entry(event="consumer failed", level="error", exception="Traceback\n  File x\nValueError: no")
    assert shown(an_echo(), line) == "ERROR consumer failed: ValueError: no"


def test_a_storm_is_held_back_and_counted() -> None:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    echo = an_echo(clock)
    line = entry(event="again", level="warning")
    lines = [shown(echo, line) for _ in range(10)]
    assert [text is not None for text in lines] == [True] * 3 + [False] * 7
    clock.advance(10)
    assert shown(echo, line) == "WARNING again (7 more lines before this one are in the log)"


@given(st.binary(max_size=200))
def test_any_bytes_can_be_read(line: bytes) -> None:
    shown(an_echo(), line)


@pytest.mark.parametrize(
    ("fields", "progress"),
    [
        ({"event": "history stored", "number": 3, "of": 12}, Progress("history stored, 3 of 12", False)),
        ({"event": "history stored", "number": 12, "of": 12}, Progress("history stored, 12 of 12", True)),
        ({"event": "order accepted", "number": 3}, None),
        ({"event": "x", "number": "3", "of": "12"}, None),
    ],
)
def test_an_entry_that_counts_to_something_is_progress(
    fields: dict[str, object], progress: Progress | None
) -> None:
    assert progress_of(fields) == progress


def test_the_last_line_that_is_no_entry_is_kept_for_the_crash() -> None:
    echo = an_echo()
    for line in (b"Traceback:\n", b"RuntimeError: no\n", b"\n", entry(event="x", level="info")):
        shown(echo, line)
    assert echo.last_words == "RuntimeError: no"
