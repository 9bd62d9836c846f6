"""Every threshold of the analysis, in one place. `docs/methodology.md` explains them.

Distances are in multiples of the ATR of the series' last bar unless said otherwise, so that nothing
depends on the unit of the price.
"""

from __future__ import annotations

CANDLES_MIN = 20  # below, there is no analysis
CANDLES_DEFAULT = 200
CANDLES_MAX = 1000
CANDLES_DEMO = 120

# Decimals of prices by the highest high of the window: the first floor that it reaches.
PRICE_DECIMALS = ((1000.0, 1), (1.0, 2), (0.01, 4), (0.0, 8))
# Decimals of volumes, each by its own size.
VOLUME_DECIMALS = ((1000.0, 0), (1.0, 2), (0.0, 6))

RSI_OVERBOUGHT = 70.0
RSI_OVERSOLD = 30.0
EMA_FAST = 20
EMA_SLOW = 50

SAX_LETTERS = 8
SAX_FLAT = 1e-12  # a standard deviation below this is a flat line
# The quantiles k/7 of the normal distribution: seven letters of equal probability.
SAX_BREAKPOINTS = (-1.067571, -0.565949, -0.180012, 0.180012, 0.565949, 1.067571)

PIVOT_SIDE = 3  # bars on each side that a swing point must top

LEVEL_TOLERANCE_ATR = 0.5
LEVEL_TOLERANCE_CLOSE = 0.002  # a part of the last close
LEVELS_PER_SIDE = 3

REGIME_BARS = 50
REGIME_MOVE_MIN = 2.0
REGIME_R2_MIN = 0.25
REGIME_MOVE_FULL = 8.0  # a move of so many ATR counts in full
WEAK_BELOW = 0.33  # the words of the summary
MODERATE_BELOW = 0.66

CONFIDENCE_MIN = 0.5
CANDLESTICK_BARS = 60  # how far back a candlestick still counts
CANDLESTICK_RANGE_ATR = 0.5
HAMMER_LOWER = 0.6
HAMMER_UPPER = 0.15
HAMMER_BODIES = 2.0
HAMMER_FALL_BARS = 5  # the close before the hammer is below the one so many bars before it
HAMMER_FULL = 0.3
DOJI_BODY = 0.1
DOUBLE_SPAN_MIN = 5
DOUBLE_SPAN_MAX = 60
DOUBLE_APART = 1.0
DOUBLE_DEPTH = 2.0
DOUBLE_DEPTH_FULL = 4.0
SHOULDERS_SPAN_MAX = 120
SHOULDERS_PROMINENCE = 0.5
SHOULDERS_PROMINENCE_FULL = 2.0
SHOULDERS_APART = 1.5
SHOULDERS_NECK = 2.0
SHOULDERS_LEGS = 0.4

ANALOG_WINDOW = 32
ANALOG_HORIZON = 20
ANALOG_PARAMETER_MIN = 2
ANALOG_PARAMETER_MAX = 500
ANALOG_CANDLES = 5000
ANALOG_SIMILARITY = 0.8
ANALOG_MATCHES_MAX = 50
ANALOG_FLAT = 1e-12
ANALOG_DECIMALS = 12  # similarities are compared at so many decimals

EVIDENCE_HORIZON = 10  # bars after a formation became known
EVIDENCE_BANDS = (0.5, 0.75)  # confidences from here on are counted together
EVIDENCE_Z = 1.96
