"""The engine beside its oracle: every step runs on both, and everything must be equal to the cent."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from services.trading import commands as c
from services.trading import events as e
from services.trading.conversion import Tick
from services.trading.draft import Outcome
from services.trading.engine import decide
from services.trading.equity import numbers_of
from services.trading.exact import scale_of
from services.trading.instrument import Market, rules_of, terms_of
from services.trading.ledger import Kind, LedgerAccount
from services.trading.position import Trade
from services.trading.postings import entry_of
from services.trading.state import Account, apply, fold
from tests.oracles.trading.beyond import Beyond
from tests.oracles.trading.desk import Refused, Row
from tests.oracles.trading.model import closed_rows
from tests.unit.trading.engine.scenarios import START_MS, Scenario

ZERO = Fraction(0)
KINDS = ("buy", "sell", "buy limit", "sell limit", "buy stop", "sell stop")
LOGIN = 7


class Twin:
    """One account kept twice. ``do`` and ``quote`` raise AssertionError where the two differ."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.now_ms = START_MS
        self.quotes: dict[str, Tick] = {}
        self.market = self._market()
        self.digits = {i.symbol: i.digits for i in scenario.instruments}
        self.history: list[e.AccountEvent] = [
            e.AccountOpened(
                login=LOGIN,
                at_ms=START_MS,
                group=scenario.group.group,
                currency=scenario.currency,
                leverage=scenario.leverage,
            )
        ]
        self.account: Account = fold(self.history)
        self.ledger: Counter[LedgerAccount] = Counter()
        self._last_order = 0
        self._given: deque[int] = deque()
        self.model = Beyond(
            group=scenario.group,
            instruments={i.symbol: i for i in scenario.instruments},
            currency=scenario.currency,
            leverage=scenario.leverage,
            live=scenario.live,
            next_order=self._given.popleft,
        )

    # ── stepping ──────────────────────────────────────────────────────────────────────────────────

    def quote(self, symbol: str, bid: int, ask: int) -> Outcome:
        """A tick: both hear it."""
        self.quotes[symbol] = Tick(bid, ask, self.now_ms)
        self.model.quotes[symbol] = (self.price(symbol, bid), self.price(symbol, ask), self.now_ms)
        return self.do(c.OnQuote(symbol=symbol))

    def change(self, scenario: Scenario) -> None:
        """Other rules from now on: both hear of them."""
        self.scenario = scenario
        self.market = self._market()
        self.model.group = scenario.group
        self.model.instruments = {i.symbol: i for i in scenario.instruments}
        self.compare("change")

    def do(self, asked: c.Input) -> Outcome:
        """One decision on both sides."""
        before = self.account
        outcome = decide(before, asked, self.market, self.now_ms, self._take)
        self._given.clear()
        self._given.extend(order for event in outcome.events for order in _new_orders(event))
        answer = self._ask_model(asked)
        mine: Any = outcome.refusal.code if outcome.refusal is not None else "OK"
        if isinstance(answer, tuple):
            mine = outcome.matched, [(failure.order, failure.error.code) for failure in outcome.failures]
        assert mine == answer, (asked, mine, answer)
        self._follow(before, outcome)
        self.compare(asked, outcome.events)
        return outcome

    def price(self, symbol: str, points: int) -> Fraction:
        """Points as the oracle writes prices."""
        return Fraction(points, 10 ** self.digits.get(symbol, 0))

    def _market(self) -> Market:
        group = self.scenario.group
        terms = [terms_of(group, i) for i in self.scenario.instruments]
        return Market(rules_of(group), terms, self.quotes, live=self.scenario.live)

    def _take(self) -> int:
        self._last_order += 1
        return self._last_order

    def _follow(self, before: Account, outcome: Outcome) -> None:
        """Fold and post what was decided."""
        after = before
        for event in outcome.events:
            after = apply(after, event)
            entry = entry_of(event, self.account.currency)
            for posting in entry.postings if entry is not None else ():
                self.ledger[posting.account] += posting.amount_minor
        assert after == outcome.account
        self.account = outcome.account
        self.history.extend(outcome.events)
        assert numbers_of(self.account, self.market) == outcome.numbers

    # ── the oracle's side ─────────────────────────────────────────────────────────────────────────

    def _ask_model(self, asked: c.Input) -> Any:
        """OK, the code of the refusal, or what a group operation came to."""
        self.model.now_ms = self.now_ms
        self.model.end_days(self.now_ms)
        try:
            answer = self._call(asked)() or "OK"
        except Refused as refusal:
            answer = refusal.code
        self.model.assess(self.now_ms)
        return answer

    def _call(self, asked: c.Input) -> Callable[[], Any]:
        m, now = self.model, self.now_ms
        match asked:
            case c.OpenTrade():
                price = self._pricer(asked.symbol)
                return lambda: m.open(
                    now,
                    KINDS[asked.cmd],
                    asked.symbol,
                    asked.volume,
                    price(asked.sl_points),
                    price(asked.tp_points),
                    asked.comment,
                )
            case c.PlacePending():
                price = self._pricer(asked.symbol)
                return lambda: m.place(
                    now,
                    KINDS[asked.cmd],
                    asked.symbol,
                    asked.volume,
                    price(asked.open_points),
                    price(asked.sl_points),
                    price(asked.tp_points),
                    asked.expiration_ms,
                    asked.comment,
                )
            case c.CloseTrade():
                return lambda: m.close(now, asked.order, asked.volume, asked.comment)
            case c.CloseBy():
                return lambda: m.close_by(now, asked.order, asked.order_by)
            case c.CloseGroup():
                return lambda: m.close_group(now, asked.type, asked.symbol, asked.comment is not None)
            case c.CancelPending():
                return lambda: m.cancel(asked.order)
            case c.CancelGroup():
                return lambda: m.cancel_group(asked.symbol)
            case c.ModifyTrade():
                maybe = self._maybe(asked.order)
                return lambda: m.modify(now, asked.order, maybe(asked.sl_points), maybe(asked.tp_points))
            case c.ModifyPending():
                maybe = self._maybe(asked.order)
                return lambda: m.modify_pending(
                    now,
                    asked.order,
                    maybe(asked.open_points),
                    maybe(asked.sl_points),
                    maybe(asked.tp_points),
                    asked.expiration_ms,
                )
            case c.ChangeBalance():
                scale = scale_of(self.account.currency)
                return lambda: m.money(asked.cmd, Fraction(asked.amount_minor, scale))
            case c.ChangeAccount(enabled=enabled, read_only=read_only):
                return lambda: m.allow(enabled, read_only)
            case c.OnQuote():
                return lambda: m.tick(now, asked.symbol)
            case c.OnClock():
                return lambda: m.clock(now)
        return self._call_beyond(asked)

    def _call_beyond(self, asked: c.Input) -> Callable[[], Any]:
        m, now = self.model, self.now_ms
        match asked:
            case c.TrailTrade():
                maybe = self._maybe(asked.order)
                distance, step = maybe(asked.distance_points), maybe(asked.step_points)
                return lambda: m.trail(now, asked.order, distance or ZERO, step or ZERO)
            case c.PlaceLinked():
                first = self._pending_row(asked.first) if asked.first is not None else None
                then = [self._pending_row(each) for each in asked.then]
                return lambda: m.place_linked(now, first, then, asked.one_cancels_other)
            case c.Halt():
                return lambda: m.halt(now, asked.on, asked.by, asked.flatten)
            case c.LimitAccount(limits=limits):
                assert limits is not None
                loss = Fraction(limits.daily_loss_minor, scale_of(self.account.currency))
                return lambda: m.cap(loss, limits.open_volume, limits.orders_per_minute)
        raise AssertionError(asked)

    def _pricer(self, symbol: str) -> Callable[[int], Fraction]:
        return lambda points: self.price(symbol, points)

    def _pending_row(self, asked: c.PlacePending) -> Row:
        price = self._pricer(asked.symbol)
        return Row(
            0,
            asked.symbol,
            KINDS[asked.cmd],
            asked.volume,
            self.now_ms,
            price(asked.open_points),
            price(asked.sl_points),
            price(asked.tp_points),
            asked.expiration_ms,
            asked.comment,
        )

    def _maybe(self, order: int) -> Callable[[int | None], Fraction | None]:
        row = self.model.rows.get(order)
        symbol = row.symbol if row is not None else ""
        return lambda points: None if points is None else self.price(symbol, points)

    # ── comparing ─────────────────────────────────────────────────────────────────────────────────

    def compare(self, asked: Any = None, events: tuple[e.AccountEvent, ...] = ()) -> None:
        """Everything both sides know."""
        model, account = self.model, self.account
        scale = scale_of(account.currency)
        mine = sorted((self._row(t) for t in [*account.positions(), *account.pendings]), key=lambda r: r[0])
        theirs = [self._model_row(order) for order in sorted(model.rows)]
        assert mine == theirs, (asked, mine, theirs)
        assert Fraction(account.balance_minor, scale) == model.balance, asked
        assert Fraction(account.credit_minor, scale) == model.credit, asked
        assert account.level_type == model.level_type, asked
        ended = [self._ended(t) for event in events for t in _ended_trades(event)]
        said = [
            (r.order, r.volume, r.state, r.activation, r.price, r.profit, r.commission, r.storage, r.comment)
            for r in closed_rows(model)
        ]
        assert ended == said, (asked, ended, said)
        assert [text for event in events if (text := _notice(event))] == model.notices, asked
        model.notices.clear()
        self._compare_numbers(asked)
        assert sum(self.ledger.values()) == 0
        for kind, amount in ((Kind.BALANCE, account.balance_minor), (Kind.CREDIT, account.credit_minor)):
            assert self.ledger[LedgerAccount(kind, LOGIN, account.currency)] == amount

    def _compare_numbers(self, asked: Any) -> None:
        numbers, sheet = numbers_of(self.account, self.market), self.model.sheet()
        assert (numbers is None) == (sheet is None), asked
        if numbers is None or sheet is None:
            return
        scale = scale_of(self.account.currency)
        mine = (
            numbers.profit_minor,
            numbers.commission_minor,
            numbers.storage_minor,
            numbers.margin_minor,
            numbers.equity_minor,
            numbers.margin_free_minor,
        )
        theirs = (sheet.profit, sheet.commission, sheet.storage, sheet.margin, sheet.equity, sheet.free)
        assert tuple(Fraction(amount, scale) for amount in mine) == theirs, (asked, mine, theirs)

    def _row(self, t: Trade) -> tuple[Any, ...]:
        scale = scale_of(self.account.currency)
        return (
            t.order,
            t.symbol,
            KINDS[t.cmd],
            t.volume,
            t.open_ms,
            self.price(t.symbol, t.open_points),
            self.price(t.symbol, t.sl_points),
            self.price(t.symbol, t.tp_points),
            t.expiration_ms,
            t.comment,
            t.activation,
            t.deferred,
            Fraction(t.margin_minor, scale),
            Fraction(t.commission_minor, scale),
            Fraction(t.storage_minor, scale),
            self.price(t.symbol, t.trail_points),
            self.price(t.symbol, t.trail_step_points),
            t.oco,
            t.after,
        )

    def _model_row(self, order: int) -> tuple[Any, ...]:
        r = self.model.rows[order]
        return (
            r.order,
            r.symbol,
            r.kind,
            r.volume,
            r.opened_ms,
            r.price,
            r.sl,
            r.tp,
            r.expires_ms,
            r.comment,
            r.activation,
            r.waits_for,
            self.model.margin_of(r),
            r.commission,
            r.storage,
            *self.model.trails.get(order, (ZERO, ZERO)),
            self.model.ocos.get(order, 0),
            self.model.afters.get(order, 0),
        )

    def _ended(self, t: Trade) -> tuple[Any, ...]:
        scale = scale_of(self.account.currency)
        return (
            t.order,
            t.volume,
            t.state,
            t.activation,
            self.price(t.symbol, t.close_points),
            Fraction(t.profit_minor, scale),
            Fraction(t.commission_minor, scale),
            Fraction(t.storage_minor, scale),
            t.comment,
        )


def _new_orders(event: e.AccountEvent) -> list[int]:
    match event:
        case e.TradeOpened(trade=trade) | e.PendingPlaced(trade=trade):
            return [trade.order]
        case e.TradePartlyClosed(remainder=rest):
            return [rest.order]
    return []


def _ended_trades(event: e.AccountEvent) -> list[Trade]:
    match event:
        case (
            e.TradeClosed(trade=trade)
            | e.TradePartlyClosed(trade=trade)
            | e.PendingCancelled(trade=trade)
            | e.PendingExpired(trade=trade)
        ):
            return [trade]
    return []


def _notice(event: e.AccountEvent) -> str:
    match event:
        case e.MarginCalled():
            return "margin call"
        case e.StoppedOut():
            return "stop-out"
        case e.TradeRejected(order=order, error=error):
            return f"rejected {order} {error}"
    return ""
