"""Texts: every template in every language, numbers as a slow oracle writes them, values as they are."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.messages.alerts import AlertTriggered
from services.notifier import mails, planner, rendering
from services.notifier.notices import of_alert, one_line, paragraphs
from services.notifier.preferences import LANGUAGES
from services.notifier.rendering import FOLDER, Context, format_number, read_template
from services.notifier.wallclock import zone

TEXTS = rendering.load()
NAMES = sorted(path.stem for path in (FOLDER / "en").glob("*.txt"))
NOON_MS = 1_772_454_600_000  # 2026-03-02 12:30:00 UTC


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", NAMES)
def test_every_text_is_there_in_every_language_with_the_same_fields(language: str, name: str) -> None:
    assert (FOLDER / language / f"{name}.txt").is_file()
    assert TEXTS.template(name, language).fields == TEXTS.template(name, "en").fields
    assert (
        language == "en" or name == "notice" or TEXTS.template(name, language) != TEXTS.template(name, "en")
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_words_for_every_code(language: str) -> None:
    words = TEXTS.words(language)
    assert (len(words.conditions), len(words.sides), len(words.commands)) == (13, 2, 6)
    assert all((*words.conditions, *words.sides, *words.commands, words.caught_up))
    assert words.decimal != words.group


def test_every_token_and_every_mail_has_its_text() -> None:
    assert {token.lower() for token in planner.WRITTEN_HERE} | set(mails.KINDS) <= set(NAMES)
    for kind, needed in mails.KINDS.items():
        fields = TEXTS.template(kind, "en").fields
        assert needed - {"time_ms"} <= fields, kind


def slow_number(value: Decimal, digits: int, decimal: str, group: str) -> str:
    """Digit by digit, rounded half away from zero in exact fractions."""
    exact = Fraction(value) * 10**digits
    magnitude = int(abs(exact) + Fraction(1, 2))
    text = str(magnitude).rjust(digits + 1, "0")
    whole, fraction = (text[:-digits], text[-digits:]) if digits else (text, "")
    grouped = ""
    for index, digit in enumerate(reversed(whole)):
        grouped = digit + (group if index and index % 3 == 0 else "") + grouped
    sign = "-" if exact < 0 and magnitude else ""
    return sign + grouped + (decimal + fraction if digits else "")


@given(
    value=st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=9),
    digits=st.integers(0, 8),
    language=st.sampled_from(LANGUAGES),
)
def test_a_number_has_exactly_its_digits_and_the_marks_of_its_language(
    value: Decimal, digits: int, language: str
) -> None:
    words = TEXTS.words(language)
    assert format_number(value, digits, words) == slow_number(value, digits, words.decimal, words.group)


@given(value=st.floats(allow_nan=True, allow_infinity=True), digits=st.none() | st.integers(0, 8))
def test_no_number_breaks_a_text(value: float, digits: int | None) -> None:
    assert format_number(value, digits, TEXTS.words("de"))


@given(value=st.floats(-1e15, 1e15))
def test_without_digits_a_number_is_printed_as_it_came(value: float) -> None:
    printed = format_number(value, None, TEXTS.words("en")).replace(",", "")
    assert float(printed) == value


def alert(**changed: object) -> AlertTriggered:
    return AlertTriggered(
        **{
            "event_id": "e1",
            "alert_id": 5,
            "log_id": 6,
            "login": 100001,
            "symbol": "EURUSD",
            "indicator_name": "",
            "message": "",
            "side": 0,
            "condition": 0,
            "target_price": 1.0845,
            "triggered_price": 1.085,
            "triggered_ms": NOON_MS,
            **changed,
        }
    )


def written(language: str, digits: int | None = 5, **changed: object) -> rendering.Written:
    notice = of_alert(alert(**changed))
    return TEXTS.write("price_alert", notice.data, Context(language, zone("Europe/Berlin"), digits))


def test_an_alert_says_prices_by_digits_and_the_time_on_the_persons_wall() -> None:
    assert written("en") == (
        "EURUSD 1.08500: crossed up 1.08450",
        "EURUSD bid 1.08500 crossed up 1.08450\n2026-03-02 13:30:00 CET",
    )
    assert written("de").title == "EURUSD 1,08500: stieg durch 1,08450"
    assert written("es").text.endswith("02/03/2026 13:30:00 CET")
    assert written("zh").title == "EURUSD 1.08500：上穿 1.08450"
    assert written("fr") == written("en")
    assert written("en", symbol="BTCUSD", triggered_price=67_012.5, digits=2).title.startswith(
        "BTCUSD 67,012.50"
    )
    assert written("en", digits=None).title == "EURUSD 1.085: crossed up 1.0845"


def test_a_line_without_its_fields_is_left_out_and_a_price_of_zero_is_none() -> None:
    channel = written("en", condition=4, target_price=0.0)
    assert channel.title == "EURUSD 1.08500: entered the channel"
    assert "Label" not in channel.text
    assert "Label: RSI" in written("en", indicator_name="RSI").text
    assert "Channel" not in channel.text and "Threshold" not in channel.text
    assert written("en", message="buy!\nnow").text.startswith("buy!\nnow\n\nEURUSD")


def test_a_channel_and_a_move_are_told_by_what_was_watched() -> None:
    inside = {"condition": 6, "target_price": 0.0, "channel_low": 1.08, "channel_high": 1.0905}
    assert written("en", **inside).text.splitlines()[:2] == [
        "EURUSD bid 1.08500 is inside the channel",
        "Channel: 1.08000 to 1.09050",
    ]
    assert "Kanal: 1,08000 bis 1,09050" in written("de", **inside).text
    moved = {"target_price": 0.0, "move_threshold": 0.0025}
    assert "Threshold: 0.00250\n" in written("en", condition=8, **moved).text
    assert "Umbral: 1,5 %" in written("es", condition=11, **{**moved, "move_threshold": 1.5}).text
    assert "阈值：0.00250" in written("zh", condition=9, **moved).text


def test_a_rule_that_was_caught_up_says_so_in_its_language() -> None:
    said = {"rule_name": "r", "symbol": "EURUSD", "price": 1.1, "timeframe": "1h", "caught_up": True}
    for language, mark in (("en", "[caught up]"), ("de", "[nachgeholt]"), ("zh", "[补发]")):
        assert mark in TEXTS.write("alert_rule", said, Context(language, None, 5)).text.splitlines()
    on_time = TEXTS.write("alert_rule", {**said, "caught_up": False}, Context("en", None, 5))
    assert "[" not in on_time.text


@given(message=st.text(max_size=300), label=st.text(max_size=100))
def test_what_people_wrote_is_never_read_as_a_template_and_makes_no_second_title(
    message: str, label: str
) -> None:
    text = written("en", message="${symbol}" + message, indicator_name=label, symbol="A\r\nBcc: x@y.z")
    assert "\n" not in text.title and "\r" not in text.title
    assert "${symbol}" in text.text
    assert "\x00" not in text.text
    text.text.encode()


@given(text=st.text(max_size=3000))
def test_titles_are_one_line_and_bodies_are_bounded(text: str) -> None:
    assert len(one_line(text)) <= 200 and len(one_line(text).splitlines()) <= 1
    assert len(paragraphs(text)) <= 2000


@pytest.mark.parametrize("text", ["", "\n\nbody", "title\nno empty line\n"])
def test_a_template_without_its_title_is_found_at_start(text: str, tmp_path: Path) -> None:
    with pytest.raises(rendering.TemplateBroken):
        read_template(text, "x")
    (tmp_path / "en").mkdir()
    (tmp_path / "en/words.toml").write_text("decimal = 1", encoding="utf-8")
    with pytest.raises(rendering.TemplateBroken):
        rendering.load(tmp_path)


def test_money_and_lots_are_written_by_their_own_digits() -> None:
    data = {"login": 7, "margin_level": 49.876, "equity": 1234567.5, "margin": 3, "currency": "USD"}
    text = TEXTS.write("margin_call", data, Context("de")).text
    assert "49,88 %" in text and "1.234.567,50 USD" in text and "Margin 3,00 USD" in text
    order = {"symbol": "EURUSD", "order": 12, "cmd": 0, "volume": 150, "open_price": 1.1}
    assert "buy 1.50 lots EURUSD at 1.10000" in TEXTS.write("open_order", order, Context("en", digits=5)).text
