"""One supervised process: started, watched, started again with growing delay, stopped.

Everything here runs on the main thread's event loop (see ``processes`` on why children must be forked
there); only waiting for readiness and for the end of a stop happens in worker threads.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from deploy.local import processes
from deploy.local.console import Console
from deploy.local.errors import EXIT_REFUSED, StartRefused
from deploy.local.logs import Echo, LineSplitter, RotatingLog, progress_of
from deploy.local.restart import RestartPolicy

_STOP = ((signal.SIGTERM, 10.0), (signal.SIGKILL, 5.0))
_F_SETPIPE_SZ = 1031
_PIPE_BYTES = 1024 * 1024
_EXIT_POLL_S = 0.2
_OUTPUT_S = 1.0


class Program(Protocol):
    """What a child runs. ``prepare`` and ``wait_ready`` may block, ``spawn`` forks and must not."""

    def prepare(self) -> object: ...
    def spawn(self) -> subprocess.Popen[bytes]: ...
    def wait_ready(self) -> None: ...
    def stop(self) -> None: ...
    def kill(self) -> None: ...
    async def output_end(self) -> None: ...
    def last_words(self) -> str: ...


class ServiceProgram:
    """A process of ours: its stdout and stderr go through a pipe into its log, warnings to the console."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        environ: Mapping[str, str],
        folder: Path,
        log: RotatingLog,
        echo: Echo,
        console: Console,
    ) -> None:
        self._name = name
        self._command = command
        self._environ = environ
        self._folder = folder
        self._log = log
        self._echo = echo
        self._console = console
        self._process: subprocess.Popen[bytes] | None = None
        self._output_ended = asyncio.Event()

    def prepare(self) -> None:
        """Nothing to make ready."""

    def spawn(self) -> subprocess.Popen[bytes]:
        """Start it and read its output from the running loop."""
        reader, writer = os.pipe()
        try:
            self._process = processes.spawn(
                self._command,
                environ=self._environ,
                folder=self._folder,
                death_signal=signal.SIGTERM,
                stdout=writer,
                stderr=writer,
            )
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        self._echo.last_words = ""
        self._output_ended = asyncio.Event()
        self._read(reader, self._output_ended)
        return self._process

    def wait_ready(self) -> None:
        """Readiness of services is asked over HTTP, for all together."""

    def stop(self) -> None:
        """SIGTERM, at most 10 s for an orderly stop, then SIGKILL."""
        if self._process is not None:
            processes.stop(self._process, _STOP)

    def kill(self) -> None:
        """No more waiting."""
        if self._process is not None:
            self._process.kill()

    async def output_end(self) -> None:
        """Wait until everything it said is in the log; a grandchild that holds the pipe is not waited for."""
        try:
            await asyncio.wait_for(self._output_ended.wait(), timeout=_OUTPUT_S)
        except TimeoutError:
            pass

    def last_words(self) -> str:
        """The last line it printed that was no log entry: usually the last line of a traceback."""
        return self._echo.last_words

    def _read(self, descriptor: int, ended: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        splitter = LineSplitter()
        os.set_blocking(descriptor, False)
        try:
            # Room for the time the supervisor is suspended (Ctrl-Z): services must not block on a log line.
            fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            pass

        def readable() -> None:
            try:
                data = os.read(descriptor, 65_536)
            except BlockingIOError:
                return
            lines = splitter.feed(data) if data else [splitter.rest()]
            for line in lines:
                self._take(line)
            if not data:
                loop.remove_reader(descriptor)
                os.close(descriptor)
                ended.set()

        loop.add_reader(descriptor, readable)

    def _take(self, line: bytes) -> None:
        if not line:
            return
        self._log.write(line)
        entry = self._echo.hear(line)
        if entry is None:
            return
        progress = progress_of(entry)
        if progress is not None:
            self._console.progress(f"{self._name}: {progress.text}", complete=progress.complete)
        text = self._echo.readable(entry)
        if text is not None:
            self._console.line(f"{self._name}: {text}")


class Child:
    """Keeps one program running until ``stop``.

    ``refused`` is called with one line when the program says that its configuration is wrong (status 78):
    trying again is no use. After ``trust`` it is: the same configuration was good before, so what it now
    refuses may pass. ``started`` is called after each start with the new pid.
    """

    def __init__(
        self,
        name: str,
        program: Program,
        *,
        policy: RestartPolicy,
        show: Callable[[str], None],
        refused: Callable[[str], None],
        started: Callable[[str, int], None],
    ) -> None:
        self.name = name
        self._program = program
        self._policy = policy
        self._show = show
        self._refused = refused
        self._started = started
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._trusted = False
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """The pid while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if running and self._process is not None else None

    @property
    def crashes(self) -> int:
        """How often it ended by itself since it last was healthy."""
        return self._policy.crashes

    async def start(self) -> None:
        """The first start: a refusal is the caller's; from then on it is watched."""
        await self._start()
        self._watcher = asyncio.create_task(self._watch(), name=f"watch {self.name}")

    def trust(self) -> None:
        """Its configuration has proved good: from now on every end is a crash."""
        self._trusted = True

    async def stop(self) -> None:
        """Orderly stop; returns when the process is gone."""
        self._stopping.set()
        await asyncio.to_thread(self._program.stop)
        if self._watcher is not None:
            await self._watcher

    def kill(self) -> None:
        """Stop waiting for an orderly end."""
        self._stopping.set()
        self._program.kill()

    async def _start(self) -> None:
        await asyncio.to_thread(self._program.prepare)
        if self._stopping.is_set():
            return
        self._process = self._program.spawn()
        self._policy.started()
        self._started(self.name, self._process.pid)
        await asyncio.to_thread(self._program.wait_ready)

    async def _watch(self) -> None:
        while self._process is not None:
            status = await _ended(self._process)
            await self._program.output_end()
            if self._stopping.is_set():
                return
            if status == EXIT_REFUSED and not self._trusted:
                # Its own line already begins with its name.
                self._refused(
                    self._program.last_words() or f"{self.name}: its configuration is wrong, see its log"
                )
                return
            await self._again(describe(status))

    async def _again(self, reason: str) -> None:
        """Wait and start again, as often as it takes."""
        while not self._stopping.is_set():
            delay_s = self._policy.delay_s()
            words = self._program.last_words()
            self._show(f"{self.name} {reason}{f' ({words})' if words else ''}; trying again in {delay_s:g} s")
            if await self._stopped_within(delay_s):
                return
            self.restarts += 1
            try:
                await self._start()
                return
            except StartRefused as e:
                reason = f"did not start: {e}"
            except OSError as e:
                reason = f"did not start: {e.strerror}"

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), timeout=seconds)
        except TimeoutError:
            return False
        return True


def describe(status: int) -> str:
    """How a process ended, in words."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


async def _ended(process: subprocess.Popen[bytes]) -> int:
    """Wait for the end of a child without a thread per child."""
    loop = asyncio.get_running_loop()
    try:
        descriptor = os.pidfd_open(process.pid)
    except (AttributeError, OSError):  # not Linux, or the child was reaped a moment ago
        while (status := process.poll()) is None:  # noqa: ASYNC110 - nothing else tells us
            await asyncio.sleep(_EXIT_POLL_S)
        return status
    ended = asyncio.Event()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)
    return await asyncio.to_thread(process.wait)
