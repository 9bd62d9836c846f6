"""Metering and balances: what doors ask of billing for every call."""

from __future__ import annotations

from datetime import datetime

from libs.common.clock import from_unix_ms
from libs.common.errors import AppError, InvalidData
from libs.common.messages import billing as m
from libs.common.plans import PlansFile
from services.billing import metrics
from services.billing.errors import CallUnknown, PaymentRequired, QuotaExceeded
from services.billing.ledger import CREDIT_MICROS
from services.billing.meter import DAY_MS, Direct, Drop, Hold, QuotaKey, Take, day_of
from services.billing.paid_calls import PaidCalls
from services.billing.terms import Selling
from services.billing.writer import Batcher, Ground

SIGNALS_PRICE = "signals_page"
USAGE_DAYS_MAX = 366
UNITS_MAX = 1_000  # times the highest price there may be: far from what a column holds


class Prices:
    """The price list in force; signals cost nothing where they are not metered."""

    def __init__(self, plans: PlansFile, *, signals_metered: bool) -> None:
        self._plans = plans
        self._signals_metered = signals_metered

    def micros(self, price: str, units: int = 1) -> int:
        """What ``units`` cost; InvalidData for a name the list does not have."""
        if not price or not units:
            return 0
        if price == SIGNALS_PRICE and not self._signals_metered:
            return 0
        each = self._plans.now().prices.get(price)
        if each is None or not 0 <= units <= UNITS_MAX:
            raise InvalidData(f"{price} has no price for {units} units")
        return each * units


