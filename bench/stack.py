"""A whole stack as a person starts it, for benchmarks that measure the house rather than a part."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bench.runner import ROOT, TICKS_PER_S

POLL_S = 0.02
PATIENCE_S = 120.0


class Stack:
    """One run of ``tradewind up``; ``stop_s`` is known after it was stopped."""

    def __init__(self, data: Path, settings: Mapping[str, str] | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWIND_")}
        for name in ("DATABASE_URL", "NATS_URL"):
            inherited.pop(name, None)
        begun = time.monotonic()
        with (data / "output.txt").open("ab") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local.cli", "up"],
                cwd=ROOT,
                env={
                    **inherited,
                    "TRADEWIND_DATA_DIR": str(data / "stack"),
                    "TRADEWIND_HTTP_PORT": str(self.port),
                    **(settings or {}),
                },
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() - begun > PATIENCE_S:
                raise RuntimeError((data / "output.txt").read_text())
            time.sleep(POLL_S)
        self.data = data / "stack"
        self.ready_s = time.monotonic() - begun
        self.stop_s = 0.0

    def is_ready(self) -> bool:
        """Whether the gateway says that every service is ready."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def stop(self) -> None:
        """Ctrl-C, and how long everything took to go."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=PATIENCE_S)
        self.stop_s = time.monotonic() - begun


@contextmanager
def stack(data: Path, settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """A running stack over ``data``, stopped at the end; ``settings`` are whole names."""
    running = Stack(data, settings)
    try:
        yield running
    finally:
        running.stop()


def family(root: int) -> list[int]:
    """A process and everything below it."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(entry.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
        children.setdefault(parent, []).append(int(entry.parent.name))
    found = [root]
    for pid in found:
        found += children.get(pid, [])
    return found


def group_of(pid: int) -> str:
    """What a process is called in the table: the service's name, else its program's."""
    words = (Path("/proc") / str(pid) / "cmdline").read_bytes().decode(errors="replace").split("\0")
    service = next((word for word in words if word.startswith("services.")), "")
    if service:
        return service
    if "deploy.local.cli" in words:
        return "supervisor"
    return Path(words[0].split()[0].rstrip(":")).name if words[0] else "?"


def pss_mb(pid: int) -> float:
    """Proportional memory of one process."""
    for line in (Path("/proc") / str(pid) / "smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    return 0.0


def used_s(pid: int) -> float:
    """CPU of a process and of its children that ended: a short-lived one is not lost."""
    fields = (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()
    return sum(int(value) for value in fields[11:15]) / TICKS_PER_S


def cpu_by_group(root: int) -> dict[str, float]:
    """CPU seconds so far, by name."""
    found: dict[str, float] = {}
    for pid in family(root):
        try:
            name = group_of(pid)
            found[name] = found.get(name, 0.0) + used_s(pid)
        except OSError:
            continue
    return found
