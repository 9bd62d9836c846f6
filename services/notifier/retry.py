"""When a delivery that did not get through is tried again. Pure."""

from __future__ import annotations

SECOND_MS = 1_000
MINUTE_MS = 60 * SECOND_MS
HOUR_MS = 60 * MINUTE_MS

# The delay after the first, second, … failed attempt. With the jitter on it, each is longer than the one
# before it whatever the dice say: a step is at least 1.7 times (1 + JITTER) / (1 - JITTER).
DELAYS_MS = (
    2 * SECOND_MS,
    5 * SECOND_MS,
    15 * SECOND_MS,
    45 * SECOND_MS,
    2 * MINUTE_MS,
    5 * MINUTE_MS,
    15 * MINUTE_MS,
    30 * MINUTE_MS,
    HOUR_MS,
    2 * HOUR_MS,
    4 * HOUR_MS,
)
ATTEMPTS_MAX = len(DELAYS_MS) + 1
JITTER = 0.25
LIFETIME_MS = 24 * HOUR_MS  # an alert of yesterday helps nobody
WAIT_ASKED_MS_MAX = HOUR_MS  # what a receiver may ask us to wait


def delay_ms(attempts: int, dice: float) -> int:
    """The delay after ``attempts`` (>= 1) failed ones; ``dice`` in [0, 1) spreads it by ±25 %."""
    base = DELAYS_MS[min(attempts, len(DELAYS_MS)) - 1]
    return round(base * (1 - JITTER + 2 * JITTER * dice))


def next_due_ms(now_ms: int, attempts: int, dice: float, asked_s: float | None = None) -> int:
    """When to try again; a receiver that said how long to wait is not asked earlier."""
    wait_ms = delay_ms(attempts, dice)
    if asked_s is not None and asked_s > 0:
        wait_ms = max(wait_ms, min(round(asked_s * 1000), WAIT_ASKED_MS_MAX))
    return now_ms + wait_ms


def is_given_up(attempts: int, due_ms: int, expires_ms: int) -> bool:
    """Whether there is no further attempt: too many were made, or the next would come too late."""
    return attempts >= ATTEMPTS_MAX or due_ms >= expires_ms
