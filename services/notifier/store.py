"""The notifier's tables. Every method takes the caller's connection; the use case opens the transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from libs.common.db import Connection, Record, load_queries
from libs.common.messages.notifier import DeadLetter, Notice
from services.notifier.deliveries import DEAD, PENDING, Delivery, Draft
from services.notifier.notices import STATUS_SENT, Written, storable
from services.notifier.preferences import Said, read_said

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")
NEVER_MS = 2**62


class Reached(NamedTuple):
    """A usable address of a person, and how much waits for it."""

    id: int
    channel: str
    waiting: int


class Owner(NamedTuple):
    """A person with what it said and where it can be reached."""

    person_id: int
    said: Said
    reached: tuple[Reached, ...]


@dataclass(frozen=True, slots=True)
class Binding:
    """An address of a channel as its owner's side sees it."""

    id: int
    channel: str
    target: bytes
    target_key: str
    target_masked: str
    status: str
    generation: int
    previous_until_ms: int
    code_hash: str
    code_until_ms: int
    code_tries: int
    created_ms: int
    waiting: int
    last_error: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A claimed recipient: whoever has its lease speaks to it. ``said`` is None where it is no person's."""

    id: int
    person_id: int | None
    channel: str
    target: bytes
    target_key: str
    target_masked: str
    status: str
    generation: int
    previous_until_ms: int
    lease_token: str
    not_before_ms: int
    tat_ms: float
    failures: int
    said: Said | None


@dataclass(frozen=True, slots=True)
class DeadDelivery:
    """What decides whether a dead letter can be sent again."""

    id: int
    recipient_id: int
    status: str
    person_id: int | None
    is_sealed: bool
    is_spent: bool


