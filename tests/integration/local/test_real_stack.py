"""The stack a person gets from ``make run``: every service there is, started, asked, and stopped."""

from __future__ import annotations

import json
import os
import re
import secrets
import signal
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from deploy.local.processes import wait_until
from deploy.local.settings import installed_services
from libs.common.config import SETTINGS
from tests.integration.local.stack import PATIENCE_S, alive
from tests.real_stack import ADMIN, RealStack, real_stack

# A canary for every secret an operator may give; nothing that is called with them leaves this machine.
CANARIES = {
    "SECRET_KEY": secrets.token_hex(32),
    "NOTIFY_KEY": secrets.token_hex(32),
    "SMTP_URL": f"smtp://user:{secrets.token_hex(8)}@127.0.0.1:9",
    "X_CREDENTIALS": ":".join(secrets.token_hex(8) for _ in range(4)),
    "TEXTS_SECRET": f"whsec_{secrets.token_hex(16)}",
    "TELEGRAM_BOT_TOKEN": f"1:{secrets.token_hex(8)}",
    **{
        name: secrets.token_hex(16)
        for name in (
            "STRIPE_SECRET_KEY",
            "STRIPE_WEBHOOK_SECRET",
            "NOWPAYMENTS_API_KEY",
            "NOWPAYMENTS_IPN_SECRET",
            "LLM_KEY",
        )
    },
}
NOWHERE = dict.fromkeys(
    ("TELEGRAM_API_URL", "X_API_URL", "STRIPE_API_URL", "NOWPAYMENTS_API_URL"), "http://127.0.0.1:9"
)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealStack]:
    settings = {"LOG_LEVEL": "DEBUG", "ALERTS_PROCESSES": "2", "ALERTS_PARTITIONS": "2"}
    with real_stack(tmp_path_factory.mktemp("real"), **settings, **CANARIES, **NOWHERE) as running:
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


def test_processes_of_alerts_share_its_partitions(stack: RealStack) -> None:
    ports = json.loads((stack.data / "ports.json").read_text())["metrics"]

    def owned(name: str) -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{ports[name]}/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        epochs = [line for line in lines if line.startswith("tradewind_lease_epoch{")]
        return [line.split('partition="')[1][0] for line in epochs if not line.endswith(" 0.0")]

    def shared() -> bool:
        first, second = owned("alerts"), owned("alerts-1")
        return (len(first), len(second)) == (1, 1) and {*first, *second} == {"0", "1"}

    assert wait_until(shared, seconds=PATIENCE_S)


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


def test_a_secret_is_with_its_service_and_in_no_log_or_process_list(stack: RealStack) -> None:
    assert {name for name, setting in SETTINGS.items() if setting.secret} == {*CANARIES, "ADMIN_PASSWORD"}
    keys = json.loads((stack.data / "secrets.json").read_text())
    owners = {value: SETTINGS[name].only for name, value in CANARIES.items()} | {ADMIN: "auth"}
    owners |= {password: service for service, password in keys["services"].items()}
    owners |= {keys["postgres"]: ""}
    buses = keys["nats"]
    running = json.loads((stack.data / "run.json").read_text())
    assert {*installed_services(), "postgres", "nats"} <= set(running)
    for name, record in running.items():
        place = Path(f"/proc/{record['pid']}")
        said, environ = (place / "cmdline").read_text(), (place / "environ").read_text()
        assert [secret for secret in {*owners, *buses.values()} if secret in said] == []
        service = name.partition("-")[0]
        foreign = [secret for secret, owner in owners.items() if owner != service and secret in environ]
        foreign += [user for user, secret in buses.items() if user != service and secret in environ]
        assert foreign == [], name
    logs = "".join(path.read_text(errors="replace") for path in (stack.data / "logs").glob("*"))
    assert '"request"' in logs
    whole = {*owners, *buses.values()}
    parts = whole | {part for secret in whole for part in re.findall("[0-9a-f]{16,}", secret)}
    assert [part for part in parts if part in logs or part in stack.text()] == []
