"""Real service processes for tests, without the supervisor: each started, watched and stopped by the test."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

ROOT = Path(__file__).resolve().parents[1]
_READY_S = 60.0
_END_S = 30.0


def _own_ports() -> Iterator[int]:
    """Ports of this process of the tests alone, over and over.

    They lie below Linux's ephemeral range (32768…), from which outgoing connections take theirs, and below
    those of stacks and servers (``deploy/local/ports.py``): nobody comes between the choice and the bind.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 8
    first, count = 10_000 + worker * 1_250, 1_250
    return (first + (os.getpid() + number) % count for number in itertools.count())


_ports = _own_ports()


def free_port() -> int:
    """A loopback port that nobody uses, or will before the one who asked."""
    for port in itertools.islice(_ports, 1_250):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("every port of this process is taken")


@dataclass
class Running:
    """One service process."""

    name: str
    process: asyncio.subprocess.Process
    metrics_port: int
    log: Path
    environment: dict[str, str]

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def metrics(self) -> str:
        """The text of ``/metrics``."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://127.0.0.1:{self.metrics_port}/metrics") as response,
        ):
            return await response.text()


class House:
    """The processes of one test on its own database and the run's NATS."""

    def __init__(self, dsns: dict[str, str], nats_url: str, folder: Path) -> None:
        self.dsns = dsns
        self._nats_url = nats_url
        self._folder = folder
        self.http_port = free_port()
        self.running: dict[str, Running] = {}

    @property
    def url(self) -> str:
        """Where the gateway answers."""
        return f"http://127.0.0.1:{self.http_port}"

    async def start(self, *names: str, **settings: str) -> None:
        """Start services and wait until each is ready; ``settings`` are names without TRADEWIND_."""
        started = [await self._spawn(name, settings) for name in names]
        for running in started:
            await self._ready(running)

    async def _spawn(self, name: str, settings: dict[str, str]) -> Running:
        port = free_port()
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("TRADEWIND_")},
            "DATABASE_URL": self.dsns.get(name, self.dsns["admin"]),
            "NATS_URL": self._nats_url,
            "TRADEWIND_METRICS_PORT": str(port),
            "TRADEWIND_HTTP_PORT": str(self.http_port),
            "TRADEWIND_DATA_DIR": str(self._folder),
            "TRADEWIND_FEED": "manual",
            "TRADEWIND_ADMIN_PASSWORD": "admin-password",
            "TRADEWIND_SECRET_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
            "TRADEWIND_PLANS_FILE": str(ROOT / "tests/plans.json"),
            "TRADEWIND_SERVICES": "auth,market,trading,alerts,gateway",
            **{f"TRADEWIND_{key}": value for key, value in settings.items()},
        }
        key = f"{name}-{environment.get('TRADEWIND_PROCESS_INDEX', '0')}"
        log = self._folder / f"{key}.log"
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{name}",
                env=environment,
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        running = Running(name, process, port, log, environment)
        self.running[key] = running
        return running

    async def _ready(self, running: Running, timeout_s: float = _READY_S) -> None:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        last = "no answer"
        async with aiohttp.ClientSession() as session:
            while loop.time() < deadline:
                if running.process.returncode is not None:
                    raise AssertionError(f"{running.name} ended: {running.log.read_text()[-4000:]}")
                try:
                    async with session.get(f"http://127.0.0.1:{running.metrics_port}/readyz") as response:
                        last = await response.text()
                        if response.status == 200:
                            return
                except aiohttp.ClientError as e:
                    last = repr(e)
                await asyncio.sleep(0.02)
        raise AssertionError(f"{running.name} not ready: {last}\n{running.log.read_text()[-4000:]}")

    async def end(self, key: str, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop one process by its key (``market-0``) and wait for its end; its exit code."""
        running = self.running.pop(key)
        if running.process.returncode is None:
            running.process.send_signal(number)
        async with asyncio.timeout(_END_S):
            return await running.process.wait()

    async def stop(self) -> None:
        """Stop everything, the newest first."""
        for key in reversed(list(self.running)):
            try:
                await self.end(key)
            except TimeoutError:
                await self.end(key, signal.SIGKILL)
