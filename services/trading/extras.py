"""The use cases beyond the contract: dry runs, trailing stops, linked orders, limits, the kill switches of an
account and of the house, simulated fills and journal notes. All of it is off until somebody asks for it."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import InvalidData
from libs.common.messages import trading_extras as x
from libs.common.messages import trading_orders as m
from libs.common.messages.house import Done
from libs.common.money import from_minor, from_points
from services.trading import acks, asks
from services.trading import commands as c
from services.trading import refusals as no
from services.trading.account import HALTED_BY_HOUSE, Limits
from services.trading.asks import digits_of_order
from services.trading.dealing import BIGINT_MAX, COMMENT_MAX, Dealing
from services.trading.desk import Desk
from services.trading.errors import ForeignOrder
from services.trading.events import PendingPlaced
from services.trading.extras_store import ExtrasStore
from services.trading.fills import PROFILES
from services.trading.position import MARKET_CMDS, PENDING_CMDS
from services.trading.preview import Preview, preview
from services.trading.state import Account
from services.trading.store import Store
from services.trading.writer import Writer

NOTE_MAX = 4_000
NOTES = ("order", "note", "updated_time")
FILLS = (
    "order",
    "deal",
    "time",
    "profile",
    "latency_ms",
    "quoted_price",
    "price",
    "asked_volume",
    "volume",
    "rejected",
)


class Extras:
    """See the module's text."""

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        kept: ExtrasStore,
        desk: Desk,
        writer: Writer,
        dealing: Dealing,
        clock: Clock,
    ) -> None:
        self._writer = writer
        self._database = database
        self._store = store
        self._kept = kept
        self._desk = desk
        self._dealing = dealing
        self._clock = clock

    # ── orders ────────────────────────────────────────────────────────────────────────────────────

    async def check(self, ask: x.OrderCheck) -> x.OrderChecked:
        """What an order would come to; nothing is done."""
        account = await self._desk.account(ask.login)
        market = self._desk.floor.market_of(account)
        symbol, digits = self._dealing.symbol(ask.symbol)
        asked = _checked(ask, symbol, digits)
        return _check_view(
            ask, symbol, digits, account, preview(account, asked, market, self._clock.now_ms())
        )

    async def trail(self, ask: x.TradeTrail) -> m.TradeAck:
        """Let a stop loss trail."""
        account = await self._desk.account(ask.login)
        digits = digits_of_order(account, ask.order)
        asked = c.TrailTrade(
            read_only=ask.read_only,
            order=ask.order,
            distance_points=asks.points(ask.distance, digits),
            step_points=asks.points(ask.step, digits),
        )
        outcome = await self._dealing.change(ask, asked, ask.order, modifies=True)
        return acks.ack_of(acks.trade_in(outcome, ask.order), acks.OPEN_UPDATE_REQUEST)

    async def open_linked(self, ask: x.LinkedOpen) -> x.LinkedAck:
        """Place pending orders that know of each other."""
        asked = c.PlaceLinked(
            read_only=ask.read_only,
            first=None if ask.first is None else self._linked(ask, ask.first),
            then=tuple(self._linked(ask, one) for one in ask.then),
            one_cancels_other=ask.one_cancels_other,
        )
        outcome = await self._dealing.submit(ask.login, asked)
        placed = [event.trade for event in outcome.events if isinstance(event, PendingPlaced)]
        return x.LinkedAck(rows=[acks.ack_of(trade, acks.OPEN_REQUEST) for trade in placed])

    # ── limits and kill switches ──────────────────────────────────────────────────────────────────

    async def limits(self, ask: x.LimitsAsk) -> x.LimitsView:
        """The limits of an account."""
        return _limits_view(await self._desk.account(ask.login))

    async def set_limits(self, ask: x.LimitsPut) -> x.LimitsView:
        """Change the limits of an account."""
        account = await self._desk.account(ask.login)
        now = account.limits
        loss = asks.minor_or_none(ask.max_daily_loss, account.currency)
        limits = Limits(
            daily_loss_minor=now.daily_loss_minor if loss is None else loss,
            open_volume=now.open_volume if ask.max_open_volume is None else ask.max_open_volume,
            orders_per_minute=now.orders_per_minute
            if ask.max_orders_per_minute is None
            else ask.max_orders_per_minute,
        )
        asked = c.LimitAccount(limits=limits, fill_profile=ask.fill_profile)
        return _limits_view((await self._dealing.submit(ask.login, asked)).account)

    async def halt(self, ask: x.HaltPut) -> x.Halted:
        """Pull an account's kill switch, or let go of it."""
        asked = c.Halt(read_only=ask.read_only, on=ask.on, by=ask.by, flatten=ask.flatten)
        outcome = await self._dealing.submit(ask.login, asked)
        return x.Halted(
            login=ask.login,
            halted=outcome.account.halted,
            matched=outcome.matched,
            failed=len(outcome.failures),
            failures=acks.failures_of(outcome),
        )

    async def house(self, ask: x.HouseHaltAsk) -> x.HouseHalted:
        """Where the house's kill switch stands."""
        return x.HouseHalted(halted=self._desk.floor.markets.halted)

    async def halt_house(self, ask: x.HouseHaltPut) -> x.HouseHalted:
        """Pull the kill switch of the whole house: from the commit on nothing opens anywhere."""
        async with self._writer.transaction() as tx:
            await self._kept.halt(tx, ask.on)
        self._desk.floor.markets.halt(ask.on)
        gone = failed = 0
        if ask.on and ask.flatten:
            busy = [a.login for a in self._desk.floor.accounts.values() if not a.is_idle]
            for login in busy:
                went, stayed = await self._flatten(login)
                gone += went
                failed += stayed
        return x.HouseHalted(halted=ask.on, flattened=gone, failed=failed)

    async def _flatten(self, login: int) -> tuple[int, int]:
        """Close and cancel everything of an account that can be; its own switch stays as it is."""
        was = (await self._desk.account(login)).halted
        outcome = await self._dealing.submit(login, c.Halt(on=True, by=HALTED_BY_HOUSE, flatten=True))
        if was != HALTED_BY_HOUSE:
            await self._dealing.submit(login, c.Halt(on=False, by=HALTED_BY_HOUSE))
            if was:
                await self._dealing.submit(login, c.Halt(on=True, by=was))
        return outcome.matched - len(outcome.failures), len(outcome.failures)

    # ── notes and fills ───────────────────────────────────────────────────────────────────────────

    async def put_note(self, ask: x.NotePut) -> Done:
        """Write a journal note to an order of one's own."""
        if len(ask.note) > NOTE_MAX:
            raise InvalidData(f"a note has at most {NOTE_MAX} characters")
        async with self._writer.transaction() as tx:
            known = await self._store.trades_by_order(tx, [ask.order] if ask.order <= BIGINT_MAX else [])
            trade = known.get(ask.order)
            if trade is None:
                raise no.OrderNotFound(f"order was {ask.order}")
            if trade.login != ask.login:
                raise ForeignOrder
            await self._kept.put_note(tx, ask.login, ask.order, ask.note, self._clock.now_ms())
        return Done()

    async def notes(self, ask: x.NotesAsk) -> x.Table:
        """Journal notes."""
        async with self._database.connection() as connection:
            rows = await self._kept.notes(connection, ask.login, ask.order, ask.limit, ask.offset)
        return x.Table(NOTES, [(row["order"], row["note"], row["updated_ms"] // 1000) for row in rows])

    async def fills(self, ask: x.FillsAsk) -> x.Table:
        """How an order was filled by a simulation profile; no rows where it filled at the quote."""
        async with self._database.connection() as connection:
            rows = await self._kept.fills(connection, ask.login, ask.order)
        return x.Table(
            FILLS,
            [
                (
                    row["order"],
                    row["deal"],
                    row["at_ms"] // 1000,
                    row["profile"],
                    row["latency_ms"],
                    from_points(row["quoted_points"], row["digits"]),
                    from_points(row["points"], row["digits"]),
                    row["asked_volume"],
                    row["volume"],
                    int(row["rejected"]),
                )
                for row in rows
            ],
        )

    def _linked(self, ask: x.LinkedOpen, one: x.LinkedOrder) -> c.PlacePending:
        if len(one.comment) > COMMENT_MAX:
            raise InvalidData(f"a comment has at most {COMMENT_MAX} characters")
        symbol, digits = self._dealing.symbol(one.symbol)
        return c.PlacePending(
            read_only=ask.read_only,
            cmd=one.cmd,
            symbol=symbol,
            volume=one.volume,
            open_points=asks.points(one.open_price, digits),
            sl_points=asks.points(one.sl, digits),
            tp_points=asks.points(one.tp, digits),
            expiration_ms=one.expiration * 1000,
            comment=one.comment,
            reason=ask.reason,
        )


def _checked(ask: x.OrderCheck, symbol: str, digits: int) -> c.OpenTrade | c.PlacePending:
    sl, tp, price = (asks.points(value, digits) for value in (ask.sl, ask.tp, ask.open_price))
    if ask.cmd in MARKET_CMDS:
        return c.OpenTrade(
            read_only=ask.read_only, cmd=ask.cmd, symbol=symbol, volume=ask.volume, sl_points=sl, tp_points=tp
        )
    if ask.cmd not in PENDING_CMDS:
        raise no.IncorrectCmd(f"cmd was {ask.cmd}")
    return c.PlacePending(
        read_only=ask.read_only,
        cmd=ask.cmd,
        symbol=symbol,
        volume=ask.volume,
        open_points=price,
        sl_points=sl,
        tp_points=tp,
        expiration_ms=ask.expiration * 1000,
    )


def _check_view(
    ask: x.OrderCheck, symbol: str, digits: int, account: Account, found: Preview
) -> x.OrderChecked:
    currency, refusal, after = account.currency, found.refusal, found.after
    return x.OrderChecked(
        accepted=refusal is None,
        error="" if refusal is None else refusal.code,
        message="" if refusal is None else str(refusal),
        login=account.login,
        symbol=symbol,
        cmd=ask.cmd,
        volume=ask.volume,
        price=from_points(found.price_points, digits),
        margin=from_minor(found.margin_minor, currency),
        commission=from_minor(found.commission_minor, currency),
        margin_free=0.0 if after is None else from_minor(after.margin_free_minor, currency),
        margin_level=0.0 if after is None else after.margin_level,
        equity=0.0 if after is None else from_minor(after.equity_minor, currency),
        stop_price=from_points(found.stop_points, digits),
        fill_profile=account.fill_profile,
        worst_price=from_points(found.worst.points, digits),
        may_be_partial=found.worst.may_be_partial,
        may_be_rejected=found.worst.may_be_rejected,
        venue=account.venue,
    )


def _limits_view(account: Account) -> x.LimitsView:
    return x.LimitsView(
        login=account.login,
        max_daily_loss=from_minor(account.limits.daily_loss_minor, account.currency),
        max_open_volume=account.limits.open_volume,
        max_orders_per_minute=account.limits.orders_per_minute,
        fill_profile=account.fill_profile,
        fill_profiles=sorted(PROFILES),
        halted=account.halted,
        venue=account.venue,
    )
