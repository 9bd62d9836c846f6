"""Texts in a person's language: templates with fields, and numbers as that language writes them. Pure.

A template's first line is the title; the body follows after an empty line. ``${field}`` is a field; a line
that has fields which are all empty is left out, so an optional part of a text is a line of its own. Values
are never read as templates.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import tzinfo
from decimal import ROUND_HALF_UP, Decimal
from decimal import Context as Arithmetic
from pathlib import Path
from typing import Any

from libs.common.money import minor_digits
from services.notifier.notices import Written, one_line, paragraphs
from services.notifier.preferences import DEFAULT_LANGUAGE
from services.notifier.wallclock import local

FOLDER = Path(__file__).parent / "templates"
_FIELD = re.compile(r"\$\{(\w+)\}")
_BLANK = re.compile(r"\n{3,}")
_EXPONENT_MAX = 25  # of a number that is still printed in full
_EXACT = Arithmetic(prec=80, rounding=ROUND_HALF_UP)


class TemplateBroken(Exception):
    """A template or a word is missing or can't be read; a defect of the files, found at start."""


@dataclass(frozen=True, slots=True)
class Words:
    """What a language says for codes, and how it writes numbers and times."""

    decimal: str
    group: str
    time: str
    sides: tuple[str, ...]
    conditions: tuple[str, ...]
    commands: tuple[str, ...]
    caught_up: str


@dataclass(frozen=True, slots=True)
class Context:
    """Whose text it is: language, zone, and the digits of the instrument (None: as the number came)."""

    language: str = DEFAULT_LANGUAGE
    where: tzinfo | None = None
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A title line and body lines."""

    title: str
    body: tuple[str, ...]

    @property
    def fields(self) -> set[str]:
        return set(_FIELD.findall("\n".join((self.title, *self.body))))

    def fill(self, values: Mapping[str, str]) -> Written:
        """The text with its fields; a field without a value is empty."""
        lines = [_fill(line, values).rstrip() for line in self.body if _is_kept(line, values)]
        body = _BLANK.sub("\n\n", "\n".join(lines))
        return Written(one_line(_fill(self.title, values)), paragraphs(body))


class Templates:
    """Every text of the house, by language and name; unknown languages get English."""

    def __init__(self, texts: Mapping[tuple[str, str], Template], words: Mapping[str, Words]) -> None:
        self._texts = texts
        self._words = words

    def words(self, language: str) -> Words:
        """The words of a language."""
        return self._words.get(language) or self._words[DEFAULT_LANGUAGE]

    def has(self, name: str) -> bool:
        """Whether there is a text of this name."""
        return (DEFAULT_LANGUAGE, name) in self._texts

    def template(self, name: str, language: str) -> Template:
        """The text in a language, or in English."""
        return self._texts.get((language, name)) or self._texts[DEFAULT_LANGUAGE, name]

    def write(self, name: str, data: Mapping[str, Any], context: Context) -> Written:
        """A text with its fields written as the language does."""
        words = self.words(context.language)
        template = self.template(name, context.language)
        return template.fill({field: _value(field, data, words, context) for field in template.fields})


def load(folder: Path = FOLDER) -> Templates:
    """Read every template file; TemplateBroken names the first that can't be used."""
    texts: dict[tuple[str, str], Template] = {}
    words: dict[str, Words] = {}
    for language in sorted(path.name for path in folder.iterdir() if path.is_dir()):
        for path in sorted((folder / language).glob("*.txt")):
            texts[language, path.stem] = read_template(
                path.read_text(encoding="utf-8"), f"{language}/{path.name}"
            )
        words[language] = _read_words(folder / language / "words.toml")
    if DEFAULT_LANGUAGE not in words:
        raise TemplateBroken(f"there are no texts in {DEFAULT_LANGUAGE}")
    return Templates(texts, words)


def read_template(text: str, name: str) -> Template:
    """A template from its file."""
    title, empty, *body = [*text.rstrip("\n").split("\n"), ""]
    if not title or empty:
        raise TemplateBroken(f"{name}: a title and an empty line come first")
    return Template(title, tuple(body))


