"""Tables of plans, invoices and affiliates: a method per named query, on the caller's connection."""

from __future__ import annotations

from typing import NamedTuple

from libs.common.db import Connection, Record
from services.billing.payment_store import QUERIES
from services.billing.subscriptions import Span


class InvoiceRow(NamedTuple):
    """An invoice as it is kept; ``lines`` is JSON."""

    number: int
    payment_id: str
    person_id: int | None
    wallet: str
    lines: str
    total_micros: int
    status: str
    issued_ms: int


class PlanStore:
    """See the module's text."""

    async def lock_person(self, tx: Connection, person_id: int) -> None:
        """One at a time for a person's plans."""
        await tx.execute(QUERIES["lock_person"], person_id)

    async def spans(self, db: Connection, person_id: int, now_ms: int) -> list[Span]:
        """Plans that have not ended at a moment (0: all there were), in order of time."""
        return [Span(*row) for row in await db.fetch(QUERIES["subscriptions"], person_id, now_ms)]

    async def span_of(self, db: Connection, payment_id: str) -> Span | None:
        """The plan a payment bought."""
        row = await db.fetchrow(QUERIES["subscription_of_payment"], payment_id)
        return Span(*row) if row is not None else None

    async def add_span(self, tx: Connection, span: Span) -> None:
        """A plan that was bought."""
        await tx.execute(
            QUERIES["add_subscription"],
            span.id,
            span.person_id,
            span.payment_id,
            span.plan,
            span.period,
            span.price_micros,
            span.starts_ms,
            span.ends_ms,
            span.value_micros,
        )

    async def move_span(self, tx: Connection, span: Span, reason: str) -> None:
        """It has another time now."""
        await tx.execute(
            QUERIES["move_subscription"],
            span.id,
            span.starts_ms,
            span.ends_ms,
            reason,
            span.value_micros,
            span.carried_into,
            span.carried_micros,
        )

    async def tier_due(self, tx: Connection, person_id: int, due_ms: int) -> None:
        """Auth must be told of a person's tier from a moment on."""
        await tx.execute(QUERIES["tier_due"], person_id, due_ms)

    async def tiers_due(self, db: Connection, now_ms: int, limit: int) -> list[tuple[int, int]]:
        """(person, change) that must be told now."""
        return [(row[0], row[1]) for row in await db.fetch(QUERIES["tiers_due"], now_ms, limit)]

    async def tier_told(self, tx: Connection, person_id: int, change: int, next_ms: int) -> None:
        """This change was told; next at ``next_ms`` (0: never)."""
        await tx.execute(QUERIES["tier_told"], person_id, change, next_ms)

    async def add_invoice(self, tx: Connection, row: InvoiceRow) -> int:
        """A paid invoice; its number. ``row.number`` is not looked at."""
        number: int = await tx.fetchval(QUERIES["add_invoice"], *row[1:])
        return number

    async def set_invoice(self, tx: Connection, payment_id: str, status: str) -> None:
        """An invoice has another status."""
        await tx.execute(QUERIES["set_invoice"], payment_id, status)

    async def invoices(
        self, db: Connection, person_id: int | None, wallet: str, limit: int
    ) -> list[InvoiceRow]:
        """A person's or a wallet's, newest first."""
        return [InvoiceRow(*row) for row in await db.fetch(QUERIES["invoices"], person_id, wallet, limit)]

    async def invoice(self, db: Connection, number: int) -> InvoiceRow | None:
        """One invoice."""
        row = await db.fetchrow(QUERIES["invoice"], number)
        return InvoiceRow(*row) if row is not None else None

    # ── affiliates ────────────────────────────────────────────────────────────────────────────────

    async def add_code(self, tx: Connection, code: str, person_id: int, now_ms: int) -> bool:
        """A new code; False when the text is taken."""
        return await tx.fetchval(QUERIES["add_code"], code, person_id, now_ms) is not None

    async def codes(self, db: Connection, person_id: int) -> list[Record]:
        """(code, created_ms, signups, conversions), oldest first."""
        rows: list[Record] = await db.fetch(QUERIES["codes"], person_id)
        return rows

    async def code_owner(self, db: Connection, code: str) -> int | None:
        """Whose a code is."""
        owner: int | None = await db.fetchval(QUERIES["code_owner"], code)
        return owner

    async def add_referral(
        self, tx: Connection, person_id: int, code: str, referrer_id: int, masked: str, joined_ms: int
    ) -> bool:
        """A person came by a code; False when it came by one before."""
        done = await tx.fetchval(QUERIES["add_referral"], person_id, code, referrer_id, masked, joined_ms)
        return done is not None

    async def referral(self, db: Connection, person_id: int) -> tuple[int, int] | None:
        """(referrer, joined_ms) of a person."""
        row = await db.fetchrow(QUERIES["referral"], person_id)
        return (row["referrer_id"], row["joined_ms"]) if row is not None else None

    async def referrals(self, db: Connection, referrer_id: int) -> tuple[int, int]:
        """How many came, and how many paid."""
        row = await db.fetchrow(QUERIES["referrals"], referrer_id)
        return row["referrals"], row["paid"]

    async def add_commission(
        self,
        tx: Connection,
        id: str,
        referrer_id: int,
        referred_id: int,
        payment_id: str,
        plan: str,
        micros: int,
        now_ms: int,
        approves_ms: int,
    ) -> bool:
        """A share; False when the payment had one."""
        done = await tx.fetchval(
            QUERIES["add_commission"],
            id,
            referrer_id,
            referred_id,
            payment_id,
            plan,
            micros,
            now_ms,
            approves_ms,
        )
        return done is not None

    async def reverse_commission(self, tx: Connection, payment_id: str) -> tuple[str, int, int] | None:
        """(id, referrer, micros) of the share that is no longer owed."""
        row = await tx.fetchrow(QUERIES["reverse_commission"], payment_id)
        return (row[0], row[1], row[2]) if row is not None else None

    async def approve_commissions(self, tx: Connection, now_ms: int) -> None:
        """Shares that were held back long enough."""
        await tx.execute(QUERIES["approve_commissions"], now_ms)

    async def pay_commissions(self, tx: Connection, referrer_id: int, payout: str, now_ms: int) -> int:
        """Everything owed to a person goes out; the micros."""
        return sum(row[0] for row in await tx.fetch(QUERIES["pay_commissions"], referrer_id, payout, now_ms))

    async def payout(self, db: Connection, payout: str) -> tuple[int, int, int] | None:
        """(person, shares, micros) of a payout."""
        row = await db.fetchrow(QUERIES["payout"], payout)
        return (row[0], row[1], row[2]) if row is not None else None

    async def commission_sums(self, db: Connection, referrer_id: int) -> dict[str, int]:
        """Status → micros."""
        return dict(await db.fetch(QUERIES["commission_sums"], referrer_id))

    async def commissions(
        self, db: Connection, referrer_id: int, before: tuple[int, str], limit: int
    ) -> list[Record]:
        """Newest first, before a place."""
        rows: list[Record] = await db.fetch(QUERIES["commissions"], referrer_id, *before, limit)
        return rows
