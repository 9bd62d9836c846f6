"""Texts of a folder: an object a line of ``*.jsonl``, ``{id, title, source, publishedAt, url?, assets?}``.

Files are read anew when they have changed. A line that can't be read is counted and left out.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import structlog

from services.scanner.signals.texts import Document
from services.scanner.times import read_iso

log = structlog.get_logger()

TITLE_MAX = 500
FILE_BYTES_MAX = 64 * 1024 * 1024


class _Line(msgspec.Struct, rename="camel"):
    id: str
    title: str
    source: str
    published_at: str
    url: str = ""
    assets: list[str] = []


_decode = msgspec.json.Decoder(_Line).decode


class Folder:
    """Keeps what the files said, by file and the time of its last change."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._files: dict[Path, tuple[int, list[Document]]] = {}
        self._documents: list[Document] = []

    async def documents(self) -> list[Document]:
        """Every text, each id once; the same list while nothing changed."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> list[Document]:
        kept: dict[Path, tuple[int, list[Document]]] = {}
        try:
            for path in sorted(self._path.glob("*.jsonl")):
                stat = path.stat()
                known = self._files.get(path)
                if known is not None and known[0] == stat.st_mtime_ns:
                    kept[path] = known
                elif stat.st_size <= FILE_BYTES_MAX:
                    kept[path] = stat.st_mtime_ns, _texts(path)
        except OSError as e:
            log.warning("texts can't be read", folder=str(self._path), error=str(e))
        if kept != self._files:
            self._files = kept
            self._documents = list({one.id: one for _, its in kept.values() for one in its}.values())
        return self._documents


def _texts(path: Path) -> list[Document]:
    found, bad = [], 0
    for line in path.read_bytes().splitlines():
        try:
            said = _decode(line)
            published_ms = read_iso(said.published_at)
        except msgspec.DecodeError:
            published_ms = None
        if published_ms is None:
            bad += bool(line.strip())
            continue
        found.append(
            Document(
                id=said.id,
                title=said.title[:TITLE_MAX],
                source=said.source,
                published_ms=published_ms,
                url=said.url,
                assets=tuple(said.assets),
            )
        )
    if bad:
        log.warning("lines left out", file=path.name, lines=bad)
    return found
