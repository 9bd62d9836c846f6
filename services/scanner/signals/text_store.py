"""The table of texts: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from libs.common.db import Connection, load_queries
from services.scanner.signals.texts import Document

QUERIES = load_queries(Path(__file__).parents[1] / "sql/texts.sql")


class TextStore:
    """See the module's text."""

    async def add_texts(self, tx: Connection, documents: Sequence[Document]) -> set[str]:
        """Take texts in; the ids that were new."""
        rows = await tx.fetch(
            QUERIES["add_texts"],
            [one.id for one in documents],
            [one.published_ms for one in documents],
            [one.title for one in documents],
            [one.source for one in documents],
            [one.url for one in documents],
            [msgspec.to_builtins(one.assets) for one in documents],
        )
        return {row["id"] for row in rows}

    async def texts(self, connection: Connection, since_ms: int, limit: int) -> list[Document]:
        """The newest texts since a moment."""
        rows = await connection.fetch(QUERIES["texts"], since_ms, limit)
        return [
            Document(
                id=row["id"],
                title=row["title"],
                source=row["source"],
                published_ms=row["published_ms"],
                url=row["url"],
                assets=tuple(row["assets"]),
            )
            for row in rows
        ]

    async def drop_texts(self, tx: Connection, before_ms: int) -> None:
        """Texts before a moment go."""
        await tx.execute(QUERIES["drop_texts"], before_ms)
