"""The signals surface: pages by any mix of filters, lookups, one signal, what became of them, how coins lean;
and staff's registry of assets.

What goes beyond the reference: ``symbol``, ``timeframe``, ``trigger``, ``minConfidence``, ``since``,
``cursor``, ``include=evidence``, one signal by id, performance, bullishness, a stream of events, texts that
callers send.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from libs.common import subjects
from libs.common.errors import InvalidData
from libs.common.messages import signals as m
from libs.common.principal import SessionType
from services.gateway.endpoints.metered import Cost, Metered
from services.gateway.endpoints.row import (
    ADMIN_ONLY,
    KIB,
    PUBLIC,
    Access,
    Answer,
    Caller,
    Endpoint,
    Limit,
    NoRequest,
    staff,
)
from services.gateway.endpoints.tool import Tool

BASE = "/ai-signal"
KEY = Access(frozenset({SessionType.CUSTOMER}), scope="read")
READERS = staff(SessionType.MANAGER, SessionType.DEALER, SessionType.ADMIN)
MIB = KIB * KIB
PAGE = 10  # signals that cost one credit
PRICE = "signals_page"
FEED = f"{BASE}/feed"
OPERATION = f"GET {FEED}"
LAST_EVENT_ID = "last-event-id"
SIGNED = ("webhook-id", "webhook-timestamp", "webhook-signature")

Text = Annotated[str, Meta(max_length=200)]
Texts = Annotated[list[Text], Meta(max_length=100)] | Text | None
Numbers = Annotated[list[Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]], Meta(max_length=100)]
Seconds = Annotated[float, Meta(ge=0, description="Unix seconds, both ends count.")]


class SignalsRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A page of signals, newest first. Fields combine with and, values of a list with or; what is absent or
    empty asks nothing. ``chain``, ``tag`` and ``search`` (in the title) match parts, without case.
    ``limit`` above 50 is 50. ``cursor``: "" for the first page, then ``nextCursor``. ``since``: the id of a
    signal; only what was recorded after it."""

    chain: Texts = None
    search: Text | None = None
    tag: Texts = None
    narrative: Numbers | int | None = None
    cmc_id: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None = None
    from_: Seconds | None = msgspec.field(name="from", default=None)
    to: Seconds | None = None
    sentiment: Texts = None
    limit: Annotated[int, Meta(ge=1)] = 10
    offset: Annotated[int, Meta(ge=0, le=2**53)] = 0
    symbol: Text = ""
    timeframe: Text = ""
    trigger: Texts = None
    min_confidence: Annotated[float, Meta(ge=0, le=1)] = 0.0
    since: Text = ""
    cursor: Text | None = None
    include: Text = ""


class SignalFeedRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Which signals are told as they are recorded; filters as those of a page, lists as JSON. It begins now,
    or behind the signal that the header ``Last-Event-ID``, else ``since``, names."""

    chain: Texts = None
    search: Text = ""
    tag: Texts = None
    narrative: Numbers | int | None = None
    cmc_id: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None = None
    sentiment: Texts = None
    symbol: Text = ""
    timeframe: Text = ""
    trigger: Texts = None
    min_confidence: Annotated[float, Meta(ge=0, le=1)] = 0.0
    since: Text = ""


class SignalRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One signal; ``include=evidence`` adds what it rests on."""

    id: Text
    include: Text = ""


class LookupRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Names that hold a text, without case."""

    search: Text = ""


class PerformanceRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Of one timeframe or coin; absent: of all."""

    timeframe: Text = ""
    cmc_id: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


