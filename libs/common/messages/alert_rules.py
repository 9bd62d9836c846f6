"""Messages owned by alerts: rules, beyond the broker's contract. Major 1 of each.

A rule is judged once per closed bar of its symbol and timeframe. Its condition is a tree of ``all`` and
``any`` over leaves; a leaf is a level, which is true or false on every bar, or an event, which is true on
its bar and ``within - 1`` bars after. It fires when its tree turns true.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Op = Literal["above", "below"]
Crossing = Literal["above", "below", "crosses_above", "crosses_below"]
Direction = Literal["bullish", "bearish", "neutral", "any"]
Period = Annotated[int, Meta(ge=2, le=200)]
Within = Annotated[int, Meta(ge=1, le=50, description="Bars on which the event counts, its own included.")]
Hysteresis = Annotated[
    float, Meta(ge=0, le=1e12, description="How far beyond the level it must return to turn false.")
]
Number = Annotated[float, Meta(ge=-1e12, le=1e12)]


class _Node(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="type"):
    """A node of the tree; ``type`` says which."""


class AllOf(_Node, frozen=True, kw_only=True, tag="all"):
    """True when every part is."""

    of: Annotated[tuple[Expression, ...], Meta(min_length=1, max_length=5)]


class AnyOf(_Node, frozen=True, kw_only=True, tag="any"):
    """True when one part is."""

    of: Annotated[tuple[Expression, ...], Meta(min_length=1, max_length=5)]


class Price(_Node, frozen=True, kw_only=True, tag="price"):
    """A price of the bar against a value. Crossing compares with the same price of the bar before."""

    op: Crossing
    value: Annotated[float, Meta(gt=0, le=1e12)]
    of: Literal["close", "high", "low"] = "close"
    hysteresis: Hysteresis = 0.0


class Change(_Node, frozen=True, kw_only=True, tag="change"):
    """The change of the close over so many bars, in percent."""

    op: Op
    percent: Number
    bars: Annotated[int, Meta(ge=1, le=500)]
    hysteresis: Hysteresis = 0.0


class Rsi(_Node, frozen=True, kw_only=True, tag="rsi"):
    """Wilder's RSI, 0 to 100."""

    op: Crossing
    value: Annotated[float, Meta(ge=0, le=100)]
    period: Period = 14
    hysteresis: Hysteresis = 0.0


class EmaCross(_Node, frozen=True, kw_only=True, tag="ema_cross"):
    """The fast average of the close crosses the slow one: an event."""

    direction: Literal["up", "down"]
    fast: Period = 20
    slow: Period = 50
    within: Within = 1


class Atr(_Node, frozen=True, kw_only=True, tag="atr"):
    """The average true range, in percent of the close."""

    op: Op
    percent: Annotated[float, Meta(ge=0, le=1e6)]
    period: Period = 14
    hysteresis: Hysteresis = 0.0


class VolumeZ(_Node, frozen=True, kw_only=True, tag="volume_z"):
    """How unusual the volume is beside the bars before it (robust z-score of its logarithm)."""

    op: Op
    value: Number
    window: Annotated[int, Meta(ge=8, le=500)] = 96
    hysteresis: Hysteresis = 0.0


class Pattern(_Node, frozen=True, kw_only=True, tag="pattern"):
    """The scanner detected a pattern: an event. An empty ``pattern`` is any."""

    pattern: Annotated[str, Meta(max_length=64)] = ""
    direction: Direction = "any"
    min_confidence: Annotated[float, Meta(ge=0, le=1)] = 0.0
    within: Within = 1


class Regime(_Node, frozen=True, kw_only=True, tag="regime"):
    """The regime flipped to this: an event."""

    to: Literal["up", "down", "range", "any"] = "any"
    within: Within = 1


class LevelBreak(_Node, frozen=True, kw_only=True, tag="level_break"):
    """A bar closed beyond a level that stood before it: an event."""

    kind: Literal["support", "resistance", "any"] = "any"
    within: Within = 1


class Signal(_Node, frozen=True, kw_only=True, tag="signal"):
    """A signal was recorded: an event. An empty ``name`` is any."""

    name: Annotated[str, Meta(max_length=64)] = ""
    direction: Direction = "any"
    within: Within = 1


