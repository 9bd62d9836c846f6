"""Texts about assets: whom they mean, their tone, near-duplicates, how unusual a day is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scanner.signals.assets import Asset
from services.scanner.signals.feeds.folder import Folder
from services.scanner.signals.texts import Document, Library, distinct, is_about, polarity, texts_of

DAY_MS = 86_400_000
NOW = 100 * DAY_MS
BTC = Asset(cmc_id=1, name="Bitcoin", symbol="BTC", aliases=["XBT Coin"])
GAS = Asset(cmc_id=2, name="Neo Gas", symbol="GAS")


def text(
    title: str, age_ms: int = 0, number: int = 0, source: str = "a", assets: tuple[str, ...] = ()
) -> Document:
    return Document(
        id=f"{title}{age_ms}{number}",
        title=title,
        source=source,
        published_ms=NOW - age_ms,
        assets=assets,
    )


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Coin rallies to a record high", 3 / 4),
        ("Exchange hacked, prices crash", -2 / 3),
        ("Regulator does not approve the fund, no rally", -2 / 3),
        ("A quiet day", 0.0),
    ],
)
def test_the_tone_of_a_title(title: str, expected: float) -> None:
    assert polarity(title) == pytest.approx(expected)


def test_whom_a_text_means() -> None:
    for title in ("BTC rises", "$btc rises", "bitcoin rises", "the xbt coin", "Bitcoin's day is Bitcoin day"):
        assert is_about(text(title), BTC), title
    for title in ("btcx rises", "bitcoins rise", "BTCS"):
        assert not is_about(text(title), BTC), title
    assert not is_about(text("GAS prices climb"), GAS)
    assert is_about(text("$GAS climbs"), GAS) and is_about(text("Neo Gas climbs"), GAS)
    assert is_about(text("Something else", assets=("gas",)), GAS)


def test_near_duplicates_count_once() -> None:
    first = text("Bitcoin rises above a level that many had watched for weeks now", 5)
    again = text("Bitcoin rises above a level that many had watched for weeks now!", 3, source="b")
    other = text("Bitcoin falls below a level nobody had watched", 1)
    assert distinct([other, again, first]) == [first, other]


def test_a_burst_is_beside_the_days_before_and_nothing_later_counts() -> None:
    usual = [text(f"bitcoin note {day}", day * DAY_MS + 5) for day in range(1, 21)]
    words = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta")
    burst = [text(f"bitcoin {word} surges in {word}", 0, n, f"s{n}") for n, word in enumerate(words)]
    later = Document(id="l", title="bitcoin crash", source="x", published_ms=NOW + 1)
    found = texts_of([*usual, *burst, later], BTC, NOW)
    assert found is not None
    assert (found.z, found.sources) == (5.0, 6)
    assert found.documents == pytest.approx(6.0)
    assert found.tone == pytest.approx(0.5)
    assert texts_of([later], BTC, NOW) is None


async def test_a_folder_is_read_as_it_changes(tmp_path: Path) -> None:
    folder = Folder(str(tmp_path))
    assert await folder.documents() == []
    line = '{"id":"1","title":"BTC","source":"s","publishedAt":"1970-01-02T00:00:00Z"}'
    (tmp_path / "a.jsonl").write_text(f"{line}\nnonsense\n\n" + line.replace('"1970-01-02T00:00:00Z"', '"x"'))
    (one,) = await folder.documents()
    assert (one.id, one.published_ms) == ("1", DAY_MS)
    (tmp_path / "b.jsonl").write_text(line.replace('"1"', '"2"'))
    assert {d.id for d in await folder.documents()} == {"1", "2"}
    (tmp_path / "a.jsonl").unlink()
    assert {d.id for d in await folder.documents()} == {"2"}


said = st.lists(
    st.sampled_from(["Bitcoin", "BTC", "$btc", "rises", "gas", "GAS", "coin", "XBT", "now"]), max_size=9
)
written = st.lists(
    st.builds(
        Document,
        id=st.uuids().map(str),
        title=said.map(" ".join),
        source=st.just("s"),
        published_ms=st.integers(0, 3),
        assets=st.sampled_from([(), ("gas",), ("BTC", "X")]),
    ),
    max_size=12,
    unique_by=lambda one: one.id,
)


@settings(max_examples=150, deadline=None)
@given(written)
def test_stories_are_told_apart_as_if_every_pair_were_looked_at(documents: list[Document]) -> None:
    def pieces(title: str) -> set[str]:
        words = re.findall(r"\$?[\w']+", title.lower())
        return {" ".join(words[at : at + 3]) for at in range(len(words) - 2)} or {" ".join(words)}

    kept: list[Document] = []
    for one in sorted(documents, key=lambda one: (one.published_ms, one.id)):
        mine = pieces(one.title)
        others = [pieces(other.title) for other in kept]
        if all(len(mine & other) / len(mine | other) < 0.8 for other in others):
            kept.append(one)
    assert distinct(documents) == kept


@settings(max_examples=100, deadline=None)
@given(written)
def test_a_library_finds_what_looking_at_every_text_finds(documents: list[Document]) -> None:
    library = Library(documents)
    for asset in (BTC, GAS):
        found = sorted(one.id for one in library.about(asset))
        assert found == sorted(one.id for one in documents if is_about(one, asset))
