"""Log files with size rotation, and log lines a person can read on the console."""

from __future__ import annotations

import json
import os
import shutil
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from libs.common.clock import Clock

_LOUD = {"warning", "error", "critical"}
_QUIET_FIELDS = {"event", "level", "timestamp", "service", "logger", "exception", "stack"}


class RotatingLog:
    """One process's log: ``name.log``, ``name.log.1`` … the oldest. A full disk loses lines only."""

    def __init__(self, path: Path, *, bytes_max: int = 10_000_000, kept: int = 3) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._kept = kept
        self._file: IO[bytes] | None = None
        self._size = 0
        self.bytes_lost = 0

    def write(self, data: bytes) -> None:
        """Append; whole lines only, so that rotation never cuts one."""
        try:
            if self._file is None:
                self._open()
            if self._size and self._size + len(data) > self._bytes_max:
                self._rotate()
            if self._file is not None:
                self._file.write(data)
                self._size += len(data)
        except OSError:
            self.bytes_lost += len(data)

    def close(self) -> None:
        """Close the file; a later ``write`` opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _open(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self._path.open("ab", buffering=0)
        self._size = self._path.stat().st_size

    def _rotate(self) -> None:
        self.close()
        for number in range(self._kept - 1, 0, -1):
            older = self._numbered(number)
            if older.exists():
                older.replace(self._numbered(number + 1))
        self._path.replace(self._numbered(1))
        self._open()

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


def rotate_appended(path: Path, *, bytes_max: int = 10_000_000) -> None:
    """Rotate a log another program appends to (PostgreSQL's): copy, truncate; a line in between may go."""
    try:
        if path.stat().st_size > bytes_max:
            shutil.copyfile(path, path.with_name(f"{path.name}.1"))
            os.truncate(path, 0)
    except OSError:
        pass  # no log yet, or a full disk: the next round tries again


class LineSplitter:
    """Bytes as they come from a pipe, cut into whole lines; an endless line is cut at ``line_max``."""

    def __init__(self, line_max: int = 65_536) -> None:
        self._rest = b""
        self._line_max = line_max

    def feed(self, data: bytes) -> list[bytes]:
        """The lines that are whole now, each with its newline."""
        *whole, self._rest = (self._rest + data).split(b"\n")
        lines = [line + b"\n" for line in whole]
        if len(self._rest) > self._line_max:
            lines.append(self._rest + b"\n")
            self._rest = b""
        return lines

    def rest(self) -> bytes:
        """What is left at the end, as a line."""
        rest, self._rest = self._rest, b""
        return rest + b"\n" if rest else b""


class Echo:
    """What of a service's log a person sees: warnings and worse, at most ``burst`` per ``window_s``."""

    def __init__(self, clock: Clock, *, burst: int = 20, window_s: float = 10.0) -> None:
        self._clock = clock
        self._burst = burst
        self._window_s = window_s
        self._shown: deque[float] = deque()
        self._hidden = 0
        self.last_words = ""

    def hear(self, line: bytes) -> dict[str, object] | None:
        """The log entry of a line; text that is none is kept as ``last_words`` of a crash."""
        entry = _parse(line)
        if entry is None:
            text = line.decode(errors="replace").strip()
            self.last_words = text or self.last_words
        return entry

    def readable(self, entry: dict[str, object]) -> str | None:
        """The line for the console, or None."""
        if str(entry.get("level", "")).lower() not in _LOUD:
            return None
        now_s = self._clock.monotonic_s()
        while self._shown and now_s - self._shown[0] >= self._window_s:
            self._shown.popleft()
        if len(self._shown) >= self._burst:
            self._hidden += 1
            return None
        self._shown.append(now_s)
        hidden, self._hidden = self._hidden, 0
        return format_entry(entry) + (
            f" ({hidden} more lines before this one are in the log)" if hidden else ""
        )


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a service is with something that takes a while: ``number`` of ``of``."""

    text: str
    complete: bool


def progress_of(entry: dict[str, object]) -> Progress | None:
    """What a person wants to see move: an entry with the fields ``number`` and ``of``."""
    number, of = entry.get("number"), entry.get("of")
    if type(number) is not int or type(of) is not int:
        return None
    return Progress(f"{entry.get('event', '')}, {number} of {of}", number >= of)


def format_entry(entry: dict[str, object]) -> str:
    """``WARNING consumer is behind stream=AUTH lag=12``; an exception shows its last line."""
    fields = [f"{name}={value}" for name, value in entry.items() if name not in _QUIET_FIELDS]
    text = " ".join([str(entry.get("level", "")).upper(), str(entry.get("event", "")), *fields])
    exception = str(entry.get("exception") or "").strip()
    return f"{text}: {exception.splitlines()[-1]}" if exception else text


def _parse(line: bytes) -> dict[str, object] | None:
    if not line.startswith(b"{"):
        return None
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
