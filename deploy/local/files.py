"""Files of the data folder: replaced at once, never written in place."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from pathlib import Path
from typing import IO, Any

from deploy.local.errors import StartRefused

FREE_BYTES_MIN = 256 * 1024**2


def write_private(path: Path, text: str) -> None:
    """Replace ``path`` by ``text`` at once, durably; nobody else may read it."""
    replacement = path.with_name(path.name + ".new")
    replacement.unlink(missing_ok=True)
    descriptor = os.open(replacement, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    replacement.replace(path)


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file that others read (ports, targets)."""
    replacement = path.with_name(path.name + ".new")
    replacement.write_text(json.dumps(value, indent=2) + "\n", encoding="utf-8")
    replacement.replace(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object; empty when it is missing or torn, since every reader can do without."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def open_data_folder(data: Path) -> None:
    """Make the data folder, or say in one line why it can't be used."""
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe = data / ".probe"
        probe.write_bytes(b"x" * 4096)
        probe.unlink()
    except OSError as e:
        raise StartRefused(
            f"the data folder {data} can't be written ({e.strerror}): choose another with --data-dir"
        ) from e
    free = shutil.disk_usage(data).free
    if free < FREE_BYTES_MIN:
        raise StartRefused(
            f"the disk of {data} is full ({free // 1024**2} MB free, {FREE_BYTES_MIN // 1024**2} MB needed):"
            " make room or choose another --data-dir"
        )


def lock_data_folder(data: Path) -> IO[str]:
    """Hold the folder until the returned file is closed or this process ends, however it ends."""
    lock = (data / "lock").open("a+", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        holder = lock.read().strip()
        lock.close()
        raise StartRefused(
            f"a stack already runs on {data}{f' (pid {holder})' if holder else ''}: "
            "stop it, or choose another --data-dir and --http-port"
        ) from None
    lock.seek(0)
    lock.truncate()
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock
