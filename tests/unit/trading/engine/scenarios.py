"""Markets to trade in: a group, a few instruments and how their prices move, drawn from a seed."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

from libs.common.messages.market import Group, Instrument, SecGroup, SecMargin, SessionDay, SessionSpan
from libs.common.symbols import pair_of

# symbol: digits, contract size, first price in points, usual step in points
POOL: dict[str, tuple[int, float, int, int]] = {
    "EURUSD": (5, 100_000.0, 110_000, 40),
    "GBPUSD": (5, 100_000.0, 130_000, 50),
    "USDJPY": (3, 100_000.0, 150_000, 60),
    "EURJPY": (3, 100_000.0, 165_000, 80),
    "EURUSD.x": (4, 10_000.0, 11_000, 6),
    "XAUUSD": (2, 100.0, 200_000, 150),
    "BTC/USDT": (2, 1.0, 9_000_000, 6_000),
}
SYMBOLS = tuple(POOL)
DAY_MS = 86_400_000
START_MS = 1_799_971_200_000  # 2027-01-15 00:00 UTC, a Friday


def instrument(symbol: str, **over: Any) -> Instrument:
    """An instrument of the pool with the house's defaults."""
    digits, size, _, _ = POOL[symbol]
    base, quote = pair_of(symbol)
    point = float(f"1e-{digits}")
    fields: dict[str, Any] = {
        "digits": digits,
        "currency": base,
        "margin_currency": base,
        "quote_currency": quote,
        "contract_size": size,
        "point": point,
        "tick_size": point,
        "tick_value": round(size * point, 10),
        "margin_hedged": size / 2,
    }
    return Instrument(symbol=symbol, **{**fields, **over})


@dataclass(frozen=True)
class Scenario:
    """See the module's text."""

    group: Group
    instruments: tuple[Instrument, ...]
    currency: str
    leverage: int
    live: bool
    deposit_minor: int


def plain(**group: Any) -> Scenario:
    """Defaults everywhere: group demo, USD, 1:100, 10 000.00."""
    return Scenario(
        Group(group="demo", **group), tuple(map(instrument, SYMBOLS)), "USD", 100, False, 1_000_000
    )


def drawn(random: Random) -> Scenario:
    """Any mix of rules a broker might set."""
    currency = random.choice(["USD", "USD", "EUR", "JPY", "GBP"])
    names = [s for s in SYMBOLS if random.random() < 0.8] or ["EURUSD"]
    instruments = tuple(_instrument(random, name) for name in names)
    deposit = random.choice([1_000, 10_000, 100_000])
    unit = 10_000 if currency == "JPY" else 100
    return Scenario(
        _group(random, currency, names),
        instruments,
        currency,
        random.choice([1, 30, 100, 500]),
        random.random() < 0.2,
        deposit * unit,
    )


def _group(random: Random, currency: str, names: list[str]) -> Group:
    by_money = random.random() < 0.2
    return Group(
        group="g",
        currency=currency,
        margin_call=random.choice([300.0, 800.0] if by_money else [100.0, 120.5, 80.0]),
        margin_stopout=random.choice([100.0, 500.0] if by_money else [50.0, 30.25, 99.9, 0.0]),
        margin_type=int(by_money),
        margin_mode=random.choice([1, 1, 1, 0, 2, 3]),
        rights=random.choice([0, 0, 0, 8, 2, 10]),
        maxpositions=random.choice([0, 0, 0, 0, 0, 5]),
        hedge_prohibited=_rarely(random),
        hedge_largeleg=_rarely(random),
        partial_close=int(random.random() < 0.85),
        close_fifo=_rarely(random),
        allow_sl_tp_slippage=int(random.random() < 0.75),
        allow_negative_margin_hedge=_rarely(random),
        stopout_skip_hedged=_rarely(random),
        netting=int(random.random() < 0.25),
        use_swap=int(random.random() < 0.9),
        secgroups=tuple(_security(random, index) for index in range(3) if random.random() < 0.5),
        secmargins=tuple(_of_symbol(random, name) for name in names if random.random() < 0.3),
    )


def _security(random: Random, index: int) -> SecGroup:
    return SecGroup(
        sec_index=index,
        show=int(random.random() < 0.97),
        trade=int(random.random() < 0.97),
        comm_base=random.choice([None, 0.0, 3.5, 7.25]),
        comm_type=random.choice([None, 0, 1, 2]),
        comm_lots=random.choice([None, 0, 1]),
        lot_min=random.choice([None, 1, 5]),
        lot_max=random.choice([None, 500, 100_000]),
        lot_step=random.choice([None, 1, 5]),
        trade_rights=random.choice([0, 0, 1, 2]),
    )


def _of_symbol(random: Random, name: str) -> SecMargin:
    return SecMargin(
        symbol=name,
        swap_enable=random.choice([None, 1, 0]),
        swap_long=random.choice([None, -6.15, 2.3]),
        swap_short=random.choice([None, 1.07, -3.3]),
        margin_divider=random.choice([None, 2.0, 0.7]),
    )


def _instrument(random: Random, name: str) -> Instrument:
    metal, crypto = name.startswith("XAU"), name.startswith("BTC")
    return instrument(
        name,
        sec_index=1 if metal else 2 if crypto else 0,
        trade=random.choice([2] * 14 + [1, 0]),
        sessions=_sessions(random) if random.random() < 0.2 else None,
        profit_mode=random.choice([0, 1, 2]),
        tick_value=random.choice([0.5, 1.0, 0.01]),
        tick_size=float(f"1e-{POOL[name][0]}") * random.choice([1, 10]),
        margin_mode=4 if metal or crypto else random.choice([0, 0, 1, 2, 3, 4]),
        margin_initial=random.choice([500.0, 1234.56]),
        margin_divider=random.choice([1.0, 1.0, 3.0]),
        margin_hedged=POOL[name][1] * random.choice([0.0, 0.5, 0.5, 1.0]),
        margin_hedged_strong=_rarely(random),
        stops_level=random.choice([0, 0, 15]),
        freeze_level=random.choice([0, 0, 0, 10]),
        gtc_pendings=random.choice([1, 1, 0, 2]),
        swap_enable=int(random.random() < 0.8),
        swap_type=random.randrange(6),
        swap_long=random.choice([-7.1, -0.33, 4.0]),
        swap_short=random.choice([2.5, -1.25, -0.01]),
        swap_rollover3days=random.choice([3, 3, 5]),
        swap_daily=_rarely(random),
        comm_base=random.choice([0.0, 0.0, 6.0, 0.01]),
        comm_type=random.randrange(3),
        comm_lots=random.randrange(2),
        long_only=int(random.random() < 0.05),
        max_volume=random.choice([0, 0, 0, 300]),
        quotes_delay=random.choice([60, 5, 0]),
    )


def _sessions(random: Random) -> tuple[SessionDay, ...]:
    days = []
    for weekday in range(7):
        spans = [
            SessionSpan(open_hour=1, close_hour=random.choice([12, 24])),
            SessionSpan(
                open_hour=random.choice([14, 22]), close_hour=random.choice([23, 3, 0]), close_min=30
            ),
        ]
        days.append(SessionDay(trade=() if weekday == 6 else tuple(spans[: random.randrange(1, 3)])))
    return tuple(days)


def _rarely(random: Random) -> int:
    return int(random.random() < 0.12)
