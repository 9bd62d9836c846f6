"""What the hub keeps per channel and per socket."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol


class Transport(Protocol):
    """What the hub needs of an asyncio transport."""

    def write(self, data: bytes) -> None:
        """Queue bytes for sending; returns at once."""
        ...

    def get_write_buffer_size(self) -> int:
        """Bytes the kernel has not taken yet."""
        ...


class Channel:
    """One stream of latest values and who hears it, apart by whether they keep up."""

    __slots__ = ("fast", "key", "last", "slow")

    def __init__(self, key: Hashable) -> None:
        self.key = key
        self.last: bytes | None = None
        self.fast: dict[Connection, Callable[[bytes], None]] = {}
        self.slow: dict[Connection, None] = {}


class Connection:
    """One socket as the hub sees it: a transport, what it subscribed to, and what waits for it."""

    __slots__ = (
        "_event_no",
        "channels",
        "cut",
        "cut_code",
        "held",
        "held_bytes",
        "held_events",
        "joining",
        "login",
        "pending",
        "resume",
        "seq",
        "stalled_s",
        "transport",
    )

    def __init__(self, transport: Transport, cut: Callable[[int], None]) -> None:
        self.transport = transport
        self.cut = cut
        self.cut_code: int | None = None
        self.channels: dict[Hashable, Channel] = {}
        self.pending: list[bytes] = []  # for the next write
        self.held: dict[object, bytes] = {}  # while stalled, in order of arrival
        self.held_events = 0
        self.held_bytes = 0
        self.stalled_s: float | None = None
        self.login: int | None = None
        self.resume = False
        self.seq = 0
        self.joining: list[tuple[int, bytes]] | None = None
        self._event_no = 0

    def hold_latest(self, channel: Channel, framed: bytes) -> int:
        """Keep only the newest frame of a channel; 1 when it took an older one's place."""
        merged = 0 if self.held.pop(channel, None) is None else 1
        self.held[channel] = framed
        return merged

    def hold_event(self, framed: bytes) -> None:
        """Keep a frame that may not be dropped."""
        self._event_no += 1
        self.held[self._event_no] = framed
        self.held_events += 1
        self.held_bytes += len(framed)

    def take_held(self) -> list[bytes]:
        """Everything held, in order of arrival; it is held no more."""
        frames = list(self.held.values())
        self.held.clear()
        self.held_events = self.held_bytes = 0
        return frames
