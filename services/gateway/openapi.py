"""OpenAPI 3.1 from the endpoint table. Pure: the same table makes the same document."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec

from libs.common.principal import SessionType
from services.gateway.endpoints.row import Endpoint, NoRequest
from services.gateway.errors import IdempotencyInFlight, IdempotencyMismatch
from services.gateway.keyed import HEADER, REPLAYED
from services.gateway.surfaces.base import JSON
from services.gateway.surfaces.dialects import SURFACES
from services.gateway.surfaces.ret_codes import documented_status

_REF = "#/components/schemas/{name}"
_DESCRIPTION = (
    "Self-hosted market platform: quotes, candles, price alerts and accounts"
    " over REST and one WebSocket stream."
)
_KEY_PARAMETER: Mapping[str, Any] = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": (
        "The same key with the same request has the effect of one call for 24 hours: what the first was"
        f" answered comes again, with `{REPLAYED}: true`."
    ),
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_CAPITAL = re.compile("[A-Z]")
_BODY_TOO = " Parameters may also come as a JSON body; the query wins."


def document(rows: Sequence[Endpoint], *, version: str, server_url: str = "/") -> dict[str, Any]:
    """The whole document."""
    shown = [row for row in rows if not row.hidden]
    types = list(dict.fromkeys(t for row in shown for t in _types(row)))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    schema_of = dict(zip(types, schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for row in shown:
        operations = paths.setdefault(row.path.replace("*}", "}"), {})
        operations[row.method.lower()] = _operation(row, schema_of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tradewind",
            "version": version,
            "description": _DESCRIPTION,
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server_url}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {
                "token": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "Authorization",
                    "description": "The access token of a sign-in, alone or after `Bearer`.",
                },
                "cookie": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SURFACES["broker"].cookie,
                    "description": "The same token; sign-in and sign-up set it.",
                },
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": SURFACES["scan"].cookie,
                    "description": "The session that `/auth/login` and `/auth/signup` set.",
                },
            },
        },
    }


def operation_id(row: Endpoint) -> str:
    """A name for generated clients: ``get_market_short_list``."""
    parts = [part.strip("{}*").replace(".", "_").replace("-", "_") for part in row.path.split("/") if part]
    name = "_".join([row.method.lower(), *(part for part in parts if part)])
    return _CAPITAL.sub(lambda found: f"_{found[0].lower()}", name)


def _types(row: Endpoint) -> Iterable[Any]:
    if row.request is not NoRequest:
        yield row.request
    if row.body is not None:
        yield row.body
    if row.content_type == JSON and row.response is not None:
        yield row.response
    error = SURFACES[row.surface].error_type
    if error is not None:
        yield error


def _operation(row: Endpoint, schema_of: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    query_too = row.method == "GET" and bool(msgspec.structs.fields(row.request)) and not row.local
    description = (row.description + (_BODY_TOO if query_too else "")).strip()
    operation: dict[str, Any] = {
        "operationId": operation_id(row),
        "summary": row.summary,
        "tags": list(row.tags) or [row.surface],
        **({"description": description} if description else {}),
        "parameters": _parameters(row, schema_of, components) + ([_KEY_PARAMETER] if row.keyed else []),
        "responses": _responses(row, schema_of),
        "x-idempotency": row.repeat,
        "x-surface": row.surface,
    }
    if not row.access.public:
        name = "session" if row.surface == "scan" else "cookie"
        cookie: list[dict[str, list[str]]] = [{name: []}] if SURFACES[row.surface].cookie else []
        operation["security"] = [{"token": []}, *cookie]
        operation["x-sessions"] = [SessionType(kind).name for kind in sorted(row.access.sessions)]
        if row.key_scope:
            operation["x-key-scope"] = row.key_scope
    if row.method != "GET" and row.request is not NoRequest:
        operation["requestBody"] = _body(row, schema_of, components)
    if row.limits:
        operation["x-rate-limits"] = [
            {"name": x.name, "count": x.count, "window_s": x.window_s, "per": x.per} for x in row.limits
        ]
    return operation


def _parameters(
    row: Endpoint, schema_of: Mapping[Any, Any], components: Mapping[str, Any]
) -> list[dict[str, Any]]:
    in_path = {name.rstrip("*") for name in row.parameters}
    if row.request is NoRequest:
        return []
    whole = _object(schema_of[row.request], components)
    required = set(whole.get("required", ()))
    names = in_path | (set(whole["properties"]) - {row.rest} if row.method == "GET" else set())
    return [
        {
            "name": name,
            "in": "path" if name in in_path else "query",
            "required": name in in_path or name in required,
            "schema": schema,
        }
        for name, schema in whole["properties"].items()
        if name in names
    ]


def _body(row: Endpoint, schema_of: Mapping[Any, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    in_path = {name.rstrip("*") for name in row.parameters}
    schema = schema_of[row.body if row.rest else row.request]
    if in_path and not row.rest:
        whole = _object(schema, components)
        properties = {name: s for name, s in whole["properties"].items() if name not in in_path}
        required = [name for name in whole.get("required", ()) if name not in in_path]
        schema = {"type": "object", "properties": properties, "required": required}
    required_body = bool(_object(schema, components).get("required"))
    return {"required": required_body, "content": {JSON: {"schema": schema}}}


def _object(schema: Mapping[str, Any], components: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    found: Mapping[str, Any] = components[reference.rpartition("/")[2]] if reference else schema
    return found


def _responses(row: Endpoint, schema_of: Mapping[Any, Any]) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": "Done."}
    if row.response is not None:
        schema = schema_of[row.response] if row.content_type == JSON else {"type": "string"}
        answer["content"] = {row.content_type: {"schema": schema}}
    responses: dict[str, Any] = {str(row.status): answer}
    error = SURFACES[row.surface].error_type
    shape = {JSON: {"schema": schema_of[error]}} if error is not None else {}
    for status, codes in sorted(_errors(row).items()):
        text = ", ".join(f"`{code}`" for code in sorted(codes))
        responses[str(status)] = {"description": f"{HTTPStatus(status).phrase}: {text}", "content": shape}
    return responses


def _errors(row: Endpoint) -> dict[int, set[str]]:
    """Status → the codes an operation may answer with."""
    found: dict[int, set[str]] = {}
    surface = SURFACES[row.surface]

    def add(status: int, code: str) -> None:
        found.setdefault(surface.status_of(status), set()).add(surface.codes.get(status, code))

    if row.request is not NoRequest:
        add(400, "INVALID_DATA")
    if row.method != "GET":
        add(413, "INVALID_DATA")
    if not row.access.public:
        add(401, "PERMISSION_DENIED")
        if row.agents:
            found[401].add("missing_agent_key")
        add(403, "PERMISSION_DENIED")
    if row.access.account:
        add(400, "INVALID_LOGIN")
    if row.limits:
        add(429, "RET_TOO_FREQUENT")
    if row.command is not None:
        add(503, "RET_ERR_NOSERVICE")
        if row.command.effect:
            add(504, "RET_ERR_TIMEOUT")
    if row.keyed:
        for error in (IdempotencyInFlight, IdempotencyMismatch):
            found.setdefault(error.http_status, set()).add(surface.key_codes[error.code])
    for code in row.errors:
        own = surface.own.get(code)
        found.setdefault(own or documented_status(code), set()).add(code)
    return found
