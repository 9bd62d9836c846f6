"""The embedded PostgreSQL: one database folder, one postmaster, loopback only.

Lifecycle: ``EmbeddedPostgres(...)`` → ``prepare()`` (makes the folder at the first start, stops what a
killed supervisor left) → ``spawn()`` (main thread) → ``wait_ready()`` → ``stop()``. After an unclean end
``prepare`` and the rest may be called again. Never two at a time on one folder: the caller holds the data
folder's lock.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from deploy.local import processes
from deploy.local.errors import PortTaken, StartRefused
from deploy.local.ports import LOOPBACK
from deploy.local.privileges import Way

SUPERUSER = "tradewind"
DATABASE = "tradewind"
MAJOR = 18

# SIGINT is PostgreSQL's fast shutdown: it ends the sessions, writes a checkpoint and exits 0.
_STOP = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 5.0))
_READY_S = 120.0  # recovery after a power failure may take a while
_INIT_S = 120.0
_LOG_READ_BYTES = 65_536
_PORT_TAKEN = "Address already in use"
_SETTINGS = {
    # A small machine, and nobody but us: few processes, little memory, quiet when idle.
    "listen_addresses": LOOPBACK,
    "unix_socket_directories": "",
    "max_connections": "120",
    "shared_buffers": "96MB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "effective_cache_size": "512MB",
    "max_worker_processes": "2",
    "max_parallel_workers": "0",
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
    "max_logical_replication_workers": "0",
    "autovacuum_max_workers": "1",
    "autovacuum_worker_slots": "2",
    "io_method": "sync",  # the default keeps three more processes
    "jit": "off",
    "wal_level": "replica",  # so that pg_basebackup works
    "max_wal_senders": "3",
    "max_replication_slots": "3",
    "max_wal_size": "512MB",
    "min_wal_size": "64MB",
    "checkpoint_timeout": "10min",
    "random_page_cost": "1.1",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "datestyle": "iso, ymd",
    "lc_messages": "C",
    "log_checkpoints": "off",
    "log_line_prefix": "%m [%p] %u ",
    "idle_in_transaction_session_timeout": "60s",
    "deadlock_timeout": "1s",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """One PostgreSQL server over one database folder.

    ``durable=False`` is for tests that do not pull the plug: nothing is synced.
    """

    def __init__(self, way: Way, *, port: int, password: str, log: Path, durable: bool = True) -> None:
        self._way = way
        self._port = port
        self._password = password
        self._log = log
        self._durable = durable
        self._log_mark = 0
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def dsn(self) -> str:
        """The administrator's connection string."""
        return f"postgresql://{SUPERUSER}:{quote(self._password, safe='')}@{LOOPBACK}:{self._port}/{DATABASE}"

    def prepare(self) -> bool:
        """Make the folder ready for ``spawn``; True when this was its first start."""
        data = self._way.data
        _refuse_foreign_folder(data, self._way)
        first = not (data / "PG_VERSION").exists()
        if first:
            self._init()
        else:
            _refuse_other_version(data)
            stop_left_over(data)
        self._write_settings()
        return first

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start the postmaster; call it from the main thread (see ``processes``)."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        with self._log.open("ab") as log:
            self._log_mark = log.tell()
            self.process = processes.spawn(
                self._way.command("postgres", "-D", str(self._way.data)),
                environ=_environment(),
                folder=Path("/"),
                death_signal=signal.SIGINT,
                stdout=log,
                stderr=log,
                owner=self._way.owner,
            )
        return self.process

    def wait_ready(self) -> None:
        """Return when it takes connections; StartRefused, with its own words, when it ends instead."""
        process = self.process
        if process is None:
            raise RuntimeError("spawn() first")

        def settled() -> bool:
            return process.poll() is not None or self._is_ready(process.pid)

        if not processes.wait_until(settled, seconds=_READY_S):
            raise StartRefused(f"PostgreSQL was not ready within {_READY_S:.0f} s, see {self._log}")
        if process.poll() is not None:
            text = self._log_since_spawn()
            reason = explain(text, self._way.data) or f"PostgreSQL ended with status {process.returncode}"
            raise PortTaken(reason) if _PORT_TAKEN in text else StartRefused(reason)

    def stop(self) -> None:
        """Fast shutdown: sessions end, a checkpoint is written, at most 30 s; then harder."""
        if self.process is not None:
            processes.stop(self.process, _STOP)

    def kill(self) -> None:
        """As if the power failed: SIGKILL to the postmaster; its children notice and end."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    async def output_end(self) -> None:
        """It writes its log itself."""

    def last_words(self) -> str:
        """The error it ended with, if its log has one."""
        return explain(self._log_since_spawn(), self._way.data)

    def _is_ready(self, pid: int) -> bool:
        # Line 8 of postmaster.pid is what pg_ctl itself waits for.
        lines = _pid_file_lines(self._way.data)
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _log_since_spawn(self) -> str:
        with self._log.open("rb") as log:
            log.seek(self._log_mark)
            return log.read(_LOG_READ_BYTES).decode(errors="replace")

    def _init(self) -> None:
        """``initdb`` beside the folder, then a rename: a folder that exists is a complete one."""
        data = self._way.data
        unfinished = data.with_name(data.name + ".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        password_file = data.with_name(data.name + ".password")
        password_file.unlink(missing_ok=True)
        descriptor = os.open(password_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(self._password + "\n")
        self._way.give(password_file)
        try:
            self._run_initdb(unfinished, password_file)
            # Single-user mode needs no port and no password.
            self._run(
                "postgres", "--single", "-D", str(unfinished), "postgres", say=f"CREATE DATABASE {DATABASE};"
            )
            unfinished.rename(data)
        finally:
            password_file.unlink(missing_ok=True)

    def _run_initdb(self, folder: Path, password_file: Path) -> None:
        arguments = [
            *("-D", str(folder), "-U", SUPERUSER, f"--pwfile={password_file}"),
            *("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--locale-provider=builtin"),
            *("--builtin-locale=C.UTF-8", "--no-instructions"),
            # A commit that needs the next file of the log waits until it is zeroed and synced: for the 16 MB
            # of the default tens of milliseconds, on a busy disk hundreds.
            "--wal-segsize=1",
        ]
        if not self._durable:
            arguments.append("--no-sync")
        self._run("initdb", *arguments)

    def _run(self, program: str, *arguments: str, say: str = "") -> None:
        done = subprocess.run(
            self._way.command(program, *arguments),
            env=_environment(),
            cwd="/",
            input=say.encode(),
            capture_output=True,
            timeout=_INIT_S,
            check=False,
            start_new_session=True,
            user=self._way.owner.uid if self._way.owner else None,
            group=self._way.owner.gid if self._way.owner else None,
            extra_groups=[] if self._way.owner else None,
        )
        if done.returncode != 0:
            text = (done.stdout + done.stderr).decode(errors="replace")
            raise StartRefused(
                explain(text, self._way.data) or f"{program} ended with status {done.returncode}"
            )

    def _write_settings(self) -> None:
        settings = {"port": str(self._port)} | _SETTINGS | (_DURABLE if self._durable else _FAST)
        lines = [
            "# Written by Tradewind at every start. Your own: postgresql.local.conf.",
            *(f"{name} = '{value}'" for name, value in settings.items()),
            "include_if_exists = 'postgresql.local.conf'",
        ]
        path = self._way.data / "postgresql.conf"
        replacement = path.with_suffix(".new")
        replacement.write_text("\n".join(lines) + "\n", encoding="utf-8")
        self._way.give(replacement)
        replacement.replace(path)


def stop_left_over(data: Path) -> bool:
    """Stop the postmaster a killed supervisor left on ``data``; True when there was one.

    Its pid alone says nothing (pids are used again, after a container restart at once): it is ours only
    when its working folder is this database folder, which is where a postmaster lives.
    """
    lines = _pid_file_lines(data)
    if not processes.LINUX or not lines or not lines[0].isdigit():
        return False
    pid = int(lines[0])
    alive = Path(f"/proc/{pid}")
    try:
        ours = (
            alive.stat().st_uid == data.stat().st_uid
            and (alive / "cwd").resolve(strict=True) == data.resolve()
        )
    except FileNotFoundError:
        ours = False
    except PermissionError:
        raise StartRefused(
            f"pid {pid} may be PostgreSQL of {data} and can't be looked at: stop it first"
        ) from None
    if not ours:
        # Somebody else has that pid now; PostgreSQL would take it for a running postmaster.
        (data / "postmaster.pid").unlink(missing_ok=True)
        return False
    if not processes.stop_stranger(pid, processes.started_at(pid), _STOP):
        raise StartRefused(f"PostgreSQL of {data} still runs as pid {pid} and can't be stopped: kill {pid}")
    return True


def explain(text: str, folder: Path) -> str:
    """One line out of what PostgreSQL's programs printed; empty when nothing in it is an error."""
    if "No space left on device" in text:
        return f"the disk of {folder} is full: make room or choose another --data-dir"
    for mark in ("PANIC: ", "FATAL: ", "initdb: error: ", "postgres: ", "could not "):
        for line in text.splitlines():
            if mark in line:
                return f"PostgreSQL: {line[line.index(mark) :].strip()}"
    return ""


def _refuse_foreign_folder(data: Path, way: Way) -> None:
    expected = way.owner.uid if way.owner else os.geteuid()
    try:
        actual = data.stat().st_uid
    except FileNotFoundError:
        return
    if actual != expected:
        raise StartRefused(
            f"{data} belongs to user {actual}, we run as {os.geteuid()}: run as that user, "
            f"or chown -R {expected} {data}, or choose another --data-dir"
        )


def _refuse_other_version(data: Path) -> None:
    version = (data / "PG_VERSION").read_text(encoding="ascii", errors="replace").strip()
    if version != str(MAJOR):
        raise StartRefused(
            f"{data} was made by PostgreSQL {version}, this is {MAJOR}: bring it over with pg_dump or "
            "pg_upgrade, or choose another --data-dir"
        )


def _pid_file_lines(data: Path) -> list[str]:
    try:
        return (data / "postmaster.pid").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _environment() -> Mapping[str, str]:
    # PG* variables of the user's shell (PGDATA, PGPORT, PGOPTIONS) must not steer our server.
    kept = {name: value for name, value in processes.plain_environ().items() if not name.startswith("PG")}
    return kept | {"LC_ALL": "C", "TZ": "UTC"}
