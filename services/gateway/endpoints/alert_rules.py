"""Rows of alert rules, beyond the broker's contract: conditions over closed bars, JSON in and out."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from libs.common import subjects
from libs.common.messages import alert_rules as m
from libs.common.messages import house
from services.gateway.endpoints.broker_requests import AccountRequest
from services.gateway.endpoints.fields import Count, Seconds, Symbol
from services.gateway.endpoints.row import ACCOUNT_OF_OWNER, KIB, Caller, Endpoint

Frame = Annotated[str, Meta(min_length=1, max_length=4, description="1m 5m 15m 30m 1h 4h 1d 1w 1M")]
Name = Annotated[str, Meta(max_length=128)]
Message = Annotated[str, Meta(max_length=2_000)]
Cooldown = Annotated[int, Meta(ge=0, le=30 * 86_400, description="Least time between two tellings.")]
Channels = Annotated[
    tuple[Annotated[str, Meta(min_length=1, max_length=32)], ...],
    Meta(max_length=10, description="Only these of the channels that are switched on; empty: none."),
]
Days = Annotated[int, Meta(ge=1, le=365)]


class RuleRequest(AccountRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rule: judged on each closed bar of ``symbol`` and ``timeframe``, fires when ``when`` turns true."""

    symbol: Symbol
    timeframe: Frame
    when: m.Expression
    name: Name = ""
    message: Message = ""
    repeat: bool = False
    cooldown_s: Cooldown = 0
    expires_at: Seconds = 0
    schedule: m.Schedule = m.Schedule()
    channels: Channels | None = None

    def body(self) -> m.RuleBody:
        """The rule as its owner takes it."""
        names = [field.name for field in msgspec.structs.fields(m.RuleBody)]
        return m.RuleBody(**{name: getattr(self, name) for name in names})


class RulePutRequest(RuleRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replace a rule; ``enabled`` false keeps it and judges it no more."""

    id: Count
    enabled: bool = True


class RuleTestRequest(RuleRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a rule would have fired over the last ``days`` of candles; nothing is kept."""

    days: Days = 30


class RuleIdRequest(AccountRequest, frozen=True, kw_only=True):
    """One rule."""

    id: Count


class RuleHitsRequest(AccountRequest, frozen=True, kw_only=True):
    """A page of a rule's hits, newest first."""

    id: Count
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100
    offset: Count = 0


def _list(request: AccountRequest, caller: Caller) -> m.RuleListAsk:
    return m.RuleListAsk(login=caller.login)


def _get(request: RuleIdRequest, caller: Caller) -> m.RuleAsk:
    return m.RuleAsk(login=caller.login, id=request.id)


def _create(request: RuleRequest, caller: Caller) -> m.RuleCreate:
    return m.RuleCreate(login=caller.login, group=caller.group, rule=request.body())


def _put(request: RulePutRequest, caller: Caller) -> m.RulePut:
    return m.RulePut(
        login=caller.login,
        group=caller.group,
        id=request.id,
        rule=request.body(),
        enabled=request.enabled,
    )


def _test(request: RuleTestRequest, caller: Caller) -> m.RuleTest:
    return m.RuleTest(login=caller.login, group=caller.group, rule=request.body(), days=request.days)


def _hits(request: RuleHitsRequest, caller: Caller) -> m.RuleHitsAsk:
    return m.RuleHitsAsk(login=caller.login, id=request.id, limit=request.limit, offset=request.offset)


def _row(**row: Any) -> Endpoint:
    return Endpoint(
        **{
            "surface": "broker",
            "tags": ("alert rules",),
            "access": ACCOUNT_OF_OWNER,
            "body_bytes_max": 16 * KIB,
            **row,
        }
    )


_TAKES = ("INVALID_DATA", "INVALID_EXPIRES_AT", "RET_SYMBOL_NOT_FOUND")

ROWS = (
    _row(
        method="GET",
        path="/alerts/rules",
        summary="The account's alert rules",
        repeat="safe",
        request=AccountRequest,
        command=subjects.RULE_LIST,
        message=_list,
        response=m.RuleList,
    ),
    _row(
        method="POST",
        path="/alerts/rules",
        summary="Arm an alert rule",
        description=(
            "`when` is a tree of `all` and `any` (at most three levels, five conditions) over price, change, "
            "rsi, ema_cross, atr, volume_z, pattern, regime, level_break and signal. It is judged once per "
            "closed bar, from the next one on, and fires when it turns true. What fires in a cool-down or "
            "in quiet hours is counted and told together afterwards."
        ),
        repeat="key",
        request=RuleRequest,
        command=subjects.RULE_CREATE,
        message=_create,
        response=m.RuleView,
        errors=(*_TAKES, "RET_TRADE_LIMIT_REACHED"),
    ),
    _row(
        method="POST",
        path="/alerts/rules/test",
        summary="When a rule would have fired over the last days of candles",
        description="The same judging as live, over stored candles. Events are known since `events_from`.",
        repeat="idempotent",
        request=RuleTestRequest,
        command=subjects.RULE_TEST,
        message=_test,
        response=m.RuleTested,
        errors=_TAKES,
    ),
    _row(
        method="GET",
        path="/alerts/rules/{id}",
        summary="One alert rule",
        repeat="safe",
        request=RuleIdRequest,
        command=subjects.RULE_GET,
        message=_get,
        response=m.RuleView,
        errors=("NOT_FOUND",),
    ),
    _row(
        method="PUT",
        path="/alerts/rules/{id}",
        summary="Replace an alert rule, switch it on or off; it begins anew",
        repeat="idempotent",
        request=RulePutRequest,
        command=subjects.RULE_PUT,
        message=_put,
        response=m.RuleView,
        errors=(*_TAKES, "NOT_FOUND"),
    ),
    _row(
        method="DELETE",
        path="/alerts/rules/{id}",
        summary="Take an alert rule and its hits away",
        repeat="idempotent",
        request=RuleIdRequest,
        command=subjects.RULE_DELETE,
        message=_get,
        response=house.Done,
        errors=("NOT_FOUND",),
    ),
    _row(
        method="GET",
        path="/alerts/rules/{id}/hits",
        summary="When a rule fired, newest first",
        repeat="safe",
        request=RuleHitsRequest,
        command=subjects.RULE_HITS,
        message=_hits,
        response=m.RuleHits,
        errors=("NOT_FOUND",),
    ),
)
