"""``tradewind status`` and ``doctor`` over a running, a stopped and a broken stack."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import doctor
from deploy.local.doctor import CHECKS, examine
from deploy.local.errors import EXIT_REFUSED
from deploy.local.settings import Settings, read_settings
from deploy.local.stack_state import admin_dsn, read_state
from deploy.local.status import format_table, show_status
from libs.common.migrate import migrations_of
from tests.integration.local.stack import ROOT, Stack, run_stack


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with run_stack(tmp_path_factory.mktemp("commands")) as running:
        running.wait_ready()
        yield running


@pytest.fixture(autouse=True)
def alpha_keeps_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "has_schema", lambda service: service == "alpha")


def settings_of(data: Path) -> Settings:
    return read_settings({"TRADEWIND_DATA_DIR": str(data)}, known=("alpha", "beta"))


def lines_of(capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    lines = capsys.readouterr().out.splitlines()
    return {m[2]: f"{m[1]} {m[3]}" for m in (re.match(r"(ok|FAIL)\s+([\w ]+): (.*)", x) for x in lines) if m}


async def test_status_shows_every_process_of_a_running_stack(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await show_status(settings_of(stack.data)) == 0
    out = capsys.readouterr().out
    for name, pid in stack.children().items():
        assert re.search(rf"^{name} +{pid} +ready", out, re.MULTILINE)
    port = stack.ports()["metrics"]["alpha"]
    assert f"http://127.0.0.1:{port}/metrics" in out


async def test_the_doctor_finds_a_running_stack_sound(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await examine(settings_of(stack.data)) == 0
    lines = lines_of(capsys)
    assert list(lines) == [name for name, _ in CHECKS]
    assert lines["migrations"] == f"ok {len(list(migrations_of('alpha')))} applied in 1 schemas"
    assert lines["services"] == "ok 2 ready"


async def test_the_doctor_sees_facts_that_nobody_publishes(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(stack.data)
    dsn = admin_dsn(settings, read_state(stack.data))
    connection = await asyncpg.connect(dsn)
    await connection.execute(
        "INSERT INTO alpha.outbox (event_id, stream, subject, payload, created_at)"
        " VALUES ('1', 'X', 'x', '', now() - interval '5 minutes')"
    )
    try:
        assert await examine(settings) == 1
        assert lines_of(capsys)["outboxes"].startswith("FAIL alpha: 1 facts wait, the oldest since 300 s")
    finally:
        await connection.execute("TRUNCATE alpha.outbox")
        await connection.close()


async def test_the_doctor_sees_a_schema_of_another_version(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = settings_of(stack.data)
    connection = await asyncpg.connect(admin_dsn(settings, read_state(stack.data)))
    await connection.execute("INSERT INTO alpha.migration VALUES ('9999_pre_future', 'x')")
    try:
        assert await examine(settings) == 1
        assert "9999_pre_future is of another version" in lines_of(capsys)["migrations"]
    finally:
        await connection.execute("DELETE FROM alpha.migration WHERE name = '9999_pre_future'")
        await connection.close()


async def test_the_doctor_sees_secrets_that_others_can_read(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    path = stack.data / "secret.key"
    path.chmod(0o644)
    try:
        assert await examine(settings_of(stack.data)) == 1
        assert lines_of(capsys)["data folder"] == f"FAIL {path} can be read by others: chmod 600 {path}"
    finally:
        path.chmod(0o600)


async def test_a_suspended_service_is_seen_by_both(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    pid = stack.children()["beta"]
    os.kill(pid, signal.SIGSTOP)
    try:
        assert await show_status(settings_of(stack.data)) == 1
        assert re.search(rf"^beta +{pid} +does not answer", capsys.readouterr().out, re.MULTILINE)
        assert await examine(settings_of(stack.data)) == 1
        assert lines_of(capsys)["processes"].startswith("FAIL beta not there")
    finally:
        os.kill(pid, signal.SIGCONT)


def test_after_the_stop_everything_is_said_to_be_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with run_stack(tmp_path, "beta") as short:
        short.wait_ready()
    settings = settings_of(short.data)
    assert asyncio.run(show_status(settings)) == 1
    rows = capsys.readouterr().out.splitlines()[1:4]
    assert [row.split()[:3] for row in rows] == [[n, "-", "stopped"] for n in ("postgres", "nats", "beta")]
    assert asyncio.run(examine(settings)) == 1
    assert lines_of(capsys)["streams"].startswith("FAIL NATS does not answer")


@pytest.mark.parametrize(
    "command", [["status"], ["import-candles", "x.csv", "--symbol", "A", "--timeframe", "1h"]]
)
def test_a_folder_without_a_stack_is_said_in_one_line(tmp_path: Path, command: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.cli", *command, "--data-dir", str(tmp_path)],
        cwd=ROOT,
        env={k: v for k, v in os.environ.items() if k != "NATS_URL"},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == EXIT_REFUSED
    assert done.stderr.startswith("tradewind: no stack ")
    assert len(done.stderr.splitlines()) == 1


def test_columns_are_as_wide_as_their_widest_cell() -> None:
    assert format_table([("a", "1", "ready", "u"), ("longer", "12345", "-", "")]) == (
        "PROCESS  PID    STATE  METRICS\na        1      ready  u\nlonger   12345  -"
    )
