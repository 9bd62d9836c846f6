"""The retry schedule grows whatever the dice say, and ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from services.notifier.retry import (
    ATTEMPTS_MAX,
    DELAYS_MS,
    HOUR_MS,
    LIFETIME_MS,
    WAIT_ASKED_MS_MAX,
    delay_ms,
    is_given_up,
    next_due_ms,
)

dice = st.floats(0, 1, exclude_max=True)


@given(attempts=st.integers(1, ATTEMPTS_MAX - 2), first=dice, second=dice)
def test_each_delay_is_longer_than_the_one_before_whatever_the_dice_say(
    attempts: int, first: float, second: float
) -> None:
    assert delay_ms(attempts, first) < delay_ms(attempts + 1, second)


@given(attempts=st.integers(1, 100), roll=dice)
def test_a_delay_stays_within_a_quarter_of_its_step(attempts: int, roll: float) -> None:
    base = DELAYS_MS[min(attempts, len(DELAYS_MS)) - 1]
    assert 0.75 * base - 1 <= delay_ms(attempts, roll) <= 1.25 * base + 1


@given(now_ms=st.integers(0, 2**42), attempts=st.integers(1, 20), roll=dice, asked=st.floats(-10, 1e9))
def test_a_receiver_that_says_how_long_is_not_asked_earlier_and_not_obeyed_for_ever(
    now_ms: int, attempts: int, roll: float, asked: float
) -> None:
    due_ms = next_due_ms(now_ms, attempts, roll, asked)
    assert due_ms >= now_ms + min(asked * 1000, WAIT_ASKED_MS_MAX) - 1
    assert due_ms <= now_ms + max(delay_ms(attempts, roll), WAIT_ASKED_MS_MAX)


@given(rolls=st.lists(dice, min_size=ATTEMPTS_MAX, max_size=ATTEMPTS_MAX))
def test_a_receiver_that_never_answers_is_given_up_after_twelve_attempts_within_a_day(
    rolls: list[float],
) -> None:
    now_ms = attempts = 0
    expires_ms = LIFETIME_MS
    while True:
        attempts += 1
        due_ms = next_due_ms(now_ms, attempts, rolls[attempts - 1])
        if is_given_up(attempts, due_ms, expires_ms):
            break
        now_ms = due_ms
    assert attempts == ATTEMPTS_MAX
    assert 5 * HOUR_MS < now_ms < 12 * HOUR_MS


def test_what_would_come_too_late_is_given_up_before_its_last_attempt() -> None:
    assert is_given_up(1, due_ms=1000, expires_ms=1000)
    assert not is_given_up(1, due_ms=999, expires_ms=1000)
