"""Gateway processes on real sockets: sharing a port, sharing limits, refusing to start, stopping in order."""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from libs.common import bus_nats
from libs.common.bus_nats import NatsBus
from libs.common.messages.house import Done
from libs.common.streams import OWNERS, ensure_streams
from libs.common.subjects import QUOTES_PUT
from services.gateway.server import HttpServer, bind
from tests.certificates import write_certificate
from tests.conftest import PATIENCE_S
from tests.contract.gateway.conftest import NO_DATABASE
from tests.contract.gateway.edge import Client, Edge
from tests.contract.gateway.samples import SAMPLES
from tests.house import House, free_port
from tests.servers import open_nats


@pytest_asyncio.fixture
async def edge(nats_url: str) -> AsyncIterator[Edge]:
    """The other end of the bus."""
    bus: NatsBus = await bus_nats.connect(nats_url, "edge")
    answering = Edge(bus)
    await answering.start()
    yield answering
    await bus.close()


@pytest_asyncio.fixture
async def gateways(edge: Edge, nats_url: str, tmp_path: Path) -> AsyncIterator[House]:
    """A house without a database: only gateways start in it."""
    house = House(NO_DATABASE, nats_url, tmp_path)
    yield house
    await house.stop()


async def once(house: House, path: str, **more: Any) -> tuple[int, bytes]:
    """A request on a connection of its own, so that any process may get it."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as session,
        session.get(house.url + path, **more) as response,
    ):
        return response.status, await response.read()


async def start_two(house: House) -> None:
    for index in ("0", "1"):
        await house.start("gateway", GATEWAY_PROCESSES="2", PROCESS_INDEX=index)


async def requests_counted(house: House) -> dict[str, int]:
    counted = {}
    for key, running in house.running.items():
        text = await running.metrics()
        found = re.search(r'requests_total\{route="GET /docs",status="\d+"\} (\d+)', text)
        counted[key] = int(found.group(1)) if found else 0
    return counted


async def test_two_processes_share_the_port_and_count_limits_as_one(gateways: House) -> None:
    await start_two(gateways)
    results = await asyncio.gather(*(once(gateways, "/docs?ask=stream") for _ in range(60)))
    assert sorted(status for status, _ in results) == [200] * 30 + [429] * 30
    counted = await requests_counted(gateways)
    assert min(counted.values()) > 0, counted  # both took part, or this proves nothing


async def test_a_killed_process_leaves_its_counts_and_no_lock(gateways: House) -> None:
    await start_two(gateways)
    for _ in range(29):
        assert (await once(gateways, "/docs?ask=stream"))[0] == 200
    await gateways.end("gateway-1", signal.SIGKILL)
    assert [(await once(gateways, "/docs?ask=stream"))[0] for _ in range(3)] == [200, 429, 429]
    await gateways.start("gateway", GATEWAY_PROCESSES="2", PROCESS_INDEX="1")
    assert {(await once(gateways, "/docs?ask=stream"))[0] for _ in range(10)} == {429}


async def test_another_loopback_address_is_another_client(gateways: House) -> None:
    await gateways.start("gateway", HTTP_HOST="0.0.0.0")
    for _ in range(30):
        await once(gateways, "/docs?ask=stream")
    assert (await once(gateways, "/docs?ask=stream"))[0] == 429
    connector = aiohttp.TCPConnector(local_addr=("127.0.0.2", 0))
    async with (
        aiohttp.ClientSession(connector=connector) as session,
        session.get(f"{gateways.url}/docs?ask=stream") as response,
    ):
        assert response.status == 200


async def test_behind_a_trusted_proxy_clients_are_told_apart(gateways: House) -> None:
    await gateways.start("gateway", TRUSTED_PROXIES="127.0.0.0/8")
    for number in range(40):
        headers = {"X-Forwarded-For": f"198.51.100.{number % 2}"}
        assert (await once(gateways, "/docs?ask=stream", headers=headers))[0] == 200
    for number in range(40):
        headers = {
            "X-Forwarded-For": f"203.0.113.{number}, 198.51.100.9"
        }  # what a client wrote itself counts not
        status, _ = await once(gateways, "/docs?ask=stream", headers=headers)
        assert status == (200 if number < 30 else 429)


# ── starting ──────────────────────────────────────────────────────────────────────────────────────


async def refused(house: House, **settings: str) -> tuple[int, str]:
    """Start a gateway that should not start; its exit code and what it said last."""
    with pytest.raises(AssertionError, match="ended"):
        await house.start("gateway", **settings)
    running = house.running.pop("gateway-0")
    return await running.process.wait(), running.log.read_text().strip().splitlines()[-1]


async def test_a_port_in_use_is_said_in_one_line(gateways: House) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, line = await refused(gateways, HTTP_PORT=str(port))
    assert code == 78
    assert line == (
        f"gateway: TRADEWIND_HTTP_PORT {port} is in use on 127.0.0.1:"
        " stop the other program or choose another port"
    )


async def test_a_metrics_port_in_use_is_said_in_one_line(gateways: House) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, line = await refused(gateways, METRICS_PORT=str(port))
    assert (code, line) == (78, f"gateway: TRADEWIND_METRICS_PORT {port} is in use on 127.0.0.1")


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"HTTP_HOST": "no.such.host.invalid"}, "TRADEWIND_HTTP_HOST no.such.host.invalid can't be used"),
        ({"HTTP_PORT": "many"}, "TRADEWIND_HTTP_PORT can't be used"),
        ({"TRUSTED_PROXIES": "everyone"}, "TRADEWIND_TRUSTED_PROXIES can't be used: everyone is no network"),
        ({"TLS_DIR": "/nowhere"}, "TRADEWIND_TLS_DIR /nowhere can't be used"),
        ({"HTTP_PROT": "1"}, "TRADEWIND_HTTP_PROT is not a setting; did you mean TRADEWIND_HTTP_PORT?"),
    ],
)
async def test_a_setting_that_can_not_be_used_stops_the_start(
    gateways: House, settings: dict[str, str], says: str
) -> None:
    code, line = await refused(gateways, **settings)
    assert code == 78
    assert line.startswith(f"gateway: {says}")


async def test_tls_is_served_from_the_folder_given(gateways: House, edge: Edge, tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    certificate = write_certificate(folder, "tls", "127.0.0.1")
    await gateways.start("gateway", TLS_DIR=str(folder))
    trust = ssl.create_default_context(cafile=str(certificate))
    url = gateways.url.replace("http://", "https://")
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/livez", ssl=trust) as response:
            assert await response.text() == "ok"
        async with session.ws_connect(f"{url}/ws", ssl=trust) as ws:
            await ws.send_str("ping")
            assert (await ws.receive(timeout=PATIENCE_S)).data == "pong"


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_stop_ends_sockets_with_1012_and_lets_calls_finish(
    gateways: House, edge: Edge, eventually: Callable[..., Any]
) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slowly(ask: Any) -> Done:
        arrived.set()
        await go_on.wait()
        return Done()

    edge.answer(QUOTES_PUT, slowly)
    await gateways.start("gateway")
    async with aiohttp.ClientSession() as session:
        client = Client(session, gateways.url)
        ws = await session.ws_connect(f"{gateways.url}/ws")
        asking = asyncio.create_task(client.post(*SAMPLES["POST /admin/quotes"], edge.signer.token("admin")))
        await arrived.wait()
        running = gateways.running.pop("gateway-0")
        running.signal(signal.SIGTERM)
        closed = await ws.receive(timeout=PATIENCE_S)
        assert (closed.type, closed.data) == (aiohttp.WSMsgType.CLOSE, 1012)

        async def refuses() -> bool:
            try:
                await once(gateways, "/livez")
            except aiohttp.ClientConnectorError:
                return True
            return False

        assert await eventually(refuses)
        go_on.set()
        answer = await asking
        assert (answer.status, answer.json) == (200, {"data": "OK"})
        assert await running.process.wait() == 0


async def test_a_port_is_free_again_at_once_after_a_stop(gateways: House) -> None:
    gateways.http_port = free_port()
    for _ in range(2):
        await gateways.start("gateway")
        assert (await once(gateways, "/livez"))[0] == 200
        assert await gateways.end("gateway-0") == 0


async def test_a_stop_while_nats_is_away_is_a_stop(gateways: House, tmp_path: Path) -> None:
    with open_nats(tmp_path / "own", private=True) as nats:
        await ensure_streams(nats.url, [*OWNERS, "gateway"], gateway_processes=1)
        house = House(NO_DATABASE, nats.url, tmp_path)
        await house.start("gateway")
        nats.kill()
        assert (await once(house, "/livez"))[0] == 200
        assert await house.end("gateway-0") == 0


async def test_a_process_that_waits_for_nats_says_so_and_stops_when_told(
    tmp_path: Path, eventually: Callable[..., Any]
) -> None:
    house = House(NO_DATABASE, f"nats://127.0.0.1:{free_port()}", tmp_path)
    starting = asyncio.create_task(house.start("gateway"))
    await eventually(lambda: "gateway-0" in house.running)
    running = house.running["gateway-0"]
    await eventually(lambda: b"NATS does not answer" in running.log.read_bytes())
    starting.cancel()
    assert await house.end("gateway-0") == 0


@pytest.mark.parametrize("data", [b"", b"GET /livez HTT", b"GET / HTTP/1.1\r\nHost: x\r\nX: "])
async def test_a_request_head_that_does_not_come_closes_the_connection(data: bytes) -> None:
    async def handler(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(text="ok")

    server = HttpServer(handler, idle_s=0.3)
    listener = bind("127.0.0.1", 0, shared=False)
    await server.start(listener, None)
    reader, writer = await asyncio.open_connection(*listener.getsockname())
    writer.write(data)
    async with asyncio.timeout(PATIENCE_S):
        assert await reader.read() == b""
    writer.close()

    async def nothing() -> None:
        pass

    await server.stop(nothing)
