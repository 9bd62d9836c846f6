"""The endpoint table refuses what contradicts itself; the OpenAPI document says what the table says."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from libs.common.errors import InvariantBroken
from libs.common.messages.house import Done
from libs.common.subjects import CANDLES, WATCH_ADD
from services.gateway.endpoints import ENDPOINTS, check
from services.gateway.endpoints.row import PUBLIC, Limit
from services.gateway.openapi import document, operation_id
from services.gateway.pages.html import reference_html

ROWS = {row.name: row for row in ENDPOINTS}
DOCUMENT = document(ENDPOINTS, version="1.2.3")


def test_the_table_is_consistent() -> None:
    check(ENDPOINTS)


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("GET /market", {"path": "/market/"}, "path is not canonical"),
        ("GET /market", {"path": "/market/{nope}"}, "path parameter"),
        ("GET /market", {"surface": "nope"}, "no such surface"),
        ("GET /market", {"local": "livez"}, "either a command or a local"),
        ("GET /market", {"message": None}, "needs its message"),
        ("GET /market", {"command": WATCH_ADD}, "a GET with an effect"),
        ("GET /market", {"repeat": "key"}, "safe"),
        ("GET /sign/check", {"access": ROWS["GET /market"].access}, "login field"),
        ("GET /market", {"command": replace(CANDLES, callers=("alerts",))}, "gateway may not call"),
        ("GET /market", {"errors": ("NOBODY_KNOWS",)}, "an error without a status"),
        ("POST /admin/users", {"audited": False}, "audited"),
        ("GET /admin/audit", {"access": PUBLIC}, "public"),
        ("GET /livez", {"limits": (Limit("x", 1, per="principal"),)}, "no principal"),
        ("GET /docs", {"limits": (Limit("x", 1, when="nope"),)}, "counts no field"),
    ],
)
def test_a_row_that_contradicts_itself_stops_the_start(name: str, change: dict[str, Any], says: str) -> None:
    with pytest.raises(InvariantBroken, match=says):
        check([replace(ROWS[name], **change)])


def test_two_rows_may_not_answer_the_same_calls() -> None:
    row = ROWS["PUT /admin/symbols/{symbol}"]
    with pytest.raises(InvariantBroken, match="same calls"):
        check([row, row])


# ── the document ──────────────────────────────────────────────────────────────────────────────────


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def test_every_row_that_is_shown_is_an_operation_and_no_other() -> None:
    shown = {(row.method.lower(), row.path.replace("*}", "}")) for row in ENDPOINTS if not row.hidden}
    assert {(method, path) for path, method, _ in operations()} == shown


def test_operation_ids_are_unique_names() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in ids)
    assert operation_id(ROWS["GET /market/short/list"]) == "get_market_short_list"


def test_path_parameters_are_declared_and_required() -> None:
    for path, _, operation in operations():
        declared = {p["name"] for p in operation["parameters"] if p["in"] == "path" and p["required"]}
        assert declared == set(re.findall(r"\{(\w+)\}", path)), path


def test_every_reference_leads_somewhere() -> None:
    schemas = DOCUMENT["components"]["schemas"]

    def references(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            if isinstance(value.get("$ref"), str):
                yield value["$ref"]
            for inner in value.values():
                yield from references(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from references(inner)

    found = set(references(DOCUMENT))
    assert found
    assert {ref for ref in found if ref.removeprefix("#/components/schemas/") not in schemas} == set()


def test_operations_have_what_openapi_3_1_wants_of_them() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version"} <= set(DOCUMENT["info"])
    for path, method, operation in operations():
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["x-idempotency"] in ("safe", "idempotent", "key"), where
        assert {"200", "201", "202", "204"} & set(operation["responses"]), where
        for code, response in operation["responses"].items():
            assert re.fullmatch(r"[1-5]\d\d", code), where
            assert response["description"], where
        for parameter in operation["parameters"]:
            assert {"name", "in", "schema"} <= set(parameter), where
        if method == "get":
            assert "requestBody" not in operation, where


def test_private_operations_say_who_may_call() -> None:
    for path, method, operation in operations():
        row = next(r for r in ENDPOINTS if r.method.lower() == method and r.path.replace("*}", "}") == path)
        assert ("security" in operation) == (not row.access.public)
        if not row.access.public:
            assert {"401", "403"} <= set(operation["responses"])


def test_a_path_parameter_is_not_asked_for_in_the_body() -> None:
    body = DOCUMENT["paths"]["/price_alert/{id}"]["delete"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    assert "id" not in schema["properties"]
    assert body["required"] is False


def test_the_body_of_a_put_that_merges_is_documented_without_its_key() -> None:
    fields = DOCUMENT["components"]["schemas"]["SymbolFields"]
    assert "digits" in fields["properties"]
    assert "symbol" not in fields["properties"]
    assert not fields.get("required")
    assert Done.__name__ in DOCUMENT["components"]["schemas"]


def test_the_reference_page_shows_every_operation() -> None:
    page = reference_html(DOCUMENT, [])
    for _, _, operation in operations():
        assert f'id="{operation["operationId"]}"' in page
