"""Health, documents, public keys and limits as clients, probes and agents see them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from libs.common.errors import ServiceUnavailable
from libs.common.messages.house import Health
from libs.common.subjects import SIGN_IN, health_of
from services.gateway.pages import library
from tests.contract.gateway.edge import Client, Edge
from tests.contract.gateway.samples import SAMPLES

Edged = tuple[Edge, Client]


@pytest.mark.parametrize("path", ["/livez", "/healthz"])
async def test_the_process_says_ok(at_edge: Edged, path: str) -> None:
    _, client = at_edge
    answer = await client.get(path)
    assert (answer.status, answer.body) == (200, b"ok")
    head = await client.call("HEAD", path)
    assert (head.status, head.body) == (200, b"")


async def test_readiness_names_what_is_missing(at_edge: Edged, eventually: Any) -> None:
    edge, client = at_edge
    answer = await client.get("/readyz")
    assert answer.status == 503
    assert answer.json["ready"] is False
    assert set(answer.json["services"]) == {"gateway", "auth", "market", "trading", "alerts"}
    assert answer.json["services"]["gateway"] == []
    assert "market: market does not answer" in answer.json["problems"]

    told: dict[str, tuple[str, ...]] = {}

    def health(name: str) -> Callable[[Any], Health]:
        return lambda ask: Health(service=name, version="", started_ms=0, problems=told.get(name, ()))

    serving = []
    for name in ("auth", "market", "trading", "alerts"):
        edge.answer(health_of(name), health(name))
        serving.append(await edge.bus.serve(health_of(name), edge.handler(health_of(name))))

    async def ready(expected: int, query: str = "") -> Any:
        answer = await client.get(f"/readyz{query}")
        return answer if answer.status == expected else None

    assert (await eventually(lambda: ready(200))).json["problems"] == []
    told["trading"] = ("the database is away",)
    found = await eventually(lambda: ready(503))
    assert found.json["problems"] == ["trading: the database is away"]
    assert (await eventually(lambda: ready(200, "?for=traffic"))).json["services"] == {
        "gateway": [],
        "auth": [],
    }
    told["auth"] = ("no keys",)
    assert (await eventually(lambda: ready(503, "?for=traffic"))).json["problems"] == ["auth: no keys"]
    for subscription in serving:
        await subscription.stop()


async def test_metrics_are_prometheus_text_with_a_series_per_route(at_edge: Edged) -> None:
    _, client = at_edge
    answer = await client.get("/metrics")
    assert answer.headers["Content-Type"].startswith("text/plain")
    text = answer.body.decode()
    assert 'tradewind_gateway_requests_total{route="GET /market",status="200"}' in text
    assert "tradewind_gateway_stream_sockets" in text
    assert "tradewind_gateway_limits_unlocked_total 0.0" in text


async def test_public_keys_are_those_of_auth(at_edge: Edged) -> None:
    _, client = at_edge
    answer = await client.get("/.well-known/jwks.json")
    assert answer.status == 200
    assert [key["kid"] for key in answer.json["keys"]] == ["test"]
    assert all("d" not in key for key in answer.json["keys"])


async def test_the_root_leads_to_the_documentation(at_edge: Edged) -> None:
    _, client = at_edge
    answer = await client.get("/")
    assert (answer.status, answer.headers["Location"]) == (307, "/docs")


async def test_every_page_is_there_for_agents_and_for_people(at_edge: Edged) -> None:
    _, client = at_edge
    pages = library.load()
    assert pages
    index = (await client.get("/llms.txt")).body.decode()
    first = (await client.get("/docs")).body.decode()
    for name, page in pages.items():
        markdown = await client.get(f"/docs/{name}.md")
        assert (markdown.status, markdown.body.decode()) == (200, page.text)
        assert markdown.headers["Content-Type"] == "text/markdown; charset=utf-8"
        html = await client.get(f"/docs/{name}")
        assert html.status == 200
        assert html.headers["Content-Type"] == "text/html; charset=utf-8"
        assert f"/docs/{name}.md" in index
        assert f'href="/docs/{name}"' in first
    assert (await client.get("/docs/nope.md")).status == 404
    assert (await client.get("/docs/..%2f..%2fetc%2fpasswd")).status == 404
    assert (await client.get("/docs/../README.md")).status in (200, 404)


async def test_pages_bring_nothing_from_elsewhere(at_edge: Edged) -> None:
    _, client = at_edge
    for path in ("/docs", *(f"/docs/{name}" for name in library.load())):
        answer = await client.get(path)
        text = answer.body.decode()
        assert "<script" not in text
        assert not re.search(r'(src|<link[^>]*href)="https?:', text)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_pictures_of_pages_are_there(at_edge: Edged) -> None:
    _, client = at_edge
    for name in library.load():
        html = (await client.get(f"/docs/{name}")).body.decode()
        for source in re.findall(r'<img src="([^"]+)"', html):
            picture = await client.get(source)
            assert (picture.status, picture.headers["Content-Type"]) == (200, "image/svg+xml"), source


async def test_a_person_gets_the_answer_as_a_page(at_edge: Edged) -> None:
    _, client = at_edge
    answer = await client.get(
        "/docs/answer", params={"ask": "<b>Which stream</b> does the relay publish to?"}
    )
    text = answer.body.decode()
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "&lt;b&gt;Which stream" in text
    link = re.search(r'<h2><a href="(/docs/[^"#]+)#', text)
    assert link is not None
    assert (await client.get(link.group(1))).status == 200
    assert (await client.get("/docs/answer")).error == (400, "INVALID_DATA")


async def test_a_question_is_answered_from_our_own_pages(at_edge: Edged) -> None:
    _, client = at_edge
    name = next(iter(library.load()))
    for path in (f"/docs/{name}.md", "/docs"):
        answer = await client.get(path, params={"ask": "Which stream does the relay publish pushes to?"})
        assert answer.status == 200
        said = answer.json
        assert list(said) == ["answer", "excerpts", "sources"]
        assert said["answer"]
        for excerpt in said["excerpts"]:
            assert list(excerpt) == ["text", "page", "anchor"]
            assert excerpt["text"] in library.load()[excerpt["page"]].text
        for source in said["sources"]:
            assert list(source) == ["title", "url"]
            assert (await client.get(source["url"])).status == 200
    nothing = await client.get("/docs", params={"ask": "xyzzy plugh"})
    assert nothing.json["excerpts"] == nothing.json["sources"] == []


async def test_a_question_has_a_length(at_edge: Edged) -> None:
    _, client = at_edge
    assert (await client.get("/docs", params={"ask": "x" * 501})).error == (400, "INVALID_DATA")
    assert (await client.get("/docs", params={"ask": ""})).error == (400, "INVALID_DATA")
    assert (await client.get("/docs", params={"ask": "x" * 500})).status == 200


async def test_the_document_is_the_tables(at_edge: Edged) -> None:
    _, client = at_edge
    answer = await client.get("/openapi.json")
    assert answer.json["openapi"] == "3.1.0"
    assert "/price_alert/{id}" in answer.json["paths"]


async def test_every_answer_says_its_request_id_and_keeps_a_given_one(at_edge: Edged) -> None:
    _, client = at_edge
    assert (await client.get("/livez", headers={"X-Request-Id": "abc-1"})).headers["X-Request-Id"] == "abc-1"
    made = (await client.get("/nope", headers={"X-Request-Id": "bad id!"})).headers["X-Request-Id"]
    assert re.fullmatch(r"[0-9a-f-]{36}", made)


async def test_a_limit_answers_429_with_retry_after_and_spares_staff(at_edge: Edged) -> None:
    edge, client = at_edge

    def refuse(ask: Any) -> Any:
        raise ServiceUnavailable

    edge.answer(SIGN_IN, refuse)
    statuses: list[int] = []
    for _ in range(60):
        statuses.append((await client.get("/docs", params={"ask": "stream"})).status)
        if statuses[-1] == 429:
            break
    assert statuses[-1] == 429
    answer = await client.get("/docs", params={"ask": "stream"})
    assert answer.error == (429, "RET_TOO_FREQUENT")
    assert 1 <= int(answer.headers["Retry-After"]) <= 60
    assert (await client.get("/docs")).status == 200
    staff = await client.get("/docs", edge.signer.token("admin"), params={"ask": "stream"})
    assert staff.status == 200
    user = await client.get("/docs", edge.signer.token("user"), params={"ask": "stream"})
    assert user.status == 429
    path, body = SAMPLES["POST /sign/in"]
    assert json.loads((await client.post(path, body)).body)["error"] == "RET_ERR_NOSERVICE"
