"""The admin surface's rows. Staff tokens only; every write is audited.

Rights by kind of staff: ADMIN everything; MANAGER adds users and reads; DEALER sends quotes and reads;
the audit log is read by ADMIN alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from libs.common import subjects
from libs.common.errors import InvalidData
from libs.common.messages import auth, house, market
from libs.common.principal import SessionType
from services.gateway.endpoints.broker_requests import Leverage
from services.gateway.endpoints.fields import (
    Count,
    Email,
    Flag,
    GroupName,
    Line,
    Login,
    Password,
    Small,
    Symbol,
)
from services.gateway.endpoints.row import ADMIN_ONLY, KIB, Caller, Endpoint, staff

MIB = 1024 * KIB
READERS = staff(SessionType.MANAGER, SessionType.DEALER, SessionType.ADMIN)
USERS = staff(SessionType.MANAGER, SessionType.ADMIN)
QUOTERS = staff(SessionType.DEALER, SessionType.ADMIN)

S = TypeVar("S", bound=msgspec.Struct)


def _all_optional(name: str, whole: type[msgspec.Struct], leave_out: str, doc: str) -> type[msgspec.Struct]:
    """The fields of ``whole`` except its key, each of them optional: what a merging PUT may send."""
    fields: Sequence[tuple[str, Any, Any]] = [
        (f.name, f.type | UnsetType, UNSET) for f in msgspec.structs.fields(whole) if f.name != leave_out
    ]
    made = msgspec.defstruct(name, fields, kw_only=True, frozen=True, module=__name__)
    made.__doc__ = doc
    return made


SymbolFields = _all_optional(
    "SymbolFields", market.Instrument, "symbol", "Fields of a symbol; absent ones stay."
)
GroupFields = _all_optional("GroupFields", market.Group, "group", "Fields of a group; absent ones stay.")


class SymbolPutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make or change a symbol."""

    symbol: Symbol
    fields: dict[str, Any]


class GroupPutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Make or change a group of accounts."""

    group: GroupName
    fields: dict[str, Any]


class UserAddRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Open a trading account for somebody."""

    group: GroupName
    name: Annotated[str, Meta(min_length=1, max_length=128)]
    password: Password
    leverage: Leverage
    enable: Flag
    email: Email
    login: Login | None = None
    comment: Line = ""
    country: Line = ""
    city: Line = ""
    address: Line = ""
    state: Line = ""
    zipcode: Line = ""
    phone: Line = ""
    enable_read_only: Flag = 0
    enable_change_password: Flag = 1
    send_reports: Flag = 0
    id: Line = ""
    lead_source: Line = ""
    user_color: Small = 0


class QuoteRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One quote; ``time`` in Unix ms (below 10^11: seconds), absent: now."""

    symbol: Symbol
    bid: float
    ask: float
    time: Count | None = None


class QuotesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Quotes, applied in order, all or nothing."""

    quotes: Annotated[list[QuoteRequest], Meta(min_length=1, max_length=10_000)]


class CandlesPutRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Candles to upsert: ``[time_ms, open, high, low, close, volume]``."""

    symbol: Symbol
    timeframe: Annotated[str, Meta(min_length=1, max_length=8)]
    candles: Annotated[list[tuple[Count, float, float, float, float, float]], Meta(min_length=1)]


class AuditRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A page of the audit log, newest first."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Count = 0
    actor: Login | None = None


def _own_fields(fields: Mapping[str, Any], key: str, value: str) -> dict[str, Any]:
    """The body without its own key, which may only repeat the path's."""
    given = fields.get(key, value)
    if given != value:
        raise InvalidData(f"{key}: the path says {value}")
    return {name: field for name, field in fields.items() if name != key}


def _symbol_put(request: SymbolPutRequest, caller: Caller) -> market.SymbolPut:
    return market.SymbolPut(
        symbol=request.symbol, fields=_own_fields(request.fields, "symbol", request.symbol)
    )


def _group_put(request: GroupPutRequest, caller: Caller) -> market.GroupPut:
    return market.GroupPut(group=request.group, fields=_own_fields(request.fields, "group", request.group))


def _user_add(request: UserAddRequest, caller: Caller) -> auth.UserAdd:
    return auth.UserAdd(**msgspec.structs.asdict(request))


def _quotes(request: QuotesRequest, caller: Caller) -> market.QuotesPut:
    return market.QuotesPut(
        quotes=[market.QuoteIn(symbol=q.symbol, bid=q.bid, ask=q.ask, time=q.time) for q in request.quotes]
    )


