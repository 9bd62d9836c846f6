"""What is shown beside the paths: stablecoins, shares of pools, the guard, means, bars, frames."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from libs.common.messages import pricing as m
from services.pricing import sample, views
from services.pricing.board import Board
from services.pricing.history import (
    HOUR_MS,
    MINUTE_MS,
    TWAP_MS,
    Recent,
    Sample,
    merged,
    opened,
)
from services.pricing.liquidity import PoolPart, analyse
from services.pricing.oracle import Reading
from services.pricing.push import Said, is_due
from services.pricing.rules import DEFAULT
from services.pricing.shares import order_of
from services.pricing.tape import Tape
from services.pricing.tokens import Pool, Token
from tests.unit.pricing.worlds import NOW_MS

QUOTES = {"BTCUSD": 70_000.0, "ETHUSD": 3_500.0, "SOLUSD": 150.0, "XAUUSD": 2_300.0}
READING = Reading(70_000.0, 0.9, "market", NOW_MS, False)


@pytest.fixture
def board() -> Board:
    made = Board(sample.tokens(), sample.pools(QUOTES, NOW_MS), sample.ANCHOR_ID, DEFAULT)
    made.reprice(NOW_MS, READING)
    return made


def number_of(board: Board, symbol: str) -> int:
    return next(n for n, token in enumerate(board.graph.tokens) if token.symbol == symbol)


def test_the_sample_has_sure_prices_near_what_it_was_made_of(board: Board) -> None:
    assert sum(board.confidence[n] >= 0.8 for n in board.listed) >= 8
    assert board.usd[number_of(board, "STX")] == pytest.approx(1.575, rel=0.01)
    assert board.usd[number_of(board, "sETH")] == pytest.approx(3_500, rel=0.01)
    again = Board(sample.tokens(), sample.pools(QUOTES, NOW_MS), sample.ANCHOR_ID, DEFAULT)
    again.reprice(NOW_MS, READING)
    assert again.usd.tobytes() == board.usd.tobytes()


def test_the_anchor_and_stablecoins_are_what_they_are(board: Board) -> None:
    anchor = views.token_price(board, board.graph.anchor, whole=True)
    assert (anchor.usd_price, anchor.sbtc_ratio, anchor.confidence) == (70_000.0, 1.0, 0.9)
    assert (anchor.primary_path, anchor.alternative_path_count) == (None, 0)
    dollar = views.token_price(board, number_of(board, "aeUSDC"), whole=True)
    assert (dollar.usd_price, dollar.sbtc_ratio, dollar.confidence) == (1.0, 1.0 / 70_000.0, 1.0)
    assert dollar.calculation_details.method == "stablecoin_override"
    assert dollar.calculation_details.paths_used == 0
    assert dollar.market_price == pytest.approx(1.0, rel=0.01)
    assert dollar.peg_deviation_pct == pytest.approx((dollar.market_price - 1) * 100)  # type: ignore[operator]
    assert dollar.total_liquidity > 1e6


def test_a_lost_peg_is_shown_at_its_market_price_with_a_tag() -> None:
    pools = [
        replace(pool, reserve_a=pool.reserve_a * 100 // 80) if pool.a.endswith("aeusdc") else pool
        for pool in sample.pools(QUOTES, NOW_MS)
    ]
    lost = {token.id for token in sample.tokens() if token.symbol == "aeUSDC"}
    made = Board(sample.tokens(), pools, sample.ANCHOR_ID, DEFAULT, lost=lost)
    made.reprice(NOW_MS, READING)
    shown = views.token_price(made, number_of(made, "aeUSDC"), whole=False)
    assert shown.usd_price != 1.0
    assert shown.tags == ["depeg"]
    assert shown.calculation_details.method is msgspec.UNSET


def test_a_share_is_worth_what_it_can_be_redeemed_for(board: Board) -> None:
    shown = views.token_price(board, number_of(board, "CHA-sBTC"), whole=False)
    pool = board.graph.pools[board.graph.pool_index["sample.cha-sbtc"]]
    worth = pool.reserve_a / 10**6 * board.usd[number_of(board, "CHA")] + pool.reserve_b / 10**8 * 70_000.0
    assert shown.is_lp_token is True
    assert shown.intrinsic_value == shown.usd_price == pytest.approx(worth / 10**9)
    assert shown.total_liquidity == pytest.approx(worth)
    assert (shown.confidence, shown.nest_level) == (pytest.approx(0.72), 1)


def test_a_share_that_trades_is_a_blend_and_a_gap_is_arbitrage(board: Board) -> None:
    share = board.graph.tokens[number_of(board, "CHA-sBTC")]
    value = float(board.usd[board.graph.index[share.id]])
    market = [
        Pool(f"lp{n}", share.id, sample.ANCHOR_ID, int(9e4 / (value * 1.1) * 10**6), int(9e4 / 7e4 * 1e8))
        for n in range(3)
    ]
    pools = [*sample.pools(QUOTES, NOW_MS), *(replace(pool, updated_ms=NOW_MS) for pool in market)]
    made = Board(sample.tokens(), pools, sample.ANCHOR_ID, DEFAULT)
    made.reprice(NOW_MS, READING)
    shown = views.token_price(made, made.graph.index[share.id], whole=False)
    assert value < shown.usd_price < value * 1.1
    assert shown.price_deviation == pytest.approx(10.0, abs=0.5)
    assert shown.is_arbitrage_opportunity is True


def test_shares_of_shares_come_after_what_they_are_made_of() -> None:
    tokens = {
        name: Token(name, name, "", 6, lp_pool=pool, lp_supply=1 if pool else 0)
        for name, pool in (
            ("x.a", ""),
            ("x.b", ""),
            ("x.l1", "p1"),
            ("x.l2", "p2"),
            ("x.c1", "q1"),
            ("x.c2", "q2"),
        )
    }
    ends = {"p1": ("x.a", "x.b"), "p2": ("x.a", "x.l1"), "q1": ("x.c2", "x.a"), "q2": ("x.c1", "x.a")}
    pools = {name: Pool(name, a, b, 1, 1) for name, (a, b) in ends.items()}
    assert order_of(tokens, pools) == [("x.l1", 1), ("x.l2", 2)]  # those that hold each other are left out


def test_a_price_far_from_its_mean_counts_half(board: Board) -> None:
    cha = number_of(board, "CHA")
    usd, sure = float(board.usd[cha]), float(board.confidence[cha])
    board.twap[cha] = usd / 1.11
    board.reprice(NOW_MS, READING)
    assert board.confidence[cha] == sure * 0.5
    shown = views.token_price(board, cha, whole=False)
    assert isinstance(shown.twap, m.Twap) and shown.twap.guarded
    assert shown.twap.deviation_pct == pytest.approx(11.0)
    board.twap[cha] = usd / 1.09
    board.reprice(NOW_MS, READING)
    assert board.confidence[cha] == sure


def test_filters_order_and_limits(board: Board) -> None:
    def symbols(**ask: object) -> list[str]:
        found = views.chosen(board, m.PriceListAsk(**ask))  # type: ignore[arg-type]
        return [board.graph.tokens[n].symbol for n in found]

    everyone = symbols()
    assert everyone[0] == "aeUSDC"
    keys = [
        (-board.confidence[n], -board.graph.node_liquidity[n], n)
        for n in views.chosen(board, m.PriceListAsk())
    ]
    assert keys == sorted(keys)
    assert set(symbols(symbols="cha, SBTC ,stx,nope")) == {"CHA", "sBTC", "STX"}
    assert symbols(min_confidence=0.95) == ["aeUSDC"]
    assert symbols(ids=[".stx"]) == ["STX"]


def test_the_explanation_adds_up_to_the_price(board: Board) -> None:
    cha = number_of(board, "CHA")
    told = views.explanation(board, cha)
    kept = [path for path in told.paths if path.dropped is None]
    total = sum(path.weight for path in kept)
    assert sum(path.weight * path.ratio for path in kept) / total == pytest.approx(board.ratio[cha])
    sure = (0.4 * told.consistency + 0.4 * told.liquidity + 0.2 * told.path_count) * told.btc_confidence
    assert sure * told.freshness == pytest.approx(board.confidence[cha])
    assert told.paths_found == len(told.paths) > len(kept)
    assert all(path.dropped for path in told.paths[10:])


def test_a_quote_costs_more_than_the_spot_and_more_for_more(board: Board) -> None:
    cha = number_of(board, "CHA")
    for side in ("buy", "sell"):
        impacts = []
        for size in (10.0, 1_000.0, 100_000.0):
            found = views.quote(board, cha, m.TokenQuoteAsk(token_id="x", side=side, size_usd=size))
            assert found is not None
            assert sum(leg.share for leg in found.legs) == pytest.approx(1.0)
            impacts.append(found.impact_pct)
        assert impacts == sorted(impacts)
        assert impacts[0] > -1.0  # paths disagree by less than the fee and the band
        assert impacts[-1] > 2.0


def test_concentration_and_risk() -> None:
    one = analyse([PoolPart(0, 90_000, 0), PoolPart(1, 10_000, 0)])
    assert (one.concentrated, one.diversified) == (True, False)
    assert one.hhi == pytest.approx(0.82)
    assert [part.risk for part in one.parts] == ["low", "high"]
    three = analyse([PoolPart(n, 40_000, 13 * HOUR_MS) for n in range(3)])
    assert (three.concentrated, three.diversified) == (False, True)
    assert {part.risk for part in three.parts} == {"medium"}
    assert analyse([]).total == 0
    assert analyse([PoolPart(0, 900, 11 * MINUTE_MS)]).parts[0].warnings == (
        "low liquidity",
        "stale reserves",
    )


# ── over time ─────────────────────────────────────────────────────────────────────────────────────

SAMPLES = st.lists(st.tuples(st.integers(1, 20 * MINUTE_MS), st.floats(0.01, 1e6)), min_size=1, max_size=40)


def over_time(steps: list[tuple[int, float]]) -> list[Sample]:
    at_ms, made = 1_800_000_000_000, []
    for gap, usd in steps:
        at_ms += gap
        made.append(Sample(at_ms, usd, usd / 1e5, 0.9))
    return made


@given(SAMPLES)
def test_the_mean_is_that_of_the_price_held_between_samples(steps: list[tuple[int, float]]) -> None:
    samples = over_time(steps)
    recent = Recent()
    for sampled in samples:
        recent.add(sampled.at_ms, sampled.usd)
    now_ms = samples[-1].at_ms + 7_000
    total = covered = 0.0
    for number, sampled in enumerate(samples):
        until = samples[number + 1].at_ms if number + 1 < len(samples) else now_ms
        held = until - max(sampled.at_ms, now_ms - TWAP_MS)
        if held > 0:
            total, covered = total + sampled.usd * held, covered + held
    mean = recent.mean(now_ms)
    if covered < 5 * MINUTE_MS:
        assert mean is None
    else:
        assert mean == pytest.approx(total / covered)


@given(SAMPLES)
def test_bars_hold_every_price_and_hours_are_made_of_minutes(steps: list[tuple[int, float]]) -> None:
    samples = over_time(steps)
    tape = Tape()
    stored = []
    for sampled in samples:
        tape.note("x", sampled)
        if int(sampled.usd) % 3 == 0:
            stored += tape.due(sampled.at_ms)
            tape.stored()
    stored += tape.due(samples[-1].at_ms, everything=True)
    minutes = {bar.begin_ms: bar for _, width, bar in stored if width == MINUTE_MS}
    for begin_ms, bar in minutes.items():
        inside = [s.usd for s in samples if begin_ms <= s.at_ms < begin_ms + MINUTE_MS]
        assert (bar.open, bar.high, bar.low, bar.close) == (inside[0], max(inside), min(inside), inside[-1])
    assert minutes.keys() == {opened(s, MINUTE_MS).begin_ms for s in samples}
    hours = merged([minutes[begin] for begin in sorted(minutes)], HOUR_MS)
    for bar in hours:
        inside = [s.usd for s in samples if bar.begin_ms <= s.at_ms < bar.begin_ms + HOUR_MS]
        assert (bar.open, bar.high, bar.low, bar.close) == (inside[0], max(inside), min(inside), inside[-1])


def test_a_frame_is_due_when_new_moved_less_sure_or_quiet() -> None:
    said = Said(100.0, 0.9, NOW_MS, 4)
    assert is_due(None, 100.0, 0.9, NOW_MS)
    assert not is_due(said, 100.49, 0.9, NOW_MS + 29_999)
    assert is_due(said, 100.5, 0.9, NOW_MS)
    assert is_due(said, 99.5, 0.9, NOW_MS)
    assert is_due(said, 100.0, 0.84, NOW_MS)
    assert is_due(said, 100.0, 0.9, NOW_MS + 30_000)


def test_old_reserves_cost_confidence_and_say_so() -> None:
    hour_old = sample.pools(QUOTES, NOW_MS - HOUR_MS)
    made = Board(sample.tokens(), hour_old, sample.ANCHOR_ID, DEFAULT)
    made.reprice(NOW_MS, READING)
    shown = views.token_price(made, number_of(made, "CHA"), whole=False)
    assert shown.freshness.stale
    assert shown.freshness.oldest_reserve_age_ms == HOUR_MS
    assert shown.confidence < 0.9 * 2 ** (-55 / 30) + 1e-9
    assert np.isfinite(made.confidence).all()
