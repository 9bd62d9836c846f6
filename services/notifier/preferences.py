"""How a person wants to be told: reading a partial change, and what follows from it. Pure.

Kept is only what was said; everything else has a default, and by default nothing leaves the house: a person
switches a channel on, or binds it, which says the same.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from libs.common.messages.notifier import CHANNELS, ChannelChoice, EmailChoice, Preferences, QuietHours
from services.notifier.errors import InvalidParam
from services.notifier.gates import Digest, Gate, Quiet
from services.notifier.wallclock import UnknownZone, zone

LANGUAGES = ("en", "de", "es", "zh")
DEFAULT_LANGUAGE = "en"
_FIELDS = (*CHANNELS, "min_confidence", "quiet_hours", "digest", "language", "timezone")
_CLOCK = re.compile(r"^(?:[01]?\d|2[0-3]):[0-5]\d$")
_TAG = re.compile(r"^[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*$")


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a person said, as it is stored."""

    enabled: dict[str, bool] = {}
    min_confidence: float = 0.0
    quiet: tuple[str, str] | None = None
    quiet_zoned: bool = False  # the zone was said with the hours, so it is answered with them
    digest: str = Digest.OFF.value
    language: str = DEFAULT_LANGUAGE
    timezone: str = "UTC"


def read_said(stored: Mapping[str, Any] | None) -> Said:
    """What is stored of a person."""
    return msgspec.convert(stored or {}, Said)


def merged(said: Said, given: Mapping[str, Any]) -> Said:
    """What was said together with a partial change; InvalidParam names the field that can't be used."""
    changes: dict[str, Any] = {}
    enabled = dict(said.enabled)
    for field, value in given.items():
        if field not in _FIELDS:
            raise InvalidParam(f"{field} is no preference", field=field, allowed=list(_FIELDS))
        if field in CHANNELS:
            enabled[field] = _read_enabled(field, value, enabled.get(field, False))
        elif field == "quiet_hours":
            changes |= _read_quiet(value)
        else:
            changes[field] = _READERS[field](value)
    # A zone named beside the quiet hours is the person's zone, unless the change says another one.
    if "timezone" in given:
        changes["timezone"] = _read_timezone(given["timezone"])
    return msgspec.structs.replace(said, enabled=enabled, **changes)


def switched_on(said: Said, channel: str) -> Said:
    """The same, with a channel wanted."""
    return msgspec.structs.replace(said, enabled={**said.enabled, channel: True})


def switched_off(said: Said, channel: str) -> Said:
    """The same, with nothing said of a channel."""
    kept = {name: on for name, on in said.enabled.items() if name != channel}
    return msgspec.structs.replace(said, enabled=kept)


def shown(said: Said, bound: Collection[str]) -> Preferences:
    """What the owner is shown; ``bound`` are the channels with an address to use."""
    choices = {
        name: ChannelChoice(enabled=said.enabled.get(name, False), bound=name in bound)
        for name in CHANNELS
        if name != "email"
    }
    quiet = None
    if said.quiet is not None:
        where = said.timezone if said.quiet_zoned else msgspec.UNSET
        quiet = QuietHours(start=said.quiet[0], end=said.quiet[1], timezone=where)
    return Preferences(
        email=EmailChoice(enabled=said.enabled.get("email", False)),
        min_confidence=said.min_confidence,
        quiet_hours=quiet,
        digest=said.digest,
        language=said.language,
        timezone=said.timezone,
        **choices,
    )


def gate_of(said: Said) -> Gate:
    """What holds deliveries back. A zone this machine has lost counts as UTC."""
    try:
        where = zone(said.timezone)
    except UnknownZone:
        where = zone("UTC")
    quiet = None
    if said.quiet is not None:
        quiet = Quiet(_minutes(said.quiet[0]), _minutes(said.quiet[1]))
    return Gate(where, quiet, Digest(said.digest))


def read_language(text: str) -> str:
    """The language we have for a tag: ``de-AT`` is ``de``; one we don't have is English."""
    primary = re.split(r"[-_]", text)[0].lower()
    return primary if primary in LANGUAGES else DEFAULT_LANGUAGE


def _read_enabled(field: str, value: Any, before: bool) -> bool:
    allowed = {"enabled", "bound"} if field != "email" else {"enabled"}
    if isinstance(value, bool):
        return value
    if not isinstance(value, Mapping) or set(value) - allowed:
        raise InvalidParam(f"{field} is an object with enabled", field=field, allowed=["enabled"])
    enabled = value.get("enabled", before)  # ``bound`` comes back from who sends what they were given
    if not isinstance(enabled, bool):
        raise InvalidParam(
            f"{field}.enabled is true or false", field=f"{field}.enabled", allowed=[True, False]
        )
    return enabled


def _read_confidence(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidParam(
            "min_confidence is between 0 and 1", field="min_confidence", allowed={"min": 0, "max": 1}
        )
    return float(value)


def _read_quiet(value: Any) -> dict[str, Any]:
    if value is None:
        return {"quiet": None, "quiet_zoned": False}
    if not isinstance(value, Mapping) or set(value) - {"start", "end", "timezone"}:
        raise InvalidParam(
            "quiet_hours is null or an object with start and end",
            field="quiet_hours",
            allowed=["start", "end", "timezone"],
        )
    changes: dict[str, Any] = {
        "quiet": (_read_clock("start", value.get("start")), _read_clock("end", value.get("end"))),
        "quiet_zoned": value.get("timezone") is not None,
    }
    if value.get("timezone") is not None:
        changes["timezone"] = _read_timezone(value["timezone"], "quiet_hours.timezone")
    return changes


def _read_clock(field: str, value: Any) -> str:
    if not isinstance(value, str) or not _CLOCK.match(value):
        raise InvalidParam(
            f"quiet_hours.{field} is HH:MM", field=f"quiet_hours.{field}", allowed="00:00 to 23:59"
        )
    return value.rjust(5, "0")


def _read_digest(value: Any) -> str:
    allowed = [digest.value for digest in Digest]
    if value not in allowed:
        raise InvalidParam("digest is off, hourly or daily", field="digest", allowed=allowed)
    return str(value)


def _read_language(value: Any) -> str:
    if not isinstance(value, str) or not _TAG.match(value):
        raise InvalidParam("language is a language tag", field="language", allowed=list(LANGUAGES))
    return read_language(value)


def _read_timezone(value: Any, field: str = "timezone") -> str:
    if isinstance(value, str):
        try:
            zone(value)
        except UnknownZone:
            pass
        else:
            return value
    raise InvalidParam(f"{field} is an IANA time zone", field=field, allowed="Europe/Berlin, UTC, …")


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


_READERS = {
    "min_confidence": _read_confidence,
    "digest": _read_digest,
    "language": _read_language,
    "timezone": _read_timezone,
}
