"""The short way for ticks beside nats-py's own parser: the same messages in the same order."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.errors import ProtocolError
from nats.protocol.parser import Parser

from libs.common.bus_parse import TickParser

Event = tuple[Any, ...]
DIRECT = (b"7", b"12")


class Client:
    """What a parser calls."""

    def __init__(self) -> None:
        self.heard: list[Event] = []
        self.stats = {"in_msgs": 0, "in_bytes": 0}
        self.on_ping: Any = lambda: None

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Any) -> None:
        self.heard.append((sid, subject.decode(), data))

    async def _process_ping(self) -> None:
        self.heard.append(("ping",))
        self.on_ping()

    async def _process_pong(self) -> None:
        self.heard.append(("pong",))

    async def _process_err(self, text: str) -> None:
        self.heard.append(("error", text))

    async def _process_info(self, info: Any) -> None:
        self.heard.append(("info", info))


def message(sid: bytes, subject: str, reply: str, payload: bytes, headers: bytes) -> bytes:
    names = " ".join(part for part in (subject, sid.decode(), reply) if part)
    if headers:
        size = len(headers) + len(payload)
        return f"HMSG {names} {len(headers)} {size}\r\n".encode() + headers + payload + b"\r\n"
    return f"MSG {names} {len(payload)}\r\n".encode() + payload + b"\r\n"


pieces = st.one_of(
    st.sampled_from([b"PING\r\n", b"PONG\r\n", b"+OK\r\n", b"-ERR 'Slow'\r\n", b'INFO {"a":1}\r\n']),
    st.builds(
        message,
        st.sampled_from([b"7", b"12", b"1", b"70"]),
        st.sampled_from(["a.b", "market.tick.quote.v1.raw.EURUSD"]),
        st.sampled_from(["", "_INBOX.x.1"]),
        st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n", b"MSG a 7 3\r\nabc\r\n", b"x" * 5_000])),
        st.sampled_from([b"", b"NATS/1.0\r\nA: b\r\n\r\n"]),
    ),
)
sizes = st.lists(st.integers(1, 90), max_size=200)


def chunks(data: bytes, sizes: list[int]) -> list[bytes]:
    found, at = [], 0
    for size in [*sizes, len(data) + 1]:
        found.append(data[at : at + size])
        at += size
    return [chunk for chunk in found if chunk]


async def heard_by_ours(parts: list[bytes], known_from: int) -> tuple[list[Event], dict[str, int]]:
    """``known_from``: before which part the direct subscriptions become known."""
    client = Client()

    async def failed(error: Exception) -> None:
        raise error

    parser = TickParser(client, failed)
    for number, part in enumerate(parts):
        if number == known_from:
            for sid in DIRECT:
                parser.direct[sid] = lambda subject, payload, sid=sid: client.heard.append(
                    (int(sid), subject, payload)
                )
        await parser.parse(part)
    return client.heard, client.stats


@settings(max_examples=200, deadline=None)
@given(said=st.lists(pieces, max_size=25), sizes=sizes, known_from=st.integers(0, 20))
def test_everything_comes_in_the_order_nats_py_has(
    said: list[bytes], sizes: list[int], known_from: int
) -> None:
    data = b"".join(said)
    client = Client()
    asyncio.run(Parser(client).parse(data))
    parts = chunks(data, sizes)
    found, stats = asyncio.run(heard_by_ours(parts, known_from))
    assert found == client.heard
    if known_from == 0:
        ticks = [event for event in found if str(event[0]).encode() in DIRECT]
        assert stats == {"in_msgs": len(ticks), "in_bytes": sum(len(tick[2]) for tick in ticks)}


async def test_a_callback_that_fails_costs_its_message_only() -> None:
    client, errors, heard = Client(), [], []

    async def failed(error: Exception) -> None:
        errors.append(error)

    def callback(subject: str, payload: bytes) -> None:
        if payload == b"bad":
            raise ValueError(payload)
        heard.append(payload)

    parser = TickParser(client, failed)
    parser.direct[b"7"] = callback
    await parser.parse(b"".join(message(b"7", "a", "", said, b"") for said in (b"one", b"bad", b"two")))
    assert (heard, len(errors)) == ([b"one", b"two"], 1)


async def test_what_came_before_a_new_connection_is_forgotten() -> None:
    client, heard = Client(), []

    async def failed(error: Exception) -> None:
        raise error

    parser = TickParser(client, failed)
    parser.direct[b"7"] = lambda subject, payload: heard.append(payload)
    client.on_ping = parser.reset  # as when answering it finds the connection broken
    await parser.parse(b"PING\r\n" + message(b"7", "a", "", b"old", b"") + b"MSG a 7 3\r\nha")
    assert heard == []
    client.on_ping = lambda: None
    await parser.parse(b"MSG a 7 3\r\nha")
    parser.reset()
    await parser.parse(message(b"7", "a", "", b"new", b""))
    assert heard == [b"new"]


@pytest.mark.parametrize("line", [b"MSG a 7 x\r\n", b"MSG a\r\n", b"HMSG a 7 y 3\r\n"])
async def test_a_broken_line_ends_the_connection_as_nats_py_does(line: bytes) -> None:
    async def failed(error: Exception) -> None:
        raise error

    parser = TickParser(Client(), failed)
    parser.direct[b"7"] = lambda subject, payload: None
    with pytest.raises(ProtocolError):
        await parser.parse(line)
