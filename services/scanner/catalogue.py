"""Every pattern the scanner knows: direction, kind, how many bars it needs, what it is. Pure data.

``BASELINE_LONG`` and ``BASELINE_SHORT`` are no patterns: records opened at every 7th bar whatever it looks
like, by the same rule as all others. Hit rates are told beside theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from services.scanner.candlestick_names import CANDLESTICKS
from services.scanner.candlesticks import SIDES
from services.scanner.constants import CANDLES_MIN

BASELINE_LONG, BASELINE_SHORT = "_baseline_long", "_baseline_short"
BASELINE_EVERY = 7  # shares no factor with the hours of a day or the minutes of an hour
METHODOLOGY = "/docs/patterns.md"


class Pattern(NamedTuple):
    """A pattern as clients see it; ``definition`` is the exact rule, ``lag`` the bars until it is known."""

    id: str
    name: str
    direction: str  # bullish | bearish | neutral
    category: str  # candlestick | reversal | continuation
    min_candles: int
    description: str
    definition: str
    lag: int


_TALIB = (
    "As TA-Lib's CDL{function} with its default settings; the last bar's range is at least half the ATR(14) "
    "of the window. Confidence is 0.5 + 0.5 × min(1, reach of the formation / 3 ATR)."
)


def _candle(id_: str, name: str, direction: str, description: str, definition: str, bars: int) -> Pattern:
    return Pattern(id_, name, direction, "candlestick", max(CANDLES_MIN, bars), description, definition, 0)


def _chart(id_: str, name: str, direction: str, category: str, description: str, definition: str) -> Pattern:
    return Pattern(id_, name, direction, category, CANDLES_MIN, description, definition, 3)


_ENGULFING = (
    "A body of the other colour that covers the whole body before it and is larger. Confidence is half "
    "the ratio of the bodies, at most 1."
)
_DOUBLE = (
    "Two swing points 5 to 60 bars apart, at most 1 ATR from each other, with at least 2 ATR between them "
    "and the turn in their middle. Confidence is half nearness, half depth (full at 4 ATR)."
)
_SHOULDERS = (
    "Three swing points within 120 bars, the middle one at least 0.5 ATR beyond both others, which "
    "lie within "
    "1.5 ATR of each other; the two turns between them within 2 ATR; the shorter leg at least 0.4 of the "
    "longer. Confidence is the mean of shoulders' nearness, neckline's flatness and prominence (full "
    "at 2 ATR)."
)
_BAND = (
    "Lines of least squares through the last two or three swing highs and lows (five at least in all, 15 to "
    "120 bars), no point more than 0.5 ATR from its line. "
)
_TRIANGLE = (
    _BAND + "The width shrinks to 0.7 or less; a flat line moves at most 0.75 ATR, a sloped one at least 1. "
)

SEVEN = (
    _candle(
        "bullish_engulfing",
        "Bullish engulfing",
        "bullish",
        "A rise that covers the fall before it.",
        _ENGULFING,
        2,
    ),
    _candle(
        "bearish_engulfing",
        "Bearish engulfing",
        "bearish",
        "A fall that covers the rise before it.",
        _ENGULFING,
        2,
    ),
    _candle(
        "hammer",
        "Hammer",
        "bullish",
        "After a fall a small body at the top of a long lower shadow.",
        (
            "Lower shadow at least 0.6 of the range and twice the body, upper at most 0.15; the close "
            "before is below the one five bars earlier."
        ),
        7,
    ),
    _candle(
        "doji",
        "Doji",
        "neutral",
        "Open and close are nearly one price.",
        "The body is at most a tenth of the range, which is at least half the ATR.",
        1,
    ),
    _chart(
        "double_top",
        "Double top",
        "bearish",
        "reversal",
        "Two highs at one price with a dip between them.",
        _DOUBLE,
    ),
    _chart(
        "double_bottom",
        "Double bottom",
        "bullish",
        "reversal",
        "Two lows at one price with a peak between them.",
        _DOUBLE,
    ),
    _chart(
        "head_and_shoulders",
        "Head and shoulders",
        "bearish",
        "reversal",
        "A high between two lower ones of about one height.",
        _SHOULDERS,
    ),
)

CHARTS = (
    _chart(
        "inverse_head_and_shoulders",
        "Inverse head and shoulders",
        "bullish",
        "reversal",
        "A low between two higher ones of about one depth.",
        _SHOULDERS,
    ),
    _chart(
        "triple_top",
        "Triple top",
        "bearish",
        "reversal",
        "Three highs at one price.",
        (
            "Three swing highs in a row, 5 to 60 bars apart, within 1 ATR, at least 2 ATR above the dips "
            "between them."
        ),
    ),
    _chart(
        "triple_bottom",
        "Triple bottom",
        "bullish",
        "reversal",
        "Three lows at one price.",
        (
            "Three swing lows in a row, 5 to 60 bars apart, within 1 ATR, at least 2 ATR below the peaks "
            "between them."
        ),
    ),
    _chart(
        "ascending_triangle",
        "Ascending triangle",
        "bullish",
        "continuation",
        "Rising lows under a flat line of highs.",
        _TRIANGLE + "Flat above, rising below.",
    ),
    _chart(
        "descending_triangle",
        "Descending triangle",
        "bearish",
        "continuation",
        "Falling highs over a flat line of lows.",
        _TRIANGLE + "Flat below, falling above.",
    ),
    _chart(
        "symmetrical_triangle",
        "Symmetrical triangle",
        "neutral",
        "continuation",
        "Falling highs and rising lows that meet.",
        _TRIANGLE + "Falling above, rising below.",
    ),
    _chart(
        "rising_wedge",
        "Rising wedge",
        "bearish",
        "reversal",
        "Two rising lines that meet.",
        _TRIANGLE + "Both lines rise.",
    ),
    _chart(
        "falling_wedge",
        "Falling wedge",
        "bullish",
        "reversal",
        "Two falling lines that meet.",
        _TRIANGLE + "Both lines fall.",
    ),
    _chart(
        "channel_up",
        "Rising channel",
        "bullish",
        "continuation",
        "Two parallel rising lines.",
        _BAND + "The width keeps within 0.8 to 1.25, both lines rise at least 2 ATR.",
    ),
    _chart(
        "channel_down",
        "Falling channel",
        "bearish",
        "continuation",
        "Two parallel falling lines.",
        _BAND + "The width keeps within 0.8 to 1.25, both lines fall at least 2 ATR.",
    ),
    _chart(
        "rectangle",
        "Rectangle",
        "neutral",
        "continuation",
        "Two flat parallel lines.",
        _BAND + "The width keeps within 0.8 to 1.25, no line moves more than 0.75 ATR.",
    ),
    _chart(
        "bull_flag",
        "Bull flag",
        "bullish",
        "continuation",
        "A steep rise, then a short slide that gives back little.",
        (
            "A pole of at least 4 ATR within 15 bars, then 4 to 20 bars to a swing low that gives back a "
            "tenth to a half of it."
        ),
    ),
    _chart(
        "bear_flag",
        "Bear flag",
        "bearish",
        "continuation",
        "A steep fall, then a short rise that gives back little.",
        (
            "A pole of at least 4 ATR within 15 bars, then 4 to 20 bars to a swing high that gives back "
            "a tenth to a half of it."
        ),
    ),
    _chart(
        "cup_and_handle",
        "Cup and handle",
        "bullish",
        "continuation",
        "A round dip between two rims, then a small dip.",
        (
            "Rims 20 to 120 bars apart within 1.5 ATR, a cup at least 3 ATR deep whose closes a parabola "
            "explains to 0.5 or more, a handle of 3 to 20 bars that gives back at most half of it."
        ),
    ),
    _chart(
        "inverse_cup_and_handle",
        "Inverse cup and handle",
        "bearish",
        "continuation",
        "A round peak between two rims, then a small rise.",
        "The cup and handle upside down.",
    ),
    _chart(
        "rounding_bottom",
        "Rounding bottom",
        "bullish",
        "reversal",
        "A slow turn from falling to rising.",
        (
            "Two swing highs 20 to 120 bars apart within 2 ATR, at least 3 ATR above the lowest low "
            "between them; a parabola explains 0.7 or more of the closes, its vertex in the middle third."
        ),
    ),
    _chart(
        "rounding_top",
        "Rounding top",
        "bearish",
        "reversal",
        "A slow turn from rising to falling.",
        "The rounding bottom upside down.",
    ),
)


def _talib() -> tuple[Pattern, ...]:
    found: dict[str, Pattern] = {}
    for candlestick, sides in zip(CANDLESTICKS, SIDES, strict=True):
        for side in sides:
            name = candlestick.name
            if candlestick.side == "both":
                name = f"{name}, {side.direction}"
            definition = _TALIB.format(function=candlestick.function)
            found[side.name] = _candle(
                side.name, name, side.direction, candlestick.shape, definition, candlestick.span
            )
    return tuple(found.values())


PATTERNS: tuple[Pattern, ...] = (*SEVEN, *CHARTS, *_talib())
BY_ID: Mapping[str, Pattern] = {pattern.id: pattern for pattern in PATTERNS}
DIRECTIONS: Mapping[str, str] = {
    **{pattern.id: pattern.direction for pattern in PATTERNS},
    BASELINE_LONG: "bullish",
    BASELINE_SHORT: "bearish",
}
