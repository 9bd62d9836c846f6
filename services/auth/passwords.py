"""Passwords: which are accepted, and what hashing them costs."""

from __future__ import annotations

from typing import Final

from libs.common.errors import InvalidData

CHARS_MIN: Final = 6
CHARS_MIN_SCAN: Final = 8
CHARS_MAX: Final = 64  # argon2 reads any length; the contract does not

# argon2id as OWASP's password storage sheet has it at the least: 19 MiB, two passes, one lane.
MEMORY_KIB: Final = 19 * 1024
PASSES: Final = 2
LANES: Final = 1


def read_password(text: str, *, field: str = "password", chars_min: int = CHARS_MIN) -> str:
    """A password that may be tried or set; InvalidData says what is wrong with it, never what it is."""
    if not chars_min <= len(text) <= CHARS_MAX:
        raise InvalidData(f"{field} has {chars_min} to {CHARS_MAX} characters")
    try:
        text.encode()
    except UnicodeEncodeError as e:
        raise InvalidData(f"{field} is not text") from e
    return text