def _read_words(path: Path) -> Words:
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
        return Words(
            decimal=said["decimal"],
            group=said["group"],
            time=said["time"],
            sides=tuple(said["sides"]),
            conditions=tuple(said["conditions"]),
            commands=tuple(said["commands"]),
            caught_up=said["caught_up"],
        )
    except (KeyError, OSError, tomllib.TOMLDecodeError) as e:
        raise TemplateBroken(f"{path.parent.name}/{path.name}: {e!r}") from e


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────


def format_number(value: float | int | Decimal, digits: int | None, words: Words) -> str:
    """A number with exactly ``digits`` decimals (None: as many as it has), rounded half away from zero."""
    exact = Decimal(str(value))
    if not exact.is_finite() or abs(exact.adjusted()) > _EXPONENT_MAX:
        return str(value)
    if digits is not None:
        exact = exact.quantize(Decimal(1).scaleb(-digits), context=_EXACT)
    if exact.is_zero():
        exact = abs(exact)
    whole, _, fraction = f"{exact:,f}".partition(".")
    if digits is None:
        fraction = fraction.rstrip("0")
    whole = whole.replace(",", words.group)
    return whole + words.decimal + fraction if fraction else whole


def format_time(unix_ms: int, words: Words, where: tzinfo | None) -> str:
    """A time on the person's wall, with its zone."""
    shown = local(unix_ms, where) if where is not None else None
    if shown is None:
        return ""
    return f"{shown.strftime(words.time)} {shown.tzname() or ''}".strip()


_PRICES = frozenset(
    {
        "target_price",
        "triggered_price",
        "channel_low",
        "channel_high",
        "open_price",
        "close_price",
        "price",
        "entry",
        "stop",
        "target",
    }
)
_IN_PERCENT = (10, 11)  # conditions whose threshold is no price (broker 10.5)
_MONEY = frozenset({"equity", "margin", "balance", "profit", "amount"})


def _value(field: str, data: Mapping[str, Any], words: Words, context: Context) -> str:
    """A field as text. A price of 0 means that there is none (broker 1)."""
    value = data.get(field)
    match field:
        case "condition_word":
            return _word(words.conditions, data.get("condition"))
        case "side_word":
            return _word(words.sides, data.get("side"))
        case "caught_mark":
            return words.caught_up if data.get("caught_up") else ""
        case "move":
            return _move(data, words, context)
        case "cmd_word":
            return _word(words.commands, data.get("cmd"))
        case "lots":
            volume = data.get("volume")
            return format_number(Decimal(str(volume)) / 100, 2, words) if _is_number(volume) else ""
        case "time":
            at = data.get("time_ms", data.get("triggered_at", 0) * 1000)
            return format_time(int(at), words, context.where) if at else ""
    if value is None:
        return ""
    if _is_number(value):
        if field in _PRICES:
            return format_number(value, context.digits, words) if value else ""
        if field in _MONEY:
            return format_number(value, minor_digits(str(data.get("currency", ""))), words)
        if field.endswith(("_level", "_percent")):
            return format_number(value, 2, words)
        if isinstance(value, float):
            return format_number(value, None, words)
    if isinstance(value, list | tuple):
        return "\n".join(str(item) for item in value)
    return str(value)


def _move(data: Mapping[str, Any], words: Words, context: Context) -> str:
    """How far a price had to move: in percent, or as a price."""
    threshold = data.get("move_threshold")
    if not _is_number(threshold) or not threshold:
        return ""
    if data.get("condition") in _IN_PERCENT:
        return f"{format_number(threshold, None, words)} %"
    return format_number(threshold, context.digits, words)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _word(words: tuple[str, ...], code: Any) -> str:
    if isinstance(code, int) and 0 <= code < len(words):
        return words[code]
    return ""


def _is_kept(line: str, values: Mapping[str, str]) -> bool:
    fields = _FIELD.findall(line)
    return not fields or any(values.get(field) for field in fields)


def _fill(line: str, values: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda found: values.get(found[1], ""), line)


def joined(lines: Iterable[str]) -> str:
    """Lines as a list of a summary."""
    return "\n".join(f"• {line}" for line in lines)
