"""Token prices on the stream, and the word that answers about prices are out of date.

``token:<id>`` and ``token:<symbol>`` are channels: a frame goes to both. A symbol that several tokens share
has the frames of all of them; each frame names its token.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable

import structlog

from libs.common.bus import Bus
from libs.common.errors import AppError
from libs.common.messages.pricing import PriceFramesAsk
from libs.common.subjects import PRICE_BOARD, TOKEN_PRICE, TOKEN_PRICE_FRAMES, untoken
from services.gateway.hub import Hub

log = structlog.get_logger()

PREFIX = "token:"
NAME_CHARS_MAX = 256
RETRY_S = 1.0
RETRY_S_MAX = 15.0


def token_channel(name: str) -> Hashable | None:
    """The channel of a public name; None when it is not of this form. Symbols in any case."""
    if not name.startswith(PREFIX):
        return None
    asked = name.removeprefix(PREFIX)[:NAME_CHARS_MAX]
    return _channel(asked)


def _channel(asked: str) -> Hashable:
    return ("token", asked) if "." in asked else ("token symbol", asked.casefold())


class TokenFeed:
    """Feeds one hub with token prices; ``on_change`` hears that prices changed."""

    def __init__(self, bus: Bus, hub: Hub, on_change: Callable[[], None]) -> None:
        self._bus = bus
        self._hub = hub
        self._on_change = on_change
        self._keys: dict[str, tuple[Hashable, Hashable]] = {}
        self._asking: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Hear prices first, then fetch the last ones: so none is missed in between."""
        await self._bus.subscribe(TOKEN_PRICE.pattern, self.on_price)
        await self._bus.subscribe(PRICE_BOARD.pattern, lambda subject, payload: self._on_change())
        self._bus.on_reconnect(self._resume)
        self._resume()

    def stop(self) -> None:
        """Fetch no more; what was subscribed ends with the bus."""
        if self._asking is not None:
            self._asking.cancel()

    def on_price(self, subject: str, payload: bytes) -> None:
        """A token's price, as the bus carries it."""
        keys = self._keys.get(subject)
        if keys is None:
            token, symbol = subject.rsplit(".", 2)[1:]
            keys = self._keys[subject] = (("token", untoken(token)), _symbol_channel(untoken(symbol)))
        for key in keys:
            self._hub.on_channel(key, payload)

    def _resume(self) -> None:
        self._on_change()  # what was said meanwhile was not heard
        if self._asking is None or self._asking.done():
            self._asking = asyncio.get_running_loop().create_task(self._catch_up(), name="token prices")

    async def _catch_up(self) -> None:
        delay_s = RETRY_S
        while True:
            try:
                found = await self._bus.request(TOKEN_PRICE_FRAMES, PriceFramesAsk())
                break
            except AppError as e:
                log.debug("waiting for the last token prices", error=str(e))
                await asyncio.sleep(delay_s)
                delay_s = min(delay_s * 2, RETRY_S_MAX)
        for token, symbol, frame in found.frames:
            for key in (("token", token), _symbol_channel(symbol)):
                if self._hub.last(key) is None:
                    self._hub.on_channel(key, bytes(frame))


def _symbol_channel(symbol: str) -> Hashable:
    return ("token symbol", symbol.casefold())
