"""Whatever is lost, repeated, late or dies, every account ends as it would have ended without.

A seed draws a script of prices and commands. Trading plays it amid trouble, the reference without any; after
every step all orders and all money must be equal, and at the end every fact must have been told exactly once.
A failing seed fails again: run ``play(seed, steps)``.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from random import Random
from typing import Any

import msgspec
import pytest

from libs.common.bus import HEADER_ID, Entry, encode
from libs.common.db import Database, open_database
from libs.common.errors import AppError, RemoteError
from libs.common.messages import trading_extras as x
from libs.common.messages import trading_orders as o
from libs.common.messages.auth import AccountOpened
from libs.common.messages.market import Group
from libs.common.messages.trading import AccountAsk
from libs.common.subjects import (
    ACCOUNT_GET,
    ACCOUNT_OPENED,
    LINKED_OPEN,
    PENDING_CANCEL,
    PENDING_MODIFY,
    PENDING_OPEN,
    TRADE_CLOSE,
    TRADE_CLOSE_BY,
    TRADE_CLOSE_GROUP,
    TRADE_MODIFY,
    TRADE_OPEN,
    TRADE_TRAIL,
    Command,
)
from services.trading import commands as c
from services.trading.position import Trade
from tests.databases import Databases
from tests.simulation.trading.reference import Reference
from tests.simulation.trading.world import World
from tests.unit.trading.engine.scenarios import POOL, instrument

SYMBOLS = ("EURUSD", "USDJPY", "XAUUSD")
ACCOUNTS = {11: 30, 12: 100, 13: 500}  # login → leverage
DEPOSIT = 10_000.0
STEPS = 35
UNSURE = ("RET_ERR_NOSERVICE", "RET_ERR_TIMEOUT", "RET_ERROR", "RET_TECH_PROBLEM")
TOLD = ("told", "told", "told", "lost", "twice", "late")


@dataclass
class Asked:
    """A command as the client sends it and as the reference is asked."""

    login: int
    command: Command[Any, Any]
    message: Callable[[Callable[[int], int]], Any]  # given the real number of the reference's order
    asked: c.Input


class Script:
    """What the seed has everybody do."""

    def __init__(self, seed: int, reference: Reference) -> None:
        self.dice = Random(f"script {seed}")
        self.reference = reference
        self.prices = {symbol: POOL[symbol][2] for symbol in SYMBOLS}
        self._ids = 0

    def ticks(self) -> list[tuple[str, int, int, str]]:
        """A few ticks of one symbol; all but the last may go astray."""
        dice, symbol = self.dice, self.dice.choice(SYMBOLS)
        found = []
        count = dice.randint(1, 5)
        for number in range(count):
            step = POOL[symbol][3] * (25 if dice.random() < 0.08 else 1)
            self.prices[symbol] = max(self.prices[symbol] + dice.randint(-step, step), 1_000)
            bid = self.prices[symbol]
            fate = dice.choice(TOLD) if number < count - 1 else "told"
            found.append((symbol, bid, bid + dice.randint(1, 12), fate))
        return found

    def commands(self) -> list[Asked]:
        """Commands that arrive at the same time, of each account one at most: nothing else orders them."""
        logins = [login for login in ACCOUNTS if self.dice.random() < 0.6]
        return [made for login in logins if (made := self._command(login)) is not None]

    def _command(self, login: int) -> Asked | None:
        dice = self.dice
        account = self.reference.accounts[login]
        positions = sorted(account.positions(), key=lambda trade: trade.order)
        pendings = sorted(account.pendings, key=lambda trade: trade.order)
        kind = dice.choices(
            ["open", "pending", "close", "close_by", "group", "cancel", "modify", "move", "trail"],
            [30, 20, 20, 5, 2, 8, 12, 8, 12],
        )[0]
        if kind == "open":
            return self._open(login)
        if kind == "pending":
            return self._pending(login)
        if kind == "group":
            asked = c.CloseGroup(type=dice.choice([-1, 1]))
            return Asked(
                login,
                TRADE_CLOSE_GROUP,
                lambda real: o.TradeCloseGroup(login=login, type=asked.type),
                asked,
            )
        chosen = pendings if kind in ("cancel", "move") else positions
        if not chosen:
            return None
        return self._about(kind, login, dice.choice(chosen), positions)

    def _about(self, kind: str, login: int, trade: Trade, positions: list[Trade]) -> Asked | None:
        dice, order, scale = self.dice, trade.order, 10**trade.digits
        if kind == "cancel":
            return Asked(
                login,
                PENDING_CANCEL,
                lambda real: o.PendingCancel(login=login, order=real(order)),
                c.CancelPending(order=order),
            )
        if kind == "move":
            price = max(trade.open_points + dice.randint(-200, 200), 1)
            return Asked(
                login,
                PENDING_MODIFY,
                lambda real: o.PendingModify(login=login, order=real(order), open_price=price / scale),
                c.ModifyPending(order=order, open_points=price),
            )
        if kind == "modify":
            sl, tp = self._levels(trade.symbol, trade.cmd)
            return Asked(
                login,
                TRADE_MODIFY,
                lambda real: o.TradeModify(login=login, order=real(order), sl=sl / scale, tp=tp / scale),
                c.ModifyTrade(order=order, sl_points=sl, tp_points=tp),
            )
        if kind == "trail":
            distance = dice.randint(20, 2 * POOL[trade.symbol][3])
            return Asked(
                login,
                TRADE_TRAIL,
                lambda real: x.TradeTrail(login=login, order=real(order), distance=distance / scale),
                c.TrailTrade(order=order, distance_points=distance),
            )
        if kind == "close_by":
            against = [t for t in positions if t.symbol == trade.symbol and t.cmd != trade.cmd]
            if not against:
                return None
            by = dice.choice(against).order
            return Asked(
                login,
                TRADE_CLOSE_BY,
                lambda real: o.TradeCloseBy(login=login, order=real(order), order_by=real(by)),
                c.CloseBy(order=order, order_by=by),
            )
        volume = max(trade.volume // 2, 1) if dice.random() < 0.4 and trade.volume > 1 else None
        return Asked(
            login,
            TRADE_CLOSE,
            lambda real: o.TradeClose(login=login, order=real(order), volume=volume),
            c.CloseTrade(order=order, volume=volume),
        )

    def linked(self) -> Asked | None:
        """Now and then an order with two others that wait for it and exclude each other."""
        dice, login, symbol = self.dice, self.dice.choice(list(ACCOUNTS)), self.dice.choice(SYMBOLS)
        if dice.random() > 0.25:
            return None
        scale, price, reach = 10 ** POOL[symbol][0], self.prices[symbol], POOL[symbol][3]
        legs = [
            (2, price - dice.randint(20, reach)),
            (4, price + reach),
            (3, price + dice.randint(20, reach)),
        ]
        first, *then = [
            (
                x.LinkedOrder(cmd=cmd, volume=10, symbol=symbol, open_price=points / scale),
                c.PlacePending(cmd=cmd, symbol=symbol, volume=10, open_points=points),
            )
            for cmd, points in legs
        ]
        return Asked(
            login,
            LINKED_OPEN,
            lambda real: x.LinkedOpen(
                login=login, first=first[0], then=[leg[0] for leg in then], one_cancels_other=True
            ),
            c.PlaceLinked(first=first[1], then=tuple(leg[1] for leg in then), one_cancels_other=True),
        )

    def _open(self, login: int) -> Asked:
        dice, symbol = self.dice, self.dice.choice(SYMBOLS)
        cmd, volume = dice.randrange(2), dice.choice([1, 10, 50, 100])
        sl, tp = self._levels(symbol, cmd)
        scale, own = 10 ** POOL[symbol][0], self._own()
        return Asked(
            login,
            TRADE_OPEN,
            lambda real: o.TradeOpen(
                login=login,
                cmd=cmd,
                volume=volume,
                symbol=symbol,
                sl=sl / scale,
                tp=tp / scale,
                client_order_id=own,
            ),
            c.OpenTrade(cmd=cmd, symbol=symbol, volume=volume, sl_points=sl, tp_points=tp),
        )

    def _pending(self, login: int) -> Asked:
        dice, symbol = self.dice, self.dice.choice(SYMBOLS)
        cmd, volume = dice.randrange(2, 6), dice.choice([1, 10, 50])
        away = dice.randint(15, 3 * POOL[symbol][3])
        price = self.prices[symbol] + (away if cmd in (3, 4) else -away)
        expires_s = self.reference_now_s() + dice.choice([3, 20]) if dice.random() < 0.3 else 0
        scale, own = 10 ** POOL[symbol][0], self._own()
        return Asked(
            login,
            PENDING_OPEN,
            lambda real: o.PendingOpen(
                login=login,
                cmd=cmd,
                volume=volume,
                symbol=symbol,
                open_price=price / scale,
                expiration=expires_s,
                client_order_id=own,
            ),
            c.PlacePending(
                cmd=cmd, symbol=symbol, volume=volume, open_points=price, expiration_ms=expires_s * 1000
            ),
        )

    reference_now_s: Callable[[], int] = staticmethod(lambda: 0)

    def _levels(self, symbol: str, cmd: int) -> tuple[int, int]:
        dice, price, reach = self.dice, self.prices[symbol], 3 * POOL[symbol][3]
        below, above = price - dice.randint(30, reach), price + dice.randint(30, reach)
        sl, tp = (below, above) if cmd == 0 else (above, below)
        return sl if dice.random() < 0.5 else 0, tp if dice.random() < 0.5 else 0

    def _own(self) -> str:
        self._ids += 1
        return f"own-{self._ids}"


class Play:
    """One seed: the world and the reference side by side."""

    def __init__(self, seed: int, dsn: str, admin: Database) -> None:
        group = Group(group="demo", default_deposit=DEPOSIT, netting=seed % 2)
        instruments = [instrument(symbol) for symbol in SYMBOLS]
        self.admin = admin
        self.world = World(seed, dsn, group, instruments)
        self.reference = Reference(group, instruments)
        self.script = Script(seed, self.reference)
        self.again: Counter[int] = Counter()  # order → how often a change of it was asked for once more
        self.script.reference_now_s = lambda: self.world.clock.now_ms() // 1000

    async def begin(self) -> None:
        """Accounts, told by facts that may come twice, and first prices."""
        world = self.world
        await world.market.start()
        await world.start()
        world.trouble.armed = True
        now_ms = world.clock.now_ms()
        for login, leverage in ACCOUNTS.items():
            opened = AccountOpened(
                login=login,
                person_id=login,
                group="demo",
                currency="USD",
                leverage=leverage,
                email="",
                name="",
                opened_ms=now_ms,
            )
            entry = Entry(ACCOUNT_OPENED.at(login=str(login)), encode(opened), f"opened {login}")
            await world.client.append("AUTH", [entry])
            await self.until_answered(ACCOUNT_GET, AccountAsk(login=login), missing_too=True)
            self.reference.open_account(login, leverage, int(DEPOSIT * 100), now_ms)
        for symbol in SYMBOLS:
            await self.tick(symbol, POOL[symbol][2], POOL[symbol][2] + 10, "told")
        await self.judged()

    async def tick(self, symbol: str, bid: int, ask: int, fate: str) -> None:
        now_ms = self.world.clock.now_ms()
        self.reference.tick(symbol, bid, ask, now_ms)
        await self.world.market.tick(symbol, bid, ask, now_ms, fate)

    async def step(self) -> None:
        """Time, prices, commands; then everything is compared."""
        world = self.world
        world.trouble.next_step()
        world.clock.advance(self.script.dice.choice([1.0, 1.5, 5.0, 3_600.0]))
        self.reference.clock(world.clock.now_ms())
        for tick in self.script.ticks():
            await self.tick(*tick)
        await world.market.deliver_late()
        await self.judged()
        asked = self.script.commands()
        real = await self.numbers()
        world.trouble.answers = True
        await asyncio.gather(*(self._one(each, real) for each in asked))
        world.trouble.answers = False
        if (linked := self.script.linked()) is not None:  # they have no id of their own: asked for once only
            world.trouble.armed = False
            await self._one(linked, real)
            world.trouble.armed = True

    async def judged(self) -> None:
        """Return when what every tick led to is committed."""
        while True:
            await self.world.until(self.world.judged)
            nothing = o.PendingCancel(login=next(iter(ACCOUNTS)), order=0)
            assert await self.until_answered(PENDING_CANCEL, nothing) == "RET_NOT_FOUND"
            if self.world.judged():  # it still is: nothing was thrown away meanwhile
                return

    async def _one(self, each: Asked, real: dict[int, int]) -> None:
        outcome = self.reference.do(each.login, each.asked, self.world.clock.now_ms())
        wanted = outcome.refusal.code if outcome.refusal is not None else "OK"
        message = each.message(lambda order: real[order])
        again: list[None] = []
        got = await self.until_answered(each.command, message, again=again)
        if each.command in (TRADE_MODIFY, PENDING_MODIFY, TRADE_TRAIL):
            self.again[message.order] += len(again)
        assert got == wanted or got in ("RET_TRADE_INCORRECT_STATE", "RET_NOT_FOUND"), (each, got, wanted)

    async def until_answered(
        self,
        command: Command[Any, Any],
        message: Any,
        *,
        missing_too: bool = False,
        again: list[None] | None = None,
    ) -> str:
        """OK or the refusal's code; asked again for as long as nobody knows, and then noted in ``again``."""
        first = True
        while True:
            if not first and again is not None:
                again.append(None)
            first = False
            try:
                await self.world.alive(self.world.client.request(command, message))
                return "OK"
            except RemoteError as e:
                if e.code in UNSURE or (missing_too and e.code == "INVALID_USER"):
                    await asyncio.sleep(0.0005)
                    continue
                return e.code
            except AppError:
                await asyncio.sleep(0.0005)

    # ── comparing ─────────────────────────────────────────────────────────────────────────────────

    async def numbers(self) -> dict[int, int]:
        """The reference's order → its number in the tables: the n-th of a login is the n-th."""
        found: dict[int, int] = {}
        rows = await self.admin.pool.fetch('SELECT login, "order" FROM trading.trade ORDER BY "order"')
        for login in ACCOUNTS:
            theirs = [row["order"] for row in rows if row["login"] == login]
            found |= dict(zip(sorted(self.reference.trades[login]), theirs, strict=False))
        return found

    async def compare(self) -> None:
        """All orders and all money are equal, and the ledger sums to zero."""
        real = await self.numbers()
        rows = await self.admin.pool.fetch('SELECT * FROM trading.trade ORDER BY "order"')
        for login in ACCOUNTS:
            mine = [_shown(dict(row)) for row in rows if row["login"] == login]
            theirs = [
                _shown(_renumbered(trade, real)) for _, trade in sorted(self.reference.trades[login].items())
            ]
            assert mine == theirs, (
                login,
                [pair for pair in zip(mine, theirs, strict=False) if pair[0] != pair[1]],
            )
        sums = {(r["login"], r["kind"]): r["sum"] for r in await self.admin.pool.fetch(_SUMS)}
        for login, account in self.reference.accounts.items():
            assert sums.get((login, "balance"), 0) == account.balance_minor
        assert sum(sums.values()) == 0
        levels = dict(await self.admin.pool.fetch("SELECT login, level_type FROM trading.margin_account"))
        assert levels == {login: account.level_type for login, account in self.reference.accounts.items()}

    async def told(self) -> None:
        """Every fact was told exactly once and in order."""
        await self.world.published(self.admin)
        real = await self.numbers()
        frames: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for stored in self.world.server.streams["PUSH"].messages:
            if stored.subject.startswith("trading.push.trade.") and HEADER_ID in stored.headers:
                frame = msgspec.json.decode(stored.payload)
                frames[frame[2]].append((frame[1], frame[17]))
        for login in ACCOUNTS:
            wanted = [(real[order], code) for order, code in self.reference.codes[login]]
            for order in {order for order, _ in (*wanted, *frames[login])}:
                told = [code for number, code in frames[login] if number == order]
                expected = [code for number, code in wanted if number == order]
                # a change that was asked for again may be told again
                assert _repeats(told, expected) <= self.again[order], (login, order, told, expected)
        notices = Counter(
            int(stored.subject.rpartition(".")[2])
            for stored in self.world.server.streams["TRADING"].messages
            if stored.subject.startswith("trading.evt.notice.")
        )
        assert notices == Counter({k: v for k, v in self.reference.notices.items() if v})


