"""RSS and Atom by hand-written documents, and by documents nobody should read."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner.signals.feeds.parsing import (
    ENTRIES_MAX,
    TITLE_MAX,
    Entry,
    FeedUnreadable,
    plain,
    read_feed,
    read_time,
)

NOON_MS = 1_767_268_800_000  # 2026-01-01T12:00:00Z

RSS = """<?xml version="1.0"?>
<!DOCTYPE rss PUBLIC "-//Example//DTD RSS 0.91//EN" "http://dtd.example/rss.dtd">
<rss version="2.0" xmlns:media="urn:media" xmlns:dc="http://purl.org/dc/elements/1.1/"><channel>
 <title>A channel</title><link>https://news.example</link>
 <item><media:title>not this</media:title>
  <title>Coin &amp;amp; chain&nbsp;<![CDATA[<b>rise</b> 5&#37;]]></title>
  <link> https://news.example/1 </link><guid isPermaLink="false">g-1</guid>
  <pubDate>Thu, 01 Jan 2026 13:00:00 +0100</pubDate></item>
 <item><title>Second</title><link>javascript:alert(1)</link><dc:date>2026-01-01T12:00:00Z</dc:date></item>
 <item><description>no title</description></item>
</channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>A feed</title>
 <entry><title type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">Hello <em>you</em></div></title>
  <link rel="self" href="https://feed.example/self"/><link href="https://feed.example/2"/><id>urn:2</id>
  <updated>2026-01-01T12:00:00.5Z</updated><published>2026-01-01T12:00:00Z</published></entry>
 <entry><title>Third</title><id>urn:3</id><updated>yesterday</updated></entry></feed>"""

RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/"
 xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>Old</title></channel>
 <item><title>Fourth</title><link>http://old.example/4</link><dc:date>2026-01-01</dc:date></item></rdf:RDF>"""


def test_the_three_forms() -> None:
    assert read_feed(RSS.encode()) == [
        Entry("g-1", "Coin & chain rise 5%", "https://news.example/1", NOON_MS),
        Entry("Second", "Second", "", NOON_MS),
    ]
    assert read_feed(ATOM.encode()) == [
        Entry("urn:2", "Hello you", "https://feed.example/2", NOON_MS),
        Entry("urn:3", "Third", "", None),
    ]
    assert read_feed(RDF.encode("utf-16")) == [
        Entry("http://old.example/4", "Fourth", "http://old.example/4", NOON_MS - 12 * 3_600_000)
    ]


LAUGHS = '<!DOCTYPE r [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
INSIDE = "<rss><channel><item><title>%s</title></item></channel></rss>"


@pytest.mark.parametrize(
    "document",
    [
        "",
        "no XML",
        "<html><body/></html>",
        "<rss><channel>",
        LAUGHS + INSIDE % "&b;",
        '<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]>' + INSIDE % "&a;",
        '<!DOCTYPE r [<!ENTITY % p SYSTEM "http://dtd.example/p">%p;]>' + INSIDE % "x",
        '<?xml version="1.0" encoding="nonsense"?>' + INSIDE % "x",
        "<rss>" + "<a>" * 50 + "</a>" * 50 + "</rss>",
        INSIDE % "\x00",
    ],
)
def test_what_is_no_feed_or_means_harm_is_refused(document: str) -> None:
    with pytest.raises(FeedUnreadable):
        read_feed(document.encode())


def test_bounds_of_a_feed() -> None:
    many = "".join(f"<item><title>{n} {'x' * 5000}</title></item>" for n in range(ENTRIES_MAX + 5))
    entries = read_feed(f"<rss><channel>{many}</channel></rss>".encode())
    assert len(entries) == ENTRIES_MAX and {len(one.title) for one in entries} == {TITLE_MAX}
    assert plain("a\u202eb\u200b\n<script>alert(1)</script> &lt;i&gt;c") == "a b alert(1) c"


@pytest.mark.parametrize("text", ["", "today", "Thu, 32 Jan 2026 99:00:00 GMT", "9" * 80, "1901-01-01", "-1"])
def test_times_that_are_none(text: str) -> None:
    assert read_time(text) is None


words = st.text(
    st.characters(codec="utf-8", categories=("L", "N", "P", "Zs")), min_size=1, max_size=30
).filter(lambda text: plain(text) and not {"<", "&"} & set(text))
moments = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(words, moments), max_size=4))
def test_what_a_plain_writer_writes_is_read(given_entries: list[tuple[str, datetime]]) -> None:
    rss = "".join(
        f"<item><title>{escape(title)}</title><guid>{n}</guid><pubDate>{format_datetime(at)}</pubDate></item>"
        for n, (title, at) in enumerate(given_entries)
    )
    atom = "".join(
        f"<entry><title>{escape(title)}</title><id>{n}</id><updated>{at.isoformat()}</updated></entry>"
        for n, (title, at) in enumerate(given_entries)
    )
    for document, scale in (
        (f"<rss><channel>{rss}</channel></rss>", 1000),
        (f'<feed xmlns="http://www.w3.org/2005/Atom">{atom}</feed>', 1),
    ):
        expected = [
            (title_of(title), int(at.timestamp() * 1000) // scale * scale) for title, at in given_entries
        ]
        assert [(one.title, one.published_ms) for one in read_feed(document.encode())] == expected


def title_of(title: str) -> str:
    return " ".join(title.split())


@settings(max_examples=150, deadline=None)
@given(
    st.binary(max_size=200) | st.text(max_size=200).map(str.encode), st.integers(0, 400), st.integers(0, 400)
)
def test_no_bytes_break_the_reader(junk: bytes, start: int, cut: int) -> None:
    for whole in (RSS, ATOM):
        document = whole.encode()
        try:
            entries = read_feed(document[:start] + junk + document[start + cut :])
        except FeedUnreadable:
            continue
        assert all(one.title and len(one.title) <= TITLE_MAX for one in entries)
