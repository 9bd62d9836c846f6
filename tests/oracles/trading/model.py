"""A margin account as one would keep it on paper: slow, mutable, one list of rows, fractions throughout.

Written from broker 5 and 9.4 and the decisions; it shares no code with the engine. Every operation
either changes the rows or raises ``Refused`` with the contract's code and changes nothing (days that
ended are dealt with before it and stay).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction

from libs.common.messages.market import Instrument
from tests.oracles.trading import formulas as f
from tests.oracles.trading.desk import ZERO, Closed, Desk, Refused, Row, Sheet

KEEPS_WAITING = {"RET_TRADE_NO_MONEY", "RET_TRADE_MARKET_CLOSED", "RET_TRADE_OFFQUOTES"}


@dataclass
class Model(Desk):
    """See the module's text."""

    # ── opening ───────────────────────────────────────────────────────────────────────────────────

    def open(
        self, now_ms: int, kind: str, symbol: str, volume: int, sl: Fraction, tp: Fraction, comment: str
    ) -> None:
        self.gate()
        i = self.symbol(symbol, now_ms, opening=True)
        bid, ask, _ = self.quotes[symbol]
        sell = kind == "sell"
        self.volume(i, volume)
        self.long_only(i, sell, volume)
        self.levels(i, sell, ask if sell else bid, sl, tp)
        self.limits(i, sell, volume)
        row = Row(0, symbol, kind, volume, now_ms, bid if sell else ask, sl, tp, comment=comment)
        self.fill(i, row)
        row.order = self.next_order()
        self.rows[row.order] = self.rows.pop(0)

    def fill(self, i: Instrument, row: Row) -> None:
        """Put a position among the rows unless the account can't bear it."""
        was = self.rows.get(row.order)
        before = self.margin()
        unit = f.margin_per_unit(self.group, i, row.price, self.leverage, self.currency, self.quotes)
        fee = f.commission(self.group, i, row.volume, row.price, self.currency, self.quotes)
        if unit is None or fee is None:
            raise Refused("RET_TRADE_OFFQUOTES")
        row.unit_margin = unit * 1
        row.commission = fee
        known_before = self.sheet() is not None
        self.rows[row.order] = row
        sheet = self.sheet()
        bearable = sheet is not None and (
            sheet.free >= 0
            or (
                self.group.allow_negative_margin_hedge
                and not i.margin_hedged_strong
                and known_before
                and sheet.margin <= before
            )
        )
        if not bearable:
            if was is None:
                del self.rows[row.order]
            else:
                self.rows[row.order] = was
            raise Refused("RET_TRADE_OFFQUOTES" if sheet is None else "RET_TRADE_NO_MONEY")

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
        row = Row(0, symbol, kind, volume, now_ms, price, sl, tp, expires_ms, comment)
        self.check_pending(now_ms, row)
        row.order = self.next_order()
        self.rows[row.order] = row

    def check_pending(self, now_ms: int, row: Row, *, held: bool = False) -> None:
        i = self.symbol(row.symbol, now_ms, opening=True)
        self.volume(i, row.volume)
        self.long_only(i, row.sell, row.volume)
        if not held:
            self.side(i, row.kind, row.price)
        elif row.price <= 0:
            raise Refused("RET_TRADE_BAD_PRICES")
        self.levels(i, row.sell, row.price, row.sl, row.tp)
        if row.expires_ms and self.group.rights and not self.group.rights & 8:
            raise Refused("RET_TRADE_EXPIRATION_DENIED")
        self.limits(i, row.sell, row.volume)

    # ── closing ───────────────────────────────────────────────────────────────────────────────────

    def close(self, now_ms: int, order: int, volume: int | None, comment: str) -> None:
        self.gate()
        self.close_row(now_ms, self.find(order, pending=False), volume, comment)

    def close_row(self, now_ms: int, row: Row, volume: int | None, comment: str) -> None:
        i = self.symbol(row.symbol, now_ms, opening=False)
        if volume is not None and volume != row.volume:
            low, step = f.said(self.group, i, "lot_min"), f.said(self.group, i, "lot_step")
            if volume > row.volume or volume < low or volume % step:
                raise Refused("RET_TRADE_BAD_VOLUME")
            if not self.group.partial_close:
                raise Refused("RET_TRADE_PROHIBITED_BY_FIFO")
        self.oldest(row)
        self.frozen(i, row)
        if self.floating(row) is None:
            raise Refused("RET_TRADE_OFFQUOTES")
        self.settle(row, volume or row.volume, self.closing_price(row), comment=comment)

    def settle(
        self,
        row: Row,
        volume: int,
        price: Fraction,
        *,
        state: int | None = None,
        activation: int | None = None,
        comment: str = "",
    ) -> None:
        """Take ``volume`` off a position at ``price`` and post what it brought."""
        i = self.instruments[row.symbol]
        profit = f.profit(i, row.sell, volume, row.price, price, self.currency, self.quotes)
        assert profit is not None
        whole = volume == row.volume
        share = Fraction(volume, row.volume)
        commission = f.cents(row.commission * share, self.currency)
        storage = f.cents(row.storage * share, self.currency)
        self.done.append(
            Closed(
                row.order,
                volume,
                state or (3 if whole else 4),
                row.activation if activation is None else activation,
                price,
                profit,
                commission,
                storage,
                f"{row.comment} {comment}".strip() if comment else row.comment,
            )
        )
        self.balance += profit + commission + storage
        del self.rows[row.order]
        if not whole:
            rest = replace(
                row,
                order=self.next_order(),
                volume=row.volume - volume,
                commission=row.commission - commission,
                storage=row.storage - storage,
                comment=f"from #{row.order}",
            )
            self.rows[rest.order] = rest

    def close_by(self, now_ms: int, order: int, order_by: int) -> None:
        self.gate()
        first, second = self.find(order, pending=False), self.find(order_by, pending=False)
        if first.symbol != second.symbol or first.sell == second.sell:
            raise Refused("RET_TRADE_INCORRECT_ORDER")
        known = self.instruments.get(first.symbol)
        index = known.sec_index if known is not None else None
        for security in self.group.secgroups:
            active = security.show and security.trade
            if security.sec_index == index and active and security.trade_rights == 1:
                raise Refused("RET_TRADE_DISABLE")
        i = self.symbol(first.symbol, now_ms, opening=False)
        if first.volume != second.volume and not self.group.partial_close:
            raise Refused("RET_TRADE_PROHIBITED_BY_FIFO")
        for row in (first, second):
            self.oldest(row)
            self.frozen(i, row)
        if self.floating(first) is None:
            raise Refused("RET_TRADE_OFFQUOTES")
        volume = min(first.volume, second.volume)
        self.settle(first, volume, second.price, state=5)
        self.settle(second, volume, second.price, state=5)

    def close_group(
        self, now_ms: int, kind: int, symbol: str | None, tagged: bool
    ) -> tuple[int, list[tuple[int, str]]]:
        self.gate()
        rows = self.positions(symbol)
        if kind:
            signs = {r.order: self.floating(r) for r in rows}
            rows = [r for r in rows if (p := signs[r.order]) is not None and p * kind > 0]
        if self.group.close_fifo:
            rows.sort(key=lambda r: (r.opened_ms, r.order))
        failed = []
        for row in rows:
            try:
                self.close_row(now_ms, row, None, "GROUP_CLOSE" if tagged else "")
            except Refused as refusal:
                failed.append((row.order, refusal.code))
        return len(rows), sorted(failed)

    # ── changing ──────────────────────────────────────────────────────────────────────────────────

    def modify(self, now_ms: int, order: int, sl: Fraction | None, tp: Fraction | None) -> None:
        self.gate()
        row = self.find(order, pending=False)
        i = self.symbol(row.symbol, now_ms, opening=False)
        self.frozen(i, row)
        new_sl, new_tp = row.sl if sl is None else sl, row.tp if tp is None else tp
        judged_sl = ZERO if new_sl == row.sl else new_sl
        judged_tp = ZERO if new_tp == row.tp else new_tp
        self.levels(i, row.sell, self.closing_price(row), judged_sl, judged_tp)
        row.sl, row.tp = new_sl, new_tp

    def modify_pending(
        self,
        now_ms: int,
        order: int,
        price: Fraction | None,
        sl: Fraction | None,
        tp: Fraction | None,
        expires_ms: int | None,
    ) -> None:
        if expires_ms and expires_ms <= now_ms:
            raise Refused("INVALID_DATA")
        self.gate()
        row = self.find(order, pending=True)
        i = self.symbol(row.symbol, now_ms, opening=False)
        self.frozen(i, row)
        new = replace(
            row,
            price=row.price if price is None else price,
            sl=row.sl if sl is None else sl,
            tp=row.tp if tp is None else tp,
            expires_ms=row.expires_ms if expires_ms is None else expires_ms,
        )
        moved = new.price != row.price
        if moved:
            self.side(i, row.kind, new.price)
            new.waits_for = ""
        judged_sl = new.sl if moved or new.sl != row.sl else ZERO
        judged_tp = new.tp if moved or new.tp != row.tp else ZERO
        self.levels(i, row.sell, new.price, judged_sl, judged_tp)
        denied = self.group.rights and not self.group.rights & 8
        if denied and new.expires_ms and new.expires_ms != row.expires_ms:
            raise Refused("RET_TRADE_EXPIRATION_DENIED")
        self.rows[order] = new

    def cancel(self, order: int) -> None:
        self.gate()
        self.cancel_row(self.find(order, pending=True))

    def cancel_row(self, row: Row) -> None:
        i = self.instruments.get(row.symbol)
        if i is not None:
            self.frozen(i, row)
        self.drop(row, 0, row.comment)

    def cancel_group(self, symbol: str | None) -> tuple[int, list[tuple[int, str]]]:
        self.gate()
        rows, failed = self.pendings(symbol), []
        for row in rows:
            try:
                self.cancel_row(row)
            except Refused as refusal:
                failed.append((row.order, refusal.code))
        return len(rows), failed

    def drop(self, row: Row, activation: int, comment: str) -> None:
        del self.rows[row.order]
        self.done.append(Closed(row.order, row.volume, 6, activation, ZERO, ZERO, ZERO, ZERO, comment))

    def money(self, cmd: int, amount: Fraction) -> None:
        if (cmd in (6, 7)) != (amount > 0) or amount == 0:
            raise Refused("INVALID_DATA")
        if cmd == 9 and -amount > self.credit:
            raise Refused("RET_TRADE_NO_MONEY")
        if cmd == 8:
            sheet = self.sheet()
            if sheet is None:
                raise Refused("RET_TRADE_OFFQUOTES")
            if -amount > sheet.free:
                raise Refused("RET_TRADE_NO_MONEY")
        if cmd in (6, 8):
            self.balance += amount
        else:
            self.credit += amount

    def allow(self, enabled: bool | None, read_only: bool | None) -> None:
        self.enabled = self.enabled if enabled is None else enabled
        self.read_only = self.read_only if read_only is None else read_only

    # ── what the market and the clock do ──────────────────────────────────────────────────────────

    def tick(self, now_ms: int, symbol: str) -> None:
        """The quote of ``symbol`` has changed to what stands in ``quotes``."""
        i = self.instruments[symbol]
        if not self.fresh(i, now_ms):
            return
        bid, ask, _ = self.quotes[symbol]
        hit = [(r, self.level_hit(r, ask if r.sell else bid)) for r in self.positions(symbol)]
        waiting = [r for r in self.pendings(symbol) if self.reached(r, bid, ask)]
        for row, level in hit:
            if level and f.is_open(i, now_ms) and self.floating(row) is not None:
                price = self.closing_price(row)
                if not self.group.allow_sl_tp_slippage:
                    price = row.sl if level == 1 else row.tp
                self.settle(row, row.volume, price, activation=level, comment=["", "[sl]", "[tp]"][level])
        for row in waiting:
            if row.expires_ms and row.expires_ms <= now_ms:
                self.drop(row, 0, row.comment)
                continue
            try:
                self.activate(now_ms, row, ask if not row.sell else bid)
            except Refused as refusal:
                if refusal.waits or refusal.code in KEEPS_WAITING:
                    row.waits_for = refusal.code
                else:
                    note = f"[ACTIVATION_CANCEL: {refusal.code}]"
                    self.drop(row, 5, f"{row.comment} {note}".strip())
                    self.notices.append(f"rejected {row.order} {refusal.code}")

    def level_hit(self, row: Row, price: Fraction) -> int:
        if row.sell:
            return 1 if row.sl and price >= row.sl else 2 if row.tp and price <= row.tp else 0
        return 1 if row.sl and price <= row.sl else 2 if row.tp and price >= row.tp else 0

    def reached(self, row: Row, bid: Fraction, ask: Fraction) -> bool:
        return {
            "buy limit": ask <= row.price,
            "buy stop": ask >= row.price,
            "sell limit": bid >= row.price,
            "sell stop": bid <= row.price,
        }[row.kind]

    def activate(self, now_ms: int, row: Row, price: Fraction) -> None:
        self.gate()
        i = self.symbol(row.symbol, now_ms, opening=True)
        self.long_only(i, row.sell, row.volume)
        self.limits(i, row.sell, row.volume)
        position = replace(
            row,
            kind="sell" if row.sell else "buy",
            opened_ms=now_ms,
            price=price if self.group.allow_sl_tp_slippage else row.price,
            activation=3,
            waits_for="",
        )
        self.fill(i, position)

    def clock(self, now_ms: int) -> None:
        for row in self.pendings():
            if row.expires_ms and row.expires_ms <= now_ms:
                self.drop(row, 0, row.comment)

    def end_days(self, now_ms: int) -> None:
        """Everything the midnights since the last call do to what is open."""
        today = (f.moment(now_ms) - f.EPOCH).days
        if not self.rows:
            self.day = today
        while self.rows and self.day < today:
            midnight = f.EPOCH + timedelta(days=self.day + 1)
            held = [r for r in self.positions() if f.moment(r.opened_ms) < midnight]
            charges = []
            for row in held:
                i = self.instruments[row.symbol]
                days = f.swap_days(i, (midnight - timedelta(days=1)).date())
                charges.append(
                    f.swap(self.group, i, row.sell, row.volume, row.price, days, self.currency, self.quotes)
                )
            if any(charge is None for charge in charges):
                return
            for row, charge in zip(held, charges, strict=True):
                row.storage += charge or ZERO
                if self.instruments[row.symbol].gtc_pendings == 0:
                    row.sl = row.tp = ZERO
            for row in self.pendings():
                daily = self.instruments[row.symbol].gtc_pendings in (0, 2)
                if daily and f.moment(row.opened_ms) < midnight:
                    self.drop(row, 0, row.comment)
            self.day += 1

    # ── margin call and stop-out ──────────────────────────────────────────────────────────────────

    def at_or_below(self, sheet: Sheet, threshold: float) -> bool:
        if sheet.margin == 0:
            return False
        if self.group.margin_type == 1:
            return sheet.equity <= f.number(threshold)
        return sheet.equity / sheet.margin * 100 <= f.number(threshold)

    def stop_out_due(self, sheet: Sheet) -> bool:
        if sheet.margin == 0:
            return bool(self.positions()) and sheet.equity < 0
        return self.at_or_below(sheet, self.group.margin_stopout)

    def level_text(self, sheet: Sheet) -> str:
        level = sheet.equity / sheet.margin * 100 if sheet.margin else ZERO
        return f"{float(f.cents(level, 'USD')):.2f}"

    def assess(self, now_ms: int) -> None:
        sheet = self.sheet() if self.positions() else None
        if self.positions() and sheet is None:
            return
        if sheet is not None and self.stop_out_due(sheet):
            if self.level_type == 0 and self.at_or_below(sheet, self.group.margin_call):
                self.notices.append("margin call")
                self.level_type = 1
            if self.level_type < 2:
                self.notices.append("stop-out")
                self.level_type = 2
        while sheet is not None and self.positions() and self.stop_out_due(sheet):
            worst = self.worst(now_ms)
            if worst is None:
                break
            note = f"so: {self.level_text(sheet)}%"
            self.settle(worst, worst.volume, self.closing_price(worst), activation=4, comment=note)
            sheet = self.sheet()
        new = 0
        if self.positions() and sheet is not None:
            if self.stop_out_due(sheet):
                new = 2
            elif self.at_or_below(sheet, self.group.margin_call):
                new = 1
        if new == 1 and self.level_type == 0:
            self.notices.append("margin call")
        self.level_type = new

    def worst(self, now_ms: int) -> Row | None:
        best: tuple[Fraction, int, Row] | None = None
        for row in self.positions():
            i = self.instruments[row.symbol]
            profit = self.floating(row)
            if profit is None or not f.is_open(i, now_ms) or not self.fresh(i, now_ms):
                continue
            rows = self.positions(row.symbol)
            balanced = sum(r.volume if r.sell else -r.volume for r in rows) == 0
            if self.group.stopout_skip_hedged and balanced:
                continue
            if best is None or (profit, row.order) < best[:2]:
                best = (profit, row.order, row)
        return best[2] if best else None


def closed_rows(model: Model) -> Sequence[Closed]:
    """What ended since the last call."""
    ended, model.done = model.done, []
    return ended
