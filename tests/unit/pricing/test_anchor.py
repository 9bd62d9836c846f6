"""The anchor's oracle when its sources lie, flap and go away; pegs; time comes from the test."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.pricing.oracle import OPEN_MS, Oracle, SourcePrice, agree, named
from services.pricing.stablecoins import HOLD_MS, Peg, is_stable, watch
from services.pricing.tokens import Token

HOUR_MS = 3_600_000
START_MS = 1_800_000_000_000


def said(**prices: float) -> list[SourcePrice]:
    return [SourcePrice(name, price, number) for number, (name, price) in enumerate(prices.items(), 1)]


def test_one_source_that_lies_by_thirty_per_cent_is_left_out() -> None:
    agreed = agree(said(coingecko=130_000, kraken=100_000, binance=100_100))
    assert agreed is not None
    assert agreed.sources == ("kraken", "binance")
    assert 100_000 <= agreed.price <= 100_100
    assert agreed.confidence > 0.99
    alone = agree(said(kraken=100_000))
    assert alone is not None and (alone.price, alone.confidence) == (100_000, 0.9)
    split = agree(said(kraken=100_000, coingecko=130_000))
    assert split is not None and split.confidence == 0.0


def test_three_that_agree_give_their_median() -> None:
    agreed = agree(said(a=100.0, b=101.0, c=103.0))
    assert agreed is not None
    assert agreed.price == 101.0
    assert agreed.confidence == pytest.approx(1 - 10 * (1 / 101 + 0 + 2 / 101) / 3)


@pytest.mark.parametrize("price", [0.0, -1.0, float("nan"), float("inf")])
def test_what_is_no_price_is_a_failure(price: float) -> None:
    oracle = Oracle()
    oracle.heard([SourcePrice("kraken", price)], {}, START_MS)
    assert oracle.reading(START_MS) is None
    assert oracle.failures_in_row == 1
    assert oracle.circuits["kraken"].failures == 1


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.floats(1e-6, 1e12)), unique_by=lambda s: s[0]))
def test_the_agreed_price_lies_among_those_said(prices: list[tuple[str, float]]) -> None:
    agreed = agree([SourcePrice(name, price) for name, price in prices])
    if not prices:
        assert agreed is None
        return
    assert agreed is not None
    values = [price for _, price in prices]
    assert min(values) * (1 - 1e-12) <= agreed.price <= max(values) * (1 + 1e-12)
    assert 0 <= agreed.confidence <= 1


def test_a_flapping_source_is_asked_until_it_failed_three_times_in_a_row() -> None:
    oracle, now_ms = Oracle(), START_MS
    for ok in (True, False, True, False, False, True, False, False, False):
        assert oracle.to_ask(["kraken"], now_ms) == ["kraken"]
        oracle.heard(said(kraken=100.0) if ok else [], {} if ok else {"kraken": "away"}, now_ms)
        now_ms += 10_000
    opened_ms = now_ms - 10_000
    assert oracle.to_ask(["kraken"], opened_ms + OPEN_MS - 1) == []
    assert oracle.available(["kraken"], opened_ms + OPEN_MS - 1) == []
    assert oracle.to_ask(["kraken"], opened_ms + OPEN_MS) == ["kraken"]
    oracle.heard([], {"kraken": "away"}, opened_ms + OPEN_MS)
    assert oracle.to_ask(["kraken"], opened_ms + OPEN_MS) == ["kraken"]  # three new chances


def test_a_source_whose_circuit_is_open_does_not_keep_the_others_from_agreeing() -> None:
    oracle = Oracle()
    for _ in range(3):
        oracle.heard(said(coingecko=100.0), {"kraken": "away"}, START_MS)
    assert oracle.to_ask(["coingecko", "kraken"], START_MS) == ["coingecko"]
    reading = oracle.reading(START_MS)
    assert reading is not None
    assert (reading.price, reading.confidence, reading.backup) == (100.0, 0.9, False)


def test_all_down_for_an_hour_costs_confidence_and_for_seven_hours_the_price() -> None:
    oracle = Oracle()
    oracle.heard(said(coingecko=100.0, kraken=100.0), {}, START_MS)
    fresh = oracle.reading(START_MS + 10_000)
    assert fresh is not None and (fresh.confidence, fresh.backup) == (1.0, False)
    down_ms = START_MS + HOUR_MS
    oracle.heard([], {"coingecko": "down", "kraken": "down"}, down_ms)
    aged = oracle.reading(down_ms)
    assert aged is not None
    assert (aged.price, aged.backup, aged.at_ms) == (100.0, True, START_MS)
    assert aged.confidence == pytest.approx(0.25)  # two half-lives
    assert oracle.reading(START_MS + 6 * HOUR_MS - 1) is not None
    assert oracle.reading(START_MS + 6 * HOUR_MS) is None
    assert oracle.reading(START_MS + 7 * HOUR_MS) is None
    oracle.heard(said(kraken=90.0), {}, START_MS + 7 * HOUR_MS)
    back = oracle.reading(START_MS + 7 * HOUR_MS)
    assert back is not None and (back.price, back.confidence, oracle.failures_in_row) == (90.0, 0.9, 0)


def test_a_price_nobody_renewed_is_a_backup_even_without_a_failure() -> None:
    oracle = Oracle()
    oracle.heard(said(kraken=100.0), {}, START_MS)
    reading = oracle.reading(START_MS + HOUR_MS)
    assert reading is not None and reading.backup


def test_sources_are_named_as_clients_know_them() -> None:
    assert named(["coingecko"]) == "coingecko"
    assert named(["coingecko", "kraken"]) == "coingecko +1 other"
    assert named(["coingecko", "kraken", "binance"]) == "coingecko +2 others"


# ── stablecoins ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("symbol", "stable"),
    [
        ("USDC", True),
        ("usdt", True),
        ("aeUSDC", True),
        ("FRAX", True),
        ("xDAI", True),
        ("myUSDx", True),
        ("sUSDh", False),
        ("stETH", False),
        ("rETH", False),
        ("STX", False),
        ("sBTC", False),
    ],
)
def test_stablecoins_are_told_by_their_symbol(symbol: str, stable: bool) -> None:
    assert is_stable(Token("SP.x", symbol, "", 6)) is stable


def test_the_contract_id_wins_over_the_symbol() -> None:
    usdc = Token("SP.usdc", "USDC", "", 6)
    assert not is_stable(usdc, denied={"SP.usdc"})
    assert is_stable(Token("SP.x", "STX", "", 6), allowed={"SP.x"})
    assert not is_stable(Token("SP.lp", "STX-USDC", "", 6, lp_pool="p", lp_supply=1))


def test_a_peg_is_lost_after_ten_minutes_of_proof_and_found_again_the_same_way() -> None:
    peg, now_ms = Peg(), START_MS
    peg = watch(peg, -6.0, 0.9, now_ms)
    assert (peg.level, peg.lost) == ("alert", False)
    assert not watch(peg, -6.0, 0.9, now_ms + HOLD_MS - 1).lost
    assert watch(peg, -3.0, 0.9, now_ms + 1000) == Peg(False, 0, "warn")  # the proof begins anew
    peg = watch(peg, -6.0, 0.9, now_ms + HOLD_MS)
    assert peg == Peg(True, 0, "alert")
    later = now_ms + HOLD_MS + 1
    assert watch(peg, -3.0, 0.9, later).since_ms == 0
    back = watch(peg, -1.5, 0.9, later)
    assert back == Peg(True, later, "warn")
    assert watch(back, -0.5, 0.9, later + HOLD_MS) == Peg(False, 0, "ok")


def test_an_unsure_market_proves_nothing() -> None:
    assert watch(Peg(False, START_MS, "alert"), -40.0, 0.59, START_MS + HOLD_MS) == Peg(False, 0, "alert")
