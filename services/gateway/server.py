"""The listening socket and the connections on it.

aiohttp's low-level server: no application, no middlewares, one handler. Deadlines: a connection that
sends no whole request head within ``IDLE_S`` is closed, and so is one that stays idle as long; bodies
have deadlines of their own (``door.py``). What is no HTTP is answered 400 and closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from libs.common.errors import ConfigInvalid
from services.gateway import metrics
from services.gateway.errors import BodyUnreadable
from services.gateway.surfaces.dialects import SURFACES

log = structlog.get_logger()

IDLE_S = 65.0  # longer than the 60 s that most proxies keep an idle connection
LINGER_S = 2.0  # how long the rest of a refused body is read and thrown away
STOP_S = 10.0  # how long calls under way may take to finish
HEAD_LINE_BYTES_MAX = 8190
HEAD_FIELD_BYTES_MAX = 17 * 1024  # a payment may have 16 KiB, and one that is a little larger is told so
HEAD_LINES_MAX = 100
BACKLOG = 1024
SEND_BUFFER_BYTES = 256 * 1024  # the kernel's share per connection: beyond it a slow reader can be seen

Handler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


class Connection(web.RequestHandler):
    """A connection that answers what is no HTTP in the house's shape, and quietly; says when it is lost."""

    __slots__ = ("_lost",)

    def on_lost(self, callback: Callable[[], None] | None) -> None:
        """Call back once when the client goes away before its answer; None: nobody asks any more."""
        self._lost = callback
        if callback is not None and self.transport is None:
            callback()

    def connection_lost(self, exc: BaseException | None) -> None:
        super().connection_lost(exc)
        callback = getattr(self, "_lost", None)
        if callback is not None:
            callback()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("a part of the answer was sent already")
        metrics.refused("protocol")
        log.debug("unreadable request", address=request.remote, error=message or repr(exc))
        reply = SURFACES["broker"].error(BodyUnreadable("this is no readable HTTP request"))
        response = web.Response(
            status=reply.status,
            body=reply.body,
            headers={**reply.headers, "Server": "tradewind", "Content-Type": reply.content_type},
        )
        response.force_close()
        return response


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return Connection(self, loop=self._loop, **self._kwargs)


class HttpServer:
    """Listens until stopped."""

    def __init__(self, handler: Handler, *, idle_s: float = IDLE_S) -> None:
        self._server = _Server(
            handler,
            access_log=None,
            keepalive_timeout=idle_s,
            lingering_time=LINGER_S,
            max_line_size=HEAD_LINE_BYTES_MAX,
            max_field_size=HEAD_FIELD_BYTES_MAX,
            max_headers=HEAD_LINES_MAX,
            auto_decompress=False,  # compressed bodies are refused: a small one may unfold into a huge one
        )
        self._listening: asyncio.Server | None = None

    async def start(self, listener: socket.socket, tls: ssl.SSLContext | None) -> None:
        """Take connections on a bound socket."""
        loop = asyncio.get_running_loop()
        self._listening = await loop.create_server(self._server, sock=listener, backlog=BACKLOG, ssl=tls)

    async def stop(self, before_connections: Callable[[], Awaitable[None]]) -> None:
        """Take no more connections, let ``before_connections`` end the sockets, let calls finish."""
        if self._listening is not None:
            self._listening.close()
        await before_connections()
        self._server.pre_shutdown()
        await self._server.shutdown(STOP_S)


def bind(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket bound to the address; ConfigInvalid says plainly why it can't be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as e:
        raise ConfigInvalid(f"TRADEWIND_HTTP_HOST {host} can't be used: {e.strerror}") from e
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(address)
    except OSError as e:
        listener.close()
        raise ConfigInvalid(_refused(host, port, e)) from e
    listener.setblocking(False)
    return listener


def _refused(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return (
            f"TRADEWIND_HTTP_PORT {port} is in use on {host}: stop the other program or choose another port"
        )
    if error.errno == errno.EACCES:
        return f"TRADEWIND_HTTP_PORT {port} needs rights this user does not have: choose one above 1023"
    return f"{host}:{port} can't be listened on: {error.strerror}"


def tls_context(folder: str) -> ssl.SSLContext | None:
    """TLS from ``tls.crt`` and ``tls.key`` in ``folder``; None without a folder."""
    if not folder:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(Path(folder) / "tls.crt", Path(folder) / "tls.key")
    except (OSError, ssl.SSLError) as e:
        raise ConfigInvalid(f"TRADEWIND_TLS_DIR {folder} can't be used: tls.crt or tls.key: {e}") from e
    return context


def raise_file_limit() -> int:
    """Allow as many open sockets as the system lets us; the number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):  # some systems say "unlimited" and refuse it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        return hard
    return soft


def describe(listener: socket.socket) -> dict[str, Any]:
    """The address for the log."""
    host, port = listener.getsockname()[:2]
    return {"host": host, "port": port}
