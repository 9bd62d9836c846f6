"""Server frames against an own slow reader."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.gateway.frames import PING, close_frame, payload_of, pong_frame, text_frame
from tests.unit.gateway.stage import payloads


@given(st.lists(st.binary(max_size=300), max_size=10))
def test_joined_text_frames_read_back_as_they_were(messages: list[bytes]) -> None:
    assert payloads(b"".join(map(text_frame, messages))) == messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, 200_000])
def test_header_at_every_length_limit(size: int) -> None:
    frame = text_frame(b"x" * size)
    assert frame[0] == 0x81
    assert payloads(frame) == [b"x" * size]
    assert payload_of(frame) == b"x" * size


def test_control_frames() -> None:
    assert PING == b"\x89\x00"
    assert pong_frame(b"abc") == b"\x8a\x03abc"
    assert close_frame(4413, "too slow") == b"\x88\x0a" + (4413).to_bytes(2, "big") + b"too slow"
    with pytest.raises(ValueError, match="125"):
        pong_frame(b"x" * 126)


@given(st.text(max_size=200))
def test_a_close_reason_is_cut_to_what_fits_and_stays_text(reason: str) -> None:
    frame = close_frame(1012, reason)
    assert len(frame) <= 127
    assert reason.startswith(frame[4:].decode())
