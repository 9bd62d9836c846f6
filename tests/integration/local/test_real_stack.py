"""The stack a person gets from ``make run``: every service there is, started, asked, and stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from deploy.local.ports import choose_ports
from deploy.local.processes import wait_until
from deploy.local.settings import installed_services
from tests.integration.local.stack import PATIENCE_S, ROOT, alive

ADMIN = "open sesame"


class RealStack:
    """``tradewind up`` with the manual feed, and its other commands."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.port = choose_ports(["http"], seed=str(folder))["http"]
        self._output = folder / "output.txt"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("TRADEWIND_")}
        self._environ = {k: v for k, v in kept.items() if k not in ("DATABASE_URL", "NATS_URL")}
        self._environ |= {"TRADEWIND_FEED": "manual", "TRADEWIND_ADMIN_PASSWORD": ADMIN}
        with self._output.open("wb") as output:
            command = self._command("up", "--http-port", str(self.port))
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self._environ, stdout=output, stderr=subprocess.STDOUT
            )

    def text(self) -> str:
        return self._output.read_text()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Another command on this stack."""
        return subprocess.run(
            self._command(*arguments),
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

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "deploy.local.cli", *arguments, "--data-dir", str(self.data)]


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    running = RealStack(tmp_path_factory.mktemp("real"))

    def settled() -> bool:
        return "Ctrl-C stops" in running.text() or running.process.poll() is not None

    try:
        assert wait_until(settled, seconds=60.0), running.text()
        assert running.process.poll() is None, running.text()
        yield running
    finally:
        running.process.send_signal(signal.SIGINT)
        running.process.wait(timeout=60)


def test_every_service_is_ready(stack: RealStack) -> None:
    answer = stack.call("/readyz")
    assert answer["ready"] is True
    assert set(answer["services"]) == set(installed_services())


def test_status_and_doctor_find_nothing_wrong(stack: RealStack) -> None:
    status = stack.run("status")
    assert status.returncode == 0, status.stdout + status.stderr
    for name in installed_services():
        assert f"services.{name}" in Path(f"/proc/{_pid(stack, name)}/cmdline").read_text()
        assert f"\n{name} " in status.stdout
    doctor = stack.run("doctor")
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr


def test_the_given_admin_password_is_not_printed_and_works(stack: RealStack) -> None:
    assert ADMIN not in stack.text()
    assert stack.call("/sign/in", {"login": 1, "password": ADMIN})["__token"]


def test_imported_candles_are_read_back_as_they_stand_in_the_file(stack: RealStack, tmp_path: Path) -> None:
    start = datetime(2025, 3, 3, tzinfo=UTC)
    rows = [
        (start + timedelta(hours=n), 1.1 + n / 1e4, 1.2 + n / 1e4, 1.0, 1.15 + n / 1e4, float(n))
        for n in range(2_500)
    ]
    file = tmp_path / "EURUSD.csv"
    lines = [f"{t.isoformat()},{o:.5f},{h:.5f},{low:.5f},{c:.5f},{v}" for t, o, h, low, c, v in rows]
    file.write_text("time,open,high,low,close,volume\n" + "\n".join(lines) + "\n")
    done = stack.run("import-candles", str(file), "--symbol", "EURUSD", "--timeframe", "1h")
    assert done.stdout.splitlines()[-1] == "2500 candles of EURUSD 1h are stored", done.stderr
    person = {"name": "Ada", "email": "ada@example.com", "password": "secret1"}
    token = stack.call("/sign/up", person)["__token"]
    first, last = (int(rows[n][0].timestamp()) for n in (0, -1))
    table = stack.call(f"/quotes/candles?symbol=EURUSD&frame=1H&from={first}&to={last}", token=token)
    assert table["data"] == [
        [round(o, 5), round(h, 5), low, round(c, 5), v, int(t.timestamp())] for t, o, h, low, c, v in rows
    ]


def test_a_candle_file_for_a_symbol_nobody_knows_is_refused_in_one_line(
    stack: RealStack, tmp_path: Path
) -> None:
    file = tmp_path / "x.csv"
    file.write_text("1767268800,1,1,1,1,1\n")
    done = stack.run("import-candles", str(file), "--symbol", "NOSUCH", "--timeframe", "9h")
    assert done.returncode == 78
    assert done.stderr.startswith("tradewind: market refused after 0 candles: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_killed_service_is_back_and_the_gateway_says_so(stack: RealStack) -> None:
    before = _pid(stack, "market")
    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        if _pid(stack, "market") == before:
            return False
        try:
            return bool(stack.call("/readyz")["ready"])
        except (OSError, RuntimeError):
            return False

    assert wait_until(back, seconds=PATIENCE_S), stack.text()
    assert "market was ended by SIGKILL; trying again in 0.5 s" in stack.text()
    assert not alive(before)


def _pid(stack: RealStack, name: str) -> int:
    pid: int = json.loads((stack.data / "run.json").read_text())[name]["pid"]
    return pid
