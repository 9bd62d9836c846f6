"""The rows of a margin account, its numbers and the checks of broker 5, plainly. See ``model.py``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction

from libs.common.messages.market import Group, Instrument
from tests.oracles.trading import formulas as f

ZERO = Fraction(0)


class Refused(Exception):
    """The contract's code."""

    def __init__(self, code: str, *, waits: bool = False) -> None:
        super().__init__(code)
        self.code = code
        self.waits = waits


@dataclass
class Row:
    """An order. ``kind``: buy, sell, and for pending ones buy limit, sell limit, buy stop, sell stop."""

    order: int
    symbol: str
    kind: str
    volume: int
    opened_ms: int
    price: Fraction
    sl: Fraction = ZERO
    tp: Fraction = ZERO
    expires_ms: int = 0
    comment: str = ""
    unit_margin: Fraction = ZERO
    commission: Fraction = ZERO
    storage: Fraction = ZERO
    activation: int = 0
    waits_for: str = ""

    @property
    def sell(self) -> bool:
        return self.kind.startswith("sell")

    @property
    def pending(self) -> bool:
        return " " in self.kind


@dataclass(frozen=True)
class Closed:
    """What became of an order, or of a part of it."""

    order: int
    volume: int
    state: int
    activation: int
    price: Fraction
    profit: Fraction
    commission: Fraction
    storage: Fraction
    comment: str


@dataclass
class Sheet:
    """The account's numbers."""

    balance: Fraction
    credit: Fraction
    profit: Fraction
    commission: Fraction
    storage: Fraction
    margin: Fraction
    equity: Fraction
    free: Fraction


