"""A plain HTTP GET to our own processes on loopback, without the weight of a client library."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import dataclass
from urllib.parse import urlsplit

from deploy.local.ports import LOOPBACK

_BODY_BYTES_MAX = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """Status 0: nobody answered; then ``text`` says why."""

    status: int
    text: str


async def get(port: int, path: str, *, seconds: float = 2.0) -> Answer:
    """``GET http://127.0.0.1:port/path``; a server that is absent, mute or talks nonsense is no error."""
    try:
        async with asyncio.timeout(seconds):
            return await _get(port, path)
    except TimeoutError:
        return Answer(0, f"no answer within {seconds:g} s")
    except (OSError, ValueError, IndexError) as e:
        return Answer(0, str(e) or type(e).__name__)


async def _get(port: int, path: str) -> Answer:
    reader, writer = await asyncio.open_connection(LOOPBACK, port)
    try:
        # HTTP/1.0: the answer is not chunked and ends with the connection.
        writer.write(f"GET {path} HTTP/1.0\r\nHost: {LOOPBACK}:{port}\r\nAccept: */*\r\n\r\n".encode())
        data = await reader.read(_BODY_BYTES_MAX)
        while not reader.at_eof() and len(data) < _BODY_BYTES_MAX:
            data += await reader.read(_BODY_BYTES_MAX)
    finally:
        writer.close()
    head, _, body = data.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ", 2)[1]), body.decode(errors="replace"))


async def connects(host: str, port: int, *, seconds: float = 5.0) -> str:
    """Empty when a server takes connections at ``host:port``, else why not."""
    try:
        async with asyncio.timeout(seconds):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return f"no answer within {seconds:g} s"
    except OSError as e:
        return os.strerror(e.errno) if e.errno and e.errno > 0 else str(e)
    writer.close()
    return ""


async def bus_connects(url: str) -> str:
    """The same for a NATS address; the driver itself tries for two minutes before it gives up."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port or 4222
    except ValueError as e:
        return str(e)
    if not host:
        return "it has no host, nats://host:4222 is one"
    why = await connects(host, port)
    return f"{host}:{port}: {why}" if why else ""


def problems(answer: Answer) -> str:
    """What a ``/readyz`` answer says is missing; empty when it is ready."""
    if answer.status == 200:
        return ""
    try:
        found = json.loads(answer.text).get("problems") or []
    except (ValueError, AttributeError):
        found = []
    return "; ".join(str(text) for text in found) or "starting"
