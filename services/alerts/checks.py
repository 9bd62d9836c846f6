"""What an alert must look like to be taken, and what a change makes of one (broker 8.2, 8.3). Pure."""

from __future__ import annotations

import math
from typing import Any

import msgspec

from libs.common.errors import InvalidData
from libs.common.messages.alerts import AlertCreate, AlertUpdate
from services.alerts.alert import CHANNEL, MOVING, TARGET, Alert, Condition, Side, Status
from services.alerts.errors import (
    InvalidChannel,
    InvalidExpiresAt,
    InvalidLogin,
    InvalidMoveThreshold,
    InvalidTargetPrice,
)

TIME_S_MAX = 253_402_300_799  # the end of the year 9999
TEXT_MAX = {"indicator_name": 128, "message": 2_000, "comment": 2_000}

_CHANGEABLE = (
    "side",
    "condition",
    "repeat_mode",
    "target_price",
    "channel_low",
    "channel_high",
    "move_threshold",
    "expires_at",
    "indicator_name",
    "message",
    "comment",
)


def new_alert(ask: AlertCreate, *, symbol: str, profile: str, now_ms: int) -> Alert:
    """The alert a request asks for, still without id and reference; or the error of 8.2."""
    if ask.login <= 0:
        raise InvalidLogin(f"login was {ask.login}")
    _check_texts(ask)
    if ask.condition in CHANNEL and (ask.channel_low is None or ask.channel_high is None):
        raise InvalidChannel("channel_low and channel_high are required for this condition")
    _check_reference(ask.reference_price, ask.reference_time)
    alert = Alert(
        id=0,
        login=ask.login,
        group=ask.group,
        profile=profile,
        symbol=symbol,
        indicator_name=ask.indicator_name,
        message=ask.message,
        side=ask.side,
        condition=ask.condition,
        target_price=ask.target_price or 0.0,
        channel_low=ask.channel_low or 0.0,
        channel_high=ask.channel_high or 0.0,
        move_threshold=ask.move_threshold or 0.0,
        status=Status.ACTIVE.value,
        repeat_mode=ask.repeat_mode,
        created_ms=now_ms,
        updated_ms=now_ms,
        expires_at=ask.expires_at,
        triggered_ms=0,
        triggered_price=0.0,
        reference_price=ask.reference_price or 0.0,
        reference_time=ask.reference_time or 0,
        comment=ask.comment,
        armed_seq=0,
        fired_seq=0,
    )
    _check_condition(alert)
    _check_expiry(alert.expires_at, now_ms)
    return alert


def changed_alert(alert: Alert, ask: AlertUpdate, *, symbol: str, profile: str, now_ms: int) -> Alert:
    """What a request makes of an alert: absent fields stay; or the error of 8.3.

    An active alert is armed anew: its reference is the one given, else none yet.
    """
    _check_texts(ask)
    _check_reference(ask.reference_price, ask.reference_time)
    given: dict[str, Any] = {name: value for name in _CHANGEABLE if (value := getattr(ask, name)) is not None}
    status = _status_after(alert, ask.status)
    changed = msgspec.structs.replace(
        alert,
        **given,
        status=status.value,
        symbol=symbol,
        profile=profile,
        group=ask.group,
        updated_ms=now_ms,
    )
    _check_condition(changed)
    if ask.expires_at is not None or status is Status.ACTIVE:
        _check_expiry(changed.expires_at, now_ms)
    if ask.status == Status.ACTIVE:
        changed = msgspec.structs.replace(changed, triggered_ms=0, triggered_price=0.0)
    if status is Status.ACTIVE or ask.reference_price:
        changed = msgspec.structs.replace(
            changed, reference_price=ask.reference_price or 0.0, reference_time=ask.reference_time or 0
        )
    return changed


def _status_after(alert: Alert, asked: int | None) -> Status:
    """A client may reactivate and disable; naming the status an alert has changes nothing."""
    if asked is None or asked == alert.status:
        return Status(alert.status)
    if asked in (Status.ACTIVE, Status.DISABLED):
        return Status(asked)
    raise InvalidData(f"status was {asked}; 0 reactivates, 2 disables")


def _check_texts(ask: AlertCreate | AlertUpdate) -> None:
    for name, most in TEXT_MAX.items():
        text = getattr(ask, name)
        if text is not None and (len(text) > most or "\x00" in text):
            raise InvalidData(f"{name} has more than {most} characters or a NUL")


def _check_reference(price: float | None, time_s: int | None) -> None:
    if price is not None and not (math.isfinite(price) and price >= 0):
        raise InvalidData(f"reference_price was {price}")
    if time_s is not None and not 0 <= time_s <= TIME_S_MAX:
        raise InvalidData(f"reference_time was {time_s}")


def _check_condition(alert: Alert) -> None:
    if alert.side not in list(Side):
        raise InvalidData(f"side was {alert.side}")
    if alert.condition not in list(Condition):
        raise InvalidData(f"condition was {alert.condition}")
    if alert.repeat_mode not in (0, 1):
        raise InvalidData(f"repeat_mode was {alert.repeat_mode}")
    if not _fits(alert.target_price, alert.condition in TARGET):
        raise InvalidTargetPrice(f"target_price was {alert.target_price}")
    low, high = alert.channel_low, alert.channel_high
    needed = alert.condition in CHANNEL
    if not (_fits(low, False) and _fits(high, needed)) or (needed and low >= high):
        raise InvalidChannel(f"the channel was {low} to {high}")
    if not _fits(alert.move_threshold, alert.condition in MOVING):
        raise InvalidMoveThreshold(f"move_threshold was {alert.move_threshold}")


def _fits(value: float, needed: bool) -> bool:
    return math.isfinite(value) and (value > 0 if needed else value >= 0)


def _check_expiry(expires_at: int, now_ms: int) -> None:
    if expires_at != 0 and not now_ms < expires_at * 1000 <= TIME_S_MAX * 1000:
        raise InvalidExpiresAt(f"expires_at was {expires_at}")
