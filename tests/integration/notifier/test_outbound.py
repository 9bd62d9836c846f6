"""The way out: nobody gets us to call what is not of the public internet, by whatever trick."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from services.notifier.channels.outbound import CallRefused, NoAnswer, NotSent, Outbound
from tests.integration.notifier.receivers import Receiver, status


@pytest_asyncio.fixture
async def strict() -> AsyncIterator[Outbound]:
    """As in production, with less patience."""
    outbound = Outbound("test", total_s=1.0)
    yield outbound
    await outbound.close()


@pytest_asyncio.fixture
async def lenient() -> AsyncIterator[Outbound]:
    """As in the other tests: private addresses may be called."""
    outbound = Outbound("test", allow_private=True, total_s=1.0)
    yield outbound
    await outbound.close()


Names = dict[str, list[str]]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    """What names resolve to, and how often each was asked for under ``asked``."""
    known: Names = {"asked": []}
    loop_type = type(asyncio.get_event_loop_policy().new_event_loop())

    async def getaddrinfo(self: Any, host: str, port: int, **options: Any) -> list[Any]:
        known["asked"].append(host)
        found = known.get(host)
        if found is None:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [
            (socket.AF_INET6 if ":" in a else socket.AF_INET, socket.SOCK_STREAM, 6, "", (a, port))
            for a in found
        ]

    monkeypatch.setattr(loop_type, "getaddrinfo", getaddrinfo)
    return known


async def refused(outbound: Outbound, url: str) -> str:
    with pytest.raises(CallRefused) as error:
        await outbound.to_anywhere(url, b"{}", {})
    return str(error.value)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "0.0.0.0", "127.1", "2130706433", "0x7f.1", "017700000001", "10.0.0.1", "192.168.0.1",
     "169.254.169.254", "100.100.100.200", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]",
     "[64:ff9b::7f00:1]", "[fd00:ec2::254]", "[fe80::1]", "[2002:7f00:1::]", "localhost"],
)  # fmt: skip
async def test_a_private_address_is_refused_however_it_is_written(
    strict: Outbound, receiver: Receiver, host: str
) -> None:
    port = receiver.url.rpartition(":")[2]
    assert await refused(strict, f"https://{host}:{port}/hook")
    assert receiver.calls == []


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["2606:4700::1111", "fe80::1"], ["::ffff:10.0.0.1"],
     ["64:ff9b::a9fe:a9fe"], ["169.254.169.254"]],
)  # fmt: skip
async def test_a_name_with_one_private_address_is_refused_whole(
    strict: Outbound, names: Names, addresses: list[str]
) -> None:
    names["rebind.example"] = addresses
    assert "not of the public internet" in await refused(strict, "https://rebind.example/hook")


async def test_a_name_is_resolved_once_and_the_connection_goes_to_what_was_judged(
    lenient: Outbound, names: Names, receiver: Receiver
) -> None:
    port = receiver.url.rpartition(":")[2]
    names["hook.example"] = ["127.0.0.1"]
    answer = await lenient.to_anywhere(f"http://hook.example:{port}/x", b"{}", {})
    assert answer.is_success
    assert names["asked"] == ["hook.example"]
    assert receiver.calls[0].headers["host"] == f"hook.example:{port}"


async def test_a_name_that_answers_otherwise_the_second_time_is_not_asked_a_second_time(
    strict: Outbound, names: Names, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public for the check, loopback for whoever resolves again."""
    connected: list[Any] = []
    loop_type = type(asyncio.get_event_loop_policy().new_event_loop())

    async def sock_connect(self: Any, sock: socket.socket, address: Any) -> None:
        connected.append(address)
        names["rebind.example"] = ["127.0.0.1"]
        raise ConnectionRefusedError

    monkeypatch.setattr(loop_type, "sock_connect", sock_connect)
    names["rebind.example"] = ["8.8.8.8"]
    with pytest.raises(NotSent):
        await strict.to_anywhere("https://rebind.example/hook", b"{}", {})
    assert names["asked"] == ["rebind.example"]
    assert [address[0] for address in connected] == ["8.8.8.8"]
    assert receiver.calls == []


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "file:///etc/passwd", "https://u:p@example.com/",
     "https://:443/", "gopher://example.com:25/", "https://example.com:99999/", "https://example.com:port/",
     "//example.com/", "", "https://exa mple.com/", "https://\x00/"],
)  # fmt: skip
async def test_what_is_no_plain_https_address_is_refused_before_anything_is_asked(
    strict: Outbound, names: Names, url: str
) -> None:
    with pytest.raises((CallRefused, NotSent)):
        await strict.to_anywhere(url, b"{}", {})
    assert [name for name in names["asked"] if name == "example.com"] == []


async def test_a_redirect_to_a_private_address_leads_nowhere(lenient: Outbound, receiver: Receiver) -> None:
    receiver.script.append(status(307, None, Location=f"{receiver.url}/private"))
    answer = await lenient.to_anywhere(f"{receiver.url}/hook", b"{}", {})
    assert answer.status == 307
    assert [call.path for call in receiver.calls] == ["/hook"]


async def test_an_answer_is_read_to_its_limit_and_no_further(lenient: Outbound, receiver: Receiver) -> None:
    receiver.otherwise = receiver.flood
    answer = await lenient.to_anywhere(f"{receiver.url}/", b"{}", {})
    assert (answer.status, len(answer.body)) == (200, 64 * 1024)
    answer = await lenient.to_service(f"{receiver.url}/", b"{}", {})
    assert (answer.status, len(answer.body)) == (200, 64 * 1024)
    receiver.otherwise = status(200, {"fine": 1})
    assert (await lenient.to_service(f"{receiver.url}/", b"{}", {})).body == b'{"fine": 1}'


async def test_a_compressed_answer_is_not_unpacked(lenient: Outbound, receiver: Receiver) -> None:
    import gzip

    bomb = gzip.compress(b"0" * 10_000_000)

    async def answer(request: Any) -> Any:
        from aiohttp import web

        assert request.headers["Accept-Encoding"] == "identity"
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    receiver.otherwise = answer
    got = await lenient.to_anywhere(f"{receiver.url}/", b"{}", {})
    assert len(got.body) == min(len(bomb), 64 * 1024)


async def test_the_deadline_is_one_over_everything(lenient: Outbound, receiver: Receiver) -> None:
    receiver.otherwise = receiver.hang
    with pytest.raises(NoAnswer):
        await lenient.to_anywhere(f"{receiver.url}/", b"{}", {})
    receiver.otherwise = receiver.crawl
    assert (await lenient.to_anywhere(f"{receiver.url}/", b"{}", {})).status == 200


async def test_a_proxy_of_the_environment_is_not_used(
    lenient: Outbound, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert (await lenient.to_anywhere(f"{receiver.url}/", b"{}", {})).is_success
    assert (await lenient.to_service(f"{receiver.url}/", b"{}", {})).is_success


async def test_no_cookie_is_kept(lenient: Outbound, receiver: Receiver) -> None:
    receiver.script.append(status(200, None, Set_Cookie="a=b; Path=/"))
    for _ in range(2):
        await lenient.to_service(f"{receiver.url}/", b"{}", {})
    assert "cookie" not in receiver.calls[1].headers
