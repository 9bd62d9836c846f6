"""What the house offers beyond the contract, on the paper account: slow, plain, no code of the engine.

Trailing stops, linked pending orders, netting, limits and the kill switch. Distances are in price.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import count

from libs.common.messages.market import Instrument
from tests.oracles.trading import formulas as f
from tests.oracles.trading.desk import ZERO, Refused, Row
from tests.oracles.trading.model import Model


@dataclass
class Beyond(Model):
    """See the module's text."""

    now_ms: int = 0
    trails: dict[int, tuple[Fraction, Fraction]] = field(default_factory=dict)
    ocos: dict[int, int] = field(default_factory=dict)
    afters: dict[int, int] = field(default_factory=dict)
    placing_held: bool = False
    loss_cap: Fraction = ZERO
    volume_cap: int = 0
    minute_cap: int = 0
    halted: int = 0
    house_halted: bool = False
    taken_ms: list[int] = field(default_factory=list)
    results: list[tuple[str, Fraction]] = field(default_factory=list)  # day, net of a close

    # ── trailing ──────────────────────────────────────────────────────────────────────────────────

    def trail(self, now_ms: int, order: int, distance: Fraction, step: Fraction) -> None:
        self.gate()
        row = self.find(order, pending=False)
        i = self.symbol(row.symbol, now_ms, opening=False)
        if self.group.rights and not self.group.rights & 2:
            raise Refused("RET_NOT_ENOUGH_RIGHTS")
        self.frozen(i, row)
        if not distance:
            self.trails.pop(order, None)
            return
        point = Fraction(1, 10**i.digits)
        price = self.closing_price(row)
        if distance < max(i.stops_level, 1) * point or price <= distance:
            raise Refused("RET_TRADE_INVALID_SL_TP")
        tenth = distance / point // 10 * point
        self.trails[order] = distance, step or max(tenth, point)
        stop = price + distance if row.sell else price - distance
        if not row.sl or (stop < row.sl if row.sell else stop > row.sl):
            row.sl = stop

    def modify(self, now_ms: int, order: int, sl: Fraction | None, tp: Fraction | None) -> None:
        super().modify(now_ms, order, sl, tp)
        self.forget_bare()

    def end_days(self, now_ms: int) -> None:
        super().end_days(now_ms)
        self.forget_bare()

    def forget_bare(self) -> None:
        for row in self.positions():
            if not row.sl:
                self.trails.pop(row.order, None)

    def move_stops(self, now_ms: int, symbol: str) -> None:
        i = self.instruments[symbol]
        if not self.fresh(i, now_ms) or not f.is_open(i, now_ms):
            return
        for row in self.positions(symbol):
            price = self.closing_price(row)
            if row.order not in self.trails or self.level_hit(row, price):
                continue
            distance, step = self.trails[row.order]
            if row.sell and price + distance <= row.sl - step:
                row.sl = price + distance
            elif not row.sell and price - distance >= row.sl + step:
                row.sl = price - distance

    def tick(self, now_ms: int, symbol: str) -> None:
        self.move_stops(now_ms, symbol)
        super().tick(now_ms, symbol)

    # ── links ─────────────────────────────────────────────────────────────────────────────────────

    def place_linked(self, now_ms: int, first: Row | None, then: list[Row], one_of: bool) -> None:
        rows = [*([first] if first is not None else []), *then]
        if len(rows) < 2 or len(rows) > 10 or not then or (first is None and not one_of):
            raise Refused("INVALID_DATA")
        if any(row.expires_ms and row.expires_ms <= now_ms for row in rows):
            raise Refused("INVALID_DATA")
        self.gate()
        self.running()
        self.rate(len(rows))
        for row in rows:
            self.check_pending(now_ms, row, held=first is not None and row is not first)
        for row in rows:
            row.order = self.next_order()
            self.rows[row.order] = row
            self.take(now_ms)
        for row in then:
            if first is not None:
                self.afters[row.order] = first.order
            if one_of and len(then) > 1:
                self.ocos[row.order] = then[0].order

    def reached(self, row: Row, bid: Fraction, ask: Fraction) -> bool:
        return row.order not in self.afters and super().reached(row, bid, ask)

    def side(self, i: Instrument, kind: str, price: Fraction) -> None:
        if not self.placing_held:
            super().side(i, kind, price)
        elif price <= 0:
            raise Refused("RET_TRADE_BAD_PRICES")

    def modify_pending(
        self,
        now_ms: int,
        order: int,
        price: Fraction | None,
        sl: Fraction | None,
        tp: Fraction | None,
        expires_ms: int | None,
    ) -> None:
        self.placing_held = order in self.afters
        try:
            super().modify_pending(now_ms, order, price, sl, tp, expires_ms)
        finally:
            self.placing_held = False

    def frozen(self, i: Instrument, row: Row) -> None:
        if row.order not in self.afters:
            super().frozen(i, row)

    def drop(self, row: Row, activation: int, comment: str) -> None:
        if row.order not in self.rows:
            return
        super().drop(row, activation, comment)
        self.afters.pop(row.order, None)
        self.ocos.pop(row.order, None)
        for other in self.pendings():
            if self.afters.get(other.order) == row.order:
                self.drop(other, 0, f"{other.comment} [linked]".strip())

    def cancel_row(self, row: Row) -> None:
        if row.order in self.rows:
            super().cancel_row(row)

    def activate(self, now_ms: int, row: Row, price: Fraction) -> None:
        if row.order not in self.rows:
            return
        self.gate()
        self.running()
        super().activate(now_ms, row, price)
        self.net(self.rows[row.order])
        group = self.ocos.pop(row.order, 0)
        for other in self.pendings():
            if self.afters.get(other.order) == row.order:
                del self.afters[other.order]
            elif group and self.ocos.get(other.order) == group:
                self.drop(other, 0, f"{other.comment} [oco]".strip())

    # ── netting ───────────────────────────────────────────────────────────────────────────────────

    def against(self, symbol: str, sell: bool) -> list[Row]:
        if not self.group.netting:
            return []
        rows = [r for r in self.positions(symbol) if r.sell != sell]
        return sorted(rows, key=lambda r: (r.opened_ms, r.order))

    def added(self, symbol: str, sell: bool, volume: int) -> int:
        return max(volume - sum(r.volume for r in self.against(symbol, sell)), 0)

    def long_only(self, i: Instrument, sell: bool, volume: int) -> None:
        if self.added(i.symbol, sell, volume):
            super().long_only(i, sell, volume)

    def limits(self, i: Instrument, sell: bool, volume: int) -> None:
        more = self.added(i.symbol, sell, volume)
        if more:
            left = len(self.positions()) - len(self.against(i.symbol, sell)) + 1
            same = sum(r.volume for r in self.positions(i.symbol) if r.sell == sell)
            if (self.group.maxpositions and left > self.group.maxpositions) or (
                i.max_volume and same + more > i.max_volume
            ):
                raise Refused("RET_TRADE_LIMIT_REACHED")
            self.exposure(more)
        opposite = any(r.sell != sell for r in self.positions(i.symbol))
        if opposite and self.group.hedge_prohibited and not self.group.netting:
            raise Refused("RET_TRADE_HEDGE_PROHIBITED")

    def fill(self, i: Instrument, row: Row) -> None:
        if not self.against(row.symbol, row.sell):
            super().fill(i, row)
            return
        unit = f.margin_per_unit(self.group, i, row.price, self.leverage, self.currency, self.quotes)
        fee = f.commission(self.group, i, row.volume, row.price, self.currency, self.quotes)
        if unit is None or fee is None:
            raise Refused("RET_TRADE_OFFQUOTES")
        row.unit_margin, row.commission = unit * 1, fee
        trial = deepcopy(self, {id(self.next_order): count(10**9).__next__})
        trial.rows[row.order] = deepcopy(row)
        if trial.sheet() is None:
            raise Refused("RET_TRADE_OFFQUOTES")
        trial.net(trial.rows[row.order])
        sheet = trial.sheet()
        assert sheet is not None
        if sheet.free < 0 and sheet.margin > self.margin():
            raise Refused("RET_TRADE_NO_MONEY")
        self.rows[row.order] = row

    def net(self, row: Row) -> None:
        for old in self.against(row.symbol, row.sell):
            volume, price = min(old.volume, row.volume), row.price
            self.settle(old, volume, price, state=5)
            left = row.volume - volume
            orders = set(self.rows)
            self.settle(row, volume, price, state=5)
            if not left:
                return
            row = self.rows[(set(self.rows) - orders).pop()]

    def settle(self, row: Row, volume: int, price: Fraction, **how: object) -> None:
        trail, whole = self.trails.pop(row.order, None), volume == row.volume
        known = set(self.rows)
        super().settle(row, volume, price, **how)  # type: ignore[arg-type]
        if trail is not None and not whole:
            self.trails[(set(self.rows) - known).pop()] = trail
        if self.loss_cap:
            done = self.done[-1]
            self.results.append((self.today(), done.profit + done.commission + done.storage))

    # ── limits and the kill switch ────────────────────────────────────────────────────────────────

    def today(self) -> str:
        return f.moment(self.now_ms).date().isoformat()

    def cap(self, loss: Fraction, volume: int, per_minute: int) -> None:
        self.loss_cap, self.volume_cap, self.minute_cap = loss, volume, per_minute

    def exposure(self, more: int) -> None:
        if self.volume_cap and sum(r.volume for r in self.positions()) + more > self.volume_cap:
            raise Refused("RET_TRADE_LIMIT_REACHED")
        if self.loss_cap:
            sheet = self.sheet()
            if sheet is None:
                raise Refused("RET_TRADE_OFFQUOTES")
            today = sum((net for day, net in self.results if day == self.today()), ZERO)
            if -(today + sheet.profit + sheet.commission + sheet.storage) >= self.loss_cap:
                raise Refused("RET_TRADE_LIMIT_REACHED")

    def running(self) -> None:
        if self.halted or self.house_halted:
            raise Refused("RET_TRADE_DISABLE", waits=True)

    def rate(self, orders: int) -> None:
        recent = [at for at in self.taken_ms if self.now_ms - at < 60_000]
        if self.minute_cap and len(recent) + orders > self.minute_cap:
            raise Refused("RET_TRADE_TOO_MANY_REQ")

    def take(self, now_ms: int) -> None:
        self.taken_ms = [*self.taken_ms, now_ms][-self.minute_cap :] if self.minute_cap else []

    def halt(self, now_ms: int, on: bool, by: int, flatten: bool) -> tuple[int, list[tuple[int, str]]]:
        if not on:
            if self.halted > by:
                raise Refused("RET_NOT_ENOUGH_RIGHTS")
            self.halted = 0
            return 0, []
        self.halted = max(self.halted, by)
        if not flatten:
            return 0, []
        positions, pendings = self.positions(), self.pendings()
        failed = []
        for row in sorted(positions, key=lambda r: (r.opened_ms, r.order)):
            try:
                self.close_row(now_ms, row, None, "HALT")
            except Refused as refusal:
                failed.append((row.order, refusal.code))
        for row in pendings:
            self.drop(row, 0, f"{row.comment} HALT".strip())
        return len(positions) + len(pendings), sorted(failed)

    # ── the doors ─────────────────────────────────────────────────────────────────────────────────

    def open(
        self, now_ms: int, kind: str, symbol: str, volume: int, sl: Fraction, tp: Fraction, comment: str
    ) -> None:
        self.gate()
        self.running()
        self.rate(1)
        known = set(self.rows)
        super().open(now_ms, kind, symbol, volume, sl, tp, comment)
        self.take(now_ms)
        self.net(self.rows[(set(self.rows) - known).pop()])

    def place(
        self,
        now_ms: int,
        kind: str,
        symbol: str,
        volume: int,
        price: Fraction,
        sl: Fraction,
        tp: Fraction,
        expires_ms: int,
        comment: str,
    ) -> None:
        if expires_ms and expires_ms <= now_ms:
            raise Refused("INVALID_DATA")
        self.gate()
        self.running()
        self.rate(1)
        self.placing_held = False
        super().place(now_ms, kind, symbol, volume, price, sl, tp, expires_ms, comment)
        self.take(now_ms)
