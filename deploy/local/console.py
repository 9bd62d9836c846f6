"""What a person sees: one line that moves while the stack starts, plain lines otherwise."""

from __future__ import annotations

import shutil
import sys
from typing import TextIO


class Console:
    """On a terminal the current step is one line that is rewritten; in a pipe every new step is a line.

    Writing never fails: the stack goes on when its terminal or its reader is gone.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._terminal = self._stream.isatty()
        self._step = ""

    def step(self, text: str) -> None:
        """Show what is being waited for; the same step twice is shown once."""
        if text == self._step:
            return
        self._step = text
        if self._terminal:
            width = shutil.get_terminal_size().columns - 1
            self._write(f"\r\x1b[2K{text[:width]}")
        else:
            self._write(f"{text}\n")

    def progress(self, text: str, *, complete: bool) -> None:
        """How far something is; the last word on it stays."""
        if complete:
            self.done()
            self.line(text)
        else:
            self.step(text)

    def line(self, text: str) -> None:
        """A line that stays; the current step moves below it."""
        if self._terminal and self._step:
            self._write(f"\r\x1b[2K{text}\n{self._step}")
        else:
            self._write(f"{text}\n")

    def done(self) -> None:
        """No step is under way any more."""
        if self._terminal and self._step:
            self._write("\r\x1b[2K")
        self._step = ""

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # The reader is gone (`make run | head`, a closed terminal); the log files go on.
            self._terminal = False
