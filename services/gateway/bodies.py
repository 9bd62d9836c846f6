"""Request bodies: in time, of a size, plain JSON. Whatever else comes is refused before it is all read."""

from __future__ import annotations

import asyncio

from aiohttp import web

from services.gateway.endpoints.row import Endpoint
from services.gateway.errors import BodyTooLarge, BodyTooSlow, BodyUnreadable
from services.gateway.requests import is_json

BODY_S = 10.0  # a body that is not here by then is cut; larger ones get a second per started 64 KiB more
BODY_S_PER_BYTE = 1 / 65_536


async def body_of(request: web.BaseRequest, row: Endpoint) -> bytes:
    """The body of a row's request, empty where there is none; BodyTooLarge, BodyTooSlow, BodyUnreadable."""
    if not request.body_exists:
        return b""
    headers = request.headers
    length = request.content_length or 0
    if length > row.body_bytes_max:
        raise BodyTooLarge(f"a body of this path is at most {row.body_bytes_max} bytes")
    if headers.get("Content-Encoding", "identity").lower() != "identity":
        raise BodyUnreadable("a compressed body is not read here")
    if headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = await _read(request, row.body_bytes_max, BODY_S + length * BODY_S_PER_BYTE)
    if body and not row.raw and not is_json(headers.get("Content-Type")):
        raise BodyUnreadable("a body must be labelled Content-Type: application/json")
    return body


async def _read(request: web.BaseRequest, bytes_max: int, seconds: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while part := await request.content.readany():
                size += len(part)
                if size > bytes_max:
                    raise BodyTooLarge(f"a body of this path is at most {bytes_max} bytes")
                parts.append(part)
    except TimeoutError as e:
        raise BodyTooSlow from e
    except web.RequestPayloadError as e:
        raise BodyUnreadable("the body ended early or its chunks are broken") from e
    return parts[0] if len(parts) == 1 else b"".join(parts)
