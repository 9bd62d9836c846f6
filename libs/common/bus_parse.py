"""What NATS sends, with a short way for ticks.

nats-py takes about seven microseconds to bring one message to a callback: a regular expression, a
coroutine, an object and a queue each. ``TickParser`` frames what arrives by itself. Messages of the
subscriptions in ``direct`` go to their callback at once, in the order they came; everything else goes on to
nats-py's own parser, piece by piece and in its place.

Never: a callback that waits, or one whose error ends the connection; one subscription on both ways.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from nats.errors import ProtocolError
from nats.protocol.parser import AWAITING_CONTROL_LINE, Parser

TickCallback = Callable[[str, bytes], None]


class TickParser(Parser):  # type: ignore[misc]
    """See the module's text. Stands in for the parser of one nats-py client."""

    buf: bytearray
    state: int
    needed: int

    def __init__(self, client: Any, on_error: Callable[[Exception], Awaitable[None]]) -> None:
        self.direct: dict[bytes, TickCallback] = {}  # by the subscription's number as the server writes it
        self._on_error = on_error
        self._rest = b""  # the beginning of a message whose end has not come yet
        self._wanted = 0  # bytes the rest must have before it is worth looking at again
        self._resets = 0
        super().__init__(client)

    def reset(self) -> None:
        """Forget what came: the connection is another one."""
        super().reset()
        self._rest = b""
        self._wanted = 0
        self._resets += 1

    async def parse(self, data: bytes = b"") -> None:
        """Take what the server sent."""
        if not self.direct and not self._rest:
            await super().parse(data)
            return
        if self.state != AWAITING_CONTROL_LINE:  # nats-py is in the middle of a message: that one is its own
            missing = self.needed + 2 - len(self.buf)
            if not await self._pass_on(data[:missing]) or self.state != AWAITING_CONTROL_LINE:
                return
            data = data[missing:]
        if self.buf:
            data, self.buf = bytes(self.buf) + data, bytearray()
        if self._rest:
            data = self._rest + data
        if len(data) < self._wanted:
            self._rest = data
            return
        self._rest, self._wanted = b"", 0
        await self._frame(data)

    async def _frame(self, data: bytes) -> None:
        """Bring every message that is whole to where it belongs, and keep what is left."""
        at = others = 0  # from ``others`` to ``at``: whole messages for nats-py's own parser
        count = size_of_all = 0
        while (line_end := data.find(b"\r\n", at)) >= 0:
            body = line_end + 2
            is_plain = data.startswith(b"MSG ", at)
            if not is_plain and not data.startswith(b"HMSG ", at):
                at = body
                continue
            try:
                words = data[at:line_end].split()
                end = body + int(words[-1])
                callback = self.direct.get(words[2])
                body += 0 if is_plain else int(words[-2])
            except (ValueError, IndexError):
                raise ProtocolError("nats: malformed MSG") from None
            if end + 2 > len(data):
                self._wanted = end + 2 - at
                break
            if callback is None:
                at = end + 2
                continue
            if others < at and not await self._pass_on(data[others:at]):
                return
            payload = data[body:end]
            count += 1
            size_of_all += len(payload)
            try:
                callback(words[1].decode(), payload)
            except Exception as e:
                await self._on_error(e)
            at = others = end + 2
        self.nc.stats["in_msgs"] += count
        self.nc.stats["in_bytes"] += size_of_all
        wanted = self._wanted
        if others == at or await self._pass_on(data[others:at]):
            self._rest, self._wanted = data[at:], wanted

    async def _pass_on(self, data: bytes) -> bool:
        """Give nats-py's parser what is its; False when the connection all this came from is gone."""
        resets = self._resets
        await super().parse(data)
        return self._resets == resets
