"""A hypothesis machine over the twin: whatever it does, engine and oracle agree; failures shrink."""

from __future__ import annotations

from random import Random
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from services.trading import commands as c
from services.trading.position import Trade
from tests.unit.trading.engine.scenarios import DAY_MS, POOL, drawn, plain
from tests.unit.trading.engine.twin import Twin

VOLUMES = st.one_of(st.sampled_from([1, 10, 100, 250, 1_000]), st.integers(1, 5_000))
INDEX = st.integers(0, 20)
NEAR = st.integers(-400, 400)


class TwinMachine(RuleBasedStateMachine):
    """See the module's text."""

    twin: Twin

    @initialize(seed=st.one_of(st.none(), st.integers(0, 10**6)), quoted=st.lists(st.booleans(), min_size=9))
    def open_account(self, seed: int | None, quoted: list[bool]) -> None:
        self.twin = Twin(plain() if seed is None else drawn(Random(seed)))
        self.symbols = [i.symbol for i in self.twin.scenario.instruments]
        self.twin.do(c.ChangeBalance(cmd=6, amount_minor=self.twin.scenario.deposit_minor))
        for symbol, known in zip(self.symbols, quoted, strict=False):
            if known:
                start = POOL[symbol][2]
                self.twin.quote(symbol, start, start + 10)

    @rule(index=INDEX, move=st.one_of(NEAR, st.integers(-40_000, 40_000)), spread=st.integers(0, 60))
    def tick(self, index: int, move: int, spread: int) -> None:
        symbol = self.symbol(index)
        bid = max(self.price(symbol) + move, 100)
        self.twin.quote(symbol, bid, bid + spread)

    @rule(ms=st.one_of(st.integers(0, 120_000), st.integers(0, 5 * DAY_MS)))
    def wait(self, ms: int) -> None:
        self.twin.now_ms += ms
        self.twin.do(c.OnClock())

    @rule(index=INDEX, cmd=st.integers(-1, 6), volume=VOLUMES, sl=NEAR, tp=NEAR)
    def open(self, index: int, cmd: int, volume: int, sl: int, tp: int) -> None:
        if cmd not in (0, 1):
            assert (
                self.refused(c.OpenTrade(cmd=cmd, symbol="EURUSD", volume=volume))
                == "RET_TRADE_INCORRECT_CMD"
            )
            return
        symbol = self.symbol(index)
        self.twin.do(
            c.OpenTrade(
                cmd=cmd,
                symbol=symbol,
                volume=volume,
                sl_points=self.level(symbol, sl),
                tp_points=self.level(symbol, tp),
            )
        )

    @rule(
        index=INDEX, cmd=st.integers(2, 5), volume=VOLUMES, away=NEAR, sl=NEAR, life=st.integers(-1, 100_000)
    )
    def place(self, index: int, cmd: int, volume: int, away: int, sl: int, life: int) -> None:
        symbol = self.symbol(index)
        self.twin.do(
            c.PlacePending(
                cmd=cmd,
                symbol=symbol,
                volume=volume,
                open_points=max(self.price(symbol) + away, 1),
                sl_points=self.level(symbol, sl),
                expiration_ms=self.twin.now_ms + life if life else 0,
            )
        )

    @rule(index=INDEX, volume=st.one_of(st.none(), VOLUMES))
    def close(self, index: int, volume: int | None) -> None:
        if trade := self.chosen(index, self.twin.account.positions()):
            self.twin.do(c.CloseTrade(order=trade.order, volume=volume, comment="done"))

    @rule(first=INDEX, second=INDEX)
    def close_by(self, first: int, second: int) -> None:
        one = self.chosen(first, self.twin.account.positions())
        other = self.chosen(second, self.twin.account.positions())
        if one and other:
            self.twin.do(c.CloseBy(order=one.order, order_by=other.order))

    @rule(kind=st.integers(-1, 1), index=st.one_of(st.none(), INDEX))
    def close_group(self, kind: int, index: int | None) -> None:
        symbol = None if index is None else self.symbol(index)
        self.twin.do(c.CloseGroup(type=kind, symbol=symbol, comment="all"))

    @rule(index=INDEX, sl=st.one_of(st.none(), NEAR), tp=NEAR)
    def modify(self, index: int, sl: int | None, tp: int) -> None:
        if trade := self.chosen(index, self.twin.account.positions()):
            symbol = trade.symbol
            self.twin.do(
                c.ModifyTrade(
                    order=trade.order,
                    sl_points=None if sl is None else self.level(symbol, sl),
                    tp_points=self.level(symbol, tp),
                )
            )

    @rule(index=INDEX, away=NEAR, life=st.one_of(st.none(), st.integers(0, DAY_MS)))
    def modify_pending(self, index: int, away: int, life: int | None) -> None:
        if trade := self.chosen(index, self.twin.account.pendings):
            self.twin.do(
                c.ModifyPending(
                    order=trade.order,
                    open_points=max(trade.open_points + away, 1),
                    expiration_ms=None if life is None else self.twin.now_ms + life,
                )
            )

    @rule(index=INDEX)
    def cancel(self, index: int) -> None:
        if trade := self.chosen(index, self.twin.account.pendings):
            self.twin.do(c.CancelPending(order=trade.order))

    @rule(cmd=st.integers(6, 9), amount=st.integers(-2_000_000, 2_000_000))
    def money(self, cmd: int, amount: int) -> None:
        self.twin.do(c.ChangeBalance(cmd=cmd, amount_minor=amount))

    def symbol(self, index: int) -> str:
        return self.symbols[index % len(self.symbols)]

    def price(self, symbol: str) -> int:
        tick = self.twin.quotes.get(symbol)
        return tick.bid if tick is not None else POOL[symbol][2]

    def level(self, symbol: str, away: int) -> int:
        return max(self.price(symbol) + away, 1) if abs(away) > 100 else 0

    def refused(self, asked: c.OpenTrade) -> str:
        from services.trading.engine import decide

        twin = self.twin
        outcome = decide(twin.account, asked, twin.market, twin.now_ms, lambda: 0)
        return outcome.refusal.code if outcome.refusal is not None else "OK"

    def chosen(self, index: int, trades: Any) -> Trade | None:
        known = sorted(trades, key=lambda trade: trade.order)
        return known[index % len(known)] if known else None


TestTwinMachine = TwinMachine.TestCase
TestTwinMachine.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
