"""The ledger's and the meter's tables: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from libs.common.db import Connection, Record, load_queries
from libs.common.errors import invariant
from services.billing.ledger import Account, Entry, Kind, wallet_account
from services.billing.meter import MeteredCall, QuotaKey, State, Wallet

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")


class Key(NamedTuple):
    """A key auth made, and what its making gave."""

    key_id: str
    wallet: str
    person_id: int | None
    mode: str
    granted_micros: int


class Store:
    """See the module's text."""

    # ── the meter ─────────────────────────────────────────────────────────────────────────────────

    async def calls(self, tx: Connection, request_ids: Sequence[str]) -> dict[str, MeteredCall]:
        """Calls by id, locked."""
        rows = await tx.fetch(QUERIES["calls"], request_ids)
        return {row[0]: _call(row) for row in rows}

    async def lock_wallets(self, tx: Connection, names: Collection[str]) -> dict[str, Wallet]:
        """Wallets by name, locked; those that were never made are left out."""
        rows = await tx.fetch(QUERIES["lock_wallets"], list(names))
        return {row[0]: Wallet(*row) for row in rows}

    async def wallet(self, db: Connection, name: str) -> Wallet:
        """One wallet; an empty one where there is none."""
        row = await db.fetchrow(QUERIES["wallet"], name)
        return Wallet(*row) if row is not None else Wallet(name)

    async def lock_quotas(self, tx: Connection, keys: Collection[QuotaKey]) -> dict[QuotaKey, int]:
        """What was taken, locked; rows are made where there were none."""
        columns = _columns(sorted(keys), 3)
        await tx.execute(QUERIES["make_quotas"], *columns)
        rows = await tx.fetch(QUERIES["lock_quotas"], *columns)
        return {QuotaKey(row[0], row[1], row[2]): row[3] for row in rows}

    async def quota(self, db: Connection, key: QuotaKey) -> int:
        """What was taken of one quota."""
        return await db.fetchval(QUERIES["quota"], *key) or 0

    async def put_quotas(self, tx: Connection, taken: Mapping[QuotaKey, int]) -> None:
        """Write what was taken."""
        await tx.execute(QUERIES["put_quotas"], *_columns([(*key, taken[key]) for key in sorted(taken)], 4))

    async def add_calls(
        self, tx: Connection, calls: Sequence[MeteredCall], entries: Mapping[str, int], now_ms: int
    ) -> None:
        """Write new calls; ``entries`` is wallet → the entry of its charges."""
        rows = [
            (
                c.request_id,
                c.wallet,
                c.operation,
                int(c.state),
                c.held_micros,
                c.charged_micros,
                c.quota,
                c.subject,
                c.day,
            )
            for c in calls
        ]
        await tx.execute(
            QUERIES["add_calls"], *_columns(rows, 9), now_ms, [_entry_of(c, entries) for c in calls]
        )

    async def end_calls(
        self, tx: Connection, calls: Sequence[MeteredCall], entries: Mapping[str, int], now_ms: int
    ) -> None:
        """Write how calls ended."""
        rows = [(c.request_id, int(c.state), c.charged_micros, _entry_of(c, entries)) for c in calls]
        await tx.execute(QUERIES["end_calls"], *_columns(rows, 4), now_ms)

    async def put_wallets(self, tx: Connection, wallets: Sequence[Wallet]) -> None:
        """Write balances and holds."""
        rows = [(w.name, w.balance_micros, w.held_micros) for w in wallets]
        await tx.execute(QUERIES["put_wallets"], *_columns(rows, 3))

    async def add_usage(self, tx: Connection, calls: Sequence[MeteredCall]) -> None:
        """Count charged calls by wallet, day and operation."""
        sums: dict[tuple[str, int, str], list[int]] = {}
        for call in calls:
            counted = sums.setdefault((call.wallet or call.subject, call.day, call.operation), [0, 0])
            counted[0] += 1
            counted[1] += call.charged_micros
        rows = [(*key, *sums[key]) for key in sorted(sums)]
        await tx.execute(QUERIES["add_usage"], *_columns(rows, 5))

    async def usage(self, db: Connection, wallet: str, from_day: int) -> list[Record]:
        """(day, operation, calls, charged_micros), newest first."""
        rows: list[Record] = await db.fetch(QUERIES["usage"], wallet, from_day)
        return rows

    async def stale_calls(self, db: Connection, before_ms: int, limit: int) -> list[str]:
        """Held calls nobody came back for."""
        return [row[0] for row in await db.fetch(QUERIES["stale_calls"], before_ms, limit)]

    # ── the ledger ────────────────────────────────────────────────────────────────────────────────

    async def account_id(self, tx: Connection, account: Account) -> int:
        """The id of a ledger account, which is made where there is none."""
        name = (account.kind.value, account.ref, account.currency)
        found = await tx.fetchval(QUERIES["account_id"], *name)
        if found is None:
            await tx.execute(QUERIES["make_accounts"], *([part] for part in name))
            found = await tx.fetchval(QUERIES["account_id"], *name)
        return int(found)

    async def post_usage(
        self, tx: Connection, entries: Sequence[Entry], ids: Mapping[Account, int], now_ms: int, plans: str
    ) -> dict[str, int]:
        """Write entries of charges, whose refs are new; ref → id. The wallets' rows are the caller's."""
        reason = entries[0].reason.value
        rows = await tx.fetch(QUERIES["add_entries"], reason, [e.ref for e in entries], now_ms, plans)
        made = {row["ref"]: row["id"] for row in rows}
        postings = [(made[e.ref], ids[p.account], p.amount_micros) for e in entries for p in e.postings]
        await tx.execute(QUERIES["add_postings"], *_columns(postings, 3))
        return made

    async def post(self, tx: Connection, entry: Entry, *, now_ms: int, plans: str) -> bool:
        """Write an entry and what it does to wallets; False, and nothing, when it happened before.

        A wallet it would take below its holds is a defect of the caller's, who has locked it.
        """
        entry_id = await tx.fetchval(
            QUERIES["add_entry"], entry.reason.value, entry.ref, now_ms, plans, entry.note
        )
        if entry_id is None:
            return False
        accounts = [p.account for p in entry.postings]
        columns = _columns([(a.kind.value, a.ref, a.currency) for a in accounts], 3)
        await tx.execute(QUERIES["make_accounts"], *columns)
        amounts = [p.amount_micros for p in entry.postings]
        done = await tx.execute(QUERIES["add_postings_by_name"], entry_id, *columns, amounts)
        invariant(done == f"INSERT 0 {len(amounts)}", "every posting of an entry is written")
        for posting in entry.postings:
            if posting.account.kind is Kind.WALLET:
                wallet = await self.open_wallet(tx, posting.account.ref)
                wallet.balance_micros += posting.amount_micros
                await self.put_wallets(tx, [wallet])
        return True

    async def open_wallet(self, tx: Connection, name: str) -> Wallet:
        """A wallet, made where there is none, and locked."""
        account_id = await self.account_id(tx, wallet_account(name))
        await tx.execute(QUERIES["make_wallet"], name, account_id)
        return (await self.lock_wallets(tx, [name]))[name]

    async def put_plans(self, tx: Connection, version: str, body: str, now_ms: int) -> None:
        """These prices are in force from now on."""
        await tx.execute(QUERIES["put_plans"], version, body, now_ms)

    async def unsound(self, db: Connection) -> list[str]:
        """What does not add up; empty when everything does."""
        sums = await db.fetch(QUERIES["ledger_sums"])
        wallets = await db.fetch(QUERIES["wrong_wallets"])
        charges = await db.fetch(QUERIES["wrong_charges"])
        return [
            *(f"all {row[0]} postings sum to {row[1]}" for row in sums),
            *(f"wallet {r[0]}: kept {r[1]}/{r[2]}, posted {r[3]}/{r[4]}" for r in wallets),
            *(f"entry {r[0]}: calls {r[1]}, posted {r[2]}" for r in charges),
        ]

    # ── keys and starter credit ───────────────────────────────────────────────────────────────────

    async def key(self, db: Connection, key_id: str) -> Key | None:
        """A key by its id."""
        row = await db.fetchrow(QUERIES["key"], key_id)
        return Key(*row) if row is not None else None

    async def add_key(self, tx: Connection, key: Key, issued_ms: int) -> bool:
        """Remember a key; False when it is known."""
        return await tx.fetchval(QUERIES["add_key"], *key, issued_ms) is not None

    async def lock_starters(self, tx: Connection, email_key: str, address: str) -> None:
        """One at a time for an e-mail and an address."""
        await tx.execute(QUERIES["lock_starters"], email_key, address)

    async def starter_given(self, tx: Connection, email_key: str) -> bool:
        """Whether an e-mail had its credit."""
        return bool(await tx.fetchval(QUERIES["starter_given"], email_key))

    async def starters_of_address(self, tx: Connection, address: str, day: int) -> int:
        """How many credits an address was given on a day."""
        return await tx.fetchval(QUERIES["starters_of_address"], address, day) or 0

    async def add_starter(
        self, tx: Connection, email_key: str, wallet: str, micros: int, now_ms: int
    ) -> None:
        """An e-mail has its credit."""
        await tx.execute(QUERIES["add_starter"], email_key, wallet, micros, now_ms)

    async def count_starter(self, tx: Connection, address: str, day: int) -> None:
        """One more for an address."""
        await tx.execute(QUERIES["count_starter"], address, day)


def _call(row: Record) -> MeteredCall:
    values = list(row.values())
    values[3] = State(values[3])
    return MeteredCall(*values)


def _entry_of(call: MeteredCall, entries: Mapping[str, int]) -> int | None:
    return entries[call.wallet] if call.charged_micros else None


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[place] for row in rows] for place in range(width)]
