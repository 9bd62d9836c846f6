"""One function per subject: what the message asks of the notifier."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from libs.common import subjects
from libs.common.bus import Ack, Call, ConsumeHandler, Consumer, Handler, Inbound
from libs.common.messages.house import Done
from libs.common.streams import NOTIFIER_ALERTS, NOTIFIER_AUTH, NOTIFIER_SCANNER, NOTIFIER_TRADING
from libs.common.subjects import ACCOUNT_OPENED, ALERT_TRIGGERED, MONITOR_HEARD, Command, Subject
from services.notifier.binding import Binder
from services.notifier.planner import Planner
from services.notifier.service import NotifierService


def handlers_of(service: NotifierService, binder: Binder) -> list[tuple[Command[Any, Any], Handler]]:
    """Every command the notifier answers."""
    return [
        (subjects.NOTIFY_LIST, _answer(service.notifications)),
        (subjects.NOTIFY_READ, _answer(service.read)),
        (subjects.PREFERENCES_GET, _answer(service.preferences)),
        (subjects.PREFERENCES_PUT, _answer(service.put_preferences)),
        (subjects.CHANNEL_LIST, _answer(binder.channels)),
        (subjects.CHANNEL_BIND, _answer(binder.bind)),
        (subjects.CHANNEL_VERIFY, _answer(binder.verify)),
        (subjects.CHANNEL_UNBIND, _answer(binder.unbind)),
        (subjects.CHANNEL_ROTATE, _answer(binder.rotate)),
        (subjects.MAIL_SEND, _answer(service.send_mail)),
        (subjects.DEAD_DELIVERIES, _answer(service.dead_letters)),
        (subjects.DEAD_DELIVERY_RETRY, _answer(service.retry_dead_letter)),
    ]


def consumers_of(planner: Planner) -> list[tuple[Consumer, ConsumeHandler]]:
    """Every fact the notifier hears."""

    async def on_auth(inbound: Inbound) -> Ack:
        if _is(inbound, ACCOUNT_OPENED):
            return await planner.on_account_opened(inbound)
        return await planner.on_notice(inbound)

    async def on_alerts(inbound: Inbound) -> Ack:
        if _is(inbound, ALERT_TRIGGERED):
            return await planner.on_alert(inbound)
        return await planner.on_notice(inbound)

    async def on_scanner(inbound: Inbound) -> Ack:
        if _is(inbound, MONITOR_HEARD):
            return await planner.on_monitor(inbound)
        return await planner.on_notice(inbound)

    return [
        (NOTIFIER_AUTH, on_auth),
        (NOTIFIER_ALERTS, on_alerts),
        (NOTIFIER_TRADING, planner.on_notice),
        (NOTIFIER_SCANNER, on_scanner),
    ]


def _is(inbound: Inbound, subject: Subject[Any]) -> bool:
    return inbound.subject.startswith(subject.template.partition("{")[0])


def _answer(use_case: Callable[[Any], Awaitable[Any]]) -> Handler:
    async def handle(message: Any, call: Call) -> Any:
        answer = await use_case(message)
        return Done() if answer is None else answer

    return handle
