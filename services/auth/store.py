"""Auth's tables. Every method takes the caller's connection; the service opens the transaction."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from libs.common.db import Connection, load_queries
from libs.common.messages.auth import AuditRow
from services.auth.keys import KeyState, StoredKey
from services.auth.people import Account, AccountTerms, NewPerson, Person, Profile, Staff
from services.auth.throttle import FAILURES_MAX, MEMORY_MS, Failure

QUERIES = load_queries(Path(__file__).parent / "sql/queries.sql")


class Store:
    """One method per named query."""

    # ── people and accounts ──

    async def insert_person(
        self, tx: Connection, new: NewPerson, password_hash: str, now_ms: int
    ) -> int | None:
        """The new person's id; None when the e-mail is known."""
        person_id: int | None = await tx.fetchval(
            QUERIES["insert_person"],
            new.email.typed,
            new.email.key,
            password_hash,
            new.first_name,
            new.last_name,
            new.phone,
            new.brand,
            new.preferred_language,
            new.timezone,
            new.marketing_allowed,
            new.ref_code,
            now_ms,
        )
        return person_id

    async def next_login(self, tx: Connection) -> int:
        """A number from the sequence; claim it, it may be taken."""
        login: int = await tx.fetchval(QUERIES["next_login"])
        return login

    async def claim_login(self, tx: Connection, login: int, kind: str) -> bool:
        """Take a number for an ``account`` or ``staff``; False when it is taken."""
        return await tx.fetchval(QUERIES["claim_login"], login, kind) is not None

    async def insert_account(
        self, tx: Connection, login: int, person_id: int, terms: AccountTerms, profile: Profile, now_ms: int
    ) -> None:
        """A trading account on a claimed login."""
        await tx.execute(
            QUERIES["insert_account"],
            login,
            person_id,
            terms.group,
            terms.currency,
            terms.leverage,
            terms.enable,
            terms.enable_read_only,
            terms.enable_change_password,
            terms.send_reports,
            profile.name,
            profile.phone,
            profile.address,
            profile.city,
            profile.state,
            profile.country,
            profile.zipcode,
            profile.comment,
            profile.lead_source,
            terms.external_id,
            terms.user_color,
            now_ms,
        )

    async def account(self, db: Connection, login: int) -> Account | None:
        """A trading account by its login."""
        row = await db.fetchrow(QUERIES["account"], login)
        return None if row is None else Account(**row)

    async def person(self, db: Connection, person_id: int) -> Person | None:
        """A person by id."""
        row = await db.fetchrow(QUERIES["person"], person_id)
        return None if row is None else Person(**row)

    async def person_by_email(self, db: Connection, email_key: str) -> Person | None:
        """A person by folded e-mail."""
        row = await db.fetchrow(QUERIES["person_by_email"], email_key)
        return None if row is None else Person(**row)

    async def accounts_of(self, db: Connection, person_id: int) -> list[Account]:
        """A person's accounts, oldest first."""
        return [Account(**row) for row in await db.fetch(QUERIES["accounts_of"], person_id)]

    async def lock_person(self, tx: Connection, person_id: int) -> None:
        """Hold a person until the commit."""
        await tx.execute(QUERIES["lock_person"], person_id)

    async def set_last_login(self, db: Connection, person_id: int, now_ms: int) -> None:
        """The person came in by a door of people."""
        await db.execute(QUERIES["set_last_login"], person_id, now_ms)

    async def set_otp(self, tx: Connection, person_id: int, otp_sealed: bytes, now_ms: int) -> None:
        """One-time codes are asked for from now on."""
        await tx.execute(QUERIES["set_otp"], person_id, otp_sealed, now_ms)

    async def use_otp_step(self, db: Connection, person_id: int, step: int) -> bool:
        """Use a code up; False when it or a later one was used before."""
        return await db.fetchval(QUERIES["use_otp_step"], person_id, step) is not None

    async def logins_of(self, db: Connection, person_id: int) -> tuple[int, ...]:
        """A person's accounts, oldest first."""
        return tuple(row["login"] for row in await db.fetch(QUERIES["logins_of"], person_id))

    async def set_person_password(
        self, tx: Connection, person_id: int, password_hash: str, now_ms: int
    ) -> None:
        """Replace a person's password."""
        await tx.execute(QUERIES["set_person_password"], person_id, password_hash, now_ms)

    async def set_investor_hash(self, tx: Connection, login: int, investor_hash: str | None) -> None:
        """Replace the read-only password of an account."""
        await tx.execute(QUERIES["set_investor_hash"], login, investor_hash)

    async def set_staff_password(self, tx: Connection, login: int, password_hash: str) -> None:
        """Replace a member of staff's password."""
        await tx.execute(QUERIES["set_staff_password"], login, password_hash)

    async def person_known(self, db: Connection, email_key: str) -> bool:
        """Whether an e-mail belongs to a person."""
        known: bool = await db.fetchval(QUERIES["person_known"], email_key)
        return known

    async def rehash_person_password(self, db: Connection, person_id: int, before: str, now: str) -> None:
        """Keep the same password under newer parameters."""
        await db.execute(QUERIES["rehash_person_password"], person_id, before, now)

    # ── administration ──

    async def lock_account(self, tx: Connection, login: int) -> None:
        """Hold an account until the commit."""
        await tx.execute(QUERIES["lock_account"], login)

    async def account_enabled(self, tx: Connection, login: int) -> bool:
        """The account's own flag, whatever its person's."""
        enabled: bool = await tx.fetchval(QUERIES["account_enabled"], login)
        return enabled

    async def update_account(self, tx: Connection, account: Account, *, enable: bool) -> None:
        """Replace what staff may change of an account."""
        await tx.execute(
            QUERIES["update_account"],
            account.login,
            account.group_name,
            account.currency,
            account.leverage,
            enable,
            account.enable_read_only,
            account.enable_change_password,
            account.send_reports,
            account.name,
            account.phone,
            account.country,
            account.city,
            account.address,
            account.state,
            account.zipcode,
            account.comment,
            account.lead_source,
        )

    async def set_tier(self, tx: Connection, person_id: int, tier: str, until_ms: int, now_ms: int) -> None:
        """What a person has bought, and until when."""
        await tx.execute(QUERIES["set_tier"], person_id, tier, until_ms, now_ms)

    async def set_person_enabled(self, tx: Connection, person_id: int, enable: bool, now_ms: int) -> None:
        """Whether a person may come in."""
        await tx.execute(QUERIES["set_person_enabled"], person_id, enable, now_ms)

    async def lock_staff(self, tx: Connection) -> None:
        """Changes of staff happen one after the other."""
        await tx.execute(QUERIES["lock_staff"])

    async def next_staff_login(self, tx: Connection) -> int:
        """The lowest number above 1 that nobody has."""
        login: int = await tx.fetchval(QUERIES["next_staff_login"])
        return login

    async def update_staff(self, tx: Connection, staff: Staff) -> None:
        """Replace what an administrator may change of staff."""
        await tx.execute(
            QUERIES["update_staff"], staff.login, staff.session_type, staff.name, staff.email, staff.enable
        )

    async def admins_besides(self, tx: Connection, login: int) -> int:
        """How many enabled administrators there are besides one."""
        count: int = await tx.fetchval(QUERIES["admins_besides"], login)
        return count

    async def all_staff(self, db: Connection) -> list[Staff]:
        """Every member of staff."""
        return [Staff(**row) for row in await db.fetch(QUERIES["all_staff"])]

    # ── wrong passwords ──

    async def failures(self, db: Connection, network: str, name: str, now_ms: int) -> list[Failure]:
        """The recent ones of an address, newest first."""
        rows = await db.fetch(QUERIES["failures"], network, name, now_ms - MEMORY_MS, FAILURES_MAX)
        return [Failure(row["at_ms"], row["same"]) for row in rows]

    async def insert_failure(self, db: Connection, network: str, name: str, now_ms: int) -> None:
        """A wrong password was given."""
        await db.execute(QUERIES["insert_failure"], network, name, now_ms)

    async def forget_failures_of(self, db: Connection, network: str, name: str) -> None:
        """The right password was given."""
        await db.execute(QUERIES["forget_failures_of"], network, name)

    async def forget_failures(self, db: Connection, before_ms: int) -> None:
        """Remove what left the window."""
        await db.execute(QUERIES["forget_failures"], before_ms)

    # ── staff ──

    async def staff(self, db: Connection, login: int) -> Staff | None:
        """A member of staff by login."""
        row = await db.fetchrow(QUERIES["staff"], login)
        return None if row is None else Staff(**row)

    async def insert_staff(
        self,
        tx: Connection,
        login: int,
        session_type: int,
        name: str,
        email: str,
        password_hash: str,
        now_ms: int,
    ) -> None:
        """A member of staff on a claimed login."""
        await tx.execute(QUERIES["insert_staff"], login, session_type, name, email, password_hash, now_ms)

    async def rehash_staff_password(self, db: Connection, login: int, before: str, now: str) -> None:
        """Keep the same password under newer parameters."""
        await db.execute(QUERIES["rehash_staff_password"], login, before, now)

    # ── signing keys ──

    async def lock_keys(self, tx: Connection) -> None:
        """One maker of keys and of the first staff at a time, until the commit."""
        await tx.execute(QUERIES["lock_keys"])

    async def signing_keys(self, db: Connection) -> list[StoredKey]:
        """The ring, oldest first."""
        rows = await db.fetch(QUERIES["signing_keys"])
        return [StoredKey(**{**row, "state": KeyState(row["state"])}) for row in rows]

    async def insert_signing_key(self, tx: Connection, key: StoredKey) -> None:
        """Keep a new key."""
        await tx.execute(
            QUERIES["insert_signing_key"], key.kid, key.state.value, key.public, key.sealed, key.created_ms
        )

    async def set_key_state(self, tx: Connection, kid: str, state: KeyState, retired_ms: int = 0) -> None:
        """Move a key on in its life."""
        await tx.execute(QUERIES["set_key_state"], kid, state.value, retired_ms)

    async def delete_signing_keys(self, tx: Connection, kids: Sequence[str]) -> None:
        """Forget keys whose last token has expired."""
        await tx.execute(QUERIES["delete_signing_keys"], list(kids))

    # ── audit ──

    async def lock_audit(self, tx: Connection) -> None:
        """The chain grows one row after the other."""
        await tx.execute(QUERIES["lock_audit"])

    async def audit_tail(self, tx: Connection) -> tuple[int, str] | None:
        """The newest row's id and hash; None when there is no row."""
        row = await tx.fetchrow(QUERIES["audit_tail"])
        return None if row is None else (row["id"], row["hash"])

    async def insert_audit(self, tx: Connection, row: AuditRow) -> None:
        """Append a chained row."""
        await tx.execute(QUERIES["insert_audit"], *msgspec.structs.astuple(row))

    async def audit_page(
        self, db: Connection, actor: int | None, limit: int, offset: int
    ) -> tuple[list[AuditRow], int]:
        """A page, newest first, and how many rows there are."""
        rows = await db.fetch(QUERIES["audit_page"], actor, limit, offset)
        count: int = await db.fetchval(QUERIES["audit_count"], actor)
        return [AuditRow(**row) for row in rows], count

    async def audit_after(self, db: Connection, after_id: int, limit: int) -> list[AuditRow]:
        """A piece of the chain in order."""
        return [AuditRow(**row) for row in await db.fetch(QUERIES["audit_after"], after_id, limit)]
