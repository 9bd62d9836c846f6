"""The ledger's and the meter's tables: one method per named query. Methods take the caller's connection."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import asyncpg
import structlog

from libs.common.db import Connection, Record, load_queries
from libs.common.errors import invariant
from services.billing.ledger import Account, Entry, Kind, wallet_account
from services.billing.meter import Book, MeteredCall, QuotaKey, State, Wallet

log = structlog.get_logger()

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")


class RowsMoved(Exception):
    """Another process wrote the same rows first: they must be read and decided on again."""


class Key(NamedTuple):
    """A key auth made, and what its making gave."""

    key_id: str
    wallet: str
    person_id: int | None
    mode: str
    granted_micros: int


class Charges(NamedTuple):
    """One wallet's charges of a batch: an entry's ref and its postings (account id, micros)."""

    wallet: str
    ref: str
    postings: tuple[tuple[int, int], ...]


class Store:
    """See the module's text."""

    # ── the meter ─────────────────────────────────────────────────────────────────────────────────

    async def load(
        self, tx: Connection, request_ids: Sequence[str], wallets: Collection[str]
    ) -> tuple[dict[str, MeteredCall], dict[str, Wallet]]:
        """Calls by id, and wallets by name with those of the calls, locked; those never made are left out."""
        calls: dict[str, MeteredCall] = {}
        found: dict[str, Wallet] = {}
        for row in await tx.fetch(QUERIES["load"], request_ids, list(wallets)):
            what, name, one, two, three, wallet, operation, quota, subject, day = row
            if what == "w":
                found[name] = Wallet(name, one, two, three)
            else:
                calls[name] = MeteredCall(
                    name, wallet, operation, State(one), two, three, quota, subject, day
                )
        return calls, found

    async def write_alone(
        self, db: Connection, book: Book, entries: Sequence[Charges], now_ms: int, plans: str
    ) -> bool:
        """What a batch did, in one statement that commits by itself; False when it failed."""
        try:
            if book.only_holds:
                await self._hold(db, book, now_ms)
            else:
                await self.write(db, book, entries, now_ms, plans)
        except (asyncpg.PostgresError, RowsMoved) as e:
            log.debug("a batch is decided on its rows", error=str(e))
            return False
        return True

    async def _hold(self, db: Connection, book: Book, now_ms: int) -> None:
        added = [(c.request_id, c.wallet, c.operation, c.held_micros, c.day) for c in book.added.values()]
        moved = [(w.name, *w.was, w.held_micros) for w in _moved(book)]
        await db.execute(QUERIES["hold"], now_ms, *_columns(added, 5), *_columns(moved, 4))

    async def write(
        self, tx: Connection, book: Book, entries: Sequence[Charges], now_ms: int, plans: str
    ) -> None:
        """What a batch did, in one statement; RowsMoved when another process has made one of its calls."""
        refs = {charges.wallet: charges.ref for charges in entries}
        added = [_added(call, refs) for call in book.added.values()]
        ended = [
            (c.request_id, int(c.state), _ref(c, refs), c.charged_micros, int(c.was))
            for c in book.ended.values()
        ]
        moved = [(w.name, w.balance_micros, w.held_micros, *w.was) for w in _moved(book)]
        counted = [(*key, book.quotas[key]) for key in sorted(book.counted)]
        postings = [(c.ref, *posting) for c in entries for posting in c.postings]
        try:
            await tx.execute(
                QUERIES["write"],
                now_ms,
                *_columns(added, 10),
                *_columns(ended, 5),
                *_columns(moved, 5),
                *_columns(counted, 4),
                _usage(book.charged_calls),
                list(refs.values()),
                plans,
                *_columns(postings, 3),
            )
        except asyncpg.UniqueViolationError as e:
            raise RowsMoved(str(e)) from e

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

    async def put_wallets(self, tx: Connection, wallets: Sequence[Wallet]) -> None:
        """Write balances and holds."""
        rows = [(w.name, w.balance_micros, w.held_micros) for w in wallets]
        await tx.execute(QUERIES["put_wallets"], *_columns(rows, 3))

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
        return Wallet(*await tx.fetchrow(QUERIES["lock_wallet"], name))

    async def put_plans(self, tx: Connection, version: str, body: str, now_ms: int) -> None:
        """These prices are in force from now on."""
        await tx.execute(QUERIES["put_plans"], version, body, now_ms)

    async def look_once(self, tx: Connection) -> None:
        """Let everything asked in ``tx`` see one state; its first statement."""
        await tx.execute(QUERIES["one_look"])

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


def _moved(book: Book) -> list[Wallet]:
    return [book.wallets[name] for name in sorted(book.moved)]


def _added(call: MeteredCall, refs: Mapping[str, str]) -> tuple[object, ...]:
    state = int(call.state)
    price = (call.held_micros, call.charged_micros)
    return (
        _ref(call, refs),
        call.request_id,
        call.wallet,
        call.operation,
        state,
        *price,
        call.quota,
        call.subject,
        call.day,
    )


def _ref(call: MeteredCall, refs: Mapping[str, str]) -> str:
    return refs[call.wallet] if call.charged_micros else ""


def _usage(calls: Sequence[MeteredCall]) -> list[dict[str, object]]:
    """Charged calls counted by wallet (whoever has none: by subject), day and operation."""
    sums: dict[tuple[str, int, str], list[int]] = {}
    for call in calls:
        counted = sums.setdefault((call.wallet or call.subject, call.day, call.operation), [0, 0])
        counted[0] += 1
        counted[1] += call.charged_micros
    return [
        {"wallet": wallet, "day": day, "operation": operation, "calls": count, "charged": charged}
        for (wallet, day, operation), (count, charged) in sorted(sums.items())
    ]


def _columns(rows: Sequence[tuple[object, ...]], width: int) -> list[list[object]]:
    return [[row[place] for row in rows] for place in range(width)]
