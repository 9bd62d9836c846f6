"""The bytes of a batch beside nats-py's own formatting of the same messages."""

from __future__ import annotations

import asyncio
import string
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nats.aio.client import Client

from libs.common.bus import HEADER_ID, Entry
from libs.common.bus_batch import batch_bytes

TOKEN = st.text(string.ascii_letters + string.digits + "-_=", min_size=1, max_size=12)
VALUE = st.text(min_size=1, max_size=20).map(lambda text: f"v{text}v")  # nats-py strips blanks at the ends
ENTRIES = st.lists(
    st.builds(
        Entry,
        st.lists(TOKEN, min_size=1, max_size=5).map(".".join),
        st.binary(max_size=300),
        TOKEN | st.just(""),
        st.dictionaries(TOKEN.filter(lambda key: key.isalnum()), VALUE, max_size=2),
    ),
    max_size=8,
)


def by_the_client(entries: list[Entry], batch: str) -> bytes:
    """What nats-py writes, message by message; it leaves two blanks where there is no reply."""
    said: list[bytes] = []

    async def command(text: bytes) -> None:
        said.append(text)

    async def send() -> None:
        client: Any = SimpleNamespace(
            stats={"out_msgs": 0, "out_bytes": 0}, _send_command=command, _flush_queue=None
        )
        for number, entry in enumerate(entries, start=1):
            marks = {"Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
            event_id = {HEADER_ID: entry.event_id} if entry.event_id else {}
            headers = {**entry.headers, **event_id, **marks}
            await Client._send_publish(client, entry.subject, "", entry.payload, len(entry.payload), headers)

    asyncio.run(send())
    return b"".join(text.replace(b"  ", b" ", 1) for text in said)


@settings(max_examples=150, deadline=None)
@given(ENTRIES, TOKEN)
def test_a_batch_is_what_the_client_would_write(entries: list[Entry], batch: str) -> None:
    assert batch_bytes(entries, batch) == by_the_client(entries, batch)


def test_headers_that_messages_share_are_each_ones_own() -> None:
    shared, none = {"traceparent": "t"}, dict[str, str]()
    headers = [shared, shared, {"traceparent": "u"}, shared, none, none, shared]
    entries = [Entry("a.b", b"x", f"id{n}", held) for n, held in enumerate(headers)]
    assert batch_bytes(entries, "batch") == by_the_client(entries, "batch")


def test_a_value_never_begins_another_header() -> None:
    text = batch_bytes([Entry("a.b", b"x", "id\r\nNats-Batch-Commit: 1", {"why": "a\nb"})], "batch")
    assert text.count(b"\r\n") == 8
    assert b"why: a b\r\n" in text


@pytest.mark.parametrize("subject", ["", "a b", "a\r\nPUB x 0\r\n", "a\tb"])
def test_what_is_no_subject_is_refused(subject: str) -> None:
    with pytest.raises(ValueError, match="the subject was"):
        batch_bytes([Entry(subject, b"", "id", {})], "batch")
