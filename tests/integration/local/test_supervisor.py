"""The supervisor with real PostgreSQL and NATS and tiny services."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import asyncpg
import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.errors import EXIT_REFUSED
from deploy.local.processes import wait_until
from tests.integration.local.stack import PATIENCE_S, ROOT, Stack, alive, run_stack


def test_a_first_start_makes_everything_and_ctrl_c_stops_it_in_order(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        children = stack.children()
        ports = stack.ports()
        assert set(children) == {"nats", "postgres", "alpha", "beta"}
        assert set(ports["metrics"]) == {"alpha", "beta"}
        assert stack.stop() == 0
        assert not any(alive(pid) for pid in children.values())
        stops = [line for line in stack.text().splitlines() if line.startswith("stopping")]
        assert stops == ["stopping beta", "stopping alpha", "stopping nats", "stopping postgres"]
        assert stack.happened()[-2:] == ["beta stopped", "alpha stopped"]
        assert "database system is shut down" in (stack.data / "logs/postgres.log").read_text()
        assert not (stack.data / "run.json").exists()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack that tests only look at."""
    with run_stack(tmp_path_factory.mktemp("running"), TRADEWIND_ADMIN_PASSWORD="open sesame") as stack:
        stack.wait_ready()
        yield stack


def test_the_data_folder_keeps_its_secrets_to_itself(running: Stack) -> None:
    for name in ("secrets.json", "secret.key", "nats/nats.conf"):
        assert stat.S_IMODE((running.data / name).stat().st_mode) == 0o600


def test_prometheus_finds_every_process(running: Stack) -> None:
    targets = json.loads((running.data / "prometheus-targets.json").read_text())
    services = [("alpha", "alpha"), ("beta", "beta"), ("house", "exporter")]
    assert [t["labels"] for t in targets] == [{"service": s, "process": p} for s, p in services]
    assert targets[0]["targets"] == [f"127.0.0.1:{running.ports()['metrics']['alpha']}"]


def test_what_the_services_stand_on_has_metrics_too(running: Stack) -> None:
    found = scraped(running.ports()["exporter"])
    for process in ("alpha", "beta", "nats", "postgres"):
        assert found["tradewind_process_up", process] == 1
        assert found["tradewind_process_restarts_total", process] == 0
        assert found["tradewind_process_memory_bytes", process] > 2**20
    assert found["tradewind_postgres_up", ""] == found["tradewind_nats_up", ""] == 1
    assert found["tradewind_postgres_schema_bytes", "alpha"] > 0
    assert found["tradewind_nats_stream_kept_messages", "MARKET"] == 0
    before = found["tradewind_postgres_commits_total", ""]
    running.wait(
        lambda: scraped(running.ports()["exporter"])["tradewind_postgres_commits_total", ""] > before,
        "commits to be counted",
    )


def scraped(port: int) -> dict[tuple[str, str], float]:
    """(metric, first label's value) → value."""
    with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        (sample.name, next(iter(sample.labels.values()), "")): sample.value
        for family in families
        for sample in family.samples
    }


def test_a_service_gets_its_own_addresses_and_no_more(running: Stack) -> None:
    alpha, beta = (json.loads((running.events / f"{name}.environ").read_text()) for name in ("alpha", "beta"))
    assert "tradewind_alpha:" in alpha["DATABASE_URL"]
    assert "DATABASE_URL" not in beta
    assert "//alpha:" in alpha["NATS_URL"]
    assert "//beta:" in beta["NATS_URL"]
    assert "TRADEWIND_ADMIN_PASSWORD" not in alpha
    assert "TRADEWIND_SECRET_KEY" not in alpha


def test_a_second_stack_on_the_same_folder_is_refused_in_one_line(running: Stack) -> None:
    with run_stack(running.data.parent) as second:
        assert second.wait_end() == EXIT_REFUSED
        assert second.text() == (
            f"tradewind: a stack already runs on {running.data} (pid {running.process.pid}): "
            "stop it, or choose another --data-dir and --http-port\n"
        )
    assert running.process.poll() is None


