"""An answer whose bytes are made already: head and body go out in one piece.

For what is given often and differs in a few headers only. Only for a connection that stays open and speaks
HTTP/1.1 (``suits``): nothing is added to the head here, no ``Connection`` and no ``Content-Length``.
"""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import formatdate

from aiohttp import HttpVersion11, web
from aiohttp.abc import AbstractStreamWriter


class Ready(web.StreamResponse):
    """``message`` is the whole answer, status line included; its status is 200."""

    def __init__(self, message: bytes) -> None:
        super().__init__()
        self.message = message
        self._to: AbstractStreamWriter | None = None

    @property
    def keep_alive(self) -> bool:
        """Always: others get another kind of answer."""
        return True

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Remember where to."""
        self._to = request.writer
        return self._to

    async def write_eof(self, data: bytes = b"") -> None:
        """Send everything; once."""
        writer, self._to = self._to, None
        if writer is not None:
            await writer.write_eof(self.message)


def suits(request: web.BaseRequest) -> bool:
    """Whether the connection of a request can be answered like this."""
    return request.keep_alive and request.version == HttpVersion11


def head_of(headers: Mapping[str, str], length: int) -> bytes:
    """The beginning of a head that stays the same: status line, ``headers``, the body's length."""
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 200 OK\r\n{''.join(lines)}Content-Length: {length}\r\n".encode()


class Dates:
    """The ``Date`` of answers, made once a second."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def at(self, now_ms: int) -> str:
        """The header's value for a moment in Unix ms."""
        second = now_ms // 1000
        if second != self._second:
            self._second, self._text = second, formatdate(second, usegmt=True)
        return self._text
