"""Scripts and settings that terminals keep here: what may be kept, and who may see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from libs.common.errors import InvalidData
from libs.common.messages.auth_people import ScriptView
from services.auth import people

KINDS: Final = ("indicator", "robot", "strategy", "widget")
LANGUAGES: Final = ("stscript",)
VISIBILITIES: Final = ("private", "public")
SCRIPT_CHARS_MAX: Final = 128 * 1024
DESCRIPTION_CHARS_MAX: Final = 4096
SCRIPTS_MAX: Final = 200
SETTINGS_BYTES_MAX: Final = 128 * 1024
PREFIXES_MAX: Final = 16
PREFIX_CHARS_MAX: Final = 64


@dataclass(frozen=True, slots=True)
class Script:
    """A script, as stored."""

    id: int
    login: int
    name: str
    script: str
    description: str
    kind: str
    language: str
    visibility: str
    autostart: bool
    enabled: bool
    created_ms: int
    updated_ms: int

    def view(self) -> ScriptView:
        """As the contract shows it."""
        return ScriptView(
            id=self.id,
            login=self.login,
            name=self.name,
            script=self.script,
            description=self.description,
            kind=self.kind,
            language=self.language,
            visibility=self.visibility,
            autostart=int(self.autostart),
            enabled=int(self.enabled),
            created_time=self.created_ms // 1000,
            updated_time=self.updated_ms // 1000,
        )

    def seen_by(self, logins: Sequence[int], *, staff: bool) -> bool:
        """Public ones are everybody's to read."""
        return staff or self.visibility == "public" or self.login in logins


def read_fields(message: Any) -> dict[str, Any]:
    """What a message says of a script, checked; fields that are None stay as they were."""
    fields: dict[str, Any] = {
        "name": people.read_text("name", message.name, required=True, chars_max=people.NAME_CHARS_MAX),
        "script": _read_source(message.script),
    }
    if message.description is not None:
        fields["description"] = people.read_text(
            "description", message.description, chars_max=DESCRIPTION_CHARS_MAX
        )
    for name, allowed in (("kind", KINDS), ("language", LANGUAGES), ("visibility", VISIBILITIES)):
        value = getattr(message, name)
        if value is not None:
            if value not in allowed:
                raise InvalidData(f"{name} is one of {', '.join(allowed)}")
            fields[name] = value
    for name in ("autostart", "enabled"):
        value = getattr(message, name)
        if value is not None:
            fields[name] = people.read_flag(name, value)
    return fields


def _read_source(text: str) -> str:
    if not text.strip():
        raise InvalidData("script is empty")
    if len(text) > SCRIPT_CHARS_MAX:
        raise InvalidData(f"script is longer than {SCRIPT_CHARS_MAX} characters")
    if not people.can_be_stored(text):
        raise InvalidData("script has characters that are no text")
    return text


def read_prefix(text: str) -> str:
    """The part of a terminal's settings that is meant; empty is a part of its own."""
    return people.read_text("prefix", text, chars_max=PREFIX_CHARS_MAX)


def read_settings(raw: bytes) -> str:
    """A JSON object of at most 128 KiB, kept as it was given."""
    if len(raw) > SETTINGS_BYTES_MAX:
        raise InvalidData(f"settings are larger than {SETTINGS_BYTES_MAX} bytes")
    try:
        found = msgspec.json.decode(raw)
        text = raw.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        raise InvalidData("settings can't be read") from e
    if not isinstance(found, dict):
        raise InvalidData("settings are a JSON object")
    return text