class BackfillRequest(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Bars that closed from ``from`` to ``to`` (Unix seconds), of one asset or of all."""

    timeframe: Text
    from_: Seconds = msgspec.field(name="from", default=0.0)
    to: Seconds | None = None
    cmc_id: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0


def _list(value: Sequence[str] | str | None) -> Sequence[str]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else value


def _evidence(include: str) -> bool:
    if include not in ("", "evidence"):
        raise InvalidData("include: only evidence can be included")
    return include == "evidence"


def _ids(value: Sequence[int] | int | None) -> Sequence[int]:
    if value is None:
        return ()
    return (value,) if isinstance(value, int) else value


def feed_filters(request: SignalFeedRequest, caller: Caller) -> m.SignalsAsk:
    """What a stream of signals asks for."""
    return m.SignalsAsk(
        chain=_list(request.chain),
        search=request.search,
        tag=_list(request.tag),
        narrative=_ids(request.narrative),
        cmc_id=request.cmc_id,
        sentiment=_list(request.sentiment),
        symbol=request.symbol,
        timeframe=request.timeframe,
        trigger=_list(request.trigger),
        min_confidence=request.min_confidence,
        since=caller.sent.headers.get(LAST_EVENT_ID, "").strip()[:200] or request.since,
    )


def _texts(request: NoRequest, caller: Caller) -> m.TextsCall:
    id_, at, signature = (caller.sent.headers.get(name, "") for name in SIGNED)
    return m.TextsCall(body=caller.sent.body, id=id_, at=at, signature=signature)


def _page(request: SignalsRequest, caller: Caller) -> m.SignalsAsk:
    return m.SignalsAsk(
        chain=_list(request.chain),
        search=request.search or "",
        tag=_list(request.tag),
        narrative=_ids(request.narrative),
        cmc_id=request.cmc_id,
        from_s=request.from_,
        to_s=request.to,
        sentiment=_list(request.sentiment),
        symbol=request.symbol,
        timeframe=request.timeframe,
        trigger=_list(request.trigger),
        min_confidence=request.min_confidence,
        since=request.since,
        cursor=request.cursor,
        limit=request.limit,
        offset=request.offset,
        evidence=_evidence(request.include),
    )


def _one(request: SignalRequest, caller: Caller) -> m.SignalAsk:
    return m.SignalAsk(id=request.id, evidence=_evidence(request.include))


def _performance(request: PerformanceRequest, caller: Caller) -> m.OutcomesAsk:
    return m.OutcomesAsk(timeframe=request.timeframe, cmc_id=request.cmc_id)


def _backfill(request: BackfillRequest, caller: Caller) -> m.BackfillAsk:
    return m.BackfillAsk(
        timeframe=request.timeframe,
        from_ms=_ms("from", request.from_),
        to_ms=2**52 if request.to is None else _ms("to", request.to),
        cmc_id=request.cmc_id,
    )


def _ms(name: str, seconds: float) -> int:
    if seconds > 1e11:
        raise InvalidData(f"{name}: Unix seconds are wanted, this looks like milliseconds")
    return int(seconds * 1000)


class _Returned(msgspec.Struct):
    data: list[msgspec.Raw]


class _Answered(msgspec.Struct):
    data: _Returned


_answered = msgspec.json.Decoder(_Answered)
_items = msgspec.json.Decoder(m.NamedIds)


def cost_of(answer: bytes, asked: Any) -> Cost:
    """A credit for every ten signals that are given, begun ones count; none for none."""
    return Cost(PRICE, -(-len(_answered.decode(answer).data.data) // PAGE))


def _bare(answer: bytes) -> Answer:
    return Answer(msgspec.json.encode(_items.decode(answer).items))


def _assets_detail(request: m.AssetsPut) -> Mapping[str, Any]:
    return {"assets": len(request.assets), "cmcIds": [asset.cmc_id for asset in request.assets[:100]]}


def _row(path: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(
        **{
            "method": "GET",
            "path": f"{BASE}{path}",
            "surface": "signals",
            "tags": ("signals",),
            "summary": summary,
            "access": KEY,
            "repeat": "safe",
            **more,
        }
    )


def _lookup(kind: Literal["chain", "tag", "narrative"], summary: str) -> Endpoint:
    return _row(
        f"/{kind}s",
        summary,
        request=LookupRequest,
        command=subjects.SIGNAL_NAMES,
        message=lambda request, caller: m.NamesAsk(kind=kind, search=request.search),
        response=list[m.NamedId],
        render=_bare,
    )


def _admin(method: str, path: str, summary: str, **more: Any) -> Endpoint:
    return Endpoint(
        **{
            "method": method,
            "path": path,
            "surface": "admin",
            "tags": ("admin",),
            "summary": summary,
            "access": ADMIN_ONLY,
            "audited": method != "GET",
            **more,
        }
    )


ROWS = (
    _row(
        "/details",
        "Signals by any mix of filters, newest first; a credit for every ten that are given",
        method="POST",
        repeat="idempotent",
        request=SignalsRequest,
        command=subjects.SIGNAL_LIST,
        message=_page,
        response=m.SignalDetails,
        metered=Metered(PRICE, after=True, cost=cost_of),
        tools=(
            Tool(
                "signals",
                "Dated statements about observed market data, newest first: sentiment, title, summary, price,"
                " tags. Filter by chain, tag, narrative id, cmcId, search (title), sentiment, from/to (Unix"
                " seconds), timeframe, trigger, minConfidence; include=evidence adds score, components,"
                " triggers and outcomes. No advice: read the measured performance before relying on any.",
                read_only=True,
                idempotent=True,
            ),
        ),
    ),
    _row(
        "/details/{id}",
        "One signal; a credit",
        request=SignalRequest,
        command=subjects.SIGNAL_GET,
        message=_one,
        response=m.OneSignal,
        metered=Metered(PRICE, after=True),
        errors=("NOT_FOUND",),
    ),
    _lookup("chain", "Chains: without a search those that have a signal"),
    _lookup("tag", "Tags"),
    _lookup("narrative", "Narratives; their ids are what `narrative` filters by"),
    _row(
        "/performance",
        "What became of signals after 1, 4 and 24 hours, beside any bar of the same markets",
        request=PerformanceRequest,
        command=subjects.SIGNAL_PERFORMANCE,
        message=_performance,
        response=m.SignalPerformance,
    ),
    _row(
        "/bullishness",
        "How the signals of the last days lean, per coin and per narrative: 50 is neither way",
        command=subjects.SIGNAL_BULLISHNESS,
        message=lambda request, caller: m.BullishnessAsk(),
        response=m.Bullishness,
    ),
    _row(
        "/feed",
        "Signals as they are recorded, as server-sent events; a credit for every ten of a connection",
        description=(
            "Events `signal` with the signal as data and its id as id: who comes back with `Last-Event-ID` "
            "misses none. Comments are signs of life. An event `error` says why a stream ends."
        ),
        request=SignalFeedRequest,
        local="signal_feed",
        response=None,
        content_type="text/event-stream",
        headers=(LAST_EVENT_ID,),
    ),
    _row(
        "/texts",
        "Texts about coins from a caller who signs them (Standard Webhooks); free, closed without a secret",
        description='`{"texts":[{"id","title","source","publishedAt","url"?,"assets"?}]}`, 500 at most.',
        method="POST",
        access=PUBLIC,
        repeat="idempotent",
        command=subjects.SIGNAL_TEXTS,
        message=_texts,
        response=m.TextsTaken,
        headers=SIGNED,
        raw=True,
        unkeyed=True,
        body_bytes_max=256 * KIB,
        limits=(Limit("signal_texts", 120),),
        errors=("NOT_FOUND", "PERMISSION_DENIED"),
    ),
    _admin(
        "PUT",
        "/admin/assets",
        "Add assets to the registry of the signals surface, or replace them by cmcId; others stay",
        repeat="idempotent",
        request=m.AssetsPut,
        command=subjects.ASSET_REGISTRY_PUT,
        message=lambda request, caller: request,
        response=m.AssetsTaken,
        body_bytes_max=4 * MIB,
        detail=_assets_detail,
    ),
    _admin(
        "GET",
        "/admin/assets",
        "The registry of assets",
        access=READERS,
        repeat="safe",
        request=NoRequest,
        command=subjects.ASSET_REGISTRY,
        message=lambda request, caller: m.RegistryAsk(),
        response=m.Registry,
    ),
    _admin(
        "POST",
        "/admin/signals/backfill",
        "Make the signals of past bars, at most 20,000 in a call; the same bars give the same ids as live",
        repeat="key",
        request=BackfillRequest,
        command=subjects.SIGNAL_BACKFILL,
        message=_backfill,
        response=m.Backfilled,
    ),
)
