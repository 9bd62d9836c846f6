"""Free ports on loopback, and who holds a port that is not free."""

from __future__ import annotations

import socket
import zlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral range (32768…): an outgoing connection of anybody can't take our port
# between the choice and the bind.
_FIRST, _LAST = 20_000, 32_000


def choose_ports(
    names: Sequence[str], *, seed: str, wished: Mapping[str, int] | None = None
) -> dict[str, int]:
    """A free loopback port per name: the ``wished`` one when it is still free, else the next free one.

    All are bound at the same time before any is given back, so no two names get the same. ``seed`` (the
    data folder) spreads the stacks of one machine.
    """
    chosen: dict[str, int] = {}
    with ExitStack() as held:
        missing: list[str] = []
        for name in names:
            port = (wished or {}).get(name, 0)
            if port and _hold(held, port):
                chosen[name] = port
            else:
                missing.append(name)
        candidate = _FIRST + zlib.crc32(seed.encode()) % (_LAST - _FIRST)
        for name in missing:
            for _ in range(_LAST - _FIRST):
                candidate = candidate + 1 if candidate < _LAST else _FIRST
                if _hold(held, candidate):
                    chosen[name] = candidate
                    break
    return chosen


def is_free(host: str, port: int) -> bool:
    """Whether a server could listen on ``host:port`` now."""
    with ExitStack() as held:
        return _hold(held, port, host=host)


def _hold(held: ExitStack, port: int, *, host: str = LOOPBACK) -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = held.enter_context(socket.socket(family, socket.SOCK_STREAM))
    # As servers do: connections of a stopped one that linger in TIME_WAIT are no obstacle.
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((host, port))
        server.listen(1)  # two bound sockets with SO_REUSEADDR are allowed, two listening ones are not
    except OSError:
        return False
    return True


def holder_of(port: int) -> str:
    """``pid 123 (name)`` of the process that listens on ``port``; empty when it can't be seen."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return ""
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            held = any(str(link.readlink()) in inodes for link in descriptors.iterdir())
            if held:
                name = (descriptors.parent / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"pid {descriptors.parent.name} ({name})"
        except OSError:
            continue
    return ""


def _listening_inodes(port: int) -> list[str]:
    found = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        try:
            lines = table.read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == "0A" and int(fields[1].rpartition(":")[2], 16) == port:
                found.append(fields[9])
    return found
