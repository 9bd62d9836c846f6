"""What every process of alerts answers: one line per command."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from libs.common.bus import Call, Handler
from libs.common.subjects import (
    ALERT_CREATE,
    ALERT_DELETE,
    ALERT_LIST,
    ALERT_LOG_CLEAR,
    ALERT_LOG_DELETE,
    ALERT_LOG_LIST,
    ALERT_UPDATE,
    RULE_CREATE,
    RULE_DELETE,
    RULE_GET,
    RULE_HITS,
    RULE_LIST,
    RULE_PUT,
    RULE_TEST,
    Command,
)
from services.alerts.front import Front
from services.alerts.reads import AlertReads
from services.alerts.rule_reads import RuleReads


def handlers_of(
    front: Front, alerts: AlertReads, rules: RuleReads
) -> list[tuple[Command[Any, Any], Handler]]:
    """The commands alerts answers."""
    return [
        (ALERT_LIST, _read(alerts.list)),
        (ALERT_CREATE, _sent(front.create)),
        (ALERT_UPDATE, _sent(front.update)),
        (ALERT_DELETE, _sent(front.delete)),
        (ALERT_LOG_LIST, _read(alerts.log)),
        (ALERT_LOG_DELETE, _sent(front.delete_log)),
        (ALERT_LOG_CLEAR, _sent(front.clear_log)),
        (RULE_LIST, _read(rules.list)),
        (RULE_GET, _read(rules.get)),
        (RULE_CREATE, _sent(front.create_rule)),
        (RULE_PUT, _sent(front.put_rule)),
        (RULE_DELETE, _sent(front.delete_rule)),
        (RULE_TEST, _read(rules.test)),
        (RULE_HITS, _read(rules.hits)),
    ]


def _read(ask: Callable[[Any], Awaitable[Any]]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        return await ask(message)

    return handle


def _sent(send: Callable[[Any, Any], Awaitable[Any]]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        return await send(message, call.headers)

    return handle
