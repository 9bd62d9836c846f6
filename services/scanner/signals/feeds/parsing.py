"""RSS and Atom, read without trust: titles, links, times and ids of the newest entries, nothing else. Pure.

Forms: RSS 0.9x and 2.0 (Winer), RSS 1.0 (RDF), Atom (RFC 4287); times by RFC 822 or RFC 3339. The reader is
expat with everything off that a document could turn against us: a document that declares entities is
refused, nothing is fetched, depth, entries and lengths have bounds.
"""

from __future__ import annotations

import html
import re
from datetime import UTC
from email.utils import parsedate_to_datetime
from html.entities import html5
from typing import NamedTuple
from xml.parsers import expat

from libs.common.clock import unix_ms
from services.scanner.times import read_iso

ENTRIES_MAX = 500
DEPTH_MAX = 40
TITLE_MAX = 500
TEXT_MAX = 4_000  # characters of one field; a title's markup counts
URL_MAX = 2_000
SEPARATOR = "\x1f"

_ATOM = "http://www.w3.org/2005/Atom"
_PLAIN = ("", "http://purl.org/rss/1.0/", "http://my.netscape.com/rdf/simple/0.9/", _ATOM)
_DUBLIN = "http://purl.org/dc/elements/1.1/"
_FIELDS = {
    "title": "title",
    "link": "link",
    "guid": "id",
    "id": "id",
    "pubDate": "published",
    "published": "published",
    "updated": "updated",
}
_TAG = re.compile(r"<[^<>]{0,500}>")
_SPACES = re.compile(r"\s+")
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


class FeedUnreadable(ValueError):
    """This is no feed we read; the text says why."""


class Entry(NamedTuple):
    """An entry as the feed tells it; ``published_ms`` is None where it tells none that can be read."""

    id: str
    title: str
    url: str
    published_ms: int | None


def read_feed(data: bytes) -> list[Entry]:
    """The entries of a feed that have a title, as they stand in it. Raises FeedUnreadable."""
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=SEPARATOR)
    parser.buffer_text = True
    parser.UseForeignDTD(True)  # names of HTML like &nbsp; are told as skipped instead of ending the reading
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_UNLESS_STANDALONE)
    parser.ExternalEntityRefHandler = _fetch_nothing
    parser.EntityDeclHandler = _refuse_entities
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.text
    parser.SkippedEntityHandler = reader.skipped
    try:
        parser.Parse(data, True)
    except (expat.ExpatError, UnicodeError, LookupError) as e:
        raise FeedUnreadable(f"no well-formed XML: {e}") from None
    if not reader.known:
        raise FeedUnreadable("neither RSS nor Atom")
    return reader.entries


def plain(text: str) -> str:
    """A field without markup, entities, line ends and characters nobody sees, at most 500 characters."""
    bare = html.unescape(_TAG.sub(" ", html.unescape(text)))
    return _SPACES.sub(" ", _UNSEEN.sub(" ", bare)).strip()[:TITLE_MAX]


def read_time(text: str) -> int | None:
    """Unix milliseconds of a time by RFC 822 or RFC 3339; None when it is neither, or before 1970."""
    given = text.strip()[:64]
    at_ms = read_iso(given)
    if at_ms is None:
        try:
            moment = parsedate_to_datetime(given)
            at_ms = unix_ms(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        except (ValueError, OverflowError, TypeError, IndexError):
            return None
    return at_ms if at_ms >= 0 else None


def _fetch_nothing(*_: object) -> int:
    return 1


def _refuse_entities(*_: object) -> None:
    raise FeedUnreadable("it declares entities")


class _Reader:
    """Follows the elements; ``known`` is whether this is a feed."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.known = False
        self._depth = 0
        self._entry_depth = 0  # of the entry that is open
        self._field = ""  # of the entry that is open, "" outside of one
        self._fields: dict[str, list[str]] = {}
        self._sizes: dict[str, int] = {}

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise FeedUnreadable("it is nested too deeply")
        space, _, local = name.rpartition(SEPARATOR)
        if self._depth == 1:
            self.known = local in ("rss", "RDF", "feed")
        elif not self._entry_depth:
            if local in ("item", "entry") and space in _PLAIN:
                self._entry_depth, self._fields, self._sizes = self._depth, {}, {}
        elif self._depth == self._entry_depth + 1:
            self._field = _field_of(space, local)
            if self._field == "link" and attributes.get("rel", "alternate") == "alternate":
                self._add(attributes.get("href", ""))

    def end(self, name: str) -> None:
        if self._depth == self._entry_depth:
            self._take()
            self._entry_depth = 0
        elif self._depth == self._entry_depth + 1:
            self._field = ""
        self._depth -= 1

    def text(self, data: str) -> None:
        if self._field:
            self._add(data)

    def skipped(self, name: str, is_parameter: bool) -> None:
        if self._field and not is_parameter:
            self._add(html5.get(f"{name};", " "))

    def _add(self, data: str) -> None:
        room = TEXT_MAX - self._sizes.get(self._field, 0)
        if room > 0:
            self._fields.setdefault(self._field, []).append(data[:room])
            self._sizes[self._field] = TEXT_MAX - room + len(data)

    def _take(self) -> None:
        said = {field: "".join(parts) for field, parts in self._fields.items()}
        title, url = plain(said.get("title", "")), said.get("link", "").strip()
        if not url.startswith(("https://", "http://")) or len(url) > URL_MAX:
            url = ""
        if title and len(self.entries) < ENTRIES_MAX:
            at_ms = read_time(said.get("published") or said.get("updated", ""))
            self.entries.append(Entry(said.get("id", "").strip() or url or title, title, url, at_ms))


def _field_of(space: str, local: str) -> str:
    if space in _PLAIN:
        return _FIELDS.get(local, "")
    return "published" if space == _DUBLIN and local == "date" else ""
