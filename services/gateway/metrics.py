"""The gateway's own metrics; the stream's stand in ``gauges.py``. No label names a user."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

from libs.common.telemetry import exemplar
from services.gateway.endpoints import ENDPOINTS

_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

# A histogram per route and status would be thousands of series: the spread of times is told by surface, and
# by route only how often and how long in all.
_times = Histogram(
    "tradewind_gateway_request_seconds", "Time to answer a request", ["surface"], buckets=_BUCKETS
)
_requests = Counter("tradewind_gateway_requests_total", "Requests answered", ["route", "status"])
# Service levels are counted from these: few, and all there from the start, so that the first failure counts.
_answers = Counter(
    "tradewind_gateway_answers_total", "Requests answered, by kind of status", ["surface", "kind"]
)
_route_seconds = Counter("tradewind_gateway_route_seconds_total", "Time spent answering a route", ["route"])
_children: dict[tuple[str, int], tuple[Counter, Counter, Counter, Histogram]] = {}
_surfaces: dict[str, str] = {}

REFUSED = Counter(
    "tradewind_gateway_refused_total", "Requests refused before they reached their service", ["reason"]
)
UNLOCKED = Counter(
    "tradewind_gateway_limits_unlocked_total", "Calls counted without the lock of the shared table"
)
LIMIT_ASKS = Counter(
    "tradewind_gateway_limit_asks_total",
    "Calls another machine was asked to count, by its answer",
    ["outcome"],
)
AUDIT_LOST = Counter(
    "tradewind_gateway_audit_outcomes_lost_total", "Admin writes whose outcome could not be audited"
)
KEYED = Counter(
    "tradewind_gateway_keyed_total", "Requests with an Idempotency-Key, by what became of them", ["outcome"]
)
KEYED_LOST = Counter(
    "tradewind_gateway_keyed_answers_lost_total", "Answers that could not be kept for their Idempotency-Key"
)
CHARGES = Counter(
    "tradewind_gateway_charges_total", "Metered calls, by what became of the charge", ["outcome"]
)
TOKENS = Counter(
    "tradewind_gateway_tokens_total", "Tokens looked at, by where the answer came from", ["source"]
)
TOOLS = Counter(
    "tradewind_gateway_tool_calls_total", "Tools called by agents, by what came of it", ["tool", "outcome"]
)

SIGNAL_STREAMS = Gauge("tradewind_gateway_signal_subscriptions", "Streams of signals that are open")

UNMATCHED = "unmatched"
REASONS = ("body", "limit", "method", "path", "permission", "protocol", "token")


def observe(route: str, status: int, seconds: float) -> None:
    """Count one answer."""
    children = _children.get((route, status)) or _begin(route, status)
    requests, answers, spent, times = children
    requests.inc()
    answers.inc()
    spent.inc(seconds)
    times.observe(seconds, exemplar())


def _begin(route: str, status: int) -> tuple[Counter, Counter, Counter, Histogram]:
    surface = _surfaces.get(route, "none")
    children = _children[route, status] = (
        _requests.labels(route, str(status)),
        _answers.labels(surface, f"{status // 100}xx"),
        _route_seconds.labels(route),
        _times.labels(surface),
    )
    return children


def refused(reason: str) -> None:
    """Count a request that was refused before it reached its service; an empty reason is its service's."""
    if reason:
        REFUSED.labels(reason).inc()


def limit_asked(outcome: str) -> None:
    """Count a call that another machine was asked to count."""
    LIMIT_ASKS.labels(outcome).inc()


def zero() -> None:
    """Make every series exist from the start, so that a rate has a beginning."""
    for row in ENDPOINTS:
        _surfaces[row.name] = row.surface
        _begin(row.name, 200)
        for tool in row.tools:
            for outcome in ("ok", "refused", "stopped"):
                TOOLS.labels(tool.name, outcome)
    for surface in {*_surfaces.values(), "none"}:
        for kind in ("2xx", "3xx", "4xx", "5xx"):
            _answers.labels(surface, kind)
    for reason in REASONS:
        REFUSED.labels(reason)
    for outcome in ("new", "replay", "mismatch", "in_flight"):
        KEYED.labels(outcome)
    for outcome in ("charged", "released", "late", "lost"):
        CHARGES.labels(outcome)
    for outcome in ("answered", "unanswered", "alone"):
        LIMIT_ASKS.labels(outcome)
    for source in ("cache", "verified", "refused"):
        TOKENS.labels(source)