class Store:
    """One method per named query."""

    # ── people and accounts ──

    async def add_account(self, tx: Connection, login: int, person_id: int, now_ms: int) -> None:
        """Know a person and its account."""
        await self.add_person(tx, person_id, now_ms)
        await tx.execute(QUERIES["add_account"], login, person_id)

    async def add_person(self, tx: Connection, person_id: int, now_ms: int) -> None:
        """Know a person."""
        await tx.execute(QUERIES["add_person"], person_id, now_ms)

    async def owner(self, db: Connection, login: int) -> Owner | None:
        """The person behind a login, what it said, and where it can be reached; None when nobody knows."""
        return _owner(await db.fetch(QUERIES["owner"], login))

    async def person(self, db: Connection, person_id: int) -> Owner | None:
        """The same of a person, with an account or without."""
        return _owner(await db.fetch(QUERIES["person_reached"], person_id))

    async def is_known(self, db: Connection, login: int) -> bool:
        """Whether somebody told whose account a login is."""
        return bool(await db.fetchval(QUERIES["is_known"], login))

    async def said(self, db: Connection, person_id: int, *, lock: bool = False) -> Said | None:
        """What a person said; None for a person never heard of."""
        stored = await db.fetchval(QUERIES["lock_said" if lock else "said"], person_id)
        return None if stored is None else read_said(stored)

    async def set_said(self, tx: Connection, person_id: int, said: Said, now_ms: int) -> None:
        """Keep what a person says now."""
        await tx.execute(QUERIES["set_said"], person_id, msgspec.json.encode(said), now_ms)

    # ── recipients ──

    async def insert_recipient(
        self,
        tx: Connection,
        *,
        person_id: int | None,
        channel: str,
        target: bytes,
        target_key: str,
        target_masked: str,
        status: str,
        now_ms: int,
        code_hash: str = "",
        code_until_ms: int = 0,
    ) -> int | None:
        """A new address; None when the person has one of this channel, or the mail address is known."""
        found: int | None = await tx.fetchval(
            QUERIES["insert_recipient"],
            person_id,
            channel,
            target,
            target_key,
            target_masked,
            status,
            code_hash,
            code_until_ms,
            now_ms,
        )
        return found

    async def mail_recipient(self, tx: Connection, channel: str, target_key: str) -> int | None:
        """The address of another service's mails."""
        found: int | None = await tx.fetchval(QUERIES["mail_recipient"], channel, target_key)
        return found

    async def bindings(self, db: Connection, person_id: int) -> list[Binding]:
        """A person's addresses."""
        return [Binding(**row) for row in await db.fetch(QUERIES["bindings"], person_id)]

    async def binding(self, tx: Connection, person_id: int, channel: str) -> Binding | None:
        """One of them, locked."""
        row = await tx.fetchrow(QUERIES["binding"], person_id, channel)
        return None if row is None else Binding(**row)

    async def binds_since(self, db: Connection, person_id: int, since_ms: int) -> int:
        """How many bindings a person tried."""
        count: int = await db.fetchval(QUERIES["binds_since"], person_id, since_ms)
        return count

    async def verify(self, tx: Connection, recipient_id: int) -> int | None:
        """An address is proved; its person, or None when it did not wait for that."""
        person_id: int | None = await tx.fetchval(QUERIES["verify"], recipient_id)
        return person_id

    async def owner_of(self, db: Connection, recipient_id: int) -> int:
        """Whose binding it is."""
        person_id: int = await db.fetchval(QUERIES["owner_of"], recipient_id)
        return person_id

    async def retarget(self, tx: Connection, recipient_id: int, target: bytes, target_key: str) -> None:
        """Replace the address."""
        await tx.execute(QUERIES["retarget"], recipient_id, target, target_key)

    async def set_code(self, tx: Connection, recipient_id: int, code_hash: str, until_ms: int) -> None:
        """A new code."""
        await tx.execute(QUERIES["set_code"], recipient_id, code_hash, until_ms)

    async def count_try(self, tx: Connection, recipient_id: int) -> None:
        """A wrong code was given."""
        await tx.execute(QUERIES["count_try"], recipient_id)

    async def pending_by_code(
        self, tx: Connection, channel: str, code_hash: str, now_ms: int
    ) -> list[Binding]:
        """The bindings that wait for this code, locked."""
        rows = await tx.fetch(QUERIES["pending_by_code"], channel, code_hash, now_ms)
        return [Binding(**row) for row in rows]

    async def is_awaited(self, db: Connection, channel: str, now_ms: int) -> bool:
        """Whether a channel waits for any code."""
        return bool(await db.fetchval(QUERIES["is_awaited"], channel, now_ms))

    async def close_recipient(self, tx: Connection, recipient_id: int, now_ms: int, why: str) -> None:
        """Take a binding away, with what waits for it."""
        await tx.execute(QUERIES["close_recipient"], recipient_id)
        await self.end_waiting(tx, recipient_id, now_ms, why)

    async def rotate(self, tx: Connection, recipient_id: int, previous_until_ms: int) -> int:
        """The next generation of a webhook's secret."""
        generation: int = await tx.fetchval(QUERIES["rotate"], recipient_id, previous_until_ms)
        return generation

    async def wake_recipients(self, tx: Connection, person_id: int, now_ms: int) -> None:
        """Look again at what waits for a person."""
        await tx.execute(QUERIES["wake_deliveries"], person_id, now_ms)
        await tx.execute(QUERIES["wake_recipients"], person_id, now_ms)

    # ── notifications ──

    async def insert_notification(
        self, tx: Connection, notice: Notice, written: Written, create_time: int
    ) -> None:
        """What an account is told."""
        await tx.execute(
            QUERIES["insert_notification"],
            notice.login,
            notice.event_id,
            notice.token,
            written.title,
            written.text,
            storable(dict(notice.data)),
            notice.level,
            notice.category,
            STATUS_SENT,
            create_time,
        )

    async def notifications(
        self, db: Connection, login: int, filter_: str, limit: int, offset: int
    ) -> list[tuple[Any, ...]]:
        """A page of rows in the order of broker 7.3."""
        rows = await db.fetch(QUERIES["notifications"], login, filter_, limit, offset)
        return [tuple(row) for row in rows]

    async def mark_read(self, tx: Connection, login: int, ids: Sequence[int], up_to: int, now_s: int) -> int:
        """Mark as read; how many were not."""
        return len(await tx.fetch(QUERIES["mark_read"], login, list(ids), up_to, now_s))

    # ── deliveries ──

    async def insert_deliveries(
        self, tx: Connection, draft: Draft, recipients: Sequence[int], full: Sequence[int], now_ms: int
    ) -> None:
        """Write a message for its recipients; for those in ``full`` too much waits already."""
        ids = [*recipients, *full]
        if not ids:
            return
        await tx.execute(
            QUERIES["insert_deliveries"],
            ids,
            [PENDING] * len(recipients) + [DEAD] * len(full),
            [""] * len(recipients) + ["too many deliveries wait for this recipient"] * len(full),
            draft.event_id,
            draft.login,
            draft.type,
            draft.level,
            draft.title,
            draft.body,
            storable(dict(draft.data or {})),
            draft.sealed,
            draft.traceparent,
            draft.created_ms,
            draft.expires_ms,
        )
        if recipients:
            await tx.execute(QUERIES["add_waiting"], list(recipients), now_ms)

    async def claim_recipients(
        self, db: Connection, now_ms: int, limit: int, lease_until_ms: int, token: str
    ) -> list[Lane]:
        """Take leases of recipients with something due."""
        rows = await db.fetch(QUERIES["claim_recipients"], now_ms, limit, lease_until_ms, token)
        return [
            Lane(**{**row, "said": None if row["person_id"] is None else read_said(row["said"])})
            for row in rows
        ]

    async def next_due_ms(self, db: Connection) -> int:
        """When the next recipient can be claimed; ``NEVER_MS`` when nothing waits."""
        due_ms: int = await db.fetchval(QUERIES["next_due"])
        return due_ms

    async def renew_lease(self, db: Connection, lane: Lane, until_ms: int) -> float | None:
        """Keep a lease: the recipient's rate state, None when the lease was lost."""
        tat_ms: float | None = await db.fetchval(QUERIES["renew_lease"], lane.id, lane.lease_token, until_ms)
        return tat_ms

    async def due_deliveries(
        self, db: Connection, recipient_id: int, now_ms: int, limit: int
    ) -> list[Delivery]:
        """What is due, the longest first."""
        rows = await db.fetch(QUERIES["due_deliveries"], recipient_id, now_ms, limit)
        return [Delivery(**row) for row in rows]

    async def batch_mates(
        self, db: Connection, recipient_id: int, batch_ids: Sequence[str]
    ) -> list[Delivery]:
        """All that goes out under these batch ids."""
        rows = await db.fetch(QUERIES["batch_mates"], recipient_id, batch_ids)
        return [Delivery(**row) for row in rows]

    async def hold(self, tx: Connection, dues_ms: Mapping[int, int]) -> None:
        """Delivery id → when it is due now."""
        if dues_ms:
            await tx.execute(QUERIES["hold"], list(dues_ms), list(dues_ms.values()))

    async def lock_pace(self, tx: Connection, channel: str) -> float:
        """A channel's rate state, locked."""
        found: float | None = await tx.fetchval(QUERIES["lock_pace"], channel)
        if found is None:
            await tx.execute(QUERIES["add_pace"], channel)
            found = await tx.fetchval(QUERIES["lock_pace"], channel)
        return float(found or 0.0)

    async def set_pace(self, tx: Connection, channel: str, tat_ms: float) -> None:
        """Use some of a channel's rate."""
        await tx.execute(QUERIES["set_pace"], channel, tat_ms)

    async def begin_attempt(self, tx: Connection, ids: Sequence[int], batch_id: str | None) -> int:
        """Count an attempt before it is made; how many still wait for one."""
        return len(await tx.fetch(QUERIES["begin_attempt"], list(ids), batch_id))

    async def set_tat(self, tx: Connection, recipient_id: int, tat_ms: float) -> None:
        """Use some of a recipient's rate."""
        await tx.execute(QUERIES["set_tat"], recipient_id, tat_ms)

    async def lock_recipient(self, tx: Connection, recipient_id: int) -> str:
        """A recipient's status; whoever would add a delivery to it waits."""
        status: str = await tx.fetchval(QUERIES["lock_recipient"], recipient_id)
        return status

    async def end_deliveries(
        self, tx: Connection, ids: Sequence[int], state: str, now_ms: int, why: str = ""
    ) -> int:
        """They are over; how many were not before."""
        return len(await tx.fetch(QUERIES["end_deliveries"], list(ids), state, now_ms, why))

    async def retry_deliveries(self, tx: Connection, ids: Sequence[int], due_ms: int, why: str) -> None:
        """They will be tried again."""
        await tx.execute(QUERIES["retry_deliveries"], list(ids), due_ms, why)

    async def end_waiting(self, tx: Connection, recipient_id: int, now_ms: int, why: str) -> int:
        """All that waits for a recipient has failed; how many."""
        return len(await tx.fetch(QUERIES["end_waiting"], recipient_id, now_ms, why))

    async def settle_recipient(
        self,
        tx: Connection,
        recipient_id: int,
        *,
        ended: int,
        failures: int,
        not_before_ms: int,
        last_error: str,
        gone: bool,
    ) -> None:
        """What an attempt says of its recipient."""
        await tx.execute(
            QUERIES["settle_recipient"], recipient_id, ended, failures, not_before_ms, last_error, gone
        )

    async def release(self, tx: Connection, lane: Lane, not_before_ms: int) -> None:
        """Give a lease back. Lock the recipient first."""
        await tx.execute(QUERIES["release"], lane.id, lane.lease_token, not_before_ms)

    # ── dead letters ──

    async def dead_deliveries(self, db: Connection, limit: int, offset: int) -> tuple[list[DeadLetter], int]:
        """A page, newest first, and how many there are."""
        rows = await db.fetch(QUERIES["dead_deliveries"], limit, offset)
        count: int = await db.fetchval(QUERIES["dead_count"])
        return [
            DeadLetter(
                id=f"delivery-{row['id']}",
                kind="delivery",
                state=row["state"],
                channel=row["channel"],
                target_masked=row["target_masked"],
                login=row["login"],
                type=row["type"],
                event_id=row["event_id"],
                attempts=row["attempts"],
                reason=row["last_error"],
                created_ms=row["created_ms"],
                finished_ms=row["finished_ms"],
            )
            for row in rows
        ], count

    async def dead_delivery(self, tx: Connection, delivery_id: int) -> DeadDelivery | None:
        """One of them, locked."""
        row = await tx.fetchrow(QUERIES["dead_delivery"], delivery_id)
        return None if row is None else DeadDelivery(**row)

    async def revive(self, tx: Connection, dead: DeadDelivery, now_ms: int, expires_ms: int) -> None:
        """Send it again."""
        await tx.execute(QUERIES["revive"], dead.id, now_ms, expires_ms)
        await tx.execute(QUERIES["forgive"], dead.recipient_id)
        await tx.execute(QUERIES["add_waiting"], [dead.recipient_id], now_ms)

    # ── tidying ──

    async def forget(self, db: Connection, *, now_ms: int, sent_ms: int, dead_ms: int, told_ms: int) -> None:
        """Remove what is old, a bounded piece of each."""
        await db.execute(QUERIES["forget_sealed"], now_ms)
        await db.execute(QUERIES["forget_deliveries"], now_ms - sent_ms, now_ms - dead_ms)
        await db.execute(QUERIES["forget_notifications"], (now_ms - told_ms) // 1000)
        await db.execute(QUERIES["forget_recipients"], now_ms - dead_ms)

    async def backlog(self, db: Connection) -> tuple[int, int]:
        """How many deliveries wait, and since when the first of them is due."""
        row = await db.fetchrow(QUERIES["backlog"])
        return row["waiting"], row["due_ms"]


def _owner(rows: Sequence[Record]) -> Owner | None:
    if not rows:
        return None
    reached = [
        Reached(row["recipient_id"], row["channel"], row["waiting"])
        for row in rows
        if row["recipient_id"] is not None
    ]
    return Owner(rows[0]["person_id"], read_said(rows[0]["said"]), tuple(reached))
