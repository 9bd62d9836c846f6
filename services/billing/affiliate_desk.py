"""Affiliates: codes, who came by them, and what is owed."""

from __future__ import annotations

from libs.common.clock import from_unix_ms
from libs.common.errors import InvalidData, invariant
from libs.common.messages import billing_payments as m
from libs.common.messages.auth_people import PersonJoined
from services.billing import affiliates, ledger
from services.billing.errors import NothingOwed
from services.billing.invoices import usd
from services.billing.plan_store import PlanStore
from services.billing.writer import Ground

PAGE_MAX = 100
_LAST = (2**62, "~")


class AffiliateDesk:
    """See the module's text."""

    def __init__(self, ground: Ground, plans: PlanStore, base_url: str) -> None:
        self._ground = ground
        self._plans = plans
        self._base_url = base_url

    async def joined(self, fact: PersonJoined) -> bool:
        """A person signed up; whether it came by somebody's code. Nobody refers themselves."""
        code = affiliates.read_code(fact.ref_code)
        if code is None:
            return False
        async with self._ground.database.transaction() as tx:
            referrer_id = await self._plans.code_owner(tx, code)
            if referrer_id is None or referrer_id == fact.person_id:
                return False
            masked = affiliates.mask(fact.email_key)
            return await self._plans.add_referral(
                tx, fact.person_id, code, referrer_id, masked, fact.joined_ms
            )

    async def me(self, ask: m.AffiliateAsk) -> m.AffiliateState:
        """The sums of a person."""
        async with self._ground.database.connection() as db:
            referrals, paid = await self._plans.referrals(db, ask.person_id)
            sums = await self._plans.commission_sums(db, ask.person_id)
        pending, approved, paid_out = (sums.get(name, 0) for name in ("pending", "approved", "paid"))
        return m.AffiliateState(
            enabled=True,
            referrals=referrals,
            paid_referrals=paid,
            commission_rate=self._ground.plans.now().affiliate.percent / 100,
            earned_usd=usd(pending + approved + paid_out),
            pending_usd=usd(pending),
            paid_usd=usd(paid_out),
        )

    async def codes(self, ask: m.AffiliateAsk) -> m.AffiliateCodes:
        """A person's codes; the first is made with the first look."""
        async with self._ground.database.transaction() as tx:
            await self._plans.lock_person(tx, ask.person_id)
            rows = await self._plans.codes(tx, ask.person_id)
            while not rows:
                code = affiliates.make_code(self._ground.ids.token(16))
                await self._plans.add_code(tx, code, ask.person_id, self._ground.clock.now_ms())
                rows = await self._plans.codes(tx, ask.person_id)
        return m.AffiliateCodes(
            codes=[
                m.AffiliateCode(
                    code=code,
                    url=f"{self._base_url}/?ref={code}",
                    created_at=_iso(created_ms),
                    signups=signups,
                    conversions=conversions,
                )
                for code, created_ms, signups, conversions in rows
            ]
        )

    async def commissions(self, ask: m.CommissionsAsk) -> m.Commissions:
        """A page of shares, newest first."""
        if not 1 <= ask.limit <= PAGE_MAX:
            raise InvalidData(f"limit is 1 to {PAGE_MAX}", field="limit")
        before = _place(ask.cursor)
        async with self._ground.database.connection() as db:
            rows = await self._plans.commissions(db, ask.person_id, before, ask.limit + 1)
        more, rows = len(rows) > ask.limit, rows[: ask.limit]
        shown = [
            m.Commission(
                id=row["id"],
                referred_masked=row["masked"],
                plan=row["plan"],
                amount_usd=usd(row["amount_micros"]),
                status=row["status"],
                created_at=_iso(row["created_ms"]),
                paid_at=_iso(row["paid_ms"]) if row["paid_ms"] else None,
            )
            for row in rows
        ]
        cursor = f"{rows[-1]['created_ms']}.{rows[-1]['id']}" if more else None
        return m.Commissions(commissions=shown, has_more=more, next_cursor=cursor)

    async def pay_out(self, ask: m.PayoutAsk) -> m.Payout:
        """Everything owed to a person was paid, by the transfer ``ref``; said again it is the same payout."""
        ground = self._ground
        if not ask.ref.strip():
            raise InvalidData("ref names the transfer", field="ref")
        async with ground.database.transaction() as tx:
            await self._plans.lock_person(tx, ask.person_id)
            known = await self._plans.payout(tx, ask.ref)
            if known is None:
                now_ms = ground.clock.now_ms()
                micros = await self._plans.pay_commissions(tx, ask.person_id, ask.ref, now_ms)
                if not micros:
                    raise NothingOwed(f"nothing is owed to customer {ask.person_id}")
                entry = ledger.commission_paid(ask.ref, ask.person_id, micros, f"by {ask.actor}")
                done = await ground.store.post(tx, entry, now_ms=now_ms, plans=ground.plans.version)
                invariant(done, "a payout is booked once")
                known = await self._plans.payout(tx, ask.ref)
        if known is None or known[0] != ask.person_id:
            raise InvalidData("this transfer was to somebody else", field="ref")
        return m.Payout(customer_id=known[0], ref=ask.ref, commissions=known[1], paid_micros=known[2])


def _place(cursor: str) -> tuple[int, str]:
    if not cursor:
        return _LAST
    ms, _, id = cursor.partition(".")
    if not (ms.isascii() and ms.isdecimal() and len(ms) < 18 and id):
        raise InvalidData("cursor: this is none of ours", field="cursor")
    return int(ms), id


def _iso(ms: int) -> str:
    return from_unix_ms(ms).strftime("%Y-%m-%dT%H:%M:%SZ")
