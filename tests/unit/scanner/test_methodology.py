"""The page that explains the analysis states the numbers the analysis uses."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from services.scanner import constants
from services.scanner.patterns import NAMES

PAGE = (Path(__file__).resolve().parents[3] / "docs/methodology.md").read_text(encoding="utf-8")


def test_every_constant_stands_on_the_page_with_its_value() -> None:
    told = {
        name: ast.literal_eval(value)
        for name, value in re.findall(r"^\| `([A-Z0-9_]+)` \| (.+) \|$", PAGE, re.M)
    }
    assert told == {name: value for name, value in vars(constants).items() if name.isupper()}


def test_every_pattern_has_its_definition() -> None:
    assert [name for name in NAMES if f"| `{name}` |" not in PAGE] == []
