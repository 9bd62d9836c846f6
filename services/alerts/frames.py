"""What clients receive: the tables of 8.1 and 8.5, ids, and the ``a`` frame of 11.2. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from libs.common.messages.alerts import AlertFrame, AlertIds, AlertLogTable, AlertTable, AlertTriggered
from services.alerts.alert import Alert, Told

ALERT_COLUMNS = (
    "id",
    "login",
    "symbol",
    "indicator_name",
    "message",
    "side",
    "condition",
    "target_price",
    "channel_low",
    "channel_high",
    "move_threshold",
    "status",
    "repeat_mode",
    "created_at",
    "updated_at",
    "expires_at",
    "triggered_at",
    "triggered_price",
    "reference_price",
    "reference_time",
    "comment",
)
LOG_COLUMNS = (
    "id",
    "alert_id",
    "login",
    "symbol",
    "indicator_name",
    "message",
    "side",
    "condition",
    "target_price",
    "triggered_price",
    "triggered_at",
    "comment",
)
CHANGED = 1  # the event code of every alert frame


def alert_table(alerts: Iterable[Alert]) -> AlertTable:
    """The list of an account's alerts."""
    return AlertTable(ALERT_COLUMNS, [_alert_row(alert) for alert in alerts])


def _alert_row(alert: Alert) -> list[Any]:
    return [
        alert.id,
        alert.login,
        alert.symbol,
        alert.indicator_name,
        alert.message,
        alert.side,
        alert.condition,
        alert.target_price,
        alert.channel_low,
        alert.channel_high,
        alert.move_threshold,
        alert.status,
        alert.repeat_mode,
        alert.created_ms // 1000,
        alert.updated_ms // 1000,
        alert.expires_at,
        alert.triggered_ms // 1000,
        alert.triggered_price,
        alert.reference_price,
        alert.reference_time,
        alert.comment,
    ]


def log_table(rows: Iterable[Sequence[Any]]) -> AlertLogTable:
    """The log, from rows in the order of ``LOG_COLUMNS``."""
    return AlertLogTable(LOG_COLUMNS, [list(row) for row in rows])


def ids(*found: int) -> AlertIds:
    """``{"structure":["id"],"rows":[[101]]}``."""
    return AlertIds(("id",), [[id] for id in found])


def alert_frame(told: Told, *, price: float, at_ms: int) -> AlertFrame:
    """The frame of a hit at ``price``, or of an expiry with the last hit's, if there was one."""
    return AlertFrame("a", *told, price, at_ms // 1000, CHANGED)


def triggered(told: Told, *, event_id: str, log_id: int, price: float, at_ms: int) -> AlertTriggered:
    """The fact of a hit, for the notifier."""
    return AlertTriggered(
        event_id=event_id,
        alert_id=told.id,
        log_id=log_id,
        login=told.login,
        symbol=told.symbol,
        indicator_name=told.indicator_name,
        message=told.message,
        side=told.side,
        condition=told.condition,
        target_price=told.target_price,
        triggered_price=price,
        triggered_ms=at_ms,
        channel_low=told.channel_low,
        channel_high=told.channel_high,
        move_threshold=told.move_threshold,
    )
