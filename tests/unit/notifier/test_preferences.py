"""Reading what a person says: partial, tolerant of its own answers, and strict with everything else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.messages.notifier import CHANNELS
from services.notifier.errors import InvalidParam
from services.notifier.gates import Digest, Quiet
from services.notifier.preferences import (
    LANGUAGES,
    Said,
    gate_of,
    merged,
    read_language,
    read_said,
    shown,
    switched_off,
    switched_on,
)

clocks = st.builds("{:02d}:{:02d}".format, st.integers(0, 23), st.integers(0, 59))
changes = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.booleans().map(lambda on: {"enabled": on}) for name in CHANNELS},
        "min_confidence": st.floats(0, 1),
        "quiet_hours": st.none() | st.fixed_dictionaries({"start": clocks, "end": clocks}),
        "digest": st.sampled_from(["off", "hourly", "daily"]),
        "language": st.sampled_from(LANGUAGES),
        "timezone": st.sampled_from(["UTC", "Europe/Berlin", "Asia/Tokyo"]),
    },
)


def test_at_first_nothing_leaves_the_house() -> None:
    told = msgspec.to_builtins(shown(Said(), ()))
    assert list(told)[:6] == ["email", "telegram", "discord", "x", "min_confidence", "quiet_hours"]
    assert told["email"] == {"enabled": False}
    assert told["telegram"] == told["discord"] == told["x"] == {"enabled": False, "bound": False}
    assert (told["min_confidence"], told["quiet_hours"]) == (0.0, None)


@given(first=changes, second=changes)
def test_a_change_changes_what_it_names_and_nothing_else(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    before = merged(Said(), first)
    after = merged(before, second)
    told_before, told_after = (msgspec.to_builtins(shown(said, ())) for said in (before, after))
    for field, value in told_after.items():
        if field not in second:
            changed_zone = field == "quiet_hours" and value and "timezone" in second
            assert value == told_before[field] or changed_zone
        elif isinstance(value, dict):
            assert second[field].items() <= value.items()
        else:
            assert value == second[field]


@given(given=changes)
def test_what_was_answered_can_be_sent_back_unchanged(given: dict[str, Any]) -> None:
    said = merged(Said(), given)
    told = shown(said, {"telegram"})
    assert shown(merged(said, msgspec.to_builtins(told)), {"telegram"}) == told


@given(given=changes)
def test_what_is_stored_is_read_as_it_was(given: dict[str, Any]) -> None:
    said = merged(Said(), given)
    assert read_said(msgspec.json.decode(msgspec.json.encode(said))) == said


BAD: list[tuple[dict[str, Any], str]] = [
    ({"sms": {"enabled": True}}, "sms"),
    ({"email": 1}, "email"),
    ({"email": {"enabled": "yes"}}, "email.enabled"),
    ({"email": {"bound": True}}, "email"),
    ({"telegram": {"enabled": True, "target": "@x"}}, "telegram"),
    ({"telegram": None}, "telegram"),
    ({"min_confidence": 1.01}, "min_confidence"),
    ({"min_confidence": -0.1}, "min_confidence"),
    ({"min_confidence": float("nan")}, "min_confidence"),
    ({"min_confidence": True}, "min_confidence"),
    ({"min_confidence": "0.5"}, "min_confidence"),
    ({"quiet_hours": []}, "quiet_hours"),
    ({"quiet_hours": {"start": "22:00"}}, "quiet_hours.end"),
    ({"quiet_hours": {"start": "24:00", "end": "07:00"}}, "quiet_hours.start"),
    ({"quiet_hours": {"start": "22:60", "end": "07:00"}}, "quiet_hours.start"),
    ({"quiet_hours": {"start": 22, "end": 7}}, "quiet_hours.start"),
    ({"quiet_hours": {"start": "22:00", "end": "07:00", "days": []}}, "quiet_hours"),
    ({"quiet_hours": {"start": "22:00", "end": "07:00", "timezone": "X/Y"}}, "quiet_hours.timezone"),
    ({"digest": "weekly"}, "digest"),
    ({"digest": ["off"]}, "digest"),
    ({"language": ""}, "language"),
    ({"language": "../en"}, "language"),
    ({"timezone": "Mars/Base"}, "timezone"),
    ({"timezone": 1}, "timezone"),
]


@pytest.mark.parametrize(("given", "field"), BAD)
def test_what_can_not_be_used_is_refused_by_name_and_changes_nothing(
    given: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidParam) as refused:
        merged(Said(), given)
    assert (refused.value.http_status, refused.value.code) == (400, "invalid_param")
    assert refused.value.meta["field"] == field


@pytest.mark.parametrize(
    ("tag", "language"),
    [
        ("de", "de"),
        ("de-AT", "de"),
        ("ZH-Hans-CN", "zh"),
        ("es_MX", "es"),
        ("fr", "en"),
        ("", "en"),
        ("x", "en"),
    ],
)
def test_an_unknown_language_is_english(tag: str, language: str) -> None:
    assert read_language(tag) == language


def test_wishes_become_a_gate() -> None:
    quiet = {"start": "22:30", "end": "7:05", "timezone": "Europe/Berlin"}
    gate = gate_of(merged(Said(), {"quiet_hours": quiet, "digest": "hourly"}))
    assert (str(gate.where), gate.quiet, gate.digest) == ("Europe/Berlin", Quiet(1350, 425), Digest.HOURLY)
    assert str(gate_of(Said(timezone="Lost/Zone")).where) == "UTC"


def test_binding_switches_a_channel_on_and_unbinding_forgets_it() -> None:
    on = switched_on(Said(), "discord")
    assert on.enabled == {"discord": True}
    assert switched_off(on, "discord") == Said()