class Depeg(_Node, frozen=True, kw_only=True, tag="depeg"):
    """A stablecoin left its dollar, or came back: an event, on the rule's first bar that closes after it.

    ``token`` is the symbol or the id of a token, empty is any; ``level`` is warn (1 % off or more), alert
    (5 % off or more) or ok (back).
    """

    token: Annotated[str, Meta(max_length=128)] = ""
    level: Literal["warn", "alert", "ok"] = "warn"
    within: Within = 1


Leaf = Price | Change | Rsi | EmaCross | Atr | VolumeZ | Pattern | Regime | LevelBreak | Signal | Depeg
Expression = AllOf | AnyOf | Leaf


class Clock(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Hours of the wall: from ``start`` to ``end`` (HH:MM), over midnight when ``end`` is not later."""

    start: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]
    end: Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Schedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a rule may speak: on ``days`` (1 Monday to 7 Sunday) in ``active`` hours, outside of ``quiet``.

    What fires at other times is counted and told together as soon as it may speak again.
    """

    timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    days: Annotated[tuple[Annotated[int, Meta(ge=1, le=7)], ...], Meta(min_length=1, max_length=7)] = (
        1,
        2,
        3,
        4,
        5,
        6,
        7,
    )
    active: Clock | None = None
    quiet: Clock | None = None


class RuleBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a rule is. ``channels`` None: those the person switched on; empty: list and push only."""

    symbol: str
    timeframe: str
    when: Expression
    name: str = ""
    message: str = ""
    repeat: bool = False
    cooldown_s: int = 0
    expires_at: int = 0  # Unix s, 0 = never
    schedule: Schedule = Schedule()
    channels: tuple[str, ...] | None = None


class RuleView(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as its owner sees it. ``status``: active, triggered, disabled, expired. Times in Unix s."""

    id: int
    login: int
    status: str
    rule: RuleBody
    created_at: int
    updated_at: int
    fired_at: int
    fired_count: int
    held_back: int


class RuleListAsk(msgspec.Struct, frozen=True, kw_only=True):
    """An account's rules."""

    login: int


class RuleList(msgspec.Struct, frozen=True):
    """``{"rules":[…]}``, oldest first."""

    rules: Sequence[RuleView]


class RuleAsk(msgspec.Struct, frozen=True, kw_only=True):
    """One rule: read it, or take it away."""

    login: int
    id: int


class RuleCreate(msgspec.Struct, frozen=True, kw_only=True):
    """Arm a rule. ``group`` is the account's: it says which symbols it sees."""

    login: int
    group: str
    rule: RuleBody


class RulePut(msgspec.Struct, frozen=True, kw_only=True):
    """Replace a rule, and switch it on or off; a rule that is switched on begins anew."""

    login: int
    group: str
    id: int
    rule: RuleBody
    enabled: bool = True


class RuleTest(msgspec.Struct, frozen=True, kw_only=True):
    """When a rule would have fired over the last ``days`` of candles."""

    login: int
    group: str
    rule: RuleBody
    days: int = 30


class RuleHit(msgspec.Struct, frozen=True, kw_only=True):
    """A bar at which a rule's tree turned true, or at which it told what it had held back.

    ``told``: yes, cooldown, quiet (held back until it may speak), or summary (tells ``held_back``
    earlier ones, with no hit of its own). Times in Unix s.
    """

    bar_open: int
    bar_close: int
    price: float
    told: str
    held_back: int = 0


class RuleTested(msgspec.Struct, frozen=True, kw_only=True):
    """``events_from``: since when events are known (Unix s, 0 when the rule asks for none)."""

    bars: int
    first_bar: int
    last_bar: int
    events_from: int
    hits: Sequence[RuleHit]
    truncated: bool


class RuleHitsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The hits of a rule, newest first."""

    login: int
    id: int
    limit: int = 100
    offset: int = 0


class RuleHits(msgspec.Struct, frozen=True):
    """``{"hits":[…]}``."""

    hits: Sequence[RuleHit]
