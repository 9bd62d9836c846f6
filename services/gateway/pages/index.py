"""Answers from our own pages: BM25 over their paragraphs, extractive. Pure.

BM25 is Robertson and Zaragoza, "The Probabilistic Relevance Framework" (2009), equation 3.15, with the
usual k1 and b. The words of a paragraph's headings count for it, more than once.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from services.gateway.pages.library import Page, Section, plain, sections

K1 = 1.2
B = 0.75
TITLE_WEIGHT = 2
PASSAGE_CHARS_MAX = 1200
_WORD = re.compile(r"[a-z0-9]+(?:[._][a-z0-9]+)*")
_STOP_WORDS = """
a an and are as at be but by can do does for from has have how i if in into is it its may me my no not of on
or our so that the their them then there these they this to was we what when where which who why
will with would you your
"""
_STOP = frozenset(_STOP_WORDS.split())


@dataclass(frozen=True, slots=True)
class Passage:
    """A paragraph, list or table of a section."""

    section: Section
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """A passage and how well it fits."""

    passage: Passage
    score: float


def words(text: str) -> list[str]:
    """The words of a text, folded to their stems; dotted and underscored names also by their parts."""
    found: list[str] = []
    for word in _WORD.findall(text.lower()):
        parts = re.split(r"[._]", word)
        found += [_stem(part) for part in parts if part not in _STOP]
        if len(parts) > 1:
            found.append(word)
    return found


def _stem(word: str) -> str:
    """A word without its English endings, roughly: fires, fired, firing and fire are one."""
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith("s") and not word.endswith("ss") and len(word) > 3:
        word = word[:-1]
    for ending in ("ing", "ed"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word[:-1] if word.endswith("e") and len(word) > 3 else word


class Index:
    """Immutable after it was made."""

    def __init__(self, pages: Iterable[Page]) -> None:
        self._passages = [p for page in pages for section in sections(page) for p in _passages(section)]
        self._counts: list[Counter[str]] = []
        holders: Counter[str] = Counter()
        for passage in self._passages:
            titles = f"{passage.section.page_title} {passage.section.title}"
            counts = Counter(words(passage.text) + words(titles) * TITLE_WEIGHT)
            self._counts.append(counts)
            holders.update(counts.keys())
        self._sizes = [sum(counts.values()) for counts in self._counts]
        self._mean = sum(self._sizes) / len(self._sizes) if self._sizes else 1.0
        total = len(self._passages)
        self._idf = {word: math.log(1 + (total - n + 0.5) / (n + 0.5)) for word, n in holders.items()}

    def search(self, question: str, limit: int = 5) -> list[Found]:
        """The best passages, best first; none when no word of the question is known."""
        asked = set(words(question))
        scored = [
            Found(passage, score)
            for passage, counts, size in zip(self._passages, self._counts, self._sizes, strict=True)
            if (score := self._score(asked, counts, size)) > 0
        ]
        scored.sort(key=lambda found: -found.score)
        return scored[:limit]

    def _score(self, asked: set[str], counts: Counter[str], size: int) -> float:
        norm = K1 * (1 - B + B * size / self._mean)
        return sum(
            self._idf[word] * counts[word] * (K1 + 1) / (counts[word] + norm)
            for word in asked
            if word in counts
        )


def _passages(section: Section) -> Iterator[Passage]:
    """Blocks between blank lines, joined while they are short; a heading alone is one, too."""
    block = ""
    for part in re.split(r"\n\s*\n", section.text):
        if block and len(block) + len(part) > PASSAGE_CHARS_MAX:
            yield Passage(section, block)
            block = ""
        block = f"{block}\n\n{part}".strip()
    if block:
        yield Passage(section, block[: 4 * PASSAGE_CHARS_MAX])


def first_sentences(text: str, chars_max: int = 400) -> str:
    """The beginning of a passage in plain text, cut at the end of a sentence."""
    flat = " ".join(plain(text).split())
    if len(flat) <= chars_max:
        return flat
    head = flat[:chars_max]
    end = max(head.rfind(". "), head.rfind("; "), head.rfind(": "))
    return head[: end + 1] if end > chars_max // 3 else head.rsplit(" ", 1)[0] + " …"
