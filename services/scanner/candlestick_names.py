"""The 61 candlestick patterns of TA-Lib: what each is called, how many bars it covers, where it points.

A two-sided function makes two patterns, ``…_bullish`` and ``…_bearish``, so that each has a direction and
a record of its own. Pure data; the definitions are sentences, the exact rules are TA-Lib's.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Side = Literal["both", "bullish", "bearish", "neutral"]


class Candlestick(NamedTuple):
    """A function of TA-Lib: its name without ``CDL``, ours, the bars it covers, its side and its shape."""

    function: str
    slug: str
    name: str
    span: int
    side: Side
    continues: bool
    shape: str


def _row(
    function: str, slug: str, name: str, span: int, side: Side, shape: str, *, continues: bool = False
) -> Candlestick:
    return Candlestick(function, slug, name, span, side, continues, shape)


ONE_BAR = (
    _row(
        "BELTHOLD",
        "belt_hold",
        "Belt hold",
        1,
        "both",
        "A long body that opens at one end of its bar and closes near the other.",
    ),
    _row(
        "CLOSINGMARUBOZU",
        "closing_marubozu",
        "Closing marubozu",
        1,
        "both",
        "A long body without a shadow at its closing end.",
    ),
    _row("DOJI", "plain_doji", "Doji (TA-Lib)", 1, "neutral", "Open and close are practically one price."),
    _row(
        "DRAGONFLYDOJI",
        "dragonfly_doji",
        "Dragonfly doji",
        1,
        "bullish",
        "A doji at the top of its bar: all of the range lies below.",
    ),
    _row(
        "GRAVESTONEDOJI",
        "gravestone_doji",
        "Gravestone doji",
        1,
        "bearish",
        "A doji at the bottom of its bar: all of the range lies above.",
    ),
    _row(
        "HAMMER",
        "plain_hammer",
        "Hammer (TA-Lib)",
        1,
        "bullish",
        "A small body at the top with a long lower shadow, at or below the lows before it.",
    ),
    _row(
        "HANGINGMAN",
        "hanging_man",
        "Hanging man",
        1,
        "bearish",
        "The hammer's shape at or above the highs before it.",
    ),
    _row("HIGHWAVE", "high_wave", "High wave", 1, "neutral", "A short body between two very long shadows."),
    _row(
        "INVERTEDHAMMER",
        "inverted_hammer",
        "Inverted hammer",
        1,
        "bullish",
        "A small body at the bottom with a long upper shadow, after a gap down.",
    ),
    _row(
        "LONGLEGGEDDOJI",
        "long_legged_doji",
        "Long-legged doji",
        1,
        "neutral",
        "A doji with at least one long shadow.",
    ),
    _row("LONGLINE", "long_line", "Long line", 1, "both", "A long body with short shadows.", continues=True),
    _row("MARUBOZU", "marubozu", "Marubozu", 1, "both", "A long body without shadows.", continues=True),
    _row(
        "RICKSHAWMAN",
        "rickshaw_man",
        "Rickshaw man",
        1,
        "neutral",
        "A doji in the middle of a bar with two long shadows.",
    ),
    _row(
        "SHOOTINGSTAR",
        "shooting_star",
        "Shooting star",
        1,
        "bearish",
        "A small body at the bottom with a long upper shadow, after a gap up.",
    ),
    _row("SHORTLINE", "short_line", "Short line", 1, "neutral", "A short body with short shadows."),
    _row(
        "SPINNINGTOP",
        "spinning_top",
        "Spinning top",
        1,
        "neutral",
        "A small body with shadows longer than it on both sides.",
    ),
    _row("TAKURI", "takuri", "Takuri", 1, "bullish", "A dragonfly doji with a very long lower shadow."),
)

TWO_BARS = (
    _row(
        "COUNTERATTACK",
        "counterattack",
        "Counterattack",
        2,
        "both",
        "Two long bodies of opposite colour that close at one price.",
    ),
    _row(
        "DARKCLOUDCOVER",
        "dark_cloud_cover",
        "Dark cloud cover",
        2,
        "bearish",
        "After a long rise bar one opens above its high and closes below the middle of its body.",
    ),
    _row("DOJISTAR", "doji_star", "Doji star", 2, "both", "A long body, then a doji that gaps away from it."),
    _row(
        "ENGULFING",
        "plain_engulfing",
        "Engulfing (TA-Lib)",
        2,
        "both",
        "A body that covers the whole body before it, of the other colour.",
    ),
    _row("HARAMI", "harami", "Harami", 2, "both", "A long body, then a short one inside it."),
    _row("HARAMICROSS", "harami_cross", "Harami cross", 2, "both", "A long body, then a doji inside it."),
    _row(
        "HOMINGPIGEON",
        "homing_pigeon",
        "Homing pigeon",
        2,
        "bullish",
        "A long falling body, then a short falling one inside it.",
    ),
    _row(
        "INNECK",
        "in_neck",
        "In-neck",
        2,
        "bearish",
        "After a long fall a rise that opens below its low and closes just into its body.",
        continues=True,
    ),
    _row(
        "KICKING", "kicking", "Kicking", 2, "both", "Two marubozu of opposite colour with a gap between them."
    ),
    _row(
        "KICKINGBYLENGTH",
        "kicking_by_length",
        "Kicking by length",
        2,
        "both",
        "Kicking that points where the longer of its two bars points.",
    ),
    _row(
        "MATCHINGLOW",
        "matching_low",
        "Matching low",
        2,
        "bullish",
        "Two falling bars that close at one price.",
    ),
    _row(
        "ONNECK",
        "on_neck",
        "On-neck",
        2,
        "bearish",
        "After a long fall a rise that opens below its low and closes at it.",
        continues=True,
    ),
    _row(
        "PIERCING",
        "piercing",
        "Piercing line",
        2,
        "bullish",
        "After a long fall bar one opens below its low and closes above the middle of its body.",
    ),
    _row(
        "SEPARATINGLINES",
        "separating_lines",
        "Separating lines",
        2,
        "both",
        "Two bodies of opposite colour that open at one price.",
        continues=True,
    ),
    _row(
        "THRUSTING",
        "thrusting",
        "Thrusting",
        2,
        "bearish",
        "After a long fall a rise that closes into its body but below the middle.",
        continues=True,
    ),
)

THREE_BARS = (
    _row(
        "2CROWS",
        "two_crows",
        "Two crows",
        3,
        "bearish",
        "A long rise, a falling bar that gapped up, and one that falls back into the first body.",
    ),
    _row(
        "3BLACKCROWS",
        "three_black_crows",
        "Three black crows",
        3,
        "bearish",
        "Three long falling bars, each opening in the body before it and closing near its low.",
    ),
    _row(
        "3INSIDE",
        "three_inside",
        "Three inside",
        3,
        "both",
        "A harami whose third bar closes beyond the first one's open.",
    ),
    _row(
        "3OUTSIDE",
        "three_outside",
        "Three outside",
        3,
        "both",
        "An engulfing whose third bar closes further on.",
    ),
    _row(
        "3STARSINSOUTH",
        "three_stars_in_south",
        "Three stars in the south",
        3,
        "bullish",
        "Three falling bars, each smaller and with a higher low.",
    ),
    _row(
        "3WHITESOLDIERS",
        "three_white_soldiers",
        "Three white soldiers",
        3,
        "bullish",
        "Three long rising bars, each opening in the body before it and closing near its high.",
    ),
    _row(
        "ABANDONEDBABY",
        "abandoned_baby",
        "Abandoned baby",
        3,
        "both",
        "A doji with gaps on both sides between two long bars of opposite colour.",
    ),
    _row(
        "ADVANCEBLOCK",
        "advance_block",
        "Advance block",
        3,
        "bearish",
        "Three rising bars that lose strength: smaller bodies, longer upper shadows.",
    ),
    _row(
        "EVENINGDOJISTAR",
        "evening_doji_star",
        "Evening doji star",
        3,
        "bearish",
        "A long rise, a doji above it, and a fall deep into the first body.",
    ),
    _row(
        "EVENINGSTAR",
        "evening_star",
        "Evening star",
        3,
        "bearish",
        "A long rise, a short body above it, and a fall deep into the first body.",
    ),
    _row(
        "GAPSIDESIDEWHITE",
        "gap_side_side_white",
        "Side-by-side white lines",
        3,
        "both",
        "Two rising bars of one size side by side behind a gap.",
        continues=True,
    ),
    _row("HIKKAKE", "hikkake", "Hikkake", 3, "both", "An inside bar whose break fails."),
    _row(
        "IDENTICAL3CROWS",
        "identical_three_crows",
        "Identical three crows",
        3,
        "bearish",
        "Three black crows, each opening at the close before it.",
    ),
    _row(
        "MORNINGDOJISTAR",
        "morning_doji_star",
        "Morning doji star",
        3,
        "bullish",
        "A long fall, a doji below it, and a rise deep into the first body.",
    ),
    _row(
        "MORNINGSTAR",
        "morning_star",
        "Morning star",
        3,
        "bullish",
        "A long fall, a short body below it, and a rise deep into the first body.",
    ),
    _row(
        "STALLEDPATTERN",
        "stalled_pattern",
        "Stalled pattern",
        3,
        "bearish",
        "Two long rises, then a short body at the top of the second.",
    ),
    _row(
        "STICKSANDWICH",
        "stick_sandwich",
        "Stick sandwich",
        3,
        "bullish",
        "A rising bar between two falling ones that close at one price.",
    ),
    _row(
        "TASUKIGAP",
        "tasuki_gap",
        "Tasuki gap",
        3,
        "both",
        "A gap between two bars of one colour that the third fills in part only.",
        continues=True,
    ),
    _row("TRISTAR", "tristar", "Tristar", 3, "both", "Three doji, the middle one gapping away."),
    _row(
        "UNIQUE3RIVER",
        "unique_three_river",
        "Unique three river",
        3,
        "bullish",
        "A long fall, a harami with a new low, and a short rise below it.",
    ),
    _row(
        "UPSIDEGAP2CROWS",
        "upside_gap_two_crows",
        "Upside gap two crows",
        3,
        "bearish",
        "A long rise, then two falling bars above it, the second engulfing the first.",
    ),
    _row(
        "XSIDEGAP3METHODS",
        "gap_three_methods",
        "Gap three methods",
        3,
        "both",
        "Two bars of one colour with a gap that the third one closes.",
        continues=True,
    ),
)

LONGER = (
    _row(
        "3LINESTRIKE",
        "three_line_strike",
        "Three-line strike",
        4,
        "both",
        "Three bars of one colour, then one that takes all three back.",
        continues=True,
    ),
    _row(
        "BREAKAWAY",
        "breakaway",
        "Breakaway",
        5,
        "both",
        "A gap in the trend, three bars on, and one that closes into the gap.",
    ),
    _row(
        "CONCEALBABYSWALL",
        "concealing_baby_swallow",
        "Concealing baby swallow",
        4,
        "bullish",
        "Two falling marubozu, then two falling bars, the last one covering the third.",
    ),
    _row(
        "HIKKAKEMOD",
        "modified_hikkake",
        "Modified hikkake",
        4,
        "both",
        "A hikkake behind a bar that closed at the end of its range.",
    ),
    _row(
        "LADDERBOTTOM",
        "ladder_bottom",
        "Ladder bottom",
        5,
        "bullish",
        "Three falling bars, one with an upper shadow, then a rise that opens above it.",
    ),
    _row(
        "MATHOLD",
        "mat_hold",
        "Mat hold",
        5,
        "bullish",
        "A long rise, three small bars that hold above it, and a new high close.",
        continues=True,
    ),
    _row(
        "RISEFALL3METHODS",
        "three_methods",
        "Rising and falling three methods",
        5,
        "both",
        "A long bar, three small ones against it inside its range, and a close beyond it.",
        continues=True,
    ),
)

CANDLESTICKS: tuple[Candlestick, ...] = (*ONE_BAR, *TWO_BARS, *THREE_BARS, *LONGER)
