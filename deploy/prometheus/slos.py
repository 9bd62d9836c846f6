"""The service levels the house promises, and when breaking one is worth waking somebody.

Each is a share of good events among all, over 30 days. Burn-rate alerts follow the multi-window method of
Google's SRE workbook (chapter 5): a page when 2 % of the month's budget went in an hour or 5 % in six, a
ticket when 10 % went in a day.
"""

from __future__ import annotations

from typing import NamedTuple


class Slo(NamedTuple):
    """``good`` and ``all`` are PromQL rates with ``{w}`` for the window, as in ``[{w}]``."""

    name: str
    title: str
    objective: float
    good: str
    all: str


class Burn(NamedTuple):
    """Fires while both windows (seconds) burn the budget ``factor`` times as fast as it may."""

    severity: str
    long_s: int
    short_s: int
    factor: float


_HOUR = 3600
BURNS = (
    Burn("page", _HOUR, 300, 14.4),
    Burn("page", 6 * _HOUR, 1800, 6.0),
    Burn("ticket", 24 * _HOUR, 2 * _HOUR, 3.0),
)

_ANSWERS = "tradewind_gateway_answers_total"
_TIMES = "tradewind_gateway_request_seconds"
ORDERS = 'command=~"trading[.]cmd[.](trade[.](open|close|modify)|pending).*"'

SLOS = (
    Slo(
        "QuoteFreshness",
        "a live feed's last quote is at most 5 s old",
        0.995,
        "sum(sum_over_time((tradewind_market_feed_staleness_seconds <= bool 5)[{w}:]))",
        "sum(count_over_time(tradewind_market_feed_staleness_seconds[{w}:]))",
    ),
    Slo(
        "RestAvailability",
        "a request is not answered with 5xx",
        0.999,
        f'sum(rate({_ANSWERS}{{kind!="5xx"}}[{{w}}]))',
        f"sum(rate({_ANSWERS}[{{w}}]))",
    ),
    Slo(
        "RestLatency",
        "a request is answered within 250 ms",
        0.99,
        f'sum(rate({_TIMES}_bucket{{le="0.25"}}[{{w}}]))',
        f"sum(rate({_TIMES}_count[{{w}}]))",
    ),
    Slo(
        "AlertDelivery",
        "a notification is with its receiver within 15 s",
        0.99,
        'sum(rate(tradewind_notifier_delivery_seconds_bucket{le="15.0"}[{w}]))',
        "sum(rate(tradewind_notifier_delivery_seconds_count[{w}]))",
    ),
    Slo(
        "OrderAck",
        "trading answers an order within 50 ms",
        0.99,
        f'sum(rate(tradewind_command_seconds_bucket{{{ORDERS},le="0.05"}}[{{w}}]))',
        f"sum(rate(tradewind_command_seconds_count{{{ORDERS}}}[{{w}}]))",
    ),
)
