"""The structure+rows shape of the broker surface."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec


class Table(msgspec.Struct, frozen=True):
    """``{"structure":[names...],"rows":[[...],...]}``; the column order is part of the contract."""

    structure: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


def table(structure: tuple[str, ...], records: Iterable[Any]) -> Table:
    """A table whose rows are the attributes of ``records`` in the order of ``structure``."""
    return Table(structure, [[getattr(record, name) for name in structure] for record in records])
