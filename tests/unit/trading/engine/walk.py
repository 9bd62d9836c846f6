"""A seeded walk: random operations and quotes with gaps on a twin, as many steps as wanted."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import msgspec

from services.trading import commands as c
from services.trading.account import Limits
from services.trading.equity import numbers_of
from services.trading.margin import unit_margin
from services.trading.position import Trade
from tests.unit.trading.engine.scenarios import DAY_MS, POOL, drawn
from tests.unit.trading.engine.twin import Twin

POSITIONS_MAX = 14


class Walk:
    """One scenario, walked step by step."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.twin = Twin(drawn(self.random))
        self.symbols = [i.symbol for i in self.twin.scenario.instruments]
        self.twin.do(c.ChangeBalance(cmd=6, amount_minor=self.twin.scenario.deposit_minor, comment="start"))
        for symbol in self.symbols:
            if self.random.random() < 0.95:
                self.tick(symbol)

    def step(self) -> None:
        """Let some time pass and do one thing."""
        r = self.random
        self.twin.now_ms += r.choice([0, 1, 250, 2_000, 20_000, 90_000])
        if r.random() < 0.03:
            self.twin.now_ms += 3_600_000
        if self.twin.account.halted and r.random() < 0.2:
            self.twin.do(c.Halt(on=False, by=2))
        if r.random() < 0.004:
            self.change()
        if r.random() < 0.01:
            self.twin.now_ms += r.randrange(1, 4 * DAY_MS)
        choice = r.random()
        if choice < 0.33:
            self.tick(r.choice(self.symbols))
        elif choice < 0.45:
            self.touch()
        elif choice < 0.50:
            self.twin.do(c.OnClock())
        elif choice < 0.66:
            self.open()
        elif choice < 0.78:
            self.place()
        else:
            r.choices(OTHER, WEIGHTS)[0](self)

    # ── what may happen ───────────────────────────────────────────────────────────────────────────

    def tick(self, symbol: str) -> None:
        """The price walks, now and then it jumps."""
        _, _, start, step = POOL[symbol]
        r, last = self.random, self.twin.quotes.get(symbol)
        bid = last.bid if last is not None else start
        move = r.randint(-step, step)
        if r.random() < 0.06:
            move *= r.choice([10, 30, 100])
        bid = min(max(bid + move, start // 3), start * 3)
        self.twin.quote(symbol, bid, bid + r.choice([0, 1, step // 8, step // 3, step]))

    def touch(self) -> None:
        """The price comes to a level somebody waits for, or stops a point short of it, or goes beyond."""
        r, account = self.random, self.twin.account
        known = sorted([*account.positions(), *account.pendings], key=lambda t: t.order)
        levels = [
            (t.symbol, level)
            for t in known
            for level in (t.sl_points, t.tp_points, t.open_points if t.is_pending else 0)
            if level
        ]
        if not levels:
            self.tick(r.choice(self.symbols))
            return
        symbol, level = r.choice(levels)
        spread = r.randint(0, POOL[symbol][3] // 4)
        bid = level - r.choice([0, spread]) + r.choice([-1, 0, 0, 1, -POOL[symbol][3], POOL[symbol][3]])
        self.twin.quote(symbol, max(bid, 1), max(bid, 1) + spread)

    def change(self) -> None:
        """The house changes its mind: other rules, or another instrument under the same name."""
        r, old = self.random, self.twin.scenario
        fresh = drawn(r)
        group = msgspec.structs.replace(fresh.group, currency=old.currency)
        by_name = {i.symbol: i for i in fresh.instruments}
        kept = tuple(by_name.get(i.symbol, i) if r.random() < 0.5 else i for i in old.instruments)
        self.twin.change(replace(old, group=group if r.random() < 0.5 else old.group, instruments=kept))

    def open(self) -> None:
        """A market order, mostly a sane one."""
        if self.twin.account.position_count >= POSITIONS_MAX:
            self.close()
            return
        r, symbol = self.random, self.symbol()
        cmd = r.randrange(2)
        sl, tp = self.levels(symbol, self.now(symbol), cmd)
        self.twin.do(
            c.OpenTrade(
                cmd=cmd,
                symbol=symbol,
                volume=self.volume(symbol),
                sl_points=sl,
                tp_points=tp,
                comment=r.choice(["", "robot", "a b"]),
            )
        )

    def both_sides(self) -> None:
        """The same volume bought and sold."""
        symbol = self.symbol()
        volume = self.volume(symbol)
        for cmd in (0, 1):
            self.twin.do(c.OpenTrade(cmd=cmd, symbol=symbol, volume=volume))

    def place(self) -> None:
        """A pending order on some side of the market."""
        r, symbol = self.random, self.symbol()
        if len(self.twin.account.pendings) >= POSITIONS_MAX:
            self.twin.do(c.CancelGroup(symbol=r.choice([None, symbol])))
            return
        cmd = r.randrange(2, 6)
        away = r.choice([-1, 1, 1, 1, 1, 1]) * r.randint(0, self.reach(symbol))
        price = max(self.now(symbol) + (away if cmd in (3, 4) else -away), 1)
        sl, tp = self.levels(symbol, price, cmd % 2)
        life = r.choice([0, 0, 0, 0, 0, 60_000, 3_600_000, DAY_MS, -5])
        self.twin.do(
            c.PlacePending(
                cmd=cmd,
                symbol=symbol,
                volume=self.volume(symbol),
                open_points=price,
                sl_points=sl,
                tp_points=tp,
                expiration_ms=self.twin.now_ms + life if life else 0,
                comment=r.choice(["", "wait"]),
            )
        )

    def close(self) -> None:
        """A position, whole or in part."""
        trade = self.some_position()
        r = self.random
        volume = (
            r.choice([None, None, max(trade.volume // 2, 1), r.randint(1, trade.volume + 2)])
            if trade
            else None
        )
        if trade is None and r.random() < 0.9:
            return
        order = trade.order if trade and r.random() < 0.97 else r.randint(1, 40)
        self.twin.do(c.CloseTrade(order=order, volume=volume, comment=r.choice(["", "bye"])))

    def close_by(self) -> None:
        """Two positions, opposite ones if there are any."""
        first, second = self.some_position(), self.some_position()
        if first is None or second is None:
            return
        for other in self.twin.account.positions():
            if other.symbol == first.symbol and other.cmd != first.cmd:
                second = other
                break
        self.twin.do(c.CloseBy(order=first.order, order_by=second.order))

    def modify(self) -> None:
        """New levels for a position."""
        trade = self.some_position()
        if trade is None:
            return
        sl, tp = self.levels(trade.symbol, self.now(trade.symbol), trade.cmd)
        r = self.random
        self.twin.do(
            c.ModifyTrade(
                order=trade.order,
                sl_points=r.choice([sl, sl, None, trade.sl_points, 0]),
                tp_points=r.choice([tp, tp, trade.tp_points, 0]),
            )
        )

    def modify_pending(self) -> None:
        """Another price, other levels or another life for a pending order."""
        trade = self.some_pending()
        if trade is None:
            return
        r = self.random
        price = max(trade.open_points + r.randint(-1, 1) * r.randint(0, self.reach(trade.symbol)), 1)
        sl, tp = self.levels(trade.symbol, price, trade.cmd % 2)
        self.twin.do(
            c.ModifyPending(
                order=trade.order if r.random() < 0.95 else r.randint(1, 40),
                open_points=r.choice([None, price, price]),
                sl_points=r.choice([None, sl, 0]),
                tp_points=r.choice([None, tp]),
                expiration_ms=r.choice([0, self.twin.now_ms + 3_600_000, self.twin.now_ms]),
            )
        )

    def cancel(self) -> None:
        """One pending order, or something that is none."""
        trade = self.some_pending() if self.random.random() < 0.9 else self.some_position()
        if trade is not None:
            self.twin.do(c.CancelPending(order=trade.order))

    def group(self) -> None:
        """Close or cancel many."""
        r = self.random
        symbol = r.choice([None, self.symbol()])
        if r.random() < 0.5:
            self.twin.do(c.CloseGroup(type=r.randrange(-1, 2), symbol=symbol, comment=r.choice([None, "x"])))
        else:
            self.twin.do(c.CancelGroup(symbol=symbol))

    def trail(self) -> None:
        """Let a stop trail, or no more."""
        trade = self.some_position()
        if trade is None:
            return
        r, reach = self.random, self.reach(trade.symbol)
        distance = r.choice([0, r.randint(1, reach), r.randint(1, reach), r.randint(1, 8 * reach)])
        step = r.choice([0, 0, 1, r.randint(1, reach)])
        self.twin.do(c.TrailTrade(order=trade.order, distance_points=distance, step_points=step))

    def linked(self) -> None:
        """A few pending orders that know of each other."""
        r = self.random
        if len(self.twin.account.pendings) >= POSITIONS_MAX:
            return
        wanted = tuple(self.some_order() for _ in range(r.choice([1, 2, 2, 3])))
        first = self.some_order() if r.random() < 0.6 else None
        self.twin.do(c.PlaceLinked(first=first, then=wanted, one_cancels_other=r.random() < 0.7))

    def some_order(self) -> c.PlacePending:
        """A pending order that is likely to be met."""
        r, symbol = self.random, self.symbol()
        cmd = r.randrange(2, 6)
        away = r.randint(0, self.reach(symbol))
        return c.PlacePending(
            cmd=cmd,
            symbol=symbol,
            volume=r.choice([5, 10, 50, 100]),
            open_points=max(self.now(symbol) + (away if cmd in (3, 4) else -away), 1),
            expiration_ms=self.twin.now_ms + r.choice([60_000, DAY_MS]) if r.random() < 0.2 else 0,
            comment=r.choice(["", "leg"]),
        )

    def limit(self) -> None:
        """Limits of the account's own, mostly none."""
        r = self.random
        loss = r.choice([0, 0, 0, self.twin.scenario.deposit_minor // 50])
        volume, orders = r.choice([0, 0, 500]), r.choice([0, 0, 3])
        limits = Limits(daily_loss_minor=loss, open_volume=volume, orders_per_minute=orders)
        self.twin.do(c.LimitAccount(limits=limits))

    def halt(self) -> None:
        """The kill switch is pulled and let go of soon after."""
        r, halted = self.random, self.twin.account.halted
        on = not halted or r.random() < 0.1
        self.twin.do(c.Halt(on=on, by=r.choice([1, 2]), flatten=r.random() < 0.3))

    def money(self) -> None:
        """In and out."""
        r = self.random
        amount = r.randint(1, max(self.twin.scenario.deposit_minor, 2))
        cmd = r.randrange(6, 10)
        signed = amount if cmd < 8 or r.random() < 0.05 else -amount
        self.twin.do(c.ChangeBalance(cmd=cmd, amount_minor=signed))

    # ── drawing ───────────────────────────────────────────────────────────────────────────────────

    def symbol(self) -> str:
        return self.random.choice(self.symbols) if self.random.random() < 0.99 else "NOSUCH"

    def now(self, symbol: str) -> int:
        tick = self.twin.quotes.get(symbol)
        return tick.bid if tick is not None else 100_000

    def reach(self, symbol: str) -> int:
        return 3 * POOL[symbol][3] if symbol in POOL else 100

    def volume(self, symbol: str) -> int:
        r = self.random
        if r.random() < 0.4:
            return self.bold_volume(symbol)
        return r.choice([1, 5, 10, 10, 25, 100, 100, r.randint(1, 300), 50_000])

    def bold_volume(self, symbol: str) -> int:
        """About as much as the free margin bears, in steps of 5."""
        market, account = self.twin.market, self.twin.account
        terms, numbers = market.terms.get(symbol), numbers_of(account, market)
        if terms is None or numbers is None:
            return 10
        unit = unit_margin(market, terms, self.now(symbol), account.leverage, account.currency)
        if unit is None or not unit[0]:
            return 10
        bearable = numbers.margin_free_minor * unit[1] // unit[0]
        return max(int(bearable * self.random.choice([0.3, 0.6, 0.9, 1.0, 1.1])) // 5 * 5, 5)

    def levels(self, symbol: str, around: int, side: int) -> tuple[int, int]:
        r, reach = self.random, self.reach(symbol)
        below, above = (max(around + s * r.randint(0, 4 * reach), 1) for s in (-1, 1))
        if r.random() < 0.06:
            below, above = above, below
        sl, tp = (below, above) if side == 0 else (above, below)
        return sl if r.random() < 0.4 else 0, tp if r.random() < 0.4 else 0

    def some_position(self) -> Trade | None:
        return self._some(sorted(self.twin.account.positions(), key=lambda t: t.order))

    def some_pending(self) -> Trade | None:
        return self._some(sorted(self.twin.account.pendings, key=lambda t: t.order))

    def _some(self, trades: list[Trade]) -> Trade | None:
        return self.random.choice(trades) if trades else None


OTHER = (
    Walk.close,
    Walk.close_by,
    Walk.modify,
    Walk.modify_pending,
    Walk.cancel,
    Walk.money,
    Walk.group,
    Walk.both_sides,
    Walk.trail,
    Walk.linked,
    Walk.limit,
    Walk.halt,
)
WEIGHTS = (30, 8, 12, 12, 8, 8, 3, 10, 10, 8, 1, 2)