_SUMS = """
SELECT l.login, l.kind, sum(p.amount_minor)::bigint AS sum
  FROM trading.posting AS p JOIN trading.ledger_account AS l ON l.id = p.account_id GROUP BY 1, 2
"""
_COMPARED = (
    "order",
    "cmd",
    "state",
    "symbol",
    "activation",
    "volume",
    "open_ms",
    "close_ms",
    "open_points",
    "close_points",
    "sl_points",
    "tp_points",
    "expiration_ms",
    "margin_minor",
    "profit_minor",
    "commission_minor",
    "storage_minor",
    "comment",
    "deferred",
)


_RARE = ("trail_points", "trail_step_points", "oco", "after")


def _shown(of: dict[str, Any]) -> dict[str, Any]:
    rare = of.get("extra", of)
    return {name: of[name] for name in _COMPARED} | {name: rare.get(name, 0) for name in _RARE}


def _renumbered(trade: Trade, real: dict[int, int]) -> dict[str, Any]:
    fields = msgspec.structs.asdict(trade)
    fields["order"] = real.get(trade.order, -trade.order)
    fields |= {name: real.get(fields[name], 0) for name in ("oco", "after")}
    fields["comment"] = re.sub(r"#(\d+)", lambda found: f"#{real[int(found[1])]}", trade.comment)
    return fields


