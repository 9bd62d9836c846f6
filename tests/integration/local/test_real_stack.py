"""The stack a person gets from ``make run``: every service there is, started, asked, and stopped."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.processes import wait_until
from deploy.local.settings import installed_services
from tests.integration.local.stack import PATIENCE_S, alive
from tests.real_stack import ADMIN, RealStack, real_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    with real_stack(tmp_path_factory.mktemp("real")) as running:
        yield running


def test_every_service_is_ready(stack: RealStack) -> None:
    answer = stack.call("/readyz")
    assert answer["ready"] is True
    assert set(answer["services"]) == set(installed_services())


def test_status_and_doctor_find_nothing_wrong(stack: RealStack) -> None:
    status = stack.run("status")
    assert status.returncode == 0, status.stdout + status.stderr
    for name in installed_services():
        assert f"services.{name}" in Path(f"/proc/{stack.pid(name)}/cmdline").read_text()
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
    before = stack.pid("market")
    os.kill(before, signal.SIGKILL)

    def back() -> bool:
        if stack.pid("market") == before:
            return False
        try:
            return bool(stack.call("/readyz")["ready"])
        except (OSError, RuntimeError):
            return False

    assert wait_until(back, seconds=PATIENCE_S), stack.text()
    assert "market was ended by SIGKILL; trying again in 0.5 s" in stack.text()
    assert not alive(before)
