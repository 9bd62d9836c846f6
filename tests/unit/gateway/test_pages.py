"""Our pages: their sections and anchors, and an index that scores as the formula says."""

from __future__ import annotations

import math
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.pages.html import page_html
from services.gateway.pages.index import TITLE_WEIGHT, Index, first_sentences, words
from services.gateway.pages.library import Page, load, sections

TEXT = """# Alerts

How alerts *work*.

## When one fires

An alert fires when the price crosses.

```
# no heading
## none either
```

## When one fires

Twice the same [heading](x.md).

### `limit` and `offset`

Numbers.
"""
PAGE = Page("alerts", "Alerts", TEXT)


def test_a_page_is_cut_at_its_headings_outside_of_code() -> None:
    found = [(s.anchor, s.title) for s in sections(PAGE)]
    assert found == [
        ("alerts", "Alerts"),
        ("when-one-fires", "When one fires"),
        ("when-one-fires-1", "When one fires"),
        ("limit-and-offset", "limit and offset"),
    ]
    assert "# no heading" in list(sections(PAGE))[1].text


class Ids(HTMLParser):
    """The ids and links of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if name == "id" and value:
                self.ids.append(value)
            if name == "href" and value:
                self.links.append(value)


@pytest.mark.parametrize("page", [PAGE, *load().values()], ids=lambda page: page.name)
def test_anchors_of_the_index_are_anchors_of_the_page(page: Page) -> None:
    shown = Ids(page_html(page, []))
    assert [section.anchor for section in sections(page)] == shown.ids


def test_links_between_pages_lead_to_pages() -> None:
    text = "# T\n[a](docs/x.md) [b](docs/api/y.md#z) [c](https://e.example/x.md) [d](#t)"
    assert Ids(page_html(Page("README", "T", text), [])).links[-4:] == [
        "/docs/x",
        "/docs/api/y#z",
        "https://e.example/x.md",
        "#t",
    ]
    text = "# T\n[a](other.md) [b](../top.md) [c](../../README.md)"
    assert Ids(page_html(Page("api/page", "T", text), [])).links[-3:] == [
        "/docs/api/other",
        "/docs/top",
        "/docs/README",
    ]


def test_html_in_a_page_is_shown_and_not_run() -> None:
    assert "<script>" not in page_html(Page("x", "X", "# <script>alert(1)</script>\n<b onclick=x>"), [])


# ── the index ─────────────────────────────────────────────────────────────────────────────────────

WORDS = ["alert", "price", "stream", "token", "ledger", "candle"]
PAGES = st.lists(
    st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=8), min_size=1, max_size=3),
    min_size=1,
    max_size=4,
)


def oracle(pages: list[list[list[str]]], asked: set[str]) -> dict[str, float]:
    """BM25 from its definition, document by document; a page's title is ``p<n>``, a section's ``s<m>``."""
    documents: dict[str, list[str]] = {}
    for n, page in enumerate(pages):
        for m, text in enumerate(page):
            documents[f"p{n} s{m}"] = [*text, *[f"p{n}", f"s{m}"] * TITLE_WEIGHT]
    mean = sum(map(len, documents.values())) / len(documents)
    scores = {}
    for name, document in documents.items():
        score = 0.0
        for word in asked:
            holders = sum(word in other for other in documents.values())
            frequency = document.count(word)
            if frequency:
                idf = math.log(1 + (len(documents) - holders + 0.5) / (holders + 0.5))
                score += idf * frequency * 2.2 / (frequency + 1.2 * (0.25 + 0.75 * len(document) / mean))
        if score > 0:
            scores[name] = score
    return scores


@given(PAGES, st.sets(st.sampled_from([*WORDS, "unknown"]), min_size=1))
def test_the_index_scores_as_bm25_is_defined(pages: list[list[list[str]]], asked: set[str]) -> None:
    made = [
        Page(f"page{n}", f"p{n}", "\n".join(f"## s{m}\n{' '.join(text)}\n" for m, text in enumerate(page)))
        for n, page in enumerate(pages)
    ]
    found = Index(made).search(" ".join(asked), limit=100)
    scores = {f"{f.passage.section.page_title} {f.passage.section.title}": f.score for f in found}
    expected = oracle(pages, asked)
    assert scores == pytest.approx(expected)
    assert [f.score for f in found] == sorted((f.score for f in found), reverse=True)


def test_questions_find_their_page() -> None:
    index = Index([PAGE, Page("ledger", "Ledger", "# Ledger\n\nEvery balance is the sum of its postings.")])
    assert index.search("When does an alert fire?")[0].passage.section.anchor.startswith("when-one-fires")
    assert index.search("how are balances computed")[0].passage.section.page == "ledger"
    assert index.search("zebra") == []


@pytest.mark.parametrize(
    ("one", "other"),
    [("fires", "firing"), ("alerts", "alert"), ("postings", "post"), ("TRADEWIND_DATA_DIR", "data")],
)
def test_words_meet_in_their_stems(one: str, other: str) -> None:
    assert set(words(one)) & set(words(other))


@given(st.text(max_size=1000))
def test_no_question_can_break_the_index(question: str) -> None:
    Index([PAGE]).search(question)


def test_an_answer_ends_with_a_sentence() -> None:
    text = "One sentence. " * 100
    assert re.fullmatch(r"(One sentence\.\s?)+", first_sentences(text))
    assert len(first_sentences(text)) <= 400
    assert first_sentences("Short.") == "Short."
