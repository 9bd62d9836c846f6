"""The tools and resources that the endpoint table declares, with their schemas. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from services.gateway.endpoints.row import Endpoint
from services.gateway.endpoints.tool import PREFIX, Tool

KEY_ARGUMENT = "idempotency_key"
URI_PREFIX = "tradewind://"
_REF = "#/$defs/{name}"
_KEY_SCHEMA: Mapping[str, Any] = {
    "type": "string",
    "minLength": 1,
    "maxLength": 255,
    "pattern": "^[!-~]+$",
    "description": "The same key with the same arguments has the effect of one call for 24 hours.",
}


@dataclass(frozen=True, slots=True)
class ToolRow:
    """A tool with what it calls and how it is described."""

    name: str
    title: str
    description: str
    row: Endpoint
    tool: Tool
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any] | None
    hints: Mapping[str, bool]


@dataclass(frozen=True, slots=True)
class Shelf:
    """What agents find here: tools, rows that are resources, pages, and the list of instruments."""

    tools: Mapping[str, ToolRow]
    rows: Sequence[Endpoint]
    page: Callable[[str], str | None]
    instruments: Callable[[], Awaitable[bytes]]


def tools_of(rows: Sequence[Endpoint]) -> dict[str, ToolRow]:
    """Every tool by its full name, in the order of the table."""
    found = (_tool_row(row, tool) for row in rows for tool in row.tools)
    return {made.name: made for made in found}


def resources_of(rows: Sequence[Endpoint]) -> dict[str, Endpoint]:
    """Every row that may be read as a resource, by its URI."""
    return {f"{URI_PREFIX}{row.resource}": row for row in rows if row.resource}


def _tool_row(row: Endpoint, tool: Tool) -> ToolRow:
    return ToolRow(
        name=PREFIX + tool.name,
        title=tool.title or row.summary,
        description=tool.description or row.description or row.summary,
        row=row,
        tool=tool,
        input_schema=input_schema(row, tool),
        output_schema=output_schema(row),
        hints=hints_of(row, tool),
    )


def hints_of(row: Endpoint, tool: Tool) -> dict[str, bool]:
    """What is true of calling it, in the words of the specification."""
    read_only = tool.read_only if tool.read_only is not None else row.method == "GET"
    destructive = tool.destructive if tool.destructive is not None else row.method == "DELETE"
    idempotent = tool.idempotent if tool.idempotent is not None else row.repeat != "key"
    return {
        "readOnlyHint": read_only,
        "destructiveHint": destructive and not read_only,
        "idempotentHint": idempotent,
        "openWorldHint": tool.open_world,
    }


def input_schema(row: Endpoint, tool: Tool) -> dict[str, Any]:
    """The arguments: the row's fields without those that are fixed or hidden, and the key if it takes one."""
    schema = _object_schema(row.request)
    gone = {*tool.fixed, *tool.hidden}
    properties = {name: s for name, s in schema.get("properties", {}).items() if name not in gone}
    required = [name for name in schema.get("required", ()) if name not in gone]
    if row.keyed:
        properties[KEY_ARGUMENT] = dict(_KEY_SCHEMA)
        required += [KEY_ARGUMENT] if tool.key_required else []
    made: dict[str, Any] = {"type": "object", "properties": properties}
    if required:
        made["required"] = required
    return _with_defs(made, schema)


def output_schema(row: Endpoint) -> dict[str, Any] | None:
    """The answer, where it is an object; other answers come as text only."""
    if not (isinstance(row.response, type) and issubclass(row.response, msgspec.Struct)):
        return None
    schema = _object_schema(row.response)
    if schema.get("type") != "object":
        return None
    return _with_defs({name: value for name, value in schema.items() if name != "$defs"}, schema)


def _object_schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema with its root written out: clients look for ``type: object`` there."""
    made, components = msgspec.json.schema_components([kind], ref_template=_REF)
    (schema,), definitions = _portable(list(made)), _portable(components)
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    root = dict(definitions[name]) if name else dict(schema)
    return {**root, "$defs": definitions}


def _portable(value: Any) -> Any:
    """The same schema without bare ``false``, which some clients can't read."""
    if isinstance(value, Mapping):
        return {
            key: {"not": {}} if key == "items" and inner is False else _portable(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [_portable(inner) for inner in value]
    return value


def _with_defs(made: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """``made`` with the definitions it leads to, and no others."""
    definitions, wanted = schema.get("$defs", {}), set(_refs(made))
    kept: dict[str, Any] = {}
    while wanted:
        name = wanted.pop()
        if name not in kept:
            kept[name] = definitions[name]
            wanted |= set(_refs(definitions[name]))
    return {**made, "$defs": dict(sorted(kept.items()))} if kept else made


def _refs(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if key == "$ref":
                yield str(inner).rpartition("/")[2]
            else:
                yield from _refs(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _refs(inner)
