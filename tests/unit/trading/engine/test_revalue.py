"""Revaluation in numpy beside the exact engine: the same cents, and nobody at a threshold is missed."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.trading import commands as c
from services.trading.conversion import Tick
from services.trading.engine import decide
from services.trading.equity import numbers_of, worth_of
from services.trading.events import AccountOpened
from services.trading.instrument import Market, rules_of, terms_of
from services.trading.position import Trade
from services.trading.profit import profit_of
from services.trading.revalue import Revaluer, Stripe
from services.trading.state import Account, apply
from tests.unit.trading.engine.scenarios import POOL, START_MS, Scenario, drawn, instrument, plain


class House:
    """A few accounts of one or two groups on shared quotes, with a revaluer that follows them."""

    def __init__(self, scenarios: list[Scenario], accounts: int) -> None:
        self.now_ms = START_MS
        self.quotes: dict[str, Tick] = {}
        self.revaluer = Revaluer()
        self.markets: dict[int, Market] = {}
        self.accounts: dict[int, Account] = {}
        self._last = 0
        for number, scenario in enumerate(scenarios):
            group = scenario.group
            terms = [terms_of(group, i) for i in scenario.instruments]
            market = Market(rules_of(group), terms, self.quotes, live=False)
            for login in range(number * 1000, number * 1000 + accounts):
                self.markets[login] = market
                self.accounts[login] = apply(
                    None,
                    AccountOpened(
                        login=login,
                        at_ms=0,
                        group=group.group,
                        currency=scenario.currency,
                        leverage=scenario.leverage,
                    ),
                )
                self.do(login, c.ChangeBalance(cmd=6, amount_minor=scenario.deposit_minor))

    def take(self) -> int:
        self._last += 1
        return self._last

    def do(self, login: int, asked: c.Input) -> bool:
        """Decide, and let the revaluer follow; whether anything happened."""
        market = self.markets[login]
        outcome = decide(self.accounts[login], asked, market, self.now_ms, self.take)
        self.accounts[login] = outcome.account
        self.revaluer.follow(outcome.account, outcome.events, market)
        return bool(outcome.events)

    def tick(self, symbol: str, bid: int, ask: int) -> None:
        """A quote: who is named is assessed exactly; who is not must have nothing to do."""
        self.quotes[symbol] = Tick(bid, ask, self.now_ms)
        named = set(self.revaluer.tick(symbol))
        self.compare()
        for login in self.accounts:
            crossed = self.do(login, c.OnClock())
            assert not crossed or login in named, (login, named)

    def compare(self) -> None:
        """Every profit, equity and margin is the engine's."""
        for login, account in self.accounts.items():
            market = self.markets[login]
            numbers = numbers_of(account, market)
            if numbers is None:
                continue
            assert self.revaluer.profit(login) == numbers.profit_minor
            assert self.revaluer.equity(login) == numbers.equity_minor
            assert self.revaluer.margin(login) == numbers.margin_minor
            exact = {}
            for trade in account.positions():
                worth = worth_of(account, market, trade.symbol)
                assert worth is not None
                exact[trade.order] = profit_of(trade, worth)
            assert self.revaluer.profits(account) == exact


def scenario_of(random: Random, group: str) -> Scenario:
    """Rules as drawn, on markets that are always open."""
    found = drawn(random)
    instruments = tuple(
        msgspec.structs.replace(i, sessions=None, trade=2, long_only=0, gtc_pendings=1)
        for i in found.instruments
    )
    open_to_all = msgspec.structs.replace(found.group, group=group, enable=1, secgroups=())
    return Scenario(open_to_all, instruments, found.currency, found.leverage, False, found.deposit_minor)