def _candles(request: CandlesPutRequest, caller: Caller) -> market.CandlesPut:
    return market.CandlesPut(symbol=request.symbol, timeframe=request.timeframe, candles=request.candles)


def _audit(request: AuditRequest, caller: Caller) -> auth.AuditAsk:
    return auth.AuditAsk(limit=request.limit, offset=request.offset, actor=request.actor)


def _quotes_detail(request: QuotesRequest) -> Mapping[str, Any]:
    if len(request.quotes) <= 5:
        return {"quotes": msgspec.to_builtins(request.quotes)}
    return {
        "count": len(request.quotes),
        "symbols": sorted({q.symbol for q in request.quotes})[:50],
        "sha256": hashlib.sha256(msgspec.json.encode(request.quotes)).hexdigest(),
    }


def _candles_detail(request: CandlesPutRequest) -> Mapping[str, Any]:
    return {
        "symbol": request.symbol,
        "timeframe": request.timeframe,
        "count": len(request.candles),
        "first_ms": request.candles[0][0],
        "last_ms": request.candles[-1][0],
        "sha256": hashlib.sha256(msgspec.json.encode(request.candles)).hexdigest(),
    }


ROWS = (
    Endpoint(
        method="GET",
        path="/admin/symbols",
        surface="admin",
        tags=("admin",),
        summary="Every symbol",
        access=READERS,
        repeat="safe",
        command=subjects.SYMBOL_LIST,
        message=lambda request, caller: market.SymbolList(),
        response=market.Instruments,
    ),
    Endpoint(
        method="PUT",
        path="/admin/symbols/{symbol}",
        surface="admin",
        tags=("admin",),
        summary="Make or change a symbol; absent fields keep what is there, or get defaults",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=SymbolPutRequest,
        rest="fields",
        body=SymbolFields,
        command=subjects.SYMBOL_PUT,
        message=_symbol_put,
        response=market.Instrument,
        audited=True,
        changes_market=True,
    ),
    Endpoint(
        method="GET",
        path="/admin/groups",
        surface="admin",
        tags=("admin",),
        summary="Every group of accounts",
        access=READERS,
        repeat="safe",
        command=subjects.GROUP_LIST,
        message=lambda request, caller: market.GroupList(),
        response=market.Groups,
    ),
    Endpoint(
        method="PUT",
        path="/admin/groups/{group}",
        surface="admin",
        tags=("admin",),
        summary="Make or change a group; secgroups merge by sec_index, secmargins by symbol",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=GroupPutRequest,
        rest="fields",
        body=GroupFields,
        command=subjects.GROUP_PUT,
        message=_group_put,
        response=market.Group,
        audited=True,
        changes_market=True,
    ),
    Endpoint(
        method="POST",
        path="/admin/users",
        surface="admin",
        tags=("admin",),
        summary="Open a trading account; the group's default deposit is paid in",
        access=USERS,
        repeat="key",
        request=UserAddRequest,
        command=subjects.USER_ADD,
        message=_user_add,
        response=auth.UserAdded,
        audited=True,
        errors=("GROUP_NOT_FOUND", "RET_USR_LOGIN_EXIST", "RET_USR_ACCOUNT_EXIST"),
    ),
    Endpoint(
        method="POST",
        path="/admin/quotes",
        surface="admin",
        tags=("admin",),
        summary="Apply quotes in order, all or nothing; answers when every one was published",
        access=QUOTERS,
        repeat="key",
        request=QuotesRequest,
        command=subjects.QUOTES_PUT,
        message=_quotes,
        response=house.Done,
        body_bytes_max=MIB,
        audited=True,
        detail=_quotes_detail,
        errors=("RET_SYMBOL_NOT_FOUND",),
    ),
    Endpoint(
        method="POST",
        path="/admin/candles",
        surface="admin",
        tags=("admin",),
        summary="Upsert candles of one symbol and timeframe",
        access=ADMIN_ONLY,
        repeat="idempotent",
        request=CandlesPutRequest,
        command=subjects.CANDLES_PUT,
        message=_candles,
        response=house.Done,
        body_bytes_max=6 * MIB,
        audited=True,
        detail=_candles_detail,
        errors=("RET_SYMBOL_NOT_FOUND",),
    ),
    Endpoint(
        method="GET",
        path="/admin/audit",
        surface="admin",
        tags=("admin",),
        summary="What staff did, newest first",
        access=ADMIN_ONLY,
        repeat="safe",
        request=AuditRequest,
        command=subjects.AUDIT_LIST,
        message=_audit,
        response=auth.AuditPage,
    ),
)
