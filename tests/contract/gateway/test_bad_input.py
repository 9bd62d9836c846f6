"""Every broken request answers in the surface's shape with its code and status, and harms nobody."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from services.gateway.endpoints import ENDPOINTS
from tests.conftest import PATIENCE_S
from tests.contract.gateway.edge import Answer, Client, Edge
from tests.contract.gateway.samples import SAMPLES

Edged = tuple[Edge, Client]
JSON = {"Content-Type": "application/json"}
BODIES = [
    row
    for row in ENDPOINTS
    if row.command is not None and row.method != "GET" and row.surface in ("broker", "admin")
]
PATHS = {
    "broker": "/nope",
    "admin": "/admin/nope",
    "analysis": "/v1/nope",
    "scan": "/api/v1/nope",
    "signals": "/ai-signal/nope",
    "prices": "/api/v1/prices/nope/nope/nope",
}
KEYS = {
    "broker": ["error", "message"],
    "admin": ["error", "message"],
    "analysis": ["error", "message"],
    "scan": ["code", "detail", "hint", "meta"],
    "signals": ["statusCode", "message", "error"],
    "prices": ["status", "error", "message"],
}


def token_for(edge: Edge, path: str) -> str:
    kind = "admin" if path.startswith("/admin") else "customer" if path.startswith("/customer") else "user"
    return edge.signer.token(kind)


async def send(edge: Edge, client: Client, name: str, data: bytes, **headers: str) -> Answer:
    path, _ = SAMPLES[name]
    label = {"Content-Type": "application/json"} | headers
    method = name.partition(" ")[0]
    return await client.call(method, path, None, token_for(edge, path), data=data, headers=label)


@pytest.mark.parametrize(
    "data",
    [
        b"{",
        b"not json",
        b"[]",
        b"null",
        b'"x"',
        b"\xff\xfe",
        b'{"symbol":NaN}',
        b'{"symbol":"\\ud800"}',
        b'{"symbol":"\\u0000","login":7}',
        b'{"a":' * 3_000,
    ],
    ids=range(10),
)
async def test_a_body_that_is_no_json_object_is_invalid_data_on_every_row(
    at_edge: Edged, data: bytes
) -> None:
    edge, client = at_edge
    for row in BODIES:
        if row.request.__struct_fields__:
            assert (await send(edge, client, row.name, data)).error == (400, "INVALID_DATA"), row.name


@pytest.mark.parametrize(
    "label",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"],
)
async def test_a_body_of_the_wrong_content_type_is_invalid_data(at_edge: Edged, label: str) -> None:
    edge, client = at_edge
    for row in BODIES:
        data = json.dumps(SAMPLES[row.name][1] or {"x": 1}).encode()
        answer = await send(edge, client, row.name, data, **{"Content-Type": label})
        assert answer.error == (400, "INVALID_DATA"), row.name
    get = await client.get("/market", edge.signer.token(), data=b"login=7", headers={"Content-Type": label})
    assert get.error == (400, "INVALID_DATA")


async def test_a_field_of_the_wrong_type_is_named(at_edge: Edged) -> None:
    edge, client = at_edge
    user, admin = edge.signer.token(), edge.signer.token("admin")
    cases: list[tuple[str, str, Any, str, str]] = [
        ("POST", "/sign/in", {"login": "7", "password": "secret-1"}, "", "login"),
        ("POST", "/sign/in", {"login": 7, "password": "short"}, "", "password"),
        ("POST", "/sign/in", {"login": -1, "password": "secret-1"}, "", "login"),
        ("POST", "/sign/in", {"login": 1e300, "password": "secret-1"}, "", "login"),
        ("POST", "/sign/up", {"name": "A", "email": "a@b.co"}, "", "password"),
        ("POST", "/sign/up", {"name": "A", "email": 1, "password": "secret-1"}, "", "email"),
        (
            "POST",
            "/price_alert",
            {"symbol": "EURUSD", "side": 0.5, "condition": 2, "repeat_mode": 0},
            user,
            "side",
        ),
        ("POST", "/price_alert", {"symbol": [], "side": 0, "condition": 2, "repeat_mode": 0}, user, "symbol"),
        ("PUT", "/price_alert", {"status": 0}, user, "id"),
        ("DELETE", "/price_alert/five", None, user, "id"),
        ("DELETE", "/price_alert/-5", None, user, "id"),
        ("GET", "/price_alert/logs?limit=10001", None, user, "limit"),
        ("GET", "/price_alert/logs?offset=-1", None, user, "offset"),
        ("GET", "/quotes/candles?symbol=EURUSD&from=x&to=1&frame=1H", None, user, "from"),
        ("GET", "/quotes/candles?symbol=EURUSD&from=0&to=1", None, user, "frame"),
        ("GET", "/quotes/candles?from=0&to=1&frame=1H", None, user, "symbol"),
        ("GET", "/market/symbol", None, user, "symbol"),
        ("GET", "/market?login=seven", None, user, "login"),
        ("PUT", "/market/watch", {"symbol": "EURUSD"}, user, "sort_index"),
        ("PUT", "/market/watch", {"symbol": "EURUSD", "color": "red"}, user, "color"),
        ("POST", "/admin/quotes", {"quotes": {}}, admin, "quotes"),
        ("POST", "/admin/quotes", {"quotes": []}, admin, "quotes"),
        ("POST", "/admin/quotes", {"quotes": [{"symbol": "EURUSD", "bid": "1"}]}, admin, "quotes[0].bid"),
        (
            "POST",
            "/admin/candles",
            {"symbol": "E", "timeframe": "1h", "candles": [[1, 2]]},
            admin,
            "candles[0]",
        ),
        ("POST", "/admin/users", {"group": "demo", "enable": True}, admin, "enable"),
        ("PUT", "/admin/symbols/EURUSD", {"symbol": "GBPUSD"}, admin, "symbol"),
        ("GET", "/admin/audit?limit=0", None, admin, "limit"),
    ]
    for method, path, body, token, field in cases:
        answer = await client.call(method, path, body, token)
        assert answer.error == (400, "INVALID_DATA"), (method, path, body, answer.body)
        assert answer.json["message"].startswith(field), (method, path, answer.json["message"])


async def test_unknown_fields_are_ignored(at_edge: Edged) -> None:
    edge, client = at_edge
    body = {"symbol": "EURUSD", "login": 7, "from_the_future": {"x": [1]}}
    assert (await client.post("/market/watch", body, edge.signer.token())).error == (418, "REACHED")


async def test_an_oversized_body_is_413_on_every_row(at_edge: Edged) -> None:
    edge, client = at_edge
    for row in BODIES:
        data = b'{"x":"' + b"x" * row.body_bytes_max + b'"}'
        answer = await send(edge, client, row.name, data)
        assert answer.error == (413, "INVALID_DATA"), row.name


async def test_an_oversized_body_without_a_length_is_cut_at_the_limit(at_edge: Edged) -> None:
    _, client = at_edge

    async def endless() -> Any:
        for _ in range(1000):
            yield b"x" * 1024

    answer = await client.post("/sign/in", data=endless(), headers=JSON)
    assert answer.error == (413, "INVALID_DATA")


async def test_a_compressed_body_is_refused(at_edge: Edged) -> None:
    _, client = at_edge
    answer = await client.post("/sign/in", data=b"x" * 20, headers={**JSON, "Content-Encoding": "gzip"})
    assert answer.error == (400, "INVALID_DATA")


@pytest.mark.parametrize("surface", PATHS)
async def test_an_unknown_path_answers_in_the_dialect_of_its_prefix(at_edge: Edged, surface: str) -> None:
    _, client = at_edge
    # Of prices an OPTIONS is a preflight, and answered under the whole prefix.
    for method in ("GET", "POST", "DELETE", "PATCH", *(("OPTIONS",) if surface != "prices" else ())):
        answer = await client.call(method, PATHS[surface])
        assert answer.status == 404
        assert list(answer.json) == KEYS[surface]


async def test_a_wrong_method_is_405_and_says_which_are_right(at_edge: Edged) -> None:
    _, client = at_edge
    answer = await client.call("PATCH", "/price_alert")
    assert answer.error == (405, "RET_METHOD_NOT_ALLOWED")
    assert answer.headers["Allow"] == "POST, PUT"
    assert (await client.post("/admin/symbols")).error == (405, "RET_METHOD_NOT_ALLOWED")
    answer = await client.post("/.well-known/jwks.json")
    assert (answer.status, answer.json["error"]) == (404, "NOT_FOUND")


# ── what is no HTTP, or too slow ──────────────────────────────────────────────────────────────────


async def raw(client: Client, data: bytes) -> tuple[int, bytes]:
    """Send bytes as they are; the status and the whole answer until the server closes."""
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(data)
        await writer.drain()
        async with asyncio.timeout(PATIENCE_S):
            answer = await reader.read()
    finally:
        writer.close()
    return int(answer.split()[1]) if answer else 0, answer


@pytest.mark.parametrize(
    "data",
    [
        b"GARBAGE\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(100),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(500)) + b"\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
    ],
    ids=[
        "garbage",
        "tls",
        "version",
        "long line",
        "many headers",
        "long header",
        "length",
        "smuggling",
        "name",
    ],
)
async def test_what_is_no_http_is_400_in_the_houses_shape(at_edge: Edged, data: bytes) -> None:
    _, client = at_edge
    status, answer = await raw(client, data)
    assert status == 400
    head, _, body = answer.partition(b"\r\n\r\n")
    assert json.loads(body)["error"] == "INVALID_DATA"
    assert b"Traceback" not in answer
    assert b"aiohttp" not in head
    assert (await client.get("/livez")).body == b"ok"


@pytest.mark.parametrize(
    ("target", "more", "status"),
    [
        (b"OPTIONS *", b"", 404),
        (b"CONNECT a.example:443", b"", 404),
        (b"GET http://other.example/livez", b"", 200),
        (b"GET http://a.example:99999999/livez", b"", 400),
        (b"GET //livez", b"", 404),
        (b"GET /%zz", b"", 404),
        (b"DELETE /price_alert/%ff", b"", 400),
        (b"GET /livez?%zz=%ff", b"", 200),
        (b"GET /livez", b"Cookie: =;;==\xff; tw_token\r\n", 200),
        (b"GET /sign/check", b"Cookie: tw_token=\xff\xfe\r\n", 401),
        (b"GET /sign/check", b"Authorization: \xff\xfe\r\n", 401),
        (b"GET /sign/check", b"Authorization: a\r\nAuthorization: b\r\n", 401),
        (b"GET /livez", b"X-Forwarded-For: \xff\r\nX-Request-Id: \xff\r\ntraceparent: x\r\n", 200),
    ],
)
async def test_odd_targets_and_headers_have_their_status(
    at_edge: Edged, target: bytes, more: bytes, status: int
) -> None:
    _, client = at_edge
    said, _ = await raw(client, target + b" HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + more + b"\r\n")
    assert said == status


async def test_broken_chunks_are_invalid_data(at_edge: Edged) -> None:
    _, client = at_edge
    head = b"POST /sign/in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    status, answer = await raw(client, head + b"ZZ\r\n{}\r\n0\r\n\r\n")
    assert status == 400
    assert b"INVALID_DATA" in answer


async def test_a_body_that_comes_too_slowly_is_cut_and_delays_nobody(at_edge: Edged) -> None:
    _, client = at_edge
    head = (
        b"POST /sign/in HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    )
    slow = asyncio.create_task(raw(client, head))
    answered = 0
    while not slow.done():
        assert (await client.get("/livez")).status == 200
        answered += not slow.done()
        await asyncio.wait([slow], timeout=0.5)
    status, answer = await slow
    assert status == 408
    assert b"RET_TIMEOUT" in answer
    assert answered > 1


async def test_a_client_that_expects_a_go_ahead_gets_one(at_edge: Edged) -> None:
    _, client = at_edge
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    body = json.dumps(SAMPLES["POST /sign/in"][1]).encode()
    writer.write(
        b"POST /sign/in HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n"
        b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    )
    async with asyncio.timeout(PATIENCE_S):
        assert (await reader.readline()).startswith(b"HTTP/1.1 100")
        await reader.readline()
        writer.write(body)
        answer = await reader.read()
    assert b"HTTP/1.1 418" in answer
    writer.close()


async def test_pipelined_requests_are_answered_in_order(at_edge: Edged) -> None:
    _, client = at_edge
    many = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\nGET /nope HTTP/1.1\r\nHost: x\r\n\r\n" * 10
    status, answer = await raw(client, many + b"GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    assert status == 200
    lines = [line for line in answer.split(b"\r\n") if b"HTTP/1.1 " in line]
    assert [line.split(b"HTTP/1.1 ")[1][:3] for line in lines] == [b"200", b"404"] * 10 + [b"200"]


async def test_a_reader_that_never_reads_delays_nobody(at_edge: Edged) -> None:
    _, client = at_edge
    host, port = client.url.removeprefix("http://").split(":")
    deaf = socket.socket()
    deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    deaf.connect((host, int(port)))
    deaf.setblocking(False)
    asking = b"GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n" * 100
    with pytest.raises((BlockingIOError, ConnectionError)):
        while True:
            deaf.send(asking)
    for _ in range(20):
        assert (await client.get("/livez")).status == 200
    deaf.close()


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Upgrade": "websocket", "Connection": "Upgrade"},
        {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Key": "x",
            "Sec-WebSocket-Version": "13",
        },
        {"Upgrade": "h2c", "Connection": "Upgrade"},
    ],
)
async def test_a_broken_handshake_is_invalid_data(at_edge: Edged, headers: dict[str, str]) -> None:
    _, client = at_edge
    assert (await client.get("/ws", headers=headers)).error == (400, "INVALID_DATA")
