"""The line of text, the delta's notes, the alignment of timeframes, and which bars are no bars."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from libs.common.messages import analysis as m
from services.scanner.bars import Bars, bars_of, fault_of
from services.scanner.delta import FIRST_NOTE, Seen, notes_of, seen_of
from services.scanner.patterns import Found
from services.scanner.rendering import alignment_of, analysis_of, codec_of, header_of
from services.scanner.snapshot import ema_state_of, rsi_state_of, snapshot
from services.scanner.summary import change_of, line_of, word_of
from tests.unit.scanner.series import A, B, D, walk


def test_the_line_names_trend_change_rsi_and_the_surest_pattern() -> None:
    assert line_of("BTC/USDT", "4h", snapshot(D)) == (
        "BTC/USDT: range-bound (weak), +1.24% last 4h, RSI 50.3 (neutral), double_bottom (conf 1)."
    )
    assert line_of("X", "1d", snapshot(B)) == "X: range-bound (weak), +0% last 1d, RSI 50 (neutral)."


def test_of_equally_sure_patterns_the_latest_is_named() -> None:
    now = replace(
        snapshot(B),
        patterns=(Found("doji", 0.6, 59, 1), Found("hammer", 0.9, 50, 1), Found("double_top", 0.9, 40, 9)),
    )
    assert line_of("X", "1d", now).endswith(", hammer (conf 0.9).")


@pytest.mark.parametrize(
    ("before", "close", "text"),
    [(100, 101, "+1"), (100, 99.5, "-0.5"), (100, 100.001, "+0"), (100, 99.999, "+0"), (80, 80.104, "+0.13")],
)
def test_a_change_has_its_sign_and_none_at_zero(before: float, close: float, text: str) -> None:
    assert change_of(replace(snapshot(B), before=before, close=close)) == text


@pytest.mark.parametrize(
    ("strength", "word"),
    [(0, "weak"), (0.3299, "weak"), (0.33, "moderate"), (0.42, "moderate"), (0.66, "strong")],
)
def test_a_strength_has_a_word(strength: float, word: str) -> None:
    assert word_of(strength) == word


def test_states_at_their_edges() -> None:
    assert [rsi_state_of(v) for v in (70, 69.99, 30, 30.01)] == [
        "overbought",
        "neutral",
        "oversold",
        "neutral",
    ]
    assert ema_state_of(2, 2, None) == "above_20"
    assert ema_state_of(1.9, 2, None) == "below_20"
    assert [ema_state_of(c, 2, 2) for c in (2, 2.1, 1.9)] == ["mixed", "above_20_50", "below_20_50"]
    assert ema_state_of(2.5, 2, 3) == "mixed"


def test_a_first_look_is_news_and_the_same_look_is_none() -> None:
    seen = seen_of(snapshot(D))
    assert notes_of(None, seen) == (FIRST_NOTE,)
    assert notes_of(seen, seen) == ()
    assert seen == Seen("range", "neutral", ("double_bottom", "double_top"))


def test_news_come_in_the_order_of_the_contract() -> None:
    before = Seen("range", "neutral", ("doji", "hammer"))
    now = Seen("up", "overbought", ("double_top", "doji", "bearish_engulfing"))
    assert notes_of(before, now) == (
        "trend range -> up",
        "new pattern(s): double_top, bearish_engulfing",
        "RSI neutral -> overbought",
    )


def test_a_pattern_that_went_away_is_no_news() -> None:
    assert notes_of(Seen("up", "neutral", ("doji", "hammer")), Seen("up", "neutral", ("doji",))) == ()


def test_a_brief_has_the_fields_of_the_contract_in_their_order() -> None:
    now = snapshot(A)
    brief = m.Brief(
        header=header_of("BTC/USDT", "1h", "synthetic", A),
        codec=codec_of(A, now),
        analysis=analysis_of("BTC/USDT", "1h", now),
        disclaimer="d",
        methodology_url="u",
    )
    body = msgspec.json.decode(msgspec.json.encode(brief))
    assert list(body) == ["header", "codec", "analysis", "disclaimer", "methodologyUrl"]
    assert body["header"] == {
        "sym": "BTC/USDT",
        "tf": "1h",
        "src": "synthetic",
        "n": 60,
        "t0": 0,
        "t1": 212_400_000,
    }
    assert list(body["analysis"]) == ["patterns", "levels", "regime", "indicators", "nl"]
    assert body["analysis"]["regime"] == {"trend": "up", "strength": 1, "volPct": 1.26}
    assert body["analysis"]["indicators"] == {
        "rsi": {"v": 100, "state": "overbought"},
        "ema": {"v": 149.5, "state": "above_20_50"},
    }
    assert b"1.0" not in msgspec.json.encode(brief.analysis)


def test_an_average_below_one_has_the_decimals_of_the_codec() -> None:
    now = snapshot(walk(1, 60, start=0.05, decimals=8))
    assert now.precision == 4
    shown = analysis_of("X/Y", "1h", now).indicators
    assert shown is not msgspec.UNSET
    assert shown.ema.v == round(shown.ema.v, 4) != round(shown.ema.v, 2)


def test_sections_that_were_not_asked_for_are_left_out() -> None:
    body = msgspec.json.encode(analysis_of("X/Y", "1h", snapshot(D), fields=("regime", "nl")))
    assert list(msgspec.json.decode(body)) == ["regime", "nl"]


@pytest.mark.parametrize(
    ("trends", "aligned", "note"),
    [
        ({"1h": "up", "4h": "up", "1d": "down"}, False, "1h up / 4h up / 1d down"),
        ({"1h": "up", "4h": "up"}, True, "1h up / 4h up"),
        ({"1h": "range", "4h": "range"}, False, "1h range / 4h range"),
    ],
)
def test_timeframes_are_aligned_when_all_go_one_way(trends: dict[str, str], aligned: bool, note: str) -> None:
    assert alignment_of(trends) == m.Alignment(aligned=aligned, note=note)


ROW = [3_600_000, 10.0, 12.0, 9.0, 11.0, 5.0]


@pytest.mark.parametrize(
    ("column", "value", "why"),
    [
        (1, float("nan"), "finite"),
        (4, float("inf"), "finite"),
        (5, float("nan"), "finite"),
        (3, 0.0, "above 0"),
        (3, -9.0, "above 0"),
        (2, 10.5, "inside"),
        (3, 10.5, "inside"),
        (5, -1.0, "volume"),
        (0, 0, "one time"),
        (0, -1, "one time"),
    ],
)
def test_what_is_no_series_of_bars(column: int, value: float, why: str) -> None:
    good = [0, 10.0, 12.0, 9.0, 11.0, 5.0]
    bad = [*ROW]
    bad[column] = value
    assert why in (fault_of(bars_of([good, bad])) or "")


def test_a_hole_in_time_is_no_fault() -> None:
    assert fault_of(bars_of([[0, *ROW[1:]], ROW, [99 * 3_600_000, *ROW[1:]]])) is None
    assert fault_of(walk(1, 500)) is None


def test_bars_are_cut_as_views() -> None:
    bars = walk(1, 50)
    last = bars.last(20)
    assert (len(last), len(bars.last(99)), last.open_ms[0]) == (20, 50, bars.open_ms[30])
    assert np.shares_memory(last.close, bars.close)
    assert isinstance(bars.cut(0, 5), Bars)
