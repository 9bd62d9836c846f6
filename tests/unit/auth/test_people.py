"""What may be stored of a person, and how people are told apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.errors import InvalidData
from services.auth import people
from services.auth.passwords import read_password


@pytest.mark.parametrize(
    "text",
    ["", "ada", "ada@", "@example.com", "a@b", "a b@example.com", "ada@@example.com", "ada@example..com",
     ".ada@example.com", "ada.@example.com", "ada@-example.com", "ada@example-.com", "ada@exa_mple.com",
     "ada@example.com\nBcc: x@example.com", "a\x00da@example.com", "ada@" + "a" * 300 + ".com",
     "x" * 65 + "@example.com"],
)  # fmt: skip
def test_what_is_no_e_mail_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidData):
        people.read_email(text)


@pytest.mark.parametrize(
    "text", ["ada@example.com", "a+b@sub.example.co.uk", "o'neil@example.com", "ü@exämple.de"]
)
def test_ordinary_addresses_are_kept_as_typed(text: str) -> None:
    assert people.read_email(f"  {text} ").typed == text


def test_case_does_not_make_another_person() -> None:
    assert people.read_email("Ada@Example.COM").key == people.read_email("ada@example.com").key
    assert people.read_email("Ada@Example.COM").typed == "Ada@Example.COM"


def test_the_identity_of_an_address_is_its_lower_case() -> None:
    assert people.read_email("Ada@Example.COM").key == "ada@example.com"
    assert people.read_email("STRASSE@EXAMPLE.COM").key == "strasse@example.com"


def test_an_address_is_told_from_its_last_at_and_has_at_most_254_characters() -> None:
    longest = f"{'a' * 64}@{'.'.join(['b' * 62] * 3)}.com"
    assert len(longest) == 257
    with pytest.raises(InvalidData):
        people.read_email(longest)
    fitting = longest[:-7] + ".com"
    assert len(fitting) == 254
    assert people.read_email(fitting).typed == fitting


@pytest.mark.parametrize(
    ("text", "options", "value"),
    [
        ("", {}, ""),
        ("  x ", {}, "x"),
        ("a\tb\nc", {}, "a\tb\nc"),
        ("x" * 512, {}, "x" * 512),
        ("abc", {"chars_max": 3}, "abc"),
        ("abcd", {"chars_max": 3}, None),
        ("", {"required": True}, None),
        ("  ", {"required": True}, None),
        ("x", {"required": True}, "x"),
        ("a\x00", {}, None),
        ("a\x1b[31m", {}, None),
        ("a\x7f", {}, None),
        ("a\ud800", {}, None),
        ("naïve – 日本語 🙂", {}, "naïve – 日本語 🙂"),
    ],
)
def test_which_text_is_kept(text: str, options: dict[str, object], value: str | None) -> None:
    if value is None:
        with pytest.raises(InvalidData):
            people.read_text("field", text, **options)  # type: ignore[arg-type]
    else:
        assert people.read_text("field", text, **options) == value  # type: ignore[arg-type]


def test_flags_and_bounds_are_taken_as_they_are() -> None:
    assert people.read_flag("f", 0) is False
    assert people.read_flag("f", 1) is True
    assert (people.read_leverage(1), people.read_leverage(10_000)) == (1, 10_000)
    assert (read_password("x" * 6), read_password("x" * 64)) == ("x" * 6, "x" * 64)
    with pytest.raises(InvalidData, match=r"^password has 6 to 64"):
        read_password("x" * 65)
    with pytest.raises(InvalidData, match=r"^new_password has 8 to 64"):
        read_password("x" * 7, field="new_password", chars_min=8)


@pytest.mark.parametrize(
    ("text", "can"),
    [("a", True), ("\x00", False), ("\ud800", False), ("\udfff", False), ("\ue000", True), ("\ud7ff", True)],
)
def test_what_postgresql_can_hold(text: str, can: bool) -> None:
    assert people.can_be_stored(text) is can


@pytest.mark.parametrize(
    ("until_ms", "now_ms", "tier"), [(0, 99, "pro"), (100, 99, "pro"), (100, 100, "free")]
)
def test_a_tier_counts_until_it_ends(until_ms: int, now_ms: int, tier: str) -> None:
    assert people.tier_now("pro", until_ms, now_ms) == tier


def test_an_account_is_named_after_its_person_or_the_address() -> None:
    email = people.read_email("ada@example.com")
    assert people.name_of(people.NewPerson(email, "Ada", "Lovelace")) == "Ada Lovelace"
    assert people.name_of(people.NewPerson(email, "", "Lovelace")) == "Lovelace"
    assert people.name_of(people.NewPerson(email, "", "")) == "ada"
    new = people.new_person(people.Profile("Ada Lovelace", email, phone="+44"))
    assert (new.first_name, new.last_name, new.phone, new.email) == ("Ada", "Lovelace", "+44", email)


def test_a_profile_is_read_field_by_field() -> None:
    from libs.common.messages.auth import SignUp

    given = {name: f"some {name}" for name in people.TEXT_FIELDS}
    profile = people.read_profile(SignUp(name=" Ada ", email="ada@example.com", password="x", **given))
    assert profile.name == "Ada"
    assert {name: getattr(profile, name) for name in people.TEXT_FIELDS} == given


def test_composed_and_decomposed_letters_are_one_person() -> None:
    assert people.read_email("ü@example.com").key == people.read_email("ü@example.com").key


@given(st.emails())
def test_folding_an_address_again_changes_nothing(text: str) -> None:
    try:
        email = people.read_email(text)
    except InvalidData:
        return
    assert people.fold_email(email.key) == email.key
    assert people.read_email(email.typed.upper()).key == people.fold_email(email.typed.upper())


@given(st.text(max_size=40))
def test_folding_any_text_twice_is_folding_it_once(text: str) -> None:
    once = people.fold_email(text)
    assert people.fold_email(once) == once


@given(st.text(max_size=600))
def test_text_that_is_accepted_can_be_stored(text: str) -> None:
    try:
        value = people.read_text("name", text)
    except InvalidData:
        return
    assert "\x00" not in value
    value.encode()
    assert len(value) <= people.TEXT_CHARS_MAX


@pytest.mark.parametrize(("asked", "gets"), [(None, 100), (1, 1), (100, 100), (500, 100)])
def test_the_group_caps_the_leverage_of_a_sign_up(asked: int | None, gets: int) -> None:
    assert people.sign_up_leverage(asked, 100) == gets


@pytest.mark.parametrize("asked", [0, -1, 10_001])
def test_a_leverage_out_of_range_is_refused(asked: int) -> None:
    with pytest.raises(InvalidData):
        people.sign_up_leverage(asked, 100)


@pytest.mark.parametrize("value", [-1, 2])
def test_a_flag_is_zero_or_one(value: int) -> None:
    with pytest.raises(InvalidData):
        people.read_flag("enable", value)


@given(st.text(max_size=80))
def test_a_password_has_6_to_64_characters_of_text(text: str) -> None:
    fits = 6 <= len(text) <= 64
    if fits:
        assert read_password(text) == text
    else:
        with pytest.raises(InvalidData) as refused:
            read_password(text)
        assert text == "" or len(text) < 4 or text not in str(refused.value)


def test_a_lone_surrogate_is_no_password() -> None:
    with pytest.raises(InvalidData):
        read_password("secret\ud800")


@pytest.mark.parametrize(
    ("name", "parts"), [("Ada Lovelace", ("Ada", "Lovelace")), ("Ada", ("Ada", "")), ("A B C", ("A", "B C"))]
)
def test_a_name_has_a_first_and_a_last_part(name: str, parts: tuple[str, str]) -> None:
    assert people.split_name(name) == parts
