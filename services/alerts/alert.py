"""A price alert: its fields, and what its numbers mean (broker 8 and 10.5). Pure."""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import msgspec

INT64_MAX = 2**63 - 1


class Condition(IntEnum):
    """What an alert waits for; p is the price of its side, q the one before (broker 8.7)."""

    CROSSING_UP = 0  # q < T <= p
    CROSSING_DOWN = 1  # q > T >= p
    GREATER = 2  # p > T
    LESS = 3  # p < T
    ENTERING = 4  # q outside, p inside the channel
    EXITING = 5  # q inside, p outside the channel
    INSIDE = 6
    OUTSIDE = 7
    MOVING_UP = 8  # p - reference >= M
    MOVING_DOWN = 9  # reference - p >= M
    MOVING_UP_PERCENT = 10
    MOVING_DOWN_PERCENT = 11
    CROSSING = 12  # up or down


TARGET = frozenset(
    {Condition.CROSSING_UP, Condition.CROSSING_DOWN, Condition.GREATER, Condition.LESS, Condition.CROSSING}
)
CHANNEL = frozenset({Condition.ENTERING, Condition.EXITING, Condition.INSIDE, Condition.OUTSIDE})
MOVING = frozenset(
    {
        Condition.MOVING_UP,
        Condition.MOVING_DOWN,
        Condition.MOVING_UP_PERCENT,
        Condition.MOVING_DOWN_PERCENT,
    }
)


class Side(IntEnum):
    """Which price is watched."""

    BID = 0
    ASK = 1


class Status(IntEnum):
    """Where an alert stands; a deleted one leaves the table."""

    ACTIVE = 0
    TRIGGERED = 1
    DISABLED = 2
    DELETED = 3
    EXPIRED = 4


class Told(NamedTuple):
    """What a hit tells of its alert, in the order of the client's frame (broker 11.2)."""

    id: int
    login: int
    symbol: str
    indicator_name: str
    message: str
    side: int
    condition: int
    target_price: float
    channel_low: float
    channel_high: float
    move_threshold: float
    status: int
    repeat_mode: int
    expires_at: int


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A row of the table ``alert``. Prices are 0 where they are not set; times are Unix ms or s as named.

    ``profile`` is the price profile whose ticks are watched, empty while the group can't see the symbol.
    ``armed_seq`` is the last tick known when it was armed, ``fired_seq`` the tick it last fired on.
    """

    id: int
    login: int
    group: str
    profile: str
    symbol: str
    indicator_name: str
    message: str
    side: int
    condition: int
    target_price: float
    channel_low: float
    channel_high: float
    move_threshold: float
    status: int
    repeat_mode: int
    created_ms: int
    updated_ms: int
    expires_at: int  # Unix s, 0 = never
    triggered_ms: int
    triggered_price: float
    reference_price: float
    reference_time: int  # Unix s
    comment: str
    armed_seq: int
    fired_seq: int

    @property
    def told(self) -> Told:
        return Told(*(getattr(self, name) for name in Told._fields))

    @property
    def repeats(self) -> bool:
        return self.repeat_mode == 1

    @property
    def is_active(self) -> bool:
        return self.status == Status.ACTIVE
