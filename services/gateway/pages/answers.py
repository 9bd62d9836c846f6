"""What the documentation's routes answer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import msgspec

from services.gateway.endpoints.house import Answer, Excerpt, Source
from services.gateway.errors import PathUnknown
from services.gateway.pages import library
from services.gateway.pages.html import CSP, NOTHING_FOUND, answer_html, page_html, reference_html
from services.gateway.pages.index import Index, first_sentences
from services.gateway.pages.library import Page
from services.gateway.surfaces.base import Reply

_HTML_HEADERS = {"Content-Security-Policy": CSP, "Referrer-Policy": "same-origin"}


class Documentation:
    """Pages are read at start; the index and the reference are made when somebody asks first."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self._document = document
        self._pages = library.load()
        self._pictures = library.pictures()

    @cached_property
    def _index(self) -> Index:
        # What changed when answers no question about how things are.
        return Index(page for page in self._pages.values() if page.name != "CHANGELOG")

    @cached_property
    def _reference(self) -> bytes:
        return reference_html(self._document, self._pages.values()).encode()

    def first_page(self) -> Reply:
        """The list of pages and the reference."""
        return Reply(200, self._reference, _HTML_HEADERS, "text/html; charset=utf-8")

    def page(self, name: str) -> Reply:
        """A page: Markdown when its name ends with ``.md``, else for people; or a picture of one."""
        picture = self._pictures.get(name)
        if picture is not None:
            return Reply(200, picture, _HTML_HEADERS, "image/svg+xml")
        found = self._pages.get(name.removesuffix(".md"))
        if found is None:
            raise PathUnknown("there is no such page; /docs lists them")
        if name.endswith(".md"):
            return Reply(200, found.text.encode(), {}, "text/markdown; charset=utf-8")
        body = page_html(found, self._pages.values()).encode()
        return Reply(200, body, _HTML_HEADERS, "text/html; charset=utf-8")

    def text(self, name: str) -> str | None:
        """A page as Markdown; None when there is no such page."""
        found = self._pages.get(name.removesuffix(".md"))
        return None if found is None else found.text

    def exists(self, name: str) -> bool:
        """Whether there is such a page."""
        return name.removesuffix(".md") in self._pages

    def ask(self, question: str) -> Reply:
        """The passages that fit a question best, in our pages' own words."""
        found = self._index.search(question)
        excerpts = [
            Excerpt(text=f.passage.text, page=f.passage.section.page, anchor=f.passage.section.anchor)
            for f in found
        ]
        pages = dict.fromkeys(f.passage.section.page for f in found)
        answer = Answer(
            answer=first_sentences(found[0].passage.text) if found else NOTHING_FOUND,
            excerpts=excerpts,
            sources=[Source(title=self._pages[name].title, url=f"/docs/{name}.md") for name in pages],
        )
        return Reply(200, msgspec.json.encode(answer))

    def answer(self, question: str) -> Reply:
        """The same for people."""
        body = answer_html(question, self._index.search(question), self._pages.values()).encode()
        return Reply(200, body, _HTML_HEADERS, "text/html; charset=utf-8")

    def rendered(self, page: Page) -> Reply:
        """A page that is made, not kept, for people."""
        body = page_html(page, self._pages.values()).encode()
        return Reply(200, body, _HTML_HEADERS, "text/html; charset=utf-8")

    def texts(self) -> Iterator[tuple[str, str]]:
        """Every page's name and Markdown."""
        yield from ((page.name, page.text) for page in self._pages.values())

    def llms_head(self) -> str:
        """The beginning of the list for agents: who we are, and the pages (llmstxt.org)."""
        info = self._document["info"]
        lines = [f"# {info['title']}", "", f"> {info['description']}", "", "## Pages", ""]
        lines += [f"- [{page.title}](/docs/{page.name}.md)" for page in self._pages.values()]
        return "\n".join(lines) + "\n"
