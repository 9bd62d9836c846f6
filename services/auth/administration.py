"""What staff changes: accounts, people, and other staff."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from libs.common.db import Connection
from libs.common.errors import InvalidData, PermissionDenied
from libs.common.messages import auth
from libs.common.principal import STAFF, SessionType
from libs.common.subjects import ACCOUNT_CHANGED
from services.auth import people
from services.auth.doorkeeper import Doorkeeper
from services.auth.errors import BadCredentials, LoginExists, UserDisabled, UserNotFound
from services.auth.ground import Ground
from services.auth.opening import Opening
from services.auth.passwords import read_password
from services.auth.people import Account, Person, Staff
from services.auth.sessions import SSO, Sessions
from services.auth.signed_in import account_signed_in, account_subject, account_view
from services.auth.telling import person_view, tell_person_changed

_FLAGS = ("enable_read_only", "enable_change_password", "send_reports")


class Administration:
    """Doors check who may; here it is done, and sessions that carry old rights are ended."""

    def __init__(self, ground: Ground, opening: Opening, doorkeeper: Doorkeeper, sessions: Sessions) -> None:
        self._ground = ground
        self._database = ground.database
        self._store = ground.store
        self._opening = opening
        self._doorkeeper = doorkeeper
        self._sessions = sessions

    # ── accounts ──

    async def update_user(self, message: auth.UserUpdate) -> auth.Account:
        """Change an account. Tokens that carry what is no longer so are ended."""
        changes = _account_changes(message)
        enable = None if message.enable is None else people.read_flag("enable", message.enable)
        if message.group is not None:
            group = await self._opening.group(message.group)
            changes |= {"group_name": group.group, "currency": group.currency}
        now_ms = self._ground.clock.now_ms()
        async with self._database.transaction() as tx:
            await self._store.lock_account(tx, message.login)
            before = await self._store.account(tx, message.login)
            if before is None:
                raise UserNotFound
            if changes.get("currency", before.currency) != before.currency:
                raise InvalidData("an account keeps its currency: the group has another one")
            own = await self._store.account_enabled(tx, message.login)
            after = replace(before, **changes)
            await self._store.update_account(tx, after, enable=own if enable is None else enable)
            after = await self._account(tx, message.login)
            await self._end_outdated(tx, before, after, now_ms)
            await self._tell(tx, after, now_ms)
        self._ground.relay.wake()
        return account_view(after, now_ms=now_ms)

    async def _account(self, tx: Connection, login: int) -> Account:
        account = await self._store.account(tx, login)
        if account is None:
            raise UserNotFound
        return account

    async def _end_outdated(self, tx: Connection, before: Account, after: Account, now_ms: int) -> None:
        reason = ""
        if before.enable and not after.enable:
            reason = "disabled"
        elif (before.group_name, before.enable_read_only) != (after.group_name, after.enable_read_only):
            reason = "rights"
        if reason:
            await self._sessions.revoke_subject(tx, "account", after.login, reason, now_ms)

    async def _tell(self, tx: Connection, account: Account, now_ms: int) -> None:
        changed = auth.AccountChanged(
            login=account.login,
            person_id=account.person_id,
            group=account.group_name,
            currency=account.currency,
            leverage=account.leverage,
            enable=int(account.enable),
            enable_read_only=int(account.enable_read_only),
            changed_ms=now_ms,
        )
        await self._ground.say(tx, ACCOUNT_CHANGED, changed, login=account.login)

    async def sso(self, message: auth.SsoAsk) -> auth.SignedIn:
        """A session of an account, for the administrator who opens its terminal (broker 2.5)."""
        async with self._database.connection() as db:
            account = await self._store.account(db, message.login)
        if account is None:
            raise BadCredentials
        if not account.enable:
            raise UserDisabled
        await self._opening.check_group(account)
        given = await self._sessions.begin(account_subject(account), door=SSO, address=message.ip)
        return account_signed_in(account, given.access, refresh_token=given.refresh)

    # ── people ──

    async def find_person(self, message: auth.PersonName) -> auth.PersonView:
        """A person by id or e-mail."""
        async with self._database.connection() as db:
            person = await self._person(db, message.customer_id, message.email)
            return person_view(person, await self._store.logins_of(db, person.person_id))

    async def set_person(self, message: auth.PersonSet) -> auth.PersonView:
        """Change a person's tier or whether it may come in; doors hear of either."""
        enable = None if message.enable is None else people.read_flag("enable", message.enable)
        if message.tier is not None and message.tier not in people.TIERS:
            raise InvalidData(f"tier is one of {', '.join(people.TIERS)}")
        if not 0 <= message.tier_until_ms < 2**53:
            raise InvalidData("the end of a tier is not negative")
        now_ms = self._ground.clock.now_ms()
        async with self._database.transaction() as tx:
            before = await self._person(tx, message.customer_id, message.email)
            person_id = before.person_id
            if message.tier is not None:
                await self._store.set_tier(tx, person_id, message.tier, message.tier_until_ms, now_ms)
            if enable is not None:
                await self._store.set_person_enabled(tx, person_id, enable, now_ms)
                if before.enable and not enable:
                    await self._sessions.revoke_person(tx, person_id, "disabled", now_ms)
            after = await self._person(tx, person_id, None)
            logins = await self._store.logins_of(tx, person_id)
            await tell_person_changed(self._ground, tx, after, logins, now_ms)
        self._ground.relay.wake()
        return person_view(after, logins)

    async def _person(self, db: Connection, person_id: int | None, email: str | None) -> Person:
        person = None
        if person_id is not None:
            person = await self._store.person(db, person_id)
        elif email is not None:
            person = await self._store.person_by_email(db, people.fold_email(email))
        else:
            raise InvalidData("a customer's id or e-mail is needed")
        if person is None:
            raise UserNotFound
        return person

    # ── staff ──

    async def add_staff(self, message: auth.StaffAdd) -> auth.StaffView:
        """A new member of staff."""
        session_type = _staff_type(message.type)
        name = people.read_text("name", message.name, required=True, chars_max=people.NAME_CHARS_MAX)
        email = people.read_email(message.email).typed if message.email else ""
        password_hash = await self._doorkeeper.hash(read_password(message.password))
        wanted = message.login or None
        if wanted is not None and not 1 <= wanted <= people.LOGIN_MAX:
            raise InvalidData("login is a positive number")
        now_ms = self._ground.clock.now_ms()
        async with self._database.transaction() as tx:
            await self._store.lock_staff(tx)
            login = wanted or await self._store.next_staff_login(tx)
            if not await self._store.claim_login(tx, login, "staff"):
                raise LoginExists
            await self._store.insert_staff(tx, login, session_type, name, email, password_hash, now_ms)
            return _staff_view(await self._staff(tx, login))

    async def update_staff(self, message: auth.StaffUpdate) -> auth.StaffView:
        """Change a member of staff; a changed kind or a disabled one ends their sessions."""
        changes: dict[str, Any] = {}
        if message.name is not None:
            changes["name"] = people.read_text("name", message.name, required=True)
        if message.email is not None:
            changes["email"] = people.read_email(message.email).typed if message.email else ""
        if message.type is not None:
            changes["session_type"] = _staff_type(message.type)
        if message.enable is not None:
            changes["enable"] = people.read_flag("enable", message.enable)
        async with self._database.transaction() as tx:
            await self._store.lock_staff(tx)
            before = await self._staff(tx, message.login)
            after = replace(before, **changes)
            stays_admin = after.enable and after.session_type == SessionType.ADMIN
            if not stays_admin and not await self._store.admins_besides(tx, after.login):
                raise PermissionDenied("the last administrator stays one")
            await self._store.update_staff(tx, after)
            if (before.enable, before.session_type) != (after.enable, after.session_type):
                reason = "rights" if after.enable else "disabled"
                await self._sessions.revoke_subject(
                    tx, "staff", after.login, reason, self._ground.clock.now_ms()
                )
        self._ground.relay.wake()
        return _staff_view(after)

    async def list_staff(self) -> auth.StaffList:
        """Every member of staff."""
        async with self._database.connection() as db:
            return auth.StaffList(staff=[_staff_view(staff) for staff in await self._store.all_staff(db)])

    async def _staff(self, db: Connection, login: int) -> Staff:
        staff = await self._store.staff(db, login)
        if staff is None:
            raise UserNotFound
        return staff


def _account_changes(message: auth.UserUpdate) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    if message.leverage is not None:
        changes["leverage"] = people.read_leverage(message.leverage)
    for name in _FLAGS:
        value = getattr(message, name)
        if value is not None:
            changes[name] = people.read_flag(name, value)
    if message.name is not None:
        changes["name"] = people.read_text(
            "name", message.name, required=True, chars_max=people.NAME_CHARS_MAX
        )
    for name in people.TEXT_FIELDS:
        value = getattr(message, name)
        if value is not None:
            changes[name] = people.read_text(name, value)
    return changes


def _staff_type(value: int) -> int:
    if value not in STAFF:
        raise InvalidData("type is 1 (manager), 2 (dealer) or 3 (admin)")
    return value


def _staff_view(staff: Staff) -> auth.StaffView:
    return auth.StaffView(
        login=staff.login,
        type=staff.session_type,
        name=staff.name,
        email=staff.email,
        enable=int(staff.enable),
        regdate=staff.created_ms // 1000,
    )
