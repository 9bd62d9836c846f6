"""What makes a row a tool of the MCP door: its name there, and the truth about what calling it does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

PREFIX = "tradewind_"


@dataclass(frozen=True, slots=True)
class Tool:
    """A row as agents see it. Validation, permissions, limits and price are those of the row.

    ``name`` is without the prefix. ``read_only``, ``destructive`` and ``idempotent`` are hints that must be
    true; None says what follows from the row: a GET reads, a DELETE destroys, and repeating is harmless where
    the row says so. ``open_world``: the answer depends on the market. ``fixed`` fields are given by us and
    not shown, ``hidden`` ones are not shown. ``key_required``: it is not done without an
    ``idempotency_key`` (a row that takes none has no such argument at all).
    """

    name: str
    description: str = ""
    title: str = ""
    read_only: bool | None = None
    destructive: bool | None = None
    idempotent: bool | None = None
    open_world: bool = True
    fixed: Mapping[str, Any] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    key_required: bool = False
