"""Every condition as levels of the trigger book. Pure and exact.

Prices are compared as the decimals they are printed as. A double compares like its shortest decimal,
so a target needs no more; a level that is computed (reference ± threshold) is computed in decimals and
rounded away from the price to 15 digits, the most that every decimal keeps through a double: a price of
up to 15 digits reaches the rounded level exactly when it reaches the true one.
"""

from __future__ import annotations

import math
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

from libs.common.trigger_book import Kind
from services.alerts.alert import Alert, Condition

Level = tuple[Kind, float]

_EXACT = Context(prec=80)
_UPWARDS = Context(prec=15, rounding=ROUND_CEILING)
_DOWNWARDS = Context(prec=15, rounding=ROUND_FLOOR)


def levels_of(alert: Alert, reference: float | None = None) -> tuple[Level, ...]:
    """What to arm for an alert; nothing where no price can ever meet it.

    A channel is watched by its edges, and whether a candidate meets the condition is for ``meets`` to
    say. ``reference`` stands for the alert's own when that has moved on.
    """
    target, low, high = alert.target_price, alert.channel_low, alert.channel_high
    match alert.condition:
        case Condition.CROSSING_UP:
            return ((Kind.TOUCH_UP, target),)
        case Condition.CROSSING_DOWN:
            return ((Kind.TOUCH_DOWN, target),)
        case Condition.GREATER:
            return ((Kind.ABOVE, target),)
        case Condition.LESS:
            return ((Kind.BELOW, target),)
        case Condition.CROSSING:
            return ((Kind.TOUCH_UP, target), (Kind.TOUCH_DOWN, target))
        case Condition.ENTERING | Condition.INSIDE:
            return ((Kind.TOUCH_UP, low), (Kind.TOUCH_DOWN, high))
        case Condition.EXITING | Condition.OUTSIDE:
            return (
                (Kind.TOUCH_UP, math.nextafter(high, math.inf)),
                (Kind.TOUCH_DOWN, math.nextafter(low, -math.inf)),
            )
        case _:
            return _moving(alert, alert.reference_price if reference is None else reference)


def _moving(alert: Alert, reference: float) -> tuple[Level, ...]:
    upwards = alert.condition in (Condition.MOVING_UP, Condition.MOVING_UP_PERCENT)
    level = _moved(alert, reference, upwards)
    if not math.isfinite(level) or level <= 0:
        return ()
    return ((Kind.AT_OR_ABOVE if upwards else Kind.AT_OR_BELOW, level),)


def _moved(alert: Alert, reference: float, upwards: bool) -> float:
    """The price that is the threshold away from ``reference``."""
    base, threshold = Decimal(str(reference)), Decimal(str(alert.move_threshold))
    if alert.condition in (Condition.MOVING_UP_PERCENT, Condition.MOVING_DOWN_PERCENT):
        threshold = _EXACT.divide(_EXACT.multiply(base, threshold), Decimal(100))
    if upwards:
        return float(_UPWARDS.plus(_EXACT.add(base, threshold)))
    return float(_DOWNWARDS.plus(_EXACT.subtract(base, threshold)))


def meets(alert: Alert, before: float | None, price: float) -> bool:
    """Whether a candidate of a channel condition is a hit: the exact predicate of broker 8.7."""
    inside = alert.channel_low <= price <= alert.channel_high
    was_inside = before is not None and alert.channel_low <= before <= alert.channel_high
    match alert.condition:
        case Condition.ENTERING:
            return before is not None and not was_inside and inside
        case Condition.EXITING:
            return was_inside and not inside
        case Condition.INSIDE:
            return inside and not was_inside
        case Condition.OUTSIDE:
            return not inside and (before is None or was_inside)
        case _:
            return True


def holds(alert: Alert, price: float) -> bool:
    """Whether a level condition (2, 3, 6, 7, 8 to 11) is true at ``price``; a crossing never holds."""
    match alert.condition:
        case Condition.INSIDE:
            return alert.channel_low <= price <= alert.channel_high
        case Condition.OUTSIDE:
            return not alert.channel_low <= price <= alert.channel_high
        case Condition.GREATER:
            return price > alert.target_price
        case Condition.LESS:
            return price < alert.target_price
        case (
            Condition.MOVING_UP
            | Condition.MOVING_DOWN
            | Condition.MOVING_UP_PERCENT
            | Condition.MOVING_DOWN_PERCENT
        ):
            return any(
                price >= level if kind is Kind.AT_OR_ABOVE else price <= level
                for kind, level in levels_of(alert)
            )
        case _:
            return False
