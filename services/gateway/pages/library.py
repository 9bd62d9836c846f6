"""Every page of the documentation: what stands in ``docs/`` and the four pages at the root."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ROOT_PAGES = ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*#*\s*$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_NO_ANCHOR = re.compile(r"[^\w\- ]")


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a page and the text up to the next heading."""

    page: str
    page_title: str
    anchor: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class Page:
    """A page by its path below ``/docs/``, without ``.md``."""

    name: str
    title: str
    text: str


def load(root: Path = ROOT) -> dict[str, Page]:
    """The pages, by name, those at the root first."""
    files = [root / name for name in ROOT_PAGES if (root / name).is_file()]
    pages = [_page(path.stem, path) for path in files]
    folder = root / "docs"
    pages += [
        _page(path.relative_to(folder).with_suffix("").as_posix(), path)
        for path in sorted(folder.rglob("*.md"))
    ]
    return {page.name: page for page in pages}


def pictures(root: Path = ROOT) -> dict[str, bytes]:
    """The pictures of the pages, by their path below ``/docs/``."""
    folder = root / "docs"
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.svg")}


def _page(name: str, path: Path) -> Page:
    text = path.read_text(encoding="utf-8")
    title = next((title for level, title, _ in _headings(text) if level == 1), name)
    return Page(name, title, text)


def sections(page: Page) -> Iterator[Section]:
    """The page cut at its headings; anchors are those of the rendered page."""
    lines = page.text.splitlines()
    marks = list(_headings(page.text))
    seen: dict[str, int] = {}
    for index, (_, title, number) in enumerate(marks):
        end = marks[index + 1][2] if index + 1 < len(marks) else len(lines)
        body = "\n".join(lines[number + 1 : end]).strip()
        yield Section(page.name, page.title, unique(anchor_of(title), seen), plain(title), body)


def anchor_of(title: str) -> str:
    """The anchor of a heading, as Git hosts make it."""
    return _NO_ANCHOR.sub("", plain(title).lower()).strip().replace(" ", "-")


def unique(anchor: str, seen: dict[str, int]) -> str:
    """The anchor, with a number when the page has had it before."""
    count = seen.get(anchor, 0)
    seen[anchor] = count + 1
    return f"{anchor}-{count}" if count else anchor


def plain(text: str) -> str:
    """Markdown's inline marks taken out."""
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"[`*]|(?<!\w)_|_(?!\w)", "", text)


def _headings(text: str) -> Iterator[tuple[int, str, int]]:
    """Level, title and line number of each heading outside code."""
    fenced = False
    for number, line in enumerate(text.splitlines()):
        if _FENCE.match(line):
            fenced = not fenced
        elif not fenced and (match := _HEADING.match(line)):
            yield len(match.group(1)), match.group(2), number