def test_two_stacks_run_side_by_side(running: Stack, tmp_path: Path) -> None:
    def numbers(ports: dict[str, Any]) -> set[int]:
        metrics = ports.pop("metrics")
        ports.pop("http")
        return {*ports.values(), *metrics.values()}

    with run_stack(tmp_path) as other:
        other.wait_ready()
        assert not numbers(other.ports()) & numbers(running.ports())
    assert running.process.poll() is None


def test_a_restart_finds_its_data_and_its_ports_again(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        ports = stack.ports()
        database = json.loads((stack.events / "alpha.environ").read_text())["DATABASE_URL"]
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        assert stack.ports() == ports
        assert json.loads((stack.events / "alpha.environ").read_text())["DATABASE_URL"] == database
        assert "migrating" not in stack.text().replace("migrating the database", "")


def test_a_crashed_service_is_started_again_with_a_growing_delay_and_a_clear_line(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        (stack.events / "alpha.crash").touch()
        os.kill(stack.children()["alpha"], signal.SIGKILL)
        stack.wait_for("alpha was ended by SIGKILL; trying again in 0.5 s")
        reason = "(RuntimeError: the tiny service was told to crash)"
        stack.wait_for(f"alpha ended with status 1 {reason}; trying again in 1 s")
        (stack.events / "alpha.crash").unlink()
        stack.wait(lambda: stack.happened("alpha")[-1].startswith("started"), "alpha is up again")
        assert stack.happened("beta") == [f"started {stack.children()['beta']}"]


def test_a_crashed_postgres_is_started_again_on_its_port_with_its_data(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        dsn = json.loads((stack.events / "alpha.environ").read_text())["DATABASE_URL"]
        before = asyncio.run(_outbox_rows(dsn))
        assert before == 0
        os.kill(stack.children()["postgres"], signal.SIGKILL)
        stack.wait_for("postgres was ended by SIGKILL; trying again in 0.5 s")
        stack.wait(lambda: asyncio.run(_outbox_rows(dsn)) == before, "the same address answers again")


async def _outbox_rows(dsn: str) -> int | None:
    """None while the server does not take connections."""
    try:
        connection = await asyncpg.connect(dsn, timeout=5)
    except (OSError, asyncpg.PostgresError):
        return None
    try:
        found: int = await connection.fetchval("SELECT count(*) FROM alpha.outbox")
        return found
    finally:
        await connection.close()


def test_a_crashed_nats_is_started_again_on_its_port(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        os.kill(stack.children()["nats"], signal.SIGKILL)
        stack.wait_for("nats was ended by SIGKILL; trying again in 0.5 s")
        stack.wait(lambda: _connects(stack.ports()["nats"]), "the same port listens again")


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_service_that_refuses_its_configuration_stops_the_stack_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "events").mkdir()
    (tmp_path / "events" / "beta.refuse").touch()
    with run_stack(tmp_path) as stack:
        assert stack.wait_end() == EXIT_REFUSED
        assert stack.text().splitlines()[-1] == (
            "tradewind: beta: TRADEWIND_FEED can't be used: no such feed"
        )
        assert stack.text().count("no such feed") == 1


def test_children_end_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        children = stack.children()
        stack.process.kill()
        assert wait_until(lambda: not any(map(alive, children.values())), seconds=PATIENCE_S)
        assert stack.happened()[-2:] in (["alpha stopped", "beta stopped"], ["beta stopped", "alpha stopped"])
        assert "database system is shut down" in (stack.data / "logs/postgres.log").read_text()


def test_a_start_after_a_killed_supervisor_stops_what_it_left(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        children = stack.children()
        # Suspended, they can't follow the signal of the kernel: the next start finds them alive.
        for name in ("alpha", "nats", "postgres"):
            os.kill(children[name], signal.SIGSTOP)
        stack.process.kill()
        stack.process.wait()
    resumed = [children["nats"], children["postgres"]]
    with run_stack(tmp_path) as stack:
        stack.wait_for("stopping alpha, left by a killed run")
        for pid in [*resumed, children["alpha"]]:
            os.kill(pid, signal.SIGCONT)
        stack.wait_ready()
        assert not any(alive(pid) for pid in children.values())


def test_what_a_service_refuses_later_is_tried_again_and_stops_nothing(tmp_path: Path) -> None:
    """Its configuration was good once: now a port was taken while it was down, or a folder is away."""
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
        (stack.events / "alpha.refuse").touch()
        os.kill(stack.children()["alpha"], signal.SIGKILL)
        stack.wait_for("(alpha: TRADEWIND_FEED can't be used: no such feed); trying again in 1 s")
        (stack.events / "alpha.refuse").unlink()
        stack.wait(lambda: len(stack.happened("alpha")) == 2, "alpha is up again")
        assert stack.happened("beta") == [f"started {stack.children()['beta']}"]


def test_a_port_in_use_is_refused_in_one_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with run_stack(tmp_path, "alpha,gateway", TRADEWIND_HTTP_PORT=str(port)) as stack:
            assert stack.wait_end() == EXIT_REFUSED
            lines = stack.text().splitlines()
    assert len(lines) == 1
    assert lines[0].startswith(f"tradewind: port {port} on 127.0.0.1 is in use by pid {os.getpid()}")


def test_an_unknown_setting_is_refused_in_one_line(tmp_path: Path) -> None:
    with run_stack(tmp_path, TRADEWIND_FED="synthetic") as stack:
        assert stack.wait_end() == EXIT_REFUSED
        assert stack.text() == ("tradewind: TRADEWIND_FED is not a setting; did you mean TRADEWIND_FEED?\n")


def test_a_given_database_that_does_not_answer_is_named_without_its_password(tmp_path: Path) -> None:
    with run_stack(tmp_path, DATABASE_URL="postgresql://me:hush@127.0.0.1:1/x") as stack:
        assert stack.wait_end() == EXIT_REFUSED
        last = stack.text().splitlines()[-1]
        assert last.startswith("tradewind: the PostgreSQL of DATABASE_URL can't be used: ")
        assert "hush" not in stack.text()


def test_a_given_nats_that_does_not_answer_is_named_at_once(tmp_path: Path) -> None:
    with run_stack(tmp_path, NATS_URL="nats://me:hush@127.0.0.1:1") as stack:
        assert stack.wait_end() == EXIT_REFUSED
        last = stack.text().splitlines()[-1]
        assert last == "tradewind: the NATS of NATS_URL can't be used: 127.0.0.1:1: Connection refused"


def test_lost_secrets_are_said_instead_of_a_new_password_for_an_old_database(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_ready()
    (stack.data / "secrets.json").unlink()
    with run_stack(tmp_path) as stack:
        assert stack.wait_end() == EXIT_REFUSED
        assert "secrets.json is missing but" in stack.text()


def test_a_data_folder_that_cannot_be_made_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands in the way")
    with run_stack(tmp_path) as stack:
        assert stack.wait_end() == EXIT_REFUSED
        assert stack.text().startswith(f"tradewind: the data folder {stack.data} can't be written (")


def test_ctrl_c_during_the_start_stops_what_was_started(tmp_path: Path) -> None:
    with run_stack(tmp_path) as stack:
        stack.wait_for("starting PostgreSQL")
        assert stack.stop() == 0
        assert "everything is stopped" in stack.text()
        assert "Traceback" not in stack.text()
    with run_stack(tmp_path) as stack:
        stack.wait_ready()


def test_a_full_disk_is_refused_in_one_line(tmp_path: Path) -> None:
    """On a small file system of its own; made in a namespace, so that it needs no rights."""
    data = tmp_path / "data"
    data.mkdir()
    script = (
        f"mount -t tmpfs -o size=32m none {data} && "
        f"exec {sys.executable} -m tests.integration.local.tiny_stack {tmp_path} alpha"
    )
    namespace = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*namespace, "mount", "-t", "tmpfs", "none", str(data)], check=False).returncode:
        pytest.skip("this machine allows no mount namespaces")
    done = subprocess.run(
        [*namespace, "sh", "-c", script],
        cwd=ROOT,
        env={**os.environ, "TRADEWIND_DATA_DIR": str(data)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == EXIT_REFUSED
    assert done.stderr.startswith(f"tradewind: the disk of {data} is full (32 MB free, 256 MB needed)")
    assert len(done.stderr.splitlines()) == 1
