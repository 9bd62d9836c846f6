"""What alerts hears: one function per command, and market's facts."""

from __future__ import annotations

from typing import Any

from libs.common.bus import Call, Handler
from libs.common.messages import alerts as m
from libs.common.messages.house import Done
from libs.common.subjects import (
    ALERT_CREATE,
    ALERT_DELETE,
    ALERT_LIST,
    ALERT_LOG_CLEAR,
    ALERT_LOG_DELETE,
    ALERT_LOG_LIST,
    ALERT_UPDATE,
    Command,
)
from services.alerts.service import AlertService


def handlers_of(service: AlertService) -> list[tuple[Command[Any, Any], Handler]]:
    """The commands alerts answers."""

    async def list_alerts(message: m.AlertListAsk, call: Call) -> m.AlertTable:
        return await service.list(message)

    async def create(message: m.AlertCreate, call: Call) -> m.AlertIds:
        return await service.create(message)

    async def update(message: m.AlertUpdate, call: Call) -> m.AlertIds:
        return await service.update(message)

    async def delete(message: m.AlertDelete, call: Call) -> m.AlertIds:
        return await service.delete(message)

    async def list_log(message: m.AlertLogAsk, call: Call) -> m.AlertLogTable:
        return await service.log(message)

    async def delete_log(message: m.AlertLogDelete, call: Call) -> m.AlertIds:
        return await service.delete_log(message)

    async def clear_log(message: m.AlertLogClear, call: Call) -> Done:
        return await service.clear_log(message)

    return [
        (ALERT_LIST, list_alerts),
        (ALERT_CREATE, create),
        (ALERT_UPDATE, update),
        (ALERT_DELETE, delete),
        (ALERT_LOG_LIST, list_log),
        (ALERT_LOG_DELETE, delete_log),
        (ALERT_LOG_CLEAR, clear_log),
    ]