class MeterService:
    """Holds, charges, releases; balances and usage."""

    def __init__(
        self, ground: Ground, batcher: Batcher, prices: Prices, paid: PaidCalls, selling: Selling
    ) -> None:
        self._ground = ground
        self._batcher = batcher
        self._prices = prices
        self._paid = paid
        self._selling = selling

    async def admit(self, ask: m.Admit) -> m.Admitted:
        """Hold the price and take of the quota; PaymentRequired with the terms, or QuotaExceeded."""
        micros = self._prices.micros(ask.price, ask.units)
        if ask.payment is not None:
            return await self._paid.admit(ask, micros)
        now_ms = self._ground.clock.now_ms()
        limit = self._ground.plans.now().tier(ask.tier).quotas.get(ask.quota, 0) if ask.quota else 0
        hold = Hold(
            ask.request_id, ask.operation, ask.wallet, micros, day_of(now_ms), ask.quota, ask.subject, limit
        )
        try:
            outcome = await self._batcher.do(hold)
        except PaymentRequired as e:
            metrics.refused.labels("credit").inc()
            raise self._selling.refusal(micros, ask.resource, short=e.meta) from e
        except QuotaExceeded as e:
            metrics.refused.labels("quota").inc()
            raise self._quota_refusal(ask, limit, now_ms) from e
        quota = None
        if ask.quota:
            quota = m.QuotaState(limit=limit, used=outcome.quota_used, resets_ms=_midnight_after(now_ms))
        return m.Admitted(held_micros=outcome.micros, available_micros=outcome.available_micros, quota=quota)

    async def capture(self, ask: m.Capture) -> m.Captured:
        """Charge an admitted call."""
        if self._paid.remembers(ask.request_id):
            return await self._paid.capture(ask)
        micros = self._prices.micros(ask.price, ask.units) if ask.price else None
        try:
            outcome = await self._batcher.do(Take(ask.request_id, micros if ask.units else 0))
        except CallUnknown:  # admitted with a payment, by the process before this one
            return await self._paid.capture(ask)
        return m.Captured(charged_micros=outcome.micros, available_micros=outcome.available_micros)

    async def release(self, ask: m.Release) -> None:
        """Give a hold back; of a call nobody knows there is nothing to give."""
        if self._paid.remembers(ask.request_id):
            await self._paid.release(ask.request_id)
            return
        try:
            await self._batcher.do(Drop(ask.request_id))
        except CallUnknown:
            await self._paid.release(ask.request_id)

    async def charge(self, ask: m.Charge) -> m.Captured:
        """Hold and charge in one."""
        micros = self._prices.micros(ask.price, ask.units)
        day = day_of(self._ground.clock.now_ms())
        try:
            outcome = await self._batcher.do(Direct(ask.request_id, ask.operation, ask.wallet, micros, day))
        except PaymentRequired as e:
            metrics.refused.labels("credit").inc()
            raise self._selling.refusal(micros, "", short=e.meta) from e
        return m.Captured(charged_micros=outcome.micros, available_micros=outcome.available_micros)

    async def balance(self, ask: m.BalanceAsk) -> m.Balance:
        """What a wallet has."""
        async with self._ground.database.connection() as db:
            wallet = await self._ground.store.wallet(db, ask.wallet)
        return m.Balance(
            balance_micros=wallet.available_micros,
            held_micros=wallet.held_micros,
            credits=wallet.available_micros // CREDIT_MICROS,
            mode="test" if ask.wallet.startswith("test:") else "live",
        )

    async def usage(self, ask: m.UsageAsk) -> m.Usage:
        """Balance, quotas and calls by day."""
        if not 1 <= ask.days <= USAGE_DAYS_MAX:
            raise InvalidData(f"days is 1 to {USAGE_DAYS_MAX}", field="days")
        now_ms = self._ground.clock.now_ms()
        today, store = day_of(now_ms), self._ground.store
        tier = self._ground.plans.now().tier(ask.tier)
        async with self._ground.database.connection() as db:
            wallet = await store.wallet(db, ask.wallet)
            rows = await store.usage(db, ask.wallet or ask.subject, today - ask.days + 1)
            taken = {name: await store.quota(db, QuotaKey(ask.subject, name, today)) for name in tier.quotas}
        resets_at = _iso(_midnight_after(now_ms))
        return m.Usage(
            balance_micros=wallet.available_micros,
            tier=ask.tier,
            quotas={
                name: m.UsageQuota(limit=limit, used=taken[name], resets_at=resets_at)
                for name, limit in tier.quotas.items()
            },
            days=[
                m.UsageDay(day=_day_text(day), operation=operation, calls=calls, charged_micros=micros)
                for day, operation, calls, micros in rows
            ],
        )

    async def quota(self, ask: m.QuotaAsk) -> m.QuotaState:
        """How much of a daily quota is used."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.connection() as db:
            used = await self._ground.store.quota(db, QuotaKey(ask.subject, ask.quota, day_of(now_ms)))
        limit = self._ground.plans.now().tier(ask.tier).quotas.get(ask.quota, 0)
        return m.QuotaState(limit=limit, used=used, resets_ms=_midnight_after(now_ms))

    async def terms(self, ask: m.TermsAsk) -> m.Terms:
        """How a call may be paid by itself."""
        return self._selling.terms(self._prices.micros(ask.price, ask.units), ask.resource)

    def price_list(self) -> m.PriceList:
        """What calls cost now."""
        plans = self._ground.plans.now()
        return m.PriceList(version=self._ground.plans.version, prices=plans.prices)

    def _quota_refusal(self, ask: m.Admit, limit: int, now_ms: int) -> AppError:
        resets_at = _iso(_midnight_after(now_ms))
        more = self._ground.plans.now().next_with(ask.quota, ask.tier)
        hint = f"The quota is fresh at {resets_at}."
        if more is not None:
            hint = f"Upgrade to {more[0].capitalize()} for {more[1]} {ask.quota}s a day."
        return QuotaExceeded(
            f"Daily quota of {limit} {ask.quota}s exceeded.",
            hint=hint,
            quota_limit=limit,
            quota_used=limit,
            resets_at=resets_at,
            retry_after_s=-(-(_midnight_after(now_ms) - now_ms) // 1000),
        )


def _midnight_after(now_ms: int) -> int:
    return (day_of(now_ms) + 1) * DAY_MS


def _iso(ms: int) -> str:
    return from_unix_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def _day_text(day: int) -> str:
    moment: datetime = from_unix_ms(day * DAY_MS)
    return moment.strftime("%Y-%m-%d")