def _repeats(told: list[int], expected: list[int]) -> float:
    """How many updates were told beside what was expected, in its order; infinite if anything else was."""
    rest = iter(told)
    beside = []
    for wanted in expected:
        for code in rest:
            if code == wanted:
                break
            beside.append(code)
        else:
            return inf
    beside += rest
    return len(beside) if set(beside) <= {1} else inf


async def play(seed: int, steps: int, databases: Databases) -> Counter[str]:
    """Play a seed; what went wrong on the way."""
    async with databases.fresh() as dsns, open_database(dsns["admin"], application="simulation") as admin:
        played = Play(seed, dsns["trading"], admin)
        try:
            await played.begin()
            for number in range(steps):
                try:
                    await played.step()
                    await played.compare()
                except AssertionError as cause:
                    raise AssertionError(f"seed {seed}, step {number}: {cause}") from cause
            await played.told()
        finally:
            await played.world.kill()
            asyncio.get_running_loop().set_task_factory(None)
        return played.world.trouble.counts


@pytest.mark.parametrize("seed", [0, 11, 28])
async def test_trouble_changes_nothing(seed: int, template: Databases) -> None:
    struck = await play(seed, STEPS, template)
    assert struck


@pytest.mark.soak
async def test_a_lot_of_trouble_changes_nothing(template: Databases) -> None:
    struck: Counter[str] = Counter()
    for seed in range(100, 160):
        struck += await play(seed, 60, template)
    assert len(struck) == 9, struck  # every kind of trouble
