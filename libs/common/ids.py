"""Identity, passed in: random in production, counted in simulation."""

from __future__ import annotations

import os
import secrets
import time
import uuid
from typing import Protocol

Uuid = uuid.UUID
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "tradewind")


def named_uuid(*parts: object) -> Uuid:
    """The UUID (version 5) of a name made of parts: the same parts have the same id, for ever."""
    return uuid.uuid5(_NAMES, "|".join(map(str, parts)))


def url_uuid(name: str) -> Uuid:
    """The UUID (version 5) of a name in the namespace of URLs."""
    return uuid.uuid5(uuid.NAMESPACE_URL, name)


class Ids(Protocol):
    """The only source of ids and random tokens outside this package."""

    def event_id(self) -> str:
        """A UUID (version 7, sortable by time) as text."""
        ...

    def event_ids(self, count: int) -> list[str]:
        """As many of them at once, cheaper than one by one."""
        ...

    def token(self, bytes_count: int = 32) -> str:
        """An unguessable URL-safe token."""
        ...


class RandomIds:
    """Ids for production."""

    def event_id(self) -> str:
        return str(uuid7(time.time_ns() // 1_000_000, os.urandom(10)))

    def event_ids(self, count: int) -> list[str]:
        return uuid7_texts(time.time_ns() // 1_000_000, os.urandom(10 * count))

    def token(self, bytes_count: int = 32) -> str:
        return secrets.token_urlsafe(bytes_count)


class CountedIds:
    """Ids that repeat with the same start: simulation and tests, never production."""

    def __init__(self, start: int = 0) -> None:
        self._next = start

    def event_id(self) -> str:
        self._next += 1
        return str(uuid.UUID(int=self._next))

    def event_ids(self, count: int) -> list[str]:
        return [self.event_id() for _ in range(count)]

    def token(self, bytes_count: int = 32) -> str:
        self._next += 1
        return f"token-{self._next:0{bytes_count}d}"


def uuid7(unix_ms: int, random_bytes: bytes) -> uuid.UUID:
    """UUID version 7 (RFC 9562) from milliseconds and ten random bytes."""
    value = (unix_ms & 0xFFFF_FFFF_FFFF) << 80 | int.from_bytes(random_bytes[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return uuid.UUID(int=value)


def uuid7_texts(unix_ms: int, random_bytes: bytes) -> list[str]:
    """The texts of ``uuid7`` for every ten of ``random_bytes``, without making the objects between."""
    time_text = f"{unix_ms & 0xFFFF_FFFF_FFFF:012x}"
    head = f"{time_text[:8]}-{time_text[8:]}-7"
    text = random_bytes.hex()
    # Of the 80 random bits uuid7 gives 4 to the version, 12 follow it, 2 go to the variant, 62 follow that.
    parts = (text[at : at + 20] for at in range(0, len(text), 20))
    return [f"{head}{t[1:4]}-{_VARIANT[t[4]]}{t[5:8]}-{t[8:]}" for t in parts]


_VARIANT = {digit: f"{int(digit, 16) & 0x3 | 0x8:x}" for digit in "0123456789abcdef"}
