"""The metadata of clients whose id is a URL: fetched by the rules of ``libs/common/outbound.py``, and
remembered for a while. What stands in it is judged by auth."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import structlog

from libs.common.clock import Clock
from libs.common.outbound import CallRefused, NoAnswer, NotSent, Outbound

log = structlog.get_logger()

AGENT = "Tradewind-Gateway/1"
REMEMBER_S = 600.0
REMEMBER_FAILURE_S = 30.0
REMEMBERED_MAX = 500
DOCUMENT_BYTES_MAX = 16 * 1024


class _Known(NamedTuple):
    body: bytes | None
    until_s: float


class Documents:
    """One per process. A document that can't be had is None, and not asked for again at once."""

    def __init__(self, outbound: Outbound, clock: Clock) -> None:
        self._outbound = outbound
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def of(self, client_id: str) -> bytes | None:
        """What the URL answers; None for no answer, a redirect, an error or too much of it."""
        known = self._known.get(client_id)
        if known is not None and self._clock.monotonic_s() < known.until_s:
            return known.body
        body = await self._fetch(client_id)
        keep_s = REMEMBER_S if body is not None else REMEMBER_FAILURE_S
        self._known[client_id] = _Known(body, self._clock.monotonic_s() + keep_s)
        self._known.move_to_end(client_id)
        if len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return body

    async def _fetch(self, client_id: str) -> bytes | None:
        try:
            answer = await self._outbound.to_anywhere(
                client_id, b"", {"Accept": "application/json"}, method="GET"
            )
        except (CallRefused, NotSent, NoAnswer) as e:
            log.info("client metadata can't be had", reason=str(e))
            return None
        if answer.status != 200 or len(answer.body) > DOCUMENT_BYTES_MAX:
            return None
        return answer.body
