"""What the gateway answers by itself: health, metrics, documents, public keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from libs.common.errors import InvalidData
from libs.common.plans import Plans
from services.gateway.door import Local
from services.gateway.endpoints.house import (
    AnswerRequest,
    DocsRequest,
    FileRequest,
    PageRequest,
    ReadyRequest,
    RootRequest,
)
from services.gateway.endpoints.row import Caller
from services.gateway.errors import PathUnknown
from services.gateway.health import Health
from services.gateway.pages.answers import Documentation
from services.gateway.pages.trial import Trial
from services.gateway.referrals import cookie_for
from services.gateway.surfaces.analysis import AnalysisSurface
from services.gateway.surfaces.base import NO_STORE, Reply
from services.gateway.tokens import Tokens

_TEXT = "text/plain; charset=utf-8"
_OK = Reply(200, b"ok", NO_STORE, _TEXT)
_HEALTHY = Reply(200, b"ok", {**AnalysisSurface.headers, **NO_STORE}, _TEXT)  # its contract names this one


def handlers_of(
    health: Health,
    tokens: Tokens,
    documentation: Documentation,
    openapi: bytes,
    plans: Callable[[], Plans],
) -> Mapping[str, Local]:
    """Every local handler by the name its row gives. ``plans`` are those in force."""

    async def alive(asked: Any, caller: Caller) -> Reply:
        return _OK

    async def healthy(asked: Any, caller: Caller) -> Reply:
        return _HEALTHY

    async def ready(asked: ReadyRequest, caller: Caller) -> Reply:
        found = await health.readiness(traffic=asked.for_ == "traffic")
        return Reply(200 if found.ready else 503, msgspec.json.encode(found), NO_STORE)

    async def metrics(asked: Any, caller: Caller) -> Reply:
        return Reply(200, generate_latest(REGISTRY), NO_STORE, CONTENT_TYPE_LATEST)

    async def document(asked: Any, caller: Caller) -> Reply:
        return Reply(200, openapi)

    async def docs(asked: DocsRequest, caller: Caller) -> Reply:
        return documentation.ask(asked.ask) if asked.ask is not None else documentation.first_page()

    async def answer(asked: AnswerRequest, caller: Caller) -> Reply:
        return documentation.answer(asked.ask)

    async def page(asked: PageRequest, caller: Caller) -> Reply:
        if asked.ask is None:
            return documentation.page(asked.page)
        if not documentation.exists(asked.page):
            raise PathUnknown("there is no such page; /docs lists them")
        return documentation.ask(asked.ask)

    async def jwks(asked: Any, caller: Caller) -> Reply:
        if not tokens.jwks.keys:
            await tokens.refresh()
        return Reply(200, msgspec.json.encode(tokens.jwks), {"Cache-Control": "public, max-age=60"})

    async def root(asked: RootRequest, caller: Caller) -> Reply:
        cookie = cookie_for(asked.ref, plans().affiliate.click_days)
        headers = {"Location": "/docs", **({"Set-Cookie": cookie, **NO_STORE} if cookie else {})}
        return Reply(307, b"", headers, _TEXT)

    async def stream(asked: Any, caller: Caller) -> Reply:
        raise InvalidData("this is the WebSocket stream: connect with ws:// or wss://")

    return {
        "livez": alive,
        "healthz": healthy,
        "readyz": ready,
        "metrics": metrics,
        "openapi": document,
        "docs": docs,
        "answer": answer,
        "page": page,
        **_of_trial(Trial()),
        "jwks": jwks,
        "root": root,
        "stream": stream,
        "feed_socket": stream,
    }


def _of_trial(trial: Trial) -> Mapping[str, Local]:
    async def page(asked: Any, caller: Caller) -> Reply:
        return trial.page()

    async def file(asked: FileRequest, caller: Caller) -> Reply:
        return trial.file(asked.file)

    return {"try": page, "try_file": file}
