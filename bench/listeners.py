"""The load's other end: many WebSocket clients in one light process.

One epoll loop over plain sockets. Most sockets only count frames; some are *witnesses*: they read
each one, for its latency and for whether every symbol's numbers follow without a hole. Counting is
exact for all, so a lost frame shows in the sum, a reordered one at a witness.

Between two looks the loop rests for half a millisecond. Without that every frame would wake this
process by itself, and the wake-up is paid by the server's core: clients elsewhere cost it nothing.
"""

from __future__ import annotations

import base64
import os
import random
import re
import select
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any, Protocol

from bench.children import read_line, write_line
from bench.feed import PROFILE, symbol
from libs.common.subjects import QUOTE

MARK = b'["t"'
QUOTE_RE = re.compile(rb'\["t","(\w+)",[^,]+,[^,]+,\d+,(\d+),(\d+)\]')
READ_BYTES = 65_536
REST_S = 0.0005


class Dialect(Protocol):
    """How a client says what it wants, and how a quote ends on the wire."""

    end: bytes

    def wants(self, symbols: list[str]) -> tuple[list[bytes], bytes]:
        """Client messages to send, and what the answer to the last one contains."""
        ...


class StreamDialect:
    """The platform's own protocol, which the plain loop speaks too."""

    end = b"]"

    def wants(self, symbols: list[str]) -> tuple[list[bytes], bytes]:
        names = ",".join(f'"{name}"' for name in symbols)
        messages = [
            b'{"authorization":"any"}',
            b'{"event":"subscribe","data":[%b]}' % names.encode(),
            b"ping",
        ]
        return [_masked(1, message) for message in messages], b"pong"


class NatsDialect:
    """The NATS protocol over WebSocket."""

    end = b"]\r\n"

    def wants(self, symbols: list[str]) -> tuple[list[bytes], bytes]:
        lines = b'CONNECT {"verbose":false,"pedantic":false,"lang":"bench","version":"1","protocol":1}\r\n'
        for number, name in enumerate(symbols):
            lines += b"SUB %b %d\r\n" % (QUOTE.at(profile=PROFILE, symbol=name).encode(), number + 1)
        return [_masked(2, lines + b"PING\r\n")], b"PONG"


DIALECTS: dict[str, Dialect] = {"stream": StreamDialect(), "nats": NatsDialect()}


def _masked(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    head = (
        bytes((0x80 | opcode, 0x80 | size))
        if size < 126
        else bytes((0x80 | opcode, 0x80 | 126)) + size.to_bytes(2)
    )
    return head + b"\0\0\0\0" + payload  # masked with zeros: the same bytes


@dataclass(eq=False, slots=True)
class Client:
    """One socket. ``rest`` is the beginning of a frame whose end has not come."""

    sock: socket.socket
    symbols: list[str]
    witness: bool
    rest: bytes = b""
    count: int = 0
    seqs: dict[bytes, int] = field(default_factory=dict)


class Listeners:
    """All clients, and what they have heard since the last reset."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._dialect = DIALECTS[config["dialect"]]
        self._epoll = select.epoll()
        self._clients: dict[int, Client] = {}
        self._latencies_ns: list[int] = []
        self.holes = 0
        dice = random.Random(config["seed"])
        names = [symbol(n) for n in range(config["symbols"])]
        # Drawn, not every n-th: a server may treat its sockets in groups by number.
        witnesses = set(
            dice.sample(range(config["sockets"]), -(-config["sockets"] // config["witness_every"]))
        )
        for number in range(config["sockets"]):
            wanted = sorted(dice.sample(names, config["each"]))
            sock = self._open(config["port"], config["path"], wanted)
            self._clients[sock.fileno()] = Client(sock, wanted, number in witnesses)
            self._epoll.register(sock, select.EPOLLIN)
        self._epoll.register(sys.stdin, select.EPOLLIN)

    def _open(self, port: int, path: str, wanted: list[str]) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", port))
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall(
            f"GET {path} HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._until(sock, b"\r\n\r\n")
        messages, answer = self._dialect.wants(wanted)
        sock.sendall(b"".join(messages))
        self._until(sock, answer)
        sock.setblocking(False)
        return sock

    @staticmethod
    def _until(sock: socket.socket, mark: bytes) -> None:
        data = b""
        while mark not in data:
            more = sock.recv(4096)
            if not more:
                raise ConnectionError(f"the server closed after {data!r}")
            data += more

    def subscribers(self) -> dict[str, int]:
        """How many clients want each symbol."""
        found: dict[str, int] = {}
        for client in self._clients.values():
            for name in client.symbols:
                found[name] = found.get(name, 0) + 1
        return found

    def run(self) -> None:
        """Read until the input ends, answering ``mark``."""
        clients, stdin = self._clients, sys.stdin.fileno()
        while True:
            for fd, _ in self._epoll.poll():
                if fd != stdin:
                    self._read(clients[fd])
                    continue
                line = sys.stdin.readline()
                if not line:
                    return
                write_line(self._figures())
            time.sleep(REST_S)

    def _read(self, client: Client) -> None:
        try:
            data = client.sock.recv(READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            raise ConnectionError("the server closed a socket")
        end = self._dialect.end
        if client.rest:
            data = client.rest + data
        if data.endswith(end):
            client.rest = b""
        else:
            whole = data.rfind(end) + len(end) if end in data else 0
            client.rest, data = data[whole:], data[:whole]
        client.count += data.count(MARK)
        if client.witness and data:
            self._witness(client, data)

    def _witness(self, client: Client, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        for name, stamp, seq in QUOTE_RE.findall(data):
            self._latencies_ns.append(now_ns - int(stamp))
            if int(seq) != client.seqs.get(name, 0) + 1:
                self.holes += 1
            client.seqs[name] = int(seq)

    def _figures(self) -> dict[str, Any]:
        latencies = sorted(self._latencies_ns)
        self._latencies_ns = []
        found: dict[str, Any] = {
            "count": sum(client.count for client in self._clients.values()),
            "cpu_s": time.process_time(),
            "holes": self.holes,
        }
        if latencies:
            for name, share in (("p50", 0.50), ("p99", 0.99), ("max", 1.0)):
                found[f"latency_ms_{name}"] = (
                    latencies[min(int(len(latencies) * share), len(latencies) - 1)] / 1e6
                )
        return found


if __name__ == "__main__":
    listeners = Listeners(read_line())
    write_line({"subscribers": listeners.subscribers()})
    listeners.run()