@pytest.mark.parametrize("seed", range(12))
def test_numpy_says_what_the_engine_says_and_misses_nobody(seed: int) -> None:
    random = Random(seed)
    house = House([scenario_of(random, "one"), scenario_of(random, "two")], accounts=5)
    for symbol in POOL:
        house.tick(symbol, POOL[symbol][2], POOL[symbol][2] + 10)
    for _ in range(120):
        login = random.choice(list(house.accounts))
        account = house.accounts[login]
        held = sorted(account.positions(), key=lambda trade: trade.order)
        if random.random() < 0.4:
            symbol = random.choice(list(POOL))
            step = POOL[symbol][3] * random.choice([1, 5, 40])
            bid = max(house.quotes[symbol].bid + random.randint(-step, step), 500)
            house.tick(symbol, bid, bid + random.randint(0, 30))
        elif held and random.random() < 0.4:
            trade = random.choice(held)
            volume = random.choice([None, max(trade.volume // 3, 1)])
            house.do(login, c.CloseTrade(order=trade.order, volume=volume))
        else:
            symbol = random.choice(sorted(house.markets[login].terms))
            volume = random.choice([1, 10, 50, 100, 400])
            house.do(login, c.OpenTrade(cmd=random.randrange(2), symbol=symbol, volume=volume))
        house.now_ms += 1_000
        house.compare()


@pytest.mark.parametrize("by_money", [0, 1])
def test_an_account_exactly_at_a_threshold_is_named(by_money: int) -> None:
    thresholds = {"margin_type": 1, "margin_call": 1_000.0, "margin_stopout": 500.0} if by_money else {}
    terms = {"margin_mode": 2, "margin_initial": 1_000.0, "margin_currency": "USD"}
    scenario = replace(
        plain(**thresholds), instruments=(instrument("XAUUSD", **terms),), deposit_minor=2_000_00
    )
    house = House([scenario], accounts=1)
    house.tick("XAUUSD", 200_000, 200_030)
    house.do(0, c.OpenTrade(cmd=0, symbol="XAUUSD", volume=100))  # a cent of gold is a dollar
    for bid, level in ((199_031, 0), (199_030, 1), (199_031, 0), (198_531, 1), (198_530, 0)):
        house.tick("XAUUSD", bid, bid + 10)  # named whenever the exact engine has something to say
        assert house.accounts[0].level_type == level
    assert house.accounts[0].position_count == 0  # 500.00 on 1 000.00: stopped out


def test_amounts_beyond_64_bits_are_still_exact() -> None:
    house = House([plain()], accounts=1)
    house.do(0, c.ChangeBalance(cmd=6, amount_minor=10**15))
    for bid in (150_000, 150_003, 149_999, 10**11, 10**13 + 7):
        house.tick("USDJPY", bid, bid + 7)
        house.do(0, c.OpenTrade(cmd=0, symbol="USDJPY", volume=99_999))
        house.compare()


@given(
    currency=st.sampled_from(["USD", "GBP", "JPY", "EUR"]),
    held=st.lists(
        st.tuples(st.integers(0, 1), st.integers(-(10**6), 10**6), st.integers(1, 10**6)), max_size=9
    ),
    bid=st.integers(10**5, 10**7),
    odd=st.integers(1, 999),
)
def test_a_stripe_rounds_as_the_engine_in_integers_and_in_doubles(
    currency: str, held: list[tuple[int, int, int]], bid: int, odd: int
) -> None:
    quotes = {"EURUSD": Tick(110_003, 110_019), "GBPUSD": Tick(130_013 + odd, 130_021 + odd)}
    terms = [terms_of(plain().group, i) for i in plain().instruments]
    market = Market(rules_of(plain().group), terms, quotes, live=False)
    stripe, sums = Stripe("USDJPY", market, currency), np.zeros(1, np.int64)
    trades = [
        Trade(
            order=n,
            login=1,
            symbol="USDJPY",
            digits=3,
            cmd=cmd,
            volume=volume,
            open_ms=0,
            open_points=bid + away,
        )
        for n, (cmd, away, volume) in enumerate(held)
    ]
    for trade in trades:
        stripe.add(trade, 0)
    quotes["USDJPY"] = Tick(bid, bid + odd)
    stripe.revalue(sums)
    worth = stripe.worth_now()
    assert worth is not None
    exact = [profit_of(trade, worth) for trade in trades]
    assert [stripe.profit_of(trade.order) for trade in trades] == exact
    assert sums[0] == sum(exact)


def test_an_account_is_loaded_with_what_it_has_open_and_may_change_its_group() -> None:
    house = House([plain()], accounts=1)
    house.tick("EURUSD", 110_000, 110_010)
    for cmd in (0, 1, 0):
        house.do(0, c.OpenTrade(cmd=cmd, symbol="EURUSD", volume=33))
    again = Revaluer()
    again.load(house.accounts[0], house.markets[0])
    assert again.equity(0) == house.revaluer.equity(0)
    assert again.margin(0) == house.revaluer.margin(0)
    scenario = plain()
    group = type(scenario.group)(group="vip")
    house.markets[0] = Market(
        rules_of(group), [terms_of(group, i) for i in scenario.instruments], house.quotes, live=False
    )
    house.do(0, c.ChangeAccount(group="vip"))
    house.tick("EURUSD", 110_100, 110_110)


def test_a_stripe_that_grows_and_shrinks_keeps_what_it_holds() -> None:
    random = Random(5)
    quotes = {"USDJPY": Tick(150_000, 150_007)}
    terms = [terms_of(plain().group, i) for i in plain().instruments]
    market = Market(rules_of(plain().group), terms, quotes, live=False)
    stripe, sums = Stripe("USDJPY", market, "USD"), np.zeros(3, np.int64)
    held: dict[int, Trade] = {}
    for order in range(3_000):
        trade = Trade(
            order=order,
            login=1,
            symbol="USDJPY",
            digits=3,
            cmd=random.randrange(2),
            volume=random.randint(1, 500),
            open_ms=0,
            open_points=random.randint(140_000, 160_000),
        )
        stripe.add(trade, order % 3)
        held[order] = trade
        if random.random() < 0.3:
            gone = random.choice(list(held))
            stripe.remove(gone)
            del held[gone]
        if order % 500 == 499:
            bid = random.randint(140_000, 160_000)
            quotes["USDJPY"] = Tick(bid, bid + 7)
            stripe.revalue(sums)
            worth = stripe.worth_now()
            assert worth is not None
            assert {n: stripe.profit_of(n) for n in held} == {n: profit_of(t, worth) for n, t in held.items()}
            assert stripe.owners().tolist() == [0, 1, 2]
