"""What a killed supervisor left: recorded while it ran, recognised and stopped at the next start."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

from deploy.local import processes
from deploy.local.errors import StartRefused
from deploy.local.files import read_json, write_json

_STOP = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))


class RunRecord:
    """``run.json``: every child's pid with its start time, in the order of start.

    PostgreSQL is recorded too, so that ``status`` can show it, but it is stopped by its own rules
    (``postgres.stop_left_over``).
    """

    def __init__(self, data: Path) -> None:
        self._path = data / "run.json"
        self._children: dict[str, dict[str, object]] = {}

    def started(self, name: str, pid: int) -> None:
        """A child was started, or started again."""
        self._children[name] = {"pid": pid, "started": processes.started_at(pid)}
        try:
            write_json(self._path, self._children)
        except OSError:
            pass  # a full disk must not stop what runs; PostgreSQL and NATS will say it loudly enough

    def clear(self) -> None:
        """Everything was stopped."""
        self._path.unlink(missing_ok=True)

    def stop_left_over(self, show: Callable[[str], None]) -> None:
        """Stop what a killed supervisor left, the last first; never one that only has the same pid."""
        for name, child in reversed(read_json(self._path).items()):
            pid, identity = child.get("pid"), child.get("started")
            if name == "postgres" or not isinstance(pid, int) or not isinstance(identity, str):
                continue
            if processes.started_at(pid) != identity:
                continue
            show(f"stopping {name}, left by a killed run (pid {pid})")
            if not processes.stop_stranger(pid, identity, _STOP):
                raise StartRefused(f"{name} of a killed run still runs as pid {pid}: kill {pid}")
