"""Start and stop child processes by identity, never by name.

A child gets a session of its own (Ctrl-C of the terminal reaches the supervisor only) and is told by
the kernel when its parent dies. The kernel watches the *thread* that forked: call ``spawn`` from a
thread that lives as long as the child should, in practice the main thread.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True) if LINUX else None
_POLL_S = 0.01


@dataclass(frozen=True, slots=True)
class Owner:
    """The unprivileged user a child runs as when we are root."""

    uid: int
    gid: int


def plain_environ() -> dict[str, str]:
    """The user's environment for a server that is none of our services: our settings hold secrets."""
    ours = ("DATABASE_URL", "NATS_URL")
    return {
        name: v for name, v in os.environ.items() if not name.startswith("TRADEWIND_") and name not in ours
    }


def spawn(
    command: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    death_signal: signal.Signals,
    stdout: int | IO[bytes],
    stderr: int | IO[bytes],
    owner: Owner | None = None,
) -> subprocess.Popen[bytes]:
    """Start ``command`` in its own session; ``death_signal`` is sent to it when this process dies."""
    parent = os.getpid()

    def die_with_parent() -> None:
        if _LIBC is None:
            return
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent:  # it died between the fork and the line above
            os.kill(os.getpid(), death_signal)

    return subprocess.Popen(
        list(command),
        env=dict(environ),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,
        preexec_fn=die_with_parent,  # noqa: PLW1509 - two system calls, no lock is taken
        user=owner.uid if owner else None,
        group=owner.gid if owner else None,
        extra_groups=[] if owner else None,
    )


def started_at(pid: int) -> str | None:
    """The start time of ``pid`` in the kernel's own count; with the pid it names one process for ever.

    None when there is no such process, when it is a zombie, or where there is no /proc.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return None
    fields = stat.rpartition(")")[2].split()  # the name in brackets may hold anything
    return None if fields[0] == "Z" else f"{boot}:{fields[19]}"


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    """Poll ``condition`` until it holds; False when it did not within ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() >= deadline:
            return False
        time.sleep(_POLL_S)
    return True


def stop(process: subprocess.Popen[bytes], steps: Sequence[tuple[signal.Signals, float]]) -> int:
    """Send each signal and wait its seconds until the child is gone; the last step must be SIGKILL."""
    for number, seconds in steps:
        if process.poll() is not None:
            break
        process.send_signal(number)
        try:
            process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            continue
    return process.wait()


def stop_stranger(pid: int, identity: str | None, steps: Sequence[tuple[signal.Signals, float]]) -> bool:
    """Stop a process that is not our child, as long as it still is the one named by ``identity``."""

    def gone() -> bool:
        return started_at(pid) != identity

    for number, seconds in steps:
        if identity is None or gone():
            return True
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        if wait_until(gone, seconds=seconds):
            return True
    return gone()
