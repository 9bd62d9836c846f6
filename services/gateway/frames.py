"""WebSocket frames (RFC 6455) as a server sends them: whole, unmasked, uncompressed."""

from __future__ import annotations

import struct

_FIN_TEXT = 0x81
_FIN_CLOSE = 0x88
_FIN_PING = 0x89
_FIN_PONG = 0x8A
_CONTROL_PAYLOAD_MAX = 125

# A quote is shorter than 126 bytes, so its header is one of these and costs a lookup.
_SHORT_TEXT = tuple(bytes((_FIN_TEXT, size)) for size in range(126))

PING = bytes((_FIN_PING, 0))


def text_frame(payload: bytes) -> bytes:
    """The text frame that carries ``payload`` (UTF-8): header and payload in one buffer."""
    size = len(payload)
    if size < 126:
        return _SHORT_TEXT[size] + payload
    if size < 65_536:
        return struct.pack("!BBH", _FIN_TEXT, 126, size) + payload
    return struct.pack("!BBQ", _FIN_TEXT, 127, size) + payload


def payload_of(frame: bytes) -> bytes:
    """The payload of a frame made here."""
    size = frame[1]
    return frame[2 if size < 126 else 4 if size == 126 else 10 :]


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping: the same payload back (at most 125 bytes)."""
    return _control(_FIN_PONG, payload)


def close_frame(code: int, reason: str = "") -> bytes:
    """The close frame with its code; a reason is cut to what a control frame holds."""
    text = reason.encode()[: _CONTROL_PAYLOAD_MAX - 2].decode("utf-8", "ignore")
    return _control(_FIN_CLOSE, struct.pack("!H", code) + text.encode())


def _control(first: int, payload: bytes) -> bytes:
    if len(payload) > _CONTROL_PAYLOAD_MAX:
        raise ValueError(f"a control frame holds {_CONTROL_PAYLOAD_MAX} bytes, not {len(payload)}")
    return bytes((first, len(payload))) + payload
