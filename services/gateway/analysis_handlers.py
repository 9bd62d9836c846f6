"""What the gateway answers of the analysis surface by itself: what it offers, and whether it works."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from libs.common.clock import Clock
from libs.common.plans import Plans
from libs.common.service import VERSION
from services.gateway.door import Local
from services.gateway.endpoints.analysis import TIMEFRAMES, Asset, Bounds, Platforms, Priced, Status
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.health import Health
from services.gateway.surfaces.analysis import AnalysisSurface
from services.gateway.surfaces.base import NO_STORE, Reply

UPSTREAM = ("market", "scanner")
CLASSES = ("crypto", "forex", "metal")
_HEADERS = AnalysisSurface.headers
_DISCLAIMER = _HEADERS["X-Disclaimer"]


def source_of(feed: str) -> str:
    """How the candles of a feed setting are called: ``replay`` for ``replay:FILE``."""
    kind, _, rest = feed.partition(":")
    return feed if kind == "ccxt" and rest else kind


def handlers_of(
    rows: Sequence[Endpoint], plans: Callable[[], Plans], health: Health, clock: Clock, feed: str
) -> Mapping[str, Local]:
    """The handlers by the name their rows give."""
    priced = [row for row in rows if row.surface == "analysis" and row.path.startswith("/v1/")]
    begun_s = clock.monotonic_s()

    async def platforms(asked: Any, caller: Caller) -> Reply:
        now = plans()
        found = Platforms(
            version=VERSION,
            assets=[
                Asset(class_=name, type="spot", source=source_of(feed), delay="realtime") for name in CLASSES
            ],
            timeframes=list(TIMEFRAMES),
            endpoints=[
                Priced(
                    method=row.method,
                    path=row.path,
                    price_micros=now.prices.get(row.metered.price, 0) if row.metered is not None else 0,
                    auth=not row.access.public,
                )
                for row in priced
            ],
            limits=Bounds(),
            starter_credit_micros=now.starter.micros,
            disclaimer=_DISCLAIMER,
        )
        return Reply(200, msgspec.json.encode(found), _HEADERS)

    async def status(asked: Any, caller: Caller) -> Reply:
        readiness = await health.readiness(traffic=False)
        troubled = any(readiness.services.get(name) for name in UPSTREAM)
        found = Status(
            ok=True,
            version=VERSION,
            uptime_sec=int(clock.monotonic_s() - begun_s),
            upstream="degraded" if troubled else "ok",
        )
        return Reply(200, msgspec.json.encode(found), {**_HEADERS, **NO_STORE})

    return {"platforms": platforms, "status": status}
