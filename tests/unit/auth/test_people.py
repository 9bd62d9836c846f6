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
