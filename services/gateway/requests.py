"""From what a client sent to the request struct of a row.

A field may stand in the path, the query or the JSON body; the path wins over the query, the query over
the body. Values of the body keep their JSON types: a number in quotes is refused. Query and path values
are texts and are read as the field's type. Unknown fields are ignored. Whatever can't be read is
``InvalidData`` and names the field.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec
import msgspec.inspect

from libs.common.errors import InvalidData
from services.gateway.endpoints.row import Endpoint
from services.gateway.errors import BodyUnreadable

QUERY_FIELDS_MAX = 100
DEPTH_MAX = 100
# A text without an end reaches to the end of the body: every byte is looked at once.
_BRACKETS = re.compile(rb'[\[\]{}]|"(?:[^"\\]|\\.)*+"?', re.DOTALL)
_UNREADABLE = (msgspec.DecodeError, UnicodeError, RecursionError)
_object = msgspec.json.Decoder(dict[str, Any])
_MISSING = "Object missing required field "
_NUL_ESCAPED = b"\\u0000"


class RequestReader:
    """Reads the requests of one row. Made once, used for every call."""

    def __init__(self, row: Endpoint) -> None:
        fields = msgspec.structs.fields(row.request)
        self._struct = row.request
        self._body = msgspec.json.Decoder(row.request)
        self._types: dict[str, Any] = {field.encode_name: field.type for field in fields}
        self._plain = {name for name, kind in self._types.items() if _takes_text(kind)}
        self._raws = [name for name, kind in self._types.items() if kind is msgspec.Raw]
        self._rest = row.rest
        self._takes_nothing = not fields

    def read(self, body: bytes, query: str, path: Mapping[str, str]) -> Any:
        """The request struct."""
        _refuse_deep(body)
        if body and _NUL_ESCAPED in body:
            _refuse_nul(_read_object(body))
        if not query and not path and not self._rest:
            return self._read_body(body)
        given = _read_object(body) if body else {}
        if self._rest:
            given = {self._rest: given}
        given.update(self._texts(query))
        for name, text in path.items():
            given[name] = self._typed(name, text)
        return self._convert(given)

    def _read_body(self, body: bytes) -> Any:
        if not body:
            return self._convert({})
        try:
            return self._body.decode(body)
        except _UNREADABLE as e:
            raise _refusal(e) from e

    def _convert(self, given: dict[str, Any]) -> Any:
        for name in self._raws:
            if name in given:
                given[name] = msgspec.Raw(msgspec.json.encode(given[name]))
        try:
            return msgspec.convert(given, self._struct)
        except msgspec.ValidationError as e:
            raise _refusal(e) from e

    def _texts(self, query: str) -> dict[str, Any]:
        """The known fields of the query, as their types; the last of a name wins."""
        if not query or self._takes_nothing:
            return {}
        try:
            pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=QUERY_FIELDS_MAX)
        except ValueError as e:
            raise InvalidData("the query can't be read") from e
        texts = {name: text for name, text in pairs if name in self._types and name != self._rest}
        return {name: self._typed(name, text) for name, text in texts.items()}

    def _typed(self, name: str, text: str) -> Any:
        if "\x00" in text:
            raise InvalidData(f"{name}: a text may not hold a NUL character")
        try:
            if text[:1] in ("[", "{") and name not in self._plain:
                value = msgspec.json.decode(text.encode(), type=self._types[name])
            else:
                value = msgspec.convert(text, self._types[name], strict=False)
        except _UNREADABLE as e:
            raise _refusal(e, name) from e
        if isinstance(value, float) and not math.isfinite(value):
            raise InvalidData(f"{name}: Expected a finite number")
        return value


def _refuse_deep(body: bytes) -> None:
    """Refuse what is nested deeper than any request of ours.

    The decoder asks Python's recursion limit, which any library may raise for the whole process: then a deep
    body would end the process instead of the call. Flat bodies cost two counts.
    """
    if body.count(b"[") + body.count(b"{") <= DEPTH_MAX:
        return
    depth = 0
    for found in _BRACKETS.finditer(body):
        token = found.group()
        if token in b"[{":
            depth += 1
            if depth > DEPTH_MAX:
                raise BodyUnreadable("the body is nested too deeply")
        elif token in b"]}":
            depth -= 1


def _read_object(body: bytes) -> dict[str, Any]:
    try:
        return _object.decode(body)
    except _UNREADABLE as e:
        raise _refusal(e) from e


def _refusal(error: Exception, name: str = "") -> InvalidData:
    if isinstance(error, msgspec.ValidationError):
        reason, _, place = str(error).partition(" - at `$")
        field = name or place.strip("`").lstrip(".")
        if reason.startswith(_MISSING):
            missing = reason.removeprefix(_MISSING).strip("`")
            field, reason = f"{field}.{missing}".lstrip("."), "this field is required"
        return InvalidData(f"{field}: {reason}" if field else reason)
    subject = f"{name}: this" if name else "the body"
    if isinstance(error, RecursionError):
        return BodyUnreadable(f"{subject} is nested too deeply")
    return BodyUnreadable(f"{subject} is not JSON")


def _takes_text(kind: Any) -> bool:
    """Whether a text is a value of a type as it stands, not only somewhere within it."""
    info = msgspec.inspect.type_info(kind)
    kinds = info.types if isinstance(info, msgspec.inspect.UnionType) else (info,)
    return any(isinstance(_bare(one), msgspec.inspect.StrType) for one in kinds)


def _bare(info: msgspec.inspect.Type) -> msgspec.inspect.Type:
    return info.type if isinstance(info, msgspec.inspect.Metadata) else info


def _refuse_nul(value: Any) -> None:
    """PostgreSQL can't keep a NUL character, and nobody means one."""
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if "\x00" in item:
                raise InvalidData("a text may not hold a NUL character")
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
        elif isinstance(item, list):
            waiting += item


def is_json(content_type: str | None) -> bool:
    """Whether a body labelled so may be read; no label at all is taken for JSON."""
    if not content_type:
        return True
    kind, _, parameters = content_type.partition(";")
    kind = kind.strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        return False
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset" and value.strip().strip('"').lower() not in ("utf-8", "utf8"):
            return False
    return True
