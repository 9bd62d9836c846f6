"""Payments' tables: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from libs.common.db import Connection, Record, load_queries
from services.billing.payment import RANK, Payment, Status

QUERIES = load_queries(Path(__file__).parent / "sql/payments.sql")
NOTE_CHARS = 2_000


class PaymentStore:
    """See the module's text."""

    async def add(self, tx: Connection, payment: Payment) -> bool:
        """Write a new payment; False when its ref is known and did not fail."""
        made = await tx.fetchval(
            QUERIES["add_payment"],
            payment.id,
            payment.provider,
            payment.ref,
            payment.purpose,
            payment.status.value,
            RANK[payment.status],
            payment.wallet,
            payment.person_id,
            payment.plan,
            payment.period,
            payment.request_id,
            payment.amount_micros,
            payment.external,
            payment.payer,
            payment.detail,
            payment.created_ms,
        )
        return made is not None

    async def payment(self, tx: Connection, id: str) -> Payment | None:
        """A payment, locked."""
        return _payment(await tx.fetchrow(QUERIES["payment"], id))

    async def by_ref(self, tx: Connection, provider: str, ref: str) -> Payment | None:
        """The payment of a ref, locked."""
        return _payment(await tx.fetchrow(QUERIES["payment_by_ref"], provider, ref))

    async def by_external(self, tx: Connection, provider: str, external: str) -> Payment | None:
        """The payment a provider calls so, locked."""
        return _payment(await tx.fetchrow(QUERIES["payment_by_external"], provider, external))

    async def by_request(self, tx: Connection, request_id: str) -> Payment | None:
        """The payment a metered call came with, locked."""
        return _payment(await tx.fetchrow(QUERIES["payment_by_request"], request_id))

    async def is_taken(self, tx: Connection, provider: str, transaction: str, id: str) -> bool:
        """Whether a transaction has paid for another payment."""
        taken: bool = await tx.fetchval(QUERIES["is_taken"], provider, transaction, id)
        return taken

    async def put(self, tx: Connection, payment: Payment) -> None:
        """Write where a payment stands."""
        await tx.execute(
            QUERIES["put_payment"],
            payment.id,
            payment.status.value,
            RANK[payment.status],
            payment.paid_micros,
            payment.external,
            payment.transaction,
            payment.note,
            payment.settled_ms,
            payment.wallet,
            payment.person_id,
        )

    async def set_external(self, tx: Connection, id: str, external: str) -> None:
        """What the provider calls it."""
        await tx.execute(QUERIES["set_external"], id, external)

    async def claim_topups(
        self, tx: Connection, source: str, wallet: str, payment_id: str, before_ms: int
    ) -> dict[str, int]:
        """Payments whose credit goes over to a key's wallet: their micros by id."""
        return dict(await tx.fetch(QUERIES["claim_topups"], source, wallet, payment_id, before_ms))

    async def hand_over_invoices(self, tx: Connection, payment_ids: Collection[str], wallet: str) -> None:
        """What was invoiced for these payments belongs to a wallet from now on."""
        await tx.execute(QUERIES["hand_over_invoices"], list(payment_ids), wallet)

    async def waiting(self, db: Connection, status: str, limit: int, offset: int) -> list[Payment]:
        """Payments of a status, oldest first; "" those that wait for staff or an answer."""
        rows = await db.fetch(QUERIES["payments"], status, limit, offset)
        return [found for row in rows if (found := _payment(row)) is not None]

    async def claim_to_try(self, tx: Connection, before_ms: int, now_ms: int, limit: int) -> list[str]:
        """Payments to ask about again."""
        return [row[0] for row in await tx.fetch(QUERIES["claim_to_try"], before_ms, now_ms, limit)]

    async def pending(self, db: Connection) -> int:
        """How many have no outcome yet."""
        count: int = await db.fetchval(QUERIES["pending_payments"])
        return count

    async def add_callback(
        self, tx: Connection, provider: str, event_id: str, outcome: str, now_ms: int, body: str
    ) -> bool:
        """Remember an event; False when it was taken before."""
        done = await tx.fetchval(QUERIES["add_callback"], provider, event_id, outcome, now_ms, body)
        return done is not None

    async def end_callback(self, tx: Connection, id: str, outcome: str) -> Payment | None:
        """A callback that fitted nothing has been looked at; None when none of this name waits."""
        row = await tx.fetchrow(QUERIES["end_callback"], id, outcome)
        if row is None:
            return None
        return Payment(
            id=id,
            provider=row["provider"],
            ref=row["event_id"],
            purpose="callback",
            status=Status.FAILED,
            wallet="",
            person_id=None,
            plan="",
            period="",
            request_id="",
            amount_micros=0,
            paid_micros=0,
            external="",
            transaction=None,
            payer="",
            detail="",
            note=row["body"][:NOTE_CHARS],
            created_ms=row["received_ms"],
            settled_ms=0,
            tried_ms=0,
        )


def _payment(row: Record | None) -> Payment | None:
    if row is None:
        return None
    values = list(row.values())
    values[4] = Status(values[4])
    return Payment(*values)
