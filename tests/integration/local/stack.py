"""A ``tiny_stack`` in a process of its own, as a test drives it: start, wait, signal, look."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.processes import started_at, wait_until

ROOT = Path(__file__).resolve().parents[3]
PATIENCE_S = 60.0


class Stack:
    """One supervisor with tiny services, and everything a test wants to know about it."""

    def __init__(self, data: Path, events: Path, services: str, settings: dict[str, str]) -> None:
        self.data = data
        self.events = events
        self._output = events / "output.txt"
        events.mkdir(parents=True, exist_ok=True)
        inherited = {k: v for k, v in os.environ.items() if k not in ("DATABASE_URL", "NATS_URL")}
        with self._output.open("ab") as output:
            self._mark = output.tell()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "tests.integration.local.tiny_stack", str(events), services],
                cwd=ROOT,
                env={**inherited, "TRADEWIND_DATA_DIR": str(data), **settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def text(self) -> str:
        """What this run printed."""
        return self._output.read_bytes()[self._mark :].decode()

    def happened(self, service: str = "all") -> list[str]:
        """What the tiny services noted, in order."""
        path = self.events / f"{service}.events"
        return path.read_text().splitlines() if path.exists() else []

    def ports(self) -> dict[str, Any]:
        ports: dict[str, Any] = json.loads((self.data / "ports.json").read_text())
        return ports

    def children(self) -> dict[str, int]:
        """The pids of ``run.json``."""
        return {name: c["pid"] for name, c in json.loads((self.data / "run.json").read_text()).items()}

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until ``condition`` holds; the run's output explains why it did not."""

        def over() -> bool:
            return condition() or self.process.poll() is not None

        assert wait_until(over, seconds=PATIENCE_S), f"{what}: not within {PATIENCE_S} s\n{self.text()}"
        assert condition(), f"{what}: the run ended with {self.process.returncode}\n{self.text()}"

    def wait_for(self, text: str) -> None:
        """Until the run printed ``text``."""
        self.wait(lambda: text in self.text(), text)

    def wait_ready(self) -> None:
        self.wait_for("Ctrl-C stops everything in order")

    def wait_end(self) -> int:
        """The exit status of a run that ends by itself or was told to."""
        return self.process.wait(timeout=PATIENCE_S)

    def stop(self) -> int:
        """Ctrl-C, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.wait_end()


@contextmanager
def run_stack(folder: Path, services: str = "alpha,beta", **settings: str) -> Iterator[Stack]:
    """A stack in ``folder/data`` that is stopped at the end whatever the test did."""
    stack = Stack(folder / "data", folder / "events", services, settings)
    try:
        yield stack
    finally:
        stack.stop()


def alive(pid: int) -> bool:
    """Whether there still is such a process (a zombie is gone)."""
    return started_at(pid) is not None
