"""HTTP to outsiders: one session, a deadline, a bound on what is read, one kind of failure."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, TypeVar

import aiohttp
import msgspec

from services.pricing.sources import SourceFailed

TIMEOUT_S = 10.0
BODY_BYTES_MAX = 64 * 1024 * 1024
T = TypeVar("T")


class Web:
    """Asks other servers. Open one per process and close it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def get(self, url: str, etag: str = "") -> tuple[bytes | None, str]:
        """The body and its ETag; no body when it is still the one of ``etag``. Raises SourceFailed."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S), headers={"User-Agent": "tradewind"}
            )
        headers: Mapping[str, str] = {"Accept": "application/json"}
        if etag:
            headers = {**headers, "If-None-Match": etag}
        try:
            async with self._session.get(url, headers=headers, allow_redirects=False) as response:
                if response.status == 304 and etag:
                    return None, etag
                if response.status != 200:
                    raise SourceFailed(f"answered {response.status}")
                return await _bounded(response), response.headers.get("ETag", "")
        except (aiohttp.ClientError, TimeoutError, asyncio.IncompleteReadError, ValueError) as e:
            raise SourceFailed(f"{type(e).__name__}: {e}" if str(e) else type(e).__name__) from e

    async def read(self, url: str, shape: type[T]) -> T:
        """A JSON answer of a shape. Raises SourceFailed."""
        body, _ = await self.get(url)
        try:
            return msgspec.json.decode(body or b"", type=shape)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as e:
            raise SourceFailed(f"an answer of another shape: {e}") from e


async def _bounded(response: aiohttp.ClientResponse) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise SourceFailed(f"an answer of more than {BODY_BYTES_MAX} bytes")
        parts.append(part)
    return b"".join(parts)


def number(value: Any) -> float:
    """A number that may come as a text. Raises SourceFailed."""
    try:
        return float(value)
    except (TypeError, ValueError, OverflowError) as e:
        raise SourceFailed(f"{value!r} is no number") from e
