"""From a method and a raw path to the row: exact names first, then one parameter per segment.

Paths are matched before they are decoded, so that an encoded slash stays inside its segment
(``/admin/symbols/BTC%2FUSDT``). One slash at the end is optional.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import unquote

from libs.common.errors import InvalidData
from services.gateway.endpoints.row import Endpoint


@dataclass(slots=True)
class _Node:
    rows: dict[str, Endpoint] = field(default_factory=dict)  # by method
    literals: dict[str, _Node] = field(default_factory=dict)
    parameter: _Node | None = None
    tail: _Node | None = None  # a parameter that takes all segments that are left


class Match(NamedTuple):
    """A row and the path's parameters, decoded."""

    row: Endpoint
    parameters: Mapping[str, str]


class WrongMethod(NamedTuple):
    """The path exists; these methods do."""

    allowed: tuple[str, ...]


_NOTHING: Mapping[str, str] = {}


class Router:
    """Immutable after it was made."""

    def __init__(self, rows: Iterable[Endpoint]) -> None:
        self._root = _Node()
        self._exact: dict[str, _Node] = {}
        for row in rows:
            node = self._place(row)
            node.rows[row.method] = row
            if not row.parameters:
                self._exact[row.path] = node

    def find(self, method: str, raw_path: str) -> Match | WrongMethod | None:
        """The row that serves a call; None when there is no such path."""
        path = raw_path[:-1] if raw_path.endswith("/") and raw_path != "/" else raw_path
        node = self._exact.get(path)
        values: tuple[str, ...] = ()
        if node is None:
            node, values = self._walk(path.split("/")[1:])
        if node is None or not node.rows:
            return None
        row = node.rows.get("GET" if method == "HEAD" else method)
        if row is None:
            return WrongMethod(_allowed(node.rows))
        return Match(row, _decoded(row, values) if values else _NOTHING)

    def _place(self, row: Endpoint) -> _Node:
        node = self._root
        for part in row.path.split("/")[1:]:
            if part.startswith("{") and part.endswith("*}"):
                node.tail = node.tail or _Node()
                return node.tail
            if part.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(part, _Node())
        return node

    def _walk(self, parts: list[str]) -> tuple[_Node | None, tuple[str, ...]]:
        node: _Node = self._root
        values: tuple[str, ...] = ()
        for number, part in enumerate(parts):
            known = node.literals.get(part)
            if known is not None:
                node = known
            elif node.parameter is not None and part:
                node, values = node.parameter, (*values, part)
            elif node.tail is not None and part:
                return node.tail, (*values, "/".join(parts[number:]))
            else:
                return None, ()
        return node, values


def _allowed(rows: Mapping[str, Endpoint]) -> tuple[str, ...]:
    methods = set(rows)
    return tuple(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _decoded(row: Endpoint, values: tuple[str, ...]) -> Mapping[str, str]:
    names = (name.rstrip("*") for name in row.parameters)
    try:
        return {name: unquote(value, errors="strict") for name, value in zip(names, values, strict=True)}
    except UnicodeDecodeError as e:
        raise InvalidData("the path can't be read") from e