@dataclass
class Desk:
    """What is on the desk: rules, quotes, rows and money; ``next_order`` hands out numbers."""

    group: Group
    instruments: dict[str, Instrument]
    currency: str
    leverage: int
    live: bool
    next_order: Callable[[], int]
    quotes: dict[str, tuple[Fraction, Fraction, int]] = field(default_factory=dict)
    rows: dict[int, Row] = field(default_factory=dict)
    done: list[Closed] = field(default_factory=list)
    balance: Fraction = ZERO
    credit: Fraction = ZERO
    level_type: int = 0
    notices: list[str] = field(default_factory=list)
    day: int = 0
    enabled: bool = True
    read_only: bool = False

    # ── reading ───────────────────────────────────────────────────────────────────────────────────

    def positions(self, symbol: str | None = None) -> list[Row]:
        rows = (r for r in self.rows.values() if not r.pending and symbol in (None, r.symbol))
        return sorted(rows, key=lambda r: r.order)

    def pendings(self, symbol: str | None = None) -> list[Row]:
        rows = (r for r in self.rows.values() if r.pending and symbol in (None, r.symbol))
        return sorted(rows, key=lambda r: r.order)

    def margin_of(self, row: Row) -> Fraction:
        return f.cents(row.unit_margin * row.volume, self.currency)

    def floating(self, row: Row) -> Fraction | None:
        i = self.instruments.get(row.symbol)
        if i is None or row.symbol not in self.quotes:
            return None
        price = self.closing_price(row)
        return f.profit(i, row.sell, row.volume, row.price, price, self.currency, self.quotes)

    def closing_price(self, row: Row) -> Fraction:
        bid, ask, _ = self.quotes[row.symbol]
        return ask if row.sell else bid

    def margin(self) -> Fraction:
        total = ZERO
        for symbol in {r.symbol for r in self.positions()}:
            rows = self.positions(symbol)
            buys = [(r.volume, self.margin_of(r)) for r in rows if not r.sell]
            sells = [(r.volume, self.margin_of(r)) for r in rows if r.sell]
            total += f.hedged_margin(self.group, self.instruments[symbol], buys, sells, self.currency)
        return total

    def sheet(self) -> Sheet | None:
        profits = [self.floating(row) for row in self.positions()]
        if any(p is None for p in profits):
            return None
        profit = sum((p for p in profits if p is not None), ZERO)
        commission = sum((r.commission for r in self.positions()), ZERO)
        storage = sum((r.storage for r in self.positions()), ZERO)
        margin, money = self.margin(), self.balance + self.credit
        floating = profit + commission + storage
        counted = [ZERO, floating, max(floating, ZERO), min(floating, ZERO)][self.group.margin_mode]
        free = money + counted - margin
        return Sheet(self.balance, self.credit, profit, commission, storage, margin, money + floating, free)

    # ── the checks ────────────────────────────────────────────────────────────────────────────────

    def gate(self, read_only: bool = False) -> None:
        if not self.enabled or not self.group.enable:
            raise Refused("RET_ACCOUNT_DISABLED")
        if read_only or self.read_only:
            raise Refused("RET_TRADE_READ_ONLY")

    def symbol(self, name: str, now_ms: int, opening: bool) -> Instrument:
        i = self.instruments.get(name)
        if i is None:
            raise Refused("RET_SYMBOL_NOT_FOUND")
        for security in self.group.secgroups:
            if security.sec_index == i.sec_index and not (security.show and security.trade):
                raise Refused("RET_TRADE_SEC_NOT_FOUND")
        if i.trade == 0 or (opening and i.trade == 1):
            raise Refused("RET_TRADE_DISABLE")
        if not f.is_open(i, now_ms):
            raise Refused("RET_TRADE_MARKET_CLOSED")
        if not self.fresh(i, now_ms):
            raise Refused("RET_TRADE_OFFQUOTES")
        return i

    def fresh(self, i: Instrument, now_ms: int) -> bool:
        if i.symbol not in self.quotes:
            return False
        age_ms = now_ms - self.quotes[i.symbol][2]
        return not (self.live and i.quotes_delay and age_ms > i.quotes_delay * 1000)

    def volume(self, i: Instrument, volume: int) -> None:
        low, high, step = (f.said(self.group, i, n) for n in ("lot_min", "lot_max", "lot_step"))
        if volume < low or volume > high or volume % step != 0:
            raise Refused("RET_TRADE_BAD_VOLUME")

    def long_only(self, i: Instrument, sell: bool, volume: int) -> None:
        if i.long_only and sell:
            raise Refused("RET_TRADE_LONG_ONLY")

    def levels(self, i: Instrument, sell: bool, around: Fraction, sl: Fraction, tp: Fraction) -> None:
        gap = Fraction(max(i.stops_level, 1), 10**i.digits)
        above, below = (sl, tp) if sell else (tp, sl)
        if above and above < around + gap:
            raise Refused("RET_TRADE_INVALID_SL_TP")
        if below and below > around - gap:
            raise Refused("RET_TRADE_INVALID_SL_TP")

    def side(self, i: Instrument, kind: str, price: Fraction) -> None:
        gap = Fraction(max(i.stops_level, 1), 10**i.digits)
        bid, ask, _ = self.quotes[i.symbol]
        fits = {
            "buy limit": price <= ask - gap,
            "buy stop": price >= ask + gap,
            "sell limit": price >= bid + gap,
            "sell stop": price <= bid - gap,
        }
        if price <= 0 or not fits[kind]:
            raise Refused("RET_TRADE_BAD_PRICES")

    def limits(self, i: Instrument, sell: bool, volume: int) -> None:
        if self.group.maxpositions and len(self.positions()) + 1 > self.group.maxpositions:
            raise Refused("RET_TRADE_LIMIT_REACHED")
        same = sum(r.volume for r in self.positions(i.symbol) if r.sell == sell)
        if i.max_volume and same + volume > i.max_volume:
            raise Refused("RET_TRADE_LIMIT_REACHED")
        if self.group.hedge_prohibited and any(r.sell != sell for r in self.positions(i.symbol)):
            raise Refused("RET_TRADE_HEDGE_PROHIBITED")

    def frozen(self, i: Instrument, row: Row) -> None:
        if not i.freeze_level or i.symbol not in self.quotes:
            return
        near = Fraction(i.freeze_level, 10**i.digits)
        bid, ask, _ = self.quotes[i.symbol]
        if row.pending:
            way = {
                "buy limit": ask - row.price,
                "buy stop": row.price - ask,
                "sell limit": row.price - bid,
                "sell stop": bid - row.price,
            }[row.kind]
            if way <= near:
                raise Refused("RET_TRADE_MODIFY_DENIED")
        elif any(level and abs(level - self.closing_price(row)) <= near for level in (row.sl, row.tp)):
            raise Refused("RET_TRADE_MODIFY_DENIED")

    def oldest(self, row: Row) -> None:
        if self.group.close_fifo:
            same = [r for r in self.positions(row.symbol) if r.sell == row.sell]
            if min(same, key=lambda r: (r.opened_ms, r.order)) is not row:
                raise Refused("RET_TRADE_PROHIBITED_BY_FIFO")

    def find(self, order: int, pending: bool) -> Row:
        row = self.rows.get(order)
        if row is None:
            raise Refused("RET_NOT_FOUND")
        if row.pending != pending:
            raise Refused("RET_TRADE_INCORRECT_CMD")
        return row
