"""Free ports on loopback, and who holds a port that is not free."""

from __future__ import annotations

import errno
import socket
import zlib
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

from deploy.local.errors import StartRefused
from deploy.local.files import read_json, write_json

LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral range (32768…): an outgoing connection of anybody can't take our port
# between the choice and the bind.
_FIRST, _LAST = 20_000, 32_000
_METRICS = "metrics:"


def choose_ports(
    names: Sequence[str],
    *,
    seed: str,
    wished: Mapping[str, int] | None = None,
    taken: Collection[int] = (),
) -> dict[str, int]:
    """A free loopback port per name: the ``wished`` one when it is still free, else the next free one.

    All are bound at the same time before any is given back, so no two names get the same, and none gets one
    of ``taken`` (chosen before, perhaps not bound yet). ``seed`` (the data folder) spreads the stacks of one
    machine. Raises StartRefused when no port is left.
    """
    chosen: dict[str, int] = {}
    with ExitStack() as held:
        missing: list[str] = []
        for name in names:
            port = (wished or {}).get(name, 0)
            if port and port not in taken and _hold(held, port):
                chosen[name] = port
            else:
                missing.append(name)
        candidate = _FIRST + zlib.crc32(seed.encode()) % (_LAST - _FIRST)
        for name in missing:
            for _ in range(_LAST - _FIRST):
                candidate = candidate + 1 if candidate < _LAST else _FIRST
                if candidate not in taken and _hold(held, candidate):
                    chosen[name] = candidate
                    break
            else:
                raise StartRefused(f"no port between {_FIRST} and {_LAST} is free on {LOOPBACK}")
    return chosen


def _hold(held: ExitStack, port: int) -> bool:
    server = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
    # As servers do: connections of a stopped one that linger in TIME_WAIT are no obstacle.
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server.bind((LOOPBACK, port))
        server.listen(1)  # two bound sockets with SO_REUSEADDR are allowed, two listening ones are not
    except OSError:
        return False
    return True


class PortBook:
    """The ports of one stack, kept in ``ports.json``; those of the last run are taken again when free."""

    def __init__(self, data: Path, *, http: int) -> None:
        self._path = data / "ports.json"
        self._seed = str(data)
        self._http = http
        self._chosen: dict[str, int] = {}
        known = read_json(self._path)
        metrics = known.pop("metrics", {})
        if isinstance(metrics, dict):
            known |= {_METRICS + name: port for name, port in metrics.items()}
        self._wished = {name: port for name, port in known.items() if type(port) is int and 0 < port < 65_536}

    def choose(self, name: str) -> int:
        """A port for a server; asked again for the same name, one that is free now."""
        return self._choose([name])[name]

    def chosen(self, name: str) -> int | None:
        """The port a server of this run has; None when it has none."""
        return self._chosen.get(name)

    def choose_metrics(self, processes: Sequence[str]) -> dict[str, int]:
        """A metrics port per process."""
        chosen = self._choose([_METRICS + name for name in processes])
        return {name.removeprefix(_METRICS): port for name, port in chosen.items()}

    def write(self) -> None:
        """Write ``ports.json`` for ``tradewind status``, tests and people."""
        metrics = {n.removeprefix(_METRICS): p for n, p in self._chosen.items() if n.startswith(_METRICS)}
        servers = {n: p for n, p in self._chosen.items() if not n.startswith(_METRICS)}
        write_json(self._path, {"http": self._http, **servers, "metrics": metrics})

    def _choose(self, names: Sequence[str]) -> dict[str, int]:
        others = {self._http} | {port for name, port in self._chosen.items() if name not in names}
        chosen = choose_ports(names, seed=self._seed, wished=self._wished, taken=others)
        self._chosen |= chosen
        return chosen


def refuse_port_in_use(host: str, port: int) -> None:
    """StartRefused when no server can listen on ``host:port`` now: one line, why and what helps."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((host, port))
            server.listen(1)
        except OSError as e:
            if e.errno != errno.EADDRINUSE:
                raise StartRefused(f"can't listen on {host}:{port}: {e.strerror}") from None
            holder = holder_of(port)
            raise StartRefused(
                f"port {port} on {host} is in use{f' by {holder}' if holder else ''}: stop it, or choose "
                f"another with TRADEWIND_HTTP_PORT or --http-port"
            ) from None


def holder_of(port: int) -> str:
    """``pid 123 (name)`` of the process that listens on ``port``; empty when it can't be seen."""
    inodes = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not inodes:
        return ""
    for descriptors in Path("/proc").glob("[0-9]*/fd"):
        try:
            if any(str(link.readlink()) in inodes for link in descriptors.iterdir()):
                name = (descriptors.parent / "comm").read_text(encoding="utf-8", errors="replace").strip()
                return f"pid {descriptors.parent.name} ({name})"
        except OSError:
            continue  # not ours to look at, or gone meanwhile
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
