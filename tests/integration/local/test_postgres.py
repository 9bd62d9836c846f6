"""The embedded PostgreSQL: as root, as somebody else, and over folders that are not as they should be."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from deploy.local import privileges
from deploy.local.errors import PortTaken, StartRefused
from deploy.local.ports import choose_ports
from deploy.local.postgres import EmbeddedPostgres, explain, stop_left_over
from deploy.local.privileges import find_way
from deploy.local.processes import wait_until
from tests.integration.local.stack import ROOT, alive

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
NOBODY = 65534


def make(folder: Path, *, durable: bool = False) -> EmbeddedPostgres:
    way = find_way(folder / "postgres", stack_id=f"test-{secrets.token_hex(6)}")
    port = choose_ports(["postgres"], seed=str(folder))["postgres"]
    return EmbeddedPostgres(way, port=port, password="p w/ü", log=folder / "postgres.log", durable=durable)


def start(postgres: EmbeddedPostgres) -> bool:
    first = postgres.prepare()
    postgres.spawn()
    postgres.wait_ready()
    return first


def ask(postgres: EmbeddedPostgres, sql: str) -> object:
    async def run() -> object:
        connection = await asyncpg.connect(postgres.dsn)
        try:
            return await connection.fetchval(sql)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.fixture
def private(tmp_path: Path) -> Iterator[Path]:
    """A folder only its owner may enter, as a checkout in /root is."""
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_it_starts_below_a_folder_of_mode_700_and_keeps_its_data(
    private: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = privileges._copy_programs(privileges.wheel_programs(), private)
    monkeypatch.setattr(privileges, "wheel_programs", lambda: programs)
    postgres = make(private)
    assert start(postgres) is True
    try:
        ask(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
    finally:
        postgres.stop()
    assert postgres.process is not None
    assert postgres.process.returncode == 0
    assert start(postgres) is False
    try:
        assert ask(postgres, "SELECT answer FROM kept") == 42
    finally:
        postgres.stop()


def test_it_recovers_after_its_power_was_cut(private: Path) -> None:
    postgres = make(private, durable=True)
    start(postgres)
    try:
        ask(postgres, "CREATE TABLE kept AS SELECT 42 AS answer")
        postgres.kill()
        start(postgres)
        assert ask(postgres, "SELECT answer FROM kept") == 42
    finally:
        postgres.stop()


def test_nobody_gets_in_without_the_password(private: Path) -> None:
    postgres = make(private)
    start(postgres)
    try:
        stranger = EmbeddedPostgres(
            postgres._way, port=postgres._port, password="guess", log=private / "x.log"
        )
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(stranger, "SELECT 1")
    finally:
        postgres.stop()


@AS_ROOT
def test_root_without_user_namespaces_gets_a_readable_copy(
    private: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(privileges, "_namespace_allowed", lambda owner: False)
    public = Path("/var/tmp") / f"tradewind-test-{secrets.token_hex(6)}"
    try:
        way = find_way(private / "postgres", stack_id="stack", public_place=public)
        assert way.data == public / "stack" / "postgres"
        port = choose_ports(["postgres"], seed=str(private))["postgres"]
        postgres = EmbeddedPostgres(way, port=port, password="x", log=private / "postgres.log", durable=False)
        for first in (True, False):
            assert start(postgres) is first
            assert ask(postgres, "SELECT 1") == 1
            assert (public / "stack" / "postgres").stat().st_uid == NOBODY
            postgres.stop()
        # A machine that allows namespaces later goes on with the database where it is.
        monkeypatch.setattr(privileges, "_namespace_allowed", lambda owner: True)
        assert find_way(private / "postgres", stack_id="stack", public_place=public) == way
    finally:
        shutil.rmtree(public, ignore_errors=True)


@AS_ROOT
def test_root_with_no_way_left_reads_one_sentence(private: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(privileges, "_namespace_allowed", lambda owner: False)
    (private / "file").touch()
    with pytest.raises(StartRefused, match="run as an ordinary user, or set DATABASE_URL"):
        find_way(private / "postgres", stack_id="x", public_place=private / "file" / "below")


@AS_ROOT
@pytest.mark.parametrize("uid", [NOBODY, 12_345])
def test_an_ordinary_user_needs_nothing_special_not_even_a_name(uid: int) -> None:
    folder = Path("/var/tmp") / f"tradewind-test-{secrets.token_hex(6)}"
    programs = privileges._copy_programs(privileges.wheel_programs(), folder)
    home = folder / "home"
    home.mkdir(mode=0o700)
    os.chown(home, uid, uid)
    # Our own code, as that user, over binaries it can read: the checkout itself may be root's alone.
    source = folder / "source"
    shutil.copytree(ROOT / "deploy", source / "deploy", ignore=shutil.ignore_patterns("__pycache__"))
    script = (
        "import sys; from pathlib import Path; from deploy.local import privileges, postgres, ports\n"
        f"privileges.wheel_programs = lambda: Path({str(programs)!r})\n"
        f"home = Path({str(home)!r})\n"
        "way = privileges.find_way(home / 'postgres', stack_id='x')\n"
        "port = ports.choose_ports(['p'], seed='nobody')['p']\n"
        "server = postgres.EmbeddedPostgres(way, port=port, password='x', log=home / 'log', durable=False)\n"
        "server.prepare(); server.spawn(); server.wait_ready(); server.stop()\n"
        "print('stopped with', server.process.returncode)\n"
    )
    try:
        done = subprocess.run(
            ["/usr/bin/env", "python3", "-c", script],
            cwd=source,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", "PYTHONPATH": str(source)},
            user=uid,
            group=uid,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.stdout == "stopped with 0\n", done.stderr
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_a_folder_of_another_version_is_refused_in_one_line(private: Path) -> None:
    (private / "postgres").mkdir(mode=0o700)
    (private / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(StartRefused) as refused:
        make(private).prepare()
    assert str(refused.value) == (
        f"{private / 'postgres'} was made by PostgreSQL 17, this is 18: bring it over with pg_dump or "
        "pg_upgrade, or choose another --data-dir"
    )


@AS_ROOT
def test_a_folder_of_another_user_is_refused_in_one_line(private: Path) -> None:
    (private / "postgres").mkdir(mode=0o700)
    os.chown(private / "postgres", 12_345, 12_345)
    with pytest.raises(StartRefused, match="belongs to user 12345, we run as 0: run as that user"):
        make(private).prepare()


def test_half_an_initdb_is_begun_anew(private: Path) -> None:
    (private / "postgres.new").mkdir(mode=0o700)
    (private / "postgres.new" / "PG_VERSION").write_text("18\n")
    postgres = make(private)
    assert start(postgres) is True
    postgres.stop()
    assert not (private / "postgres.new").exists()
    assert not (private / "postgres.password").exists()


def test_a_pid_that_is_somebody_elses_now_is_no_obstacle(private: Path) -> None:
    postgres = make(private)
    start(postgres)
    postgres.kill()
    pid_file = private / "postgres" / "postmaster.pid"
    lines = pid_file.read_text().splitlines()
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as stranger:
        try:
            pid_file.write_text("\n".join([str(stranger.pid), *lines[1:]]) + "\n")
            start(postgres)
            assert ask(postgres, "SELECT 1") == 1
            assert stranger.poll() is None
        finally:
            postgres.stop()
            stranger.kill()


def test_a_postmaster_left_running_is_stopped_by_the_next_start(private: Path) -> None:
    left = make(private)
    start(left)
    assert left.process is not None
    ask(left, "CREATE TABLE kept AS SELECT 42 AS answer")
    again = make(private)
    assert start(again) is False
    try:
        assert left.process.wait(timeout=10) == 0
        assert ask(again, "SELECT answer FROM kept") == 42
    finally:
        again.stop()


def test_no_postmaster_means_nothing_to_stop(private: Path) -> None:
    assert stop_left_over(private) is False


def test_a_taken_port_is_said_as_such(private: Path) -> None:
    (private / "one").mkdir()
    (private / "two").mkdir()
    first = make(private / "one")
    start(first)
    try:
        second = EmbeddedPostgres(
            find_way(private / "two" / "postgres", stack_id="two"),
            port=first._port,
            password="x",
            log=private / "two.log",
            durable=False,
        )
        second.prepare()
        second.spawn()
        with pytest.raises(PortTaken, match=r"PostgreSQL: FATAL: .*could not create any TCP/IP sockets"):
            second.wait_ready()
    finally:
        first.stop()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('PANIC:  could not write to file "pg_wal/xlogtemp.1": No space left on device', "is full"),
        (
            "x [1] LOG:  starting\nx [1] FATAL:  data directory has wrong permissions",
            "FATAL:  data directory",
        ),
        ("initdb: error: could not create directory: Permission denied", "initdb: error: could not create"),
        ("LOG:  all is well", ""),
    ],
)
def test_what_postgresql_says_becomes_one_line(text: str, line: str) -> None:
    found = explain(text, Path("/data/postgres"))
    assert line in found
    assert bool(found) is bool(line)
    assert "\n" not in found


def test_it_dies_with_its_parent_and_stops_cleanly(private: Path) -> None:
    script = (
        "import os, sys; from tests.integration.local.test_postgres import make, start\n"
        "from pathlib import Path\n"
        f"server = make(Path({str(private)!r})); start(server)\n"
        "print(server.process.pid, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert alive(pid)
        parent.send_signal(signal.SIGKILL)
    assert wait_until(lambda: not alive(pid), seconds=20)
    assert "database system is shut down" in (private / "postgres.log").read_text()
