"""All sources of texts together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Protocol

from services.scanner.signals.texts import Document, Library


class Source(Protocol):
    """Who has texts."""

    async def documents(self) -> list[Document]:
        """All there are; the same list while nothing changed."""
        ...


class Sources:
    """The texts of every source, each id once; near-duplicates are left to whoever counts."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self._sources = sources
        self._lists: list[list[Document]] = []
        self._library = Library(())

    async def library(self) -> Library:
        """Everything there is, made anew when a source has something new."""
        lists = [await source.documents() for source in self._sources]
        if [id(one) for one in lists] != [id(one) for one in self._lists]:
            every = {one.id: one for its in lists for one in its}.values()
            self._library = await asyncio.to_thread(Library, every)
            self._lists = lists  # held, so that no other list takes their place in memory
        return self._library
