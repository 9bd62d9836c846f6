"""Facts as notices, and notices as what clients get. Pure."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import msgspec

from libs.common.messages.alerts import AlertTriggered
from libs.common.messages.notifier import Notice, NotificationFrame
from libs.common.messages.scan_people import MonitorHeard

PRICE_ALERT = "PRICE_ALERT"
STATUS_SENT = 1  # broker 10.7: 0 waiting, 1 sent, 2 read; the push is committed with the row, so it is sent
TITLE_CHARS_MAX = 200
TEXT_CHARS_MAX = 2000
_TOKEN = re.compile(r"^[A-Z][A-Z0-9_]{0,63}$")
_SPACES = re.compile(r"[\s\x00-\x1f\x7f\u2028\u2029]+")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Written(NamedTuple):
    """A notice in a person's language."""

    title: str
    text: str


def of_alert(fact: AlertTriggered) -> Notice:
    """A fired price alert as a notice."""
    return Notice(
        event_id=fact.event_id,
        login=fact.login,
        token=PRICE_ALERT,
        raised_ms=fact.triggered_ms,
        symbol=fact.symbol,
        data={
            "alert_id": fact.alert_id,
            "log_id": fact.log_id,
            "symbol": fact.symbol,
            "indicator_name": fact.indicator_name,
            "message": fact.message,
            "side": fact.side,
            "condition": fact.condition,
            "target_price": fact.target_price,
            "channel_low": fact.channel_low,
            "channel_high": fact.channel_high,
            "move_threshold": fact.move_threshold,
            "triggered_price": fact.triggered_price,
            "triggered_at": fact.triggered_ms // 1000,
        },
    )


def of_monitor(heard: MonitorHeard) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """What a monitor heard: the template, what programs get (the event of the feed and what it says of the
    detection), and the template's fields."""
    event: dict[str, Any] = {**msgspec.to_builtins(heard.event), "monitor_name": heard.monitor_name}
    about = {
        "direction": heard.direction,
        "confidence": heard.confidence,
        "price": heard.price,
        "outcome": heard.outcome,
        "return_pct": heard.return_pct,
    }
    fields = {
        **event,
        "pattern_name": heard.pattern_name,
        "price": heard.price,
        "confidence_percent": 100.0 * heard.confidence,
        "return_percent": heard.return_pct,
        "time_ms": heard.heard_ms,
    }
    return f"monitor_{heard.event.type}", {**event, **about}, fields


def type_of(token: str) -> str:
    """The ``type`` that programs see: ``alert.triggered``, else ``notice.<token>``."""
    return "alert.triggered" if token == PRICE_ALERT else f"notice.{token.lower()}"


def is_token(token: str) -> bool:
    """Whether a message key has the form of one."""
    return _TOKEN.match(token) is not None


def one_line(text: str, chars_max: int = TITLE_CHARS_MAX) -> str:
    """Text for a title or a mail's subject: one line, bounded, nothing that could begin another header."""
    return _cut(_SPACES.sub(" ", _storable(text)).strip(), chars_max)


def paragraphs(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """Text for a body: lines stay, control characters go, bounded."""
    return _cut(_CONTROL.sub(" ", _storable(text)).strip(), chars_max)


def frame_of(notice: Notice, written: Written, create_time: int) -> NotificationFrame:
    """The client's ``n`` frame."""
    return NotificationFrame(
        tag="n",
        message=written.title,
        description=written.text,
        token=notice.token,
        status=STATUS_SENT,
        level=notice.level,
        user_id=notice.login,
        create_time=create_time,
        data=dict(notice.data),
        code=notice.code,
    )


def is_wanted(confidence: float | None, min_confidence: float) -> bool:
    """Whether a detection is as sure as its owner asks; what has no confidence is always wanted."""
    return confidence is None or confidence >= min_confidence


def cut_to(text: str, chars_max: int) -> str:
    """Text within a channel's limit, the end marked."""
    return _cut(text, chars_max)


def storable(value: Any) -> Any:
    """JSON that PostgreSQL takes: text without NUL and lone surrogates, at any depth."""
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, dict):
        return {_storable(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [storable(item) for item in value]
    return value


def _storable(text: str) -> str:
    return text.replace("\x00", "").encode("utf-8", "replace").decode()


def _cut(text: str, chars_max: int) -> str:
    return text if len(text) <= chars_max else text[: chars_max - 1] + "…"
