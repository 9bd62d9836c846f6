"""Scan rows of contexts: a detection with the chart around it, its figures, pictures and conditions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from libs.common import subjects
from libs.common.messages import scan as m
from services.gateway.endpoints import scan_requests as r
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.endpoints.scan_row import person_of, scan_row
from services.gateway.endpoints.scan_tools import TOOLS
from services.gateway.endpoints.tool import Tool

PNG = "image/png"


def _contexts(request: r.ContextsRequest, caller: Caller) -> m.ContextsAsk:
    return m.ContextsAsk(**msgspec.structs.asdict(request))


def _context(request: r.ContextRequest, caller: Caller) -> m.ContextAsk:
    return m.ContextAsk(id=request.ctx_id, person_id=caller.principal.person_id or 0)


def _ohlcv(request: r.OhlcvRequest, caller: Caller) -> m.ContextAsk:
    return m.ContextAsk(id=request.ctx_id, window=request.window)


def _chart(kind: str) -> Callable[[Any, Caller], m.ChartAsk]:
    def ask(request: r.ContextRequest, caller: Caller) -> m.ChartAsk:
        return m.ChartAsk(id=request.ctx_id, kind=kind, person_id=caller.principal.person_id or 0)

    return ask


def _condition(request: r.ConditionRequest, caller: Caller) -> m.ConditionAsk:
    return m.ConditionAsk(id=request.ctx_id, condition_id=request.condition_id, parameters=request.parameters)


def _confirm(request: r.ConfirmRequest, caller: Caller) -> m.ConfirmAsk:
    return m.ConfirmAsk(
        id=request.ctx_id,
        person_id=person_of(caller),
        observed_visual_code=request.observed_visual_code,
        method=request.method,
        observations=request.observations,
    )


def _context_row(method: str, path: str, summary: str, **row: Any) -> Endpoint:
    named = {
        "request": r.ContextRequest,
        "message": _context,
        "tags": ("contexts",),
        "agents": True,
        "errors": ("not_found",),
    }
    return scan_row(method, f"/contexts/{{ctx_id}}{path}", summary, **{**named, **row})


def _picture(path: str, kind: str, summary: str, tool: Tool) -> Endpoint:
    return _context_row(
        "GET",
        path,
        summary,
        command=subjects.CONTEXT_CHART,
        message=_chart(kind),
        response=None,
        content_type=PNG,
        errors=("not_found", "server_busy"),
        tools=(tool,),
    )


CONTEXTS = (
    scan_row(
        "GET",
        "/contexts",
        "The newest contexts of a symbol and timeframe; none yet: an empty list, and queued",
        tags=("contexts",),
        agents=True,
        request=r.ContextsRequest,
        command=subjects.CONTEXT_LIST,
        message=_contexts,
        response=m.ContextPage,
        errors=("symbol_not_supported",),
        tools=(TOOLS["scan_contexts"],),
    ),
    _context_row(
        "GET",
        "",
        "One context",
        command=subjects.CONTEXT_GET,
        response=m.ContextView,
        tools=(TOOLS["get_context"],),
    ),
    _context_row(
        "GET",
        "/inspect",
        "Where a context's chart is",
        command=subjects.CONTEXT_INSPECT,
        response=m.Inspection,
        tools=(TOOLS["inspect_chart_context"],),
    ),
    _picture(
        "/inspect/chart",
        "inspection",
        "The chart with a code that proves it was looked at",
        TOOLS["get_inspection_chart"],
    ),
    _picture(
        "/chart",
        "chart",
        "The chart with levels, averages and the plan",
        TOOLS["get_chart"],
    ),
    _picture(
        "/original-chart",
        "original",
        "The chart without levels, averages and the plan",
        TOOLS["get_original_chart"],
    ),
    _context_row(
        "GET",
        "/manifest",
        "What a context is made of",
        command=subjects.CONTEXT_MANIFEST,
        response=m.ManifestView,
        tools=(TOOLS["get_context_manifest"],),
    ),
    _context_row(
        "GET",
        "/ohlcv",
        "The candles of a context's chart",
        request=r.OhlcvRequest,
        command=subjects.CONTEXT_OHLCV,
        message=_ohlcv,
        response=m.OhlcvView,
        tools=(TOOLS["get_context_ohlcv"],),
    ),
    _context_row(
        "POST",
        "/conditions",
        "Is a condition true at a context?",
        repeat="idempotent",
        request=r.ConditionRequest,
        command=subjects.CONDITION_CHECK,
        message=_condition,
        response=m.ConditionView,
        tools=(TOOLS["check_context_condition"],),
    ),
    _context_row(
        "POST",
        "/visual-confirmation",
        "Confirm that the inspection chart was looked at, with the code on it",
        request=r.ConfirmRequest,
        command=subjects.CONFIRM_VISUAL,
        message=_confirm,
        response=m.Confirmed,
        errors=("not_found", "visual_confirmation_failed"),
        tools=(TOOLS["confirm_chart_visual_inspection"],),
    ),
)
