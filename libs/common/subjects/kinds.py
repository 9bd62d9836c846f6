"""What a subject and a command are, and how a key becomes a token. The names stand with their owners."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Generic, TypeVar

M = TypeVar("M")
Q = TypeVar("Q")
R = TypeVar("R")

PUSH_STREAM = "PUSH"


def token(value: str | int) -> str:
    """Make any symbol safe as one NATS token: ``BRK.B`` becomes ``BRK=2EB``."""
    text = str(value)
    if not text:
        raise ValueError("subject token was empty")
    if text.isascii() and text.replace("-", "").replace("_", "").isalnum():
        return text
    return "".join(
        c if (c.isascii() and c.isalnum()) or c in "-_" else "".join(f"={b:02X}" for b in c.encode())
        for c in text
    )


def untoken(text: str) -> str:
    """The value a token was made from."""
    if "=" not in text:
        return text
    head, *escaped = text.split("=")
    data = head.encode()
    for part in escaped:
        data += bytes([int(part[:2], 16)]) + part[2:].encode()
    return data.decode()


@dataclass(frozen=True, slots=True)
class Subject(Generic[M]):
    """A published subject: ticks, facts and pushes."""

    template: str
    message: type[M]
    stream: str | None = None  # None: core NATS, may be lost; the reader must cope

    @property
    def owner(self) -> str:
        return self.template.split(".", 1)[0]

    @property
    def kind(self) -> str:
        return self.template.split(".", 2)[1]

    def at(self, **keys: str | int) -> str:
        """The concrete subject for ``keys``."""
        return self.template.format(**{name: token(value) for name, value in keys.items()})

    @property
    def pattern(self) -> str:
        """The subscription that hears this subject for every key."""
        return ".".join("*" if part.startswith("{") else part for part in self.template.split("."))


@dataclass(frozen=True, slots=True)
class Command(Generic[Q, R]):
    """A request to the owner. ``effect`` says whether a lost answer leaves the outcome unknown."""

    name: str
    request: type[Q]
    reply: type[R]
    effect: bool = False
    callers: tuple[str, ...] = ("gateway",)
    timeout_s: float = 5.0
    partitioned: bool = False  # processes of the owner also say it to one another, see ``at_partition``

    @property
    def owner(self) -> str:
        return self.name.split(".", 1)[0]

    def at_partition(self, partition: int) -> Command[Q, R]:
        """The same, said to the process of the owner that has this partition."""
        return replace(self, name=f"{self.name}.{partition}")


@dataclass(frozen=True, slots=True)
class PartitionCommand(Command[Q, R]):
    """A command with an effect on one partition of its owner."""

    effect: bool = True
    partitioned: bool = True
