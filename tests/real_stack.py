"""The whole house as a person starts it, in a process of its own: ``tradewind up`` and its other commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local.ports import choose_ports
from deploy.local.processes import wait_until

ROOT = Path(__file__).resolve().parents[1]
PATIENCE_S = 60.0
ADMIN = "open sesame"


class RealStack:
    """``tradewind up`` with the manual feed (unless ``settings`` say otherwise), and its other commands."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.data = folder / "data"
        self.port = choose_ports(["http"], seed=str(folder))["http"]
        self._output = folder / "output.txt"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWIND_")}
        self._environ = {k: v for k, v in kept.items() if k not in ("DATABASE_URL", "NATS_URL")}
        self._environ |= {"TRADEWIND_FEED": "manual", "TRADEWIND_ADMIN_PASSWORD": ADMIN}
        self._environ |= {f"TRADEWIND_{name}": value for name, value in settings.items()}
        with self._output.open("wb") as output:
            command = self._command("up", "--http-port", str(self.port))
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self._environ, stdout=output, stderr=subprocess.STDOUT
            )

    def text(self) -> str:
        return self._output.read_text()

    def run(self, *arguments: str, data: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Another command on this stack's folder, or on ``data``."""
        return subprocess.run(
            self._command(*arguments, data=data),
            cwd=ROOT,
            env=self._environ,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def call(self, path: str, body: dict[str, Any] | None = None, token: str = "") -> Any:
        """One HTTP call to the gateway."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            data=json.dumps(body).encode() if body is not None else None,
            headers={"Content-Type": "application/json", "Authorization": token},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            raise RuntimeError(f"{path}: {e.code} {e.read().decode()}") from e

    def _command(self, *arguments: str, data: Path | None = None) -> list[str]:
        return [sys.executable, "-m", "deploy.local.cli", *arguments, "--data-dir", str(data or self.data)]

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.port}"

    def pid(self, name: str) -> int:
        """The process of a service or server."""
        pid: int = json.loads((self.data / "run.json").read_text())[name]["pid"]
        return pid


@contextmanager
def real_stack(folder: Path, **settings: str) -> Iterator[RealStack]:
    """A stack that is ready; stopped in order afterwards."""
    running = RealStack(folder, **settings)

    def settled() -> bool:
        return "Ctrl-C stops" in running.text() or running.process.poll() is not None

    try:
        assert wait_until(settled, seconds=PATIENCE_S), running.text()
        assert running.process.poll() is None, running.text()
        yield running
    finally:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(timeout=PATIENCE_S)
