"""What a person's monitors hear reaches the channels they tell on; a trading account is not needed."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from libs.common.bus import Ack
from libs.common.messages.scan_people import FeedEvent, MonitorHeard
from libs.common.subjects import MONITOR_HEARD
from tests.integration.notifier.receivers import Receiver, status
from tests.integration.notifier.rig import PERSON, Rig

NOBODY = 8  # a person without a trading account
EVENT = FeedEvent(
    id="evt_0123456789abcdef0123456789abcdef",
    monitor_id="mon_1",
    type="record_closed",
    symbol="BINANCE:BTCUSDT",
    timeframe="4h",
    pattern="double_top",
    context_id="ctx_1",
    detection_id="det_1",
    created_at="2026-03-02T12:00:00.000Z",
    read=False,
)


async def hear(rig: Rig, person: int, **changed: Any) -> None:
    """As the scanner tells it."""
    heard = MonitorHeard(
        **{
            "event_id": EVENT.id,
            "person_id": person,
            "heard_ms": rig.clock.now_ms(),
            "channels": ["webhook", "email"],
            "monitor_name": "Tops",
            "symbol": "EURUSD",
            "pattern_name": "Double top",
            "direction": "bearish",
            "confidence": 0.875,
            "price": 1.0825,
            "event": EVENT,
            "outcome": "win",
            "return_pct": 1.5,
            **changed,
        }
    )
    subject = MONITOR_HEARD.at(person=person)
    assert await rig.parts.planner.on_monitor(rig.inbound(subject, heard, heard.event_id)) is Ack.DONE


async def bound(rig: Rig, receiver: Receiver, person: int) -> str:
    """Bind the receiver as the person's webhook, proved by its echo; the secret."""

    async def echo(request: Any) -> Any:
        return await status(200, {"code": receiver.calls[-1].json["data"]["code"]})(request)

    receiver.script.append(echo)
    answer = await rig.bind("webhook", f"{receiver.url}/{person}", person=person)
    assert answer.status == "verified"
    receiver.calls.clear()
    return str(answer.secret)


async def test_a_person_without_an_account_gets_a_signed_call_with_the_event_of_the_feed(
    rig: Rig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = await bound(rig, receiver, NOBODY)
    monkeypatch.setattr(rig.parts.channels["webhook"], "_now", lambda: datetime.now(UTC))
    receiver.script.append(status(500))
    await hear(rig, NOBODY)
    await hear(rig, NOBODY)  # told again: nothing more
    await rig.work()
    rig.advance(3_600)
    await rig.work()
    first, again = receiver.calls
    assert first.headers["webhook-id"] == again.headers["webhook-id"] == EVENT.id
    said: Any = Webhook(secret).verify(again.body, again.headers)
    assert (said["id"], said["type"], said["created_at"]) == (
        EVENT.id,
        "monitor.record_closed",
        "2026-03-02T12:00:00.000Z",
    )
    data = said["data"]
    assert {name: data[name] for name in ("id", "symbol", "pattern", "context_id", "detection_id")} == {
        "id": EVENT.id,
        "symbol": "BINANCE:BTCUSDT",
        "pattern": "double_top",
        "context_id": "ctx_1",
        "detection_id": "det_1",
    }
    assert (data["outcome"], data["return_pct"], data["confidence"]) == ("win", 1.5, 0.875)
    assert (data["monitor_name"], data["title"]) == ("Tops", "BINANCE:BTCUSDT 4h: Double top ended, 1.50 %")
    assert data["text"] == "Exit 1.08250\nMonitor: Tops\n2026-03-02 12:00:00 UTC"
    assert "login" not in data
    assert await rig.states() == ["sent"]
    assert await rig.rows("SELECT 1 FROM notifier.notification") == []


async def test_only_channels_the_monitor_tells_on_and_the_person_wants_hear_of_it(
    rig: Rig, receiver: Receiver
) -> None:
    await bound(rig, receiver, PERSON)
    await rig.want(email=True)

    async def told(number: int, **changed: Any) -> list[str]:
        await hear(rig, PERSON, event_id=f"evt_{number}", **changed)
        rows = await rig.rows(
            "SELECT r.channel FROM notifier.delivery AS d JOIN notifier.recipient AS r ON r.id = recipient_id"
            " WHERE d.event_id = $1 ORDER BY 1",
            f"evt_{number}",
        )
        return [row["channel"] for row in rows]

    assert await told(1) == ["email", "webhook"]
    assert await told(2, channels=["email"]) == ["email"]
    assert await told(3, channels=["slack"]) == []
    await rig.want(min_confidence=0.9)
    assert await told(4) == []
    assert await told(5, confidence=0.9) == ["email", "webhook"]
    await rig.want(webhook={"enabled": False})
    assert await told(6, confidence=1.0) == ["email"]
    await hear(rig, 4_711)  # nobody ever heard of
    assert await told(7, confidence=1.0, outcome=None, return_pct=None) == ["email"]
