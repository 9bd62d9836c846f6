"""A graph from a JSON document, a file or a URL, in the form of ``PUT /admin/pools``.

A file is read again when its time or size changed, a URL asks with the ETag of the last answer.
"""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from pathlib import Path

from libs.common.clock import Clock
from services.pricing.adapters.web import BODY_BYTES_MAX, Web
from services.pricing.reading import graph_of
from services.pricing.sources import PoolGraph, SourceFailed
from services.pricing.tokens import GraphInvalid


class FilePools:
    """The graph in a file."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._seen: tuple[int, int] | None = None

    async def fetch(self) -> PoolGraph | None:
        """The graph when the file changed. Raises SourceFailed."""
        try:
            stat = await asyncio.to_thread(self._path.stat)
            mark = stat.st_mtime_ns, stat.st_size
            if mark == self._seen:
                return None
            if stat.st_size > BODY_BYTES_MAX:
                raise SourceFailed(f"the file is larger than {BODY_BYTES_MAX} bytes")
            body = await asyncio.to_thread(self._path.read_bytes)
        except OSError as e:
            raise SourceFailed(f"{type(e).__name__}: {e.strerror}") from e
        self._seen = mark  # what is wrong with it is said once; a new file is read anew
        return await asyncio.to_thread(_graph_of, body, self._clock.now_ms())


class UrlPools:
    """The graph at a URL."""

    def __init__(self, url: str, web: Web, clock: Clock) -> None:
        self._url = url
        self._web = web
        self._clock = clock
        self._etag = ""
        self._digest = b""

    async def fetch(self) -> PoolGraph | None:
        """The graph when the answer changed. Raises SourceFailed."""
        body, etag = await self._web.get(self._url, self._etag)
        if body is None:
            return None
        digest = blake2b(body).digest()
        self._etag = etag
        if digest == self._digest:
            return None
        self._digest = digest
        return await asyncio.to_thread(_graph_of, body, self._clock.now_ms())


def _graph_of(body: bytes, now_ms: int) -> PoolGraph:
    try:
        return graph_of(body, now_ms)
    except GraphInvalid as e:
        raise SourceFailed(str(e)) from e
