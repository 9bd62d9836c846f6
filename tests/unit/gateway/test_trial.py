"""The files of /try: the page names each by what it holds, and only such names are kept."""

from __future__ import annotations

import re

import pytest

from services.gateway.errors import PathUnknown
from services.gateway.pages.trial import FOLDER, Trial, lasting_name


def test_the_page_names_its_files_by_what_they_hold_and_those_are_kept_for_good() -> None:
    trial = Trial()
    page = trial.page()
    assert page.headers["Cache-Control"] == "no-cache"
    named = re.findall(r'(?:src|href)="/try/([^"]+)"', page.body.decode())
    assert len(named) == 4
    for name in named:
        plain = re.sub(r"\.[0-9a-f]{12}(?=\.)", "", name)
        kept, asked = trial.file(name), trial.file(plain)
        assert plain != name
        assert kept.body == asked.body == (FOLDER / plain).read_bytes()
        assert kept.content_type == asked.content_type
        assert kept.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert asked.headers["Cache-Control"] == "no-cache"


def test_another_content_has_another_name() -> None:
    assert lasting_name("a.b.js", b"1") != lasting_name("a.b.js", b"2")
    assert re.fullmatch(r"a\.b\.[0-9a-f]{12}\.js", lasting_name("a.b.js", b"1"))


@pytest.mark.parametrize("name", ["page.html", "page.000000000000.js", "../trial.py", ""])
def test_what_is_no_file_of_the_page_is_not_there(name: str) -> None:
    with pytest.raises(PathUnknown):
        Trial().file(name)
