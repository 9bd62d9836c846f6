"""What a rule must look like to be taken. Pure; the reason of a refusal names the field."""

from __future__ import annotations

import msgspec

from libs.common.candles import BY_NAME, Timeframe
from libs.common.errors import InvalidData
from libs.common.messages import alert_rules as m
from libs.common.messages.notifier import CHANNELS
from services.alerts.errors import InvalidExpiresAt
from services.alerts.rule_hours import ZoneUnknown, zone
from services.alerts.rule_readings import WINDOW
from services.alerts.rule_tree import fault_of

NAME_MAX, MESSAGE_MAX = 128, 2_000
COOLDOWN_S_MAX = 30 * 86_400
DAYS_MAX = 365
TEST_BARS_MAX = 18_000 - WINDOW  # what market gives at once
TIME_S_MAX = 253_402_300_799


def checked(rule: m.RuleBody, *, symbol: str, now_ms: int) -> m.RuleBody:
    """The rule with its symbol's canonical name; or why it is not taken."""
    fault = _fault(rule)
    if fault is not None:
        raise InvalidData(fault)
    if rule.expires_at and not now_ms < rule.expires_at * 1000 <= TIME_S_MAX * 1000:
        raise InvalidExpiresAt(f"expires_at was {rule.expires_at}")
    return msgspec.structs.replace(rule, symbol=symbol)


def _fault(rule: m.RuleBody) -> str | None:
    if rule.timeframe not in BY_NAME:
        return f"timeframe was {rule.timeframe!r}; there are {' '.join(BY_NAME)}"
    for name, text, most in (("name", rule.name, NAME_MAX), ("message", rule.message, MESSAGE_MAX)):
        if len(text) > most or "\x00" in text:
            return f"{name} has more than {most} characters or a NUL"
    if not 0 <= rule.cooldown_s <= COOLDOWN_S_MAX:
        return f"cooldown_s was {rule.cooldown_s}; 0 to {COOLDOWN_S_MAX}"
    unknown = sorted(set(rule.channels or ()) - set(CHANNELS))
    if unknown or len(rule.channels or ()) > len(CHANNELS):
        return f"channels has {', '.join(unknown) or 'a name twice'}; there are {' '.join(CHANNELS)}"
    try:
        zone(rule.schedule.timezone)
    except ZoneUnknown:
        return f"schedule.timezone was {rule.schedule.timezone!r}, which is no IANA time zone"
    return fault_of(rule.when)


def bars_of(days: int, frame: Timeframe) -> int:
    """How many bars a test of so many days looks at; or why it is refused."""
    if not 1 <= days <= DAYS_MAX:
        raise InvalidData(f"days was {days}; 1 to {DAYS_MAX}")
    bars = max(1, days * 86_400_000 // (frame.span_ms or 28 * 86_400_000))
    if bars > TEST_BARS_MAX:
        most = TEST_BARS_MAX * frame.span_ms // 86_400_000
        raise InvalidData(f"{days} days of {frame.name} are {bars} bars; at most {most} days can be tested")
    return bars
