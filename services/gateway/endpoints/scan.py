"""Scan rows: scans, patterns, records, watchlists; contexts with charts, monitors and the feed for agents."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from libs.common import subjects
from libs.common.messages import billing
from libs.common.messages import scan as m
from libs.common.messages import scan_people as pm
from libs.common.principal import SessionType
from services.gateway.endpoints import scan_requests as r
from services.gateway.endpoints.metered import Metered
from services.gateway.endpoints.row import PUBLIC, Access, Answer, Caller, Then
from services.gateway.endpoints.scan_contexts import CONTEXTS
from services.gateway.endpoints.scan_row import person_of, scan_row
from services.gateway.endpoints.scan_skill import SKILL
from services.gateway.endpoints.scan_tools import TOOLS
from services.gateway.endpoints.tool import Tool
from services.gateway.pacing import holder
from services.gateway.times import iso_ms

SCANNER_KEY = Access(frozenset({SessionType.CUSTOMER}), scope="scan")
PUBLIC_RECORDS, RECENT_RECORDS = 5, 20
_encode = msgspec.json.Encoder().encode
_usage = msgspec.json.Decoder(pm.UsageView)


def _done(reply: bytes) -> Answer:
    return Answer(b"")


def _scan(request: r.ScanRequest, caller: Caller) -> m.ScanAsk:
    quota = caller.quota
    return m.ScanAsk(
        symbol=request.symbol,
        tf=request.tf,
        patterns=[name for name in request.patterns.split(",") if name.strip()],
        quota_limit=0 if quota is None else quota.limit,
        quota_used=0 if quota is None else quota.used,
        quota_resets_ms=0 if quota is None else quota.resets_ms,
    )


def _patterns(request: Any, caller: Caller) -> m.PatternsAsk:
    return m.PatternsAsk()


def _pattern(request: r.IdRequest, caller: Caller) -> m.PatternAsk:
    return m.PatternAsk(id=request.id)


def _performance(request: r.PerformanceRequest, caller: Caller) -> m.PerformanceAsk:
    return m.PerformanceAsk(id=request.id, symbol=request.symbol, tf=request.tf)


def _records(request: r.RecordsRequest, caller: Caller) -> m.RecordsAsk:
    return m.RecordsAsk(
        symbol=request.symbol,
        tf=request.tf,
        pattern=request.pattern,
        status=request.status,
        outcome=request.outcome,
        from_time=request.from_,
        to_time=request.to,
        limit=request.limit,
        cursor=request.cursor,
    )


def _newest(count: int) -> Callable[[Any, Caller], m.ShowcaseAsk]:
    return lambda request, caller: m.ShowcaseAsk(count=count)


def _for_a_minute(reply: bytes) -> Answer:
    """The same for everybody, and new only when a bar has closed: caches on the way may keep it."""
    return Answer(reply, headers={"Cache-Control": "public, max-age=60"})


def _record(request: r.IdRequest, caller: Caller) -> m.RecordAsk:
    return m.RecordAsk(id=request.id)


def _own(request: Any, caller: Caller) -> m.PersonAsk:
    return m.PersonAsk(person_id=person_of(caller), tier=caller.principal.tier)


def _watchlist_make(request: r.WatchlistMakeRequest, caller: Caller) -> m.WatchlistPut:
    return m.WatchlistPut(
        person_id=person_of(caller), name=request.name, symbols=request.symbols, symbol=request.symbol
    )


def _watchlist_change(request: r.WatchlistChangeRequest, caller: Caller) -> m.WatchlistPut:
    return m.WatchlistPut(
        person_id=person_of(caller), id=request.id, name=request.name, symbols=request.symbols
    )


def _watchlist_remove(request: r.IdRequest, caller: Caller) -> m.WatchlistRemove:
    return m.WatchlistRemove(person_id=person_of(caller), id=request.id)


def _status(request: Any, caller: Caller) -> m.StatusAsk:
    return m.StatusAsk(has_key=caller.principal.kind == "key")


def _capabilities(request: Any, caller: Caller) -> m.CapabilitiesAsk:
    return m.CapabilitiesAsk()


def _search(request: r.SearchRequest, caller: Caller) -> m.SymbolSearch:
    return m.SymbolSearch(**msgspec.structs.asdict(request))


def _resolve(request: r.ResolveRequest, caller: Caller) -> m.SymbolResolve:
    return m.SymbolResolve(symbol=request.symbol)


def _monitor_make(request: r.MonitorRequest, caller: Caller) -> pm.MonitorMake:
    return pm.MonitorMake(
        person_id=person_of(caller), tier=caller.principal.tier, **msgspec.structs.asdict(request)
    )


def _monitor(status: str) -> Callable[[Any, Caller], pm.MonitorChange]:
    def ask(request: r.IdRequest, caller: Caller) -> pm.MonitorChange:
        return pm.MonitorChange(person_id=person_of(caller), id=request.id, status=status)

    return ask


def _feed(request: r.FeedRequest, caller: Caller) -> pm.FeedAsk:
    return pm.FeedAsk(person_id=person_of(caller), **msgspec.structs.asdict(request))


def _feed_ack(request: r.FeedAckRequest, caller: Caller) -> pm.FeedAck:
    return pm.FeedAck(person_id=person_of(caller), event_ids=request.event_ids)


def _usage_ask(request: Any, caller: Caller) -> pm.UsageAsk:
    return pm.UsageAsk(person_id=person_of(caller), tier=caller.principal.tier)


def _quota_ask(answer: bytes, caller: Caller) -> billing.QuotaAsk:
    principal = caller.principal
    return billing.QuotaAsk(subject=holder(principal, principal.address), quota="scan", tier=principal.tier)


def _with_quota(answer: bytes, state: billing.QuotaState | None) -> bytes:
    """The scanner's part of the usage with billing's part of it; without it when billing is away."""
    usage = _usage.decode(answer)
    if state is None:
        return answer
    scans = {"limit": state.limit, "used": state.used, "resets_at": iso_ms(state.resets_ms)}
    return _encode(msgspec.structs.replace(usage, quota={"scans": scans}))


def _timezone_put(request: r.TimezoneRequest, caller: Caller) -> pm.TimezonePut:
    return pm.TimezonePut(person_id=person_of(caller), timezone=request.timezone)


SCANS = (
    scan_row(
        "GET",
        "/scan",
        "Formations, levels, regime and indicators of the newest 200 closed candles; counts as one scan",
        access=SCANNER_KEY,
        key_tier="pro",
        metered=Metered(quota="scan"),
        request=r.ScanRequest,
        command=subjects.SCAN,
        message=_scan,
        response=m.ScanView,
        errors=("symbol_not_supported", "tier_insufficient", "quota_exceeded"),
        tools=(TOOLS["scan"],),
    ),
    scan_row(
        "GET",
        "/patterns",
        "Every pattern the scanner knows",
        access=PUBLIC,
        command=subjects.PATTERN_LIST,
        message=_patterns,
        response=m.PatternList,
        tools=(TOOLS["patterns"],),
        resource="patterns",
    ),
    scan_row(
        "GET",
        "/patterns/{id}",
        "One pattern with its exact rule",
        access=PUBLIC,
        request=r.IdRequest,
        command=subjects.PATTERN_GET,
        message=_pattern,
        response=m.PatternView,
        errors=("pattern_not_found",),
    ),
    scan_row(
        "GET",
        "/patterns/{id}/performance",
        "What became of a pattern's records: hit rate with its interval, beside the baseline",
        access=PUBLIC,
        request=r.PerformanceRequest,
        command=subjects.PATTERN_PERFORMANCE,
        message=_performance,
        response=m.PerformanceView,
        errors=("pattern_not_found", "symbol_not_supported"),
    ),
)

RECORDS = (
    scan_row(
        "GET",
        "/records",
        "Records, newest first; from the Go plan on",
        tier="go",
        request=r.RecordsRequest,
        command=subjects.RECORD_LIST,
        message=_records,
        response=m.RecordPage,
        errors=("symbol_not_supported", "tier_insufficient"),
        tools=(TOOLS["search_records"],),
    ),
    scan_row(
        "GET",
        "/records/public",
        "The newest five records, without entry, stop and targets",
        access=PUBLIC,
        command=subjects.RECORD_SHOWCASE,
        message=_newest(PUBLIC_RECORDS),
        response=m.Showcase,
    ),
    scan_row(
        "GET",
        "/records/recent",
        "The newest twenty records, without entry, stop and targets",
        access=PUBLIC,
        command=subjects.RECORD_SHOWCASE,
        message=_newest(RECENT_RECORDS),
        response=m.Showcase,
        render=_for_a_minute,
    ),
    scan_row(
        "GET",
        "/records/{id}",
        "One record, by its id or its detection's; from the Go plan on",
        tier="go",
        request=r.IdRequest,
        command=subjects.RECORD_GET,
        message=_record,
        response=m.RecordView,
        errors=("record_not_found", "tier_insufficient"),
        tools=(TOOLS["get_record"],),
    ),
)

WATCHLISTS = (
    scan_row(
        "GET",
        "/watchlists",
        "The person's watchlists",
        command=subjects.WATCHLISTS,
        message=_own,
        response=m.WatchlistsView,
        tools=(TOOLS["list_watchlists"],),
    ),
    scan_row(
        "POST",
        "/watchlists",
        "Make a watchlist, or add one symbol to the default one",
        request=r.WatchlistMakeRequest,
        command=subjects.WATCHLIST_PUT,
        message=_watchlist_make,
        response=m.WatchlistView,
        status=201,
        errors=("symbol_not_supported", "watchlist_name_taken", "limit_reached"),
        tools=(TOOLS["create_watchlist"],),
    ),
    scan_row(
        "PUT",
        "/watchlists/{id}",
        "Change a watchlist; absent fields stay",
        repeat="idempotent",
        request=r.WatchlistChangeRequest,
        command=subjects.WATCHLIST_PUT,
        message=_watchlist_change,
        response=m.WatchlistView,
        errors=("watchlist_not_found", "symbol_not_supported", "watchlist_name_taken"),
    ),
    scan_row(
        "DELETE",
        "/watchlists/{id}",
        "Take a watchlist away, or a symbol from the default one",
        repeat="idempotent",
        request=r.IdRequest,
        command=subjects.WATCHLIST_REMOVE,
        message=_watchlist_remove,
        response=None,
        render=_done,
        status=204,
        errors=("watchlist_not_found", "symbol_not_supported"),
        tools=(TOOLS["remove_watchlist"],),
    ),
)

SYMBOLS = (
    scan_row(
        "GET",
        "/status",
        "How the scanner is, and how to get a key",
        access=PUBLIC,
        command=subjects.SCAN_STATUS,
        message=_status,
        response=m.StatusView,
        tools=(TOOLS["get_status"],),
    ),
    scan_row(
        "GET",
        "/capabilities",
        "Markets, timeframes, patterns, indicators, conditions, the usage policy",
        access=PUBLIC,
        command=subjects.CAPABILITIES,
        message=_capabilities,
        response=m.Capabilities,
        tools=(TOOLS["get_capabilities"],),
    ),
    scan_row(
        "GET",
        "/symbols/search",
        "Symbols whose name or description holds a text",
        access=PUBLIC,
        request=r.SearchRequest,
        command=subjects.SYMBOL_SEARCH,
        message=_search,
        response=m.SymbolPage,
        tools=(TOOLS["search_symbols"],),
    ),
    scan_row(
        "GET",
        "/symbols/resolve",
        "The symbol a text means",
        access=PUBLIC,
        request=r.ResolveRequest,
        command=subjects.SYMBOL_RESOLVE,
        message=_resolve,
        response=m.SymbolView,
        errors=("symbol_not_supported",),
        tools=(TOOLS["resolve_symbol"],),
    ),
)


MONITORS = (
    scan_row(
        "POST",
        "/monitors",
        "Watch for detections; an empty filter takes everything",
        tags=("monitors",),
        agents=True,
        request=r.MonitorRequest,
        command=subjects.MONITOR_MAKE,
        message=_monitor_make,
        response=pm.MonitorView,
        status=201,
        errors=("symbol_not_supported", "limit_reached", "tier_insufficient"),
        tools=(TOOLS["create_monitor"],),
    ),
    scan_row(
        "GET",
        "/monitors",
        "The person's monitors",
        tags=("monitors",),
        agents=True,
        command=subjects.MONITOR_LIST,
        message=_own,
        response=pm.MonitorsView,
        tools=(TOOLS["list_monitors"],),
    ),
    *(
        scan_row(
            "POST",
            f"/monitors/{{id}}/{verb}",
            summary,
            tags=("monitors",),
            agents=True,
            repeat="idempotent",
            request=r.IdRequest,
            command=subjects.MONITOR_SET,
            message=_monitor(status),
            response=pm.MonitorView,
            errors=("not_found",),
            tools=(Tool(name=f"{verb}_monitor", description=f"{summary}.", open_world=False),),
        )
        for verb, status, summary in (
            ("pause", "paused", "Let a monitor rest"),
            ("resume", "active", "Let a monitor watch again"),
        )
    ),
    scan_row(
        "DELETE",
        "/monitors/{id}",
        "Take a monitor away; what it told stays in the feed",
        tags=("monitors",),
        agents=True,
        repeat="idempotent",
        request=r.IdRequest,
        command=subjects.MONITOR_REMOVE,
        message=_monitor(""),
        response=None,
        render=_done,
        status=204,
        errors=("not_found",),
        tools=(TOOLS["delete_monitor"],),
    ),
    scan_row(
        "GET",
        "/feed",
        "What the person's monitors heard, newest first",
        tags=("monitors",),
        agents=True,
        request=r.FeedRequest,
        command=subjects.FEED_LIST,
        message=_feed,
        response=pm.FeedPage,
        tools=(TOOLS["list_feed"],),
    ),
    scan_row(
        "GET",
        "/feed/ws",
        'The feed\'s WebSocket: say {"authorization": token} first, then each new event is a frame',
        tags=("monitors",),
        access=PUBLIC,
        local="feed_socket",
        response=None,
    ),
    scan_row(
        "POST",
        "/feed/ack",
        "Mark events as read",
        tags=("monitors",),
        agents=True,
        repeat="idempotent",
        request=r.FeedAckRequest,
        command=subjects.FEED_ACK,
        message=_feed_ack,
        response=pm.FeedAcked,
        tools=(TOOLS["ack_feed"],),
    ),
    scan_row(
        "GET",
        "/usage",
        "Scan quota, monitors, records and feed of the person",
        agents=True,
        command=subjects.SCAN_USAGE,
        message=_usage_ask,
        response=pm.UsageView,
        tools=(TOOLS["get_usage"],),
        then=Then(subjects.QUOTA_STATE, _quota_ask, _with_quota),
    ),
    scan_row(
        "GET",
        "/timezone",
        "The person's time zone",
        agents=True,
        command=subjects.TIMEZONE_GET,
        message=_own,
        response=pm.TimezoneView,
        tools=(TOOLS["get_timezone"],),
    ),
    scan_row(
        "PUT",
        "/timezone",
        "Change the person's time zone",
        repeat="idempotent",
        request=r.TimezoneRequest,
        agents=True,
        command=subjects.TIMEZONE_PUT,
        message=_timezone_put,
        response=pm.TimezoneView,
        tools=(TOOLS["set_timezone"],),
    ),
)

ROWS = (*SCANS, *RECORDS, *WATCHLISTS, *SYMBOLS, *CONTEXTS, *MONITORS, *SKILL)
