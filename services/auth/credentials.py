"""Changing passwords: by their holder, who knows the current one, or by staff."""

from __future__ import annotations

from libs.common.errors import InvalidData, PermissionDenied
from libs.common.messages.auth import PasswordChange, PasswordChanged
from libs.common.principal import STAFF, SessionType
from services.auth.doorkeeper import Doorkeeper
from services.auth.errors import BadCredentials, NotEnoughRights, PasswordNotUpdated, UserNotFound
from services.auth.ground import Ground
from services.auth.passwords import read_password
from services.auth.people import Account, Staff, read_flag
from services.auth.sessions import Sessions


class Credentials:
    """Every change ends the sessions that the old password opened."""

    def __init__(self, ground: Ground, doorkeeper: Doorkeeper, sessions: Sessions) -> None:
        self._database = ground.database
        self._store = ground.store
        self._relay = ground.relay
        self._clock = ground.clock
        self._doorkeeper = doorkeeper
        self._sessions = sessions

    async def change(self, message: PasswordChange) -> PasswordChanged:
        """Broker 2.4, both forms."""
        investor = read_flag("investor", message.investor)
        async with self._database.connection() as db:
            account = await self._store.account(db, message.login)
            staff = None if account else await self._store.staff(db, message.login)
        if message.session_type in STAFF:
            await self._by_staff(message, account, staff, investor=investor)
            return PasswordChanged(login="OK")
        if account is None:
            raise PermissionDenied
        await self._by_holder(message, account, investor=investor)
        return PasswordChanged(data="OK")

    async def _by_holder(self, message: PasswordChange, account: Account, *, investor: bool) -> None:
        if message.new_password is None:
            raise InvalidData("new_password is missing")
        current = read_password(message.password)
        new = read_password(message.new_password, field="new_password")
        if message.read_only or not account.enable_change_password:
            raise NotEnoughRights
        try:
            await self._doorkeeper.admit(
                door="broker",
                name=f"login:{account.login}",
                address=message.ip,
                password=current,
                encoded=account.password_hash,
            )
        except BadCredentials as e:
            raise PasswordNotUpdated from e
        await self._set(account, new, investor=investor)

    async def _by_staff(
        self, message: PasswordChange, account: Account | None, staff: Staff | None, *, investor: bool
    ) -> None:
        new = read_password(message.password)
        if account is not None:
            await self._set(account, new, investor=investor)
            return
        if staff is None:
            raise UserNotFound
        if message.session_type != SessionType.ADMIN and message.actor != staff.login:
            raise PermissionDenied("only an administrator sets the password of other staff")
        await self.set_staff(staff.login, new)

    async def _set(self, account: Account, new: str, *, investor: bool) -> None:
        if investor:
            if await self._doorkeeper.is_password(account.password_hash, new):
                raise InvalidData("the read-only password is another one than the password")
            await self._set_investor(account, new)
        else:
            await self.set_person(account.person_id, new)

    async def set_person(self, person_id: int, new: str) -> None:
        """The one password of a person; every session of theirs ends."""
        password_hash = await self._doorkeeper.hash(new)
        now_ms = self._clock.now_ms()
        async with self._database.transaction() as tx:
            await self._store.set_person_password(tx, person_id, password_hash, now_ms)
            await self._sessions.revoke_person(tx, person_id, "password", now_ms)
        self._relay.wake()

    async def set_staff(self, login: int, new: str) -> None:
        """The password of a member of staff; every session of theirs ends."""
        password_hash = await self._doorkeeper.hash(new)
        async with self._database.transaction() as tx:
            await self._store.set_staff_password(tx, login, password_hash)
            await self._sessions.revoke_subject(tx, "staff", login, "password", self._clock.now_ms())
        self._relay.wake()

    async def _set_investor(self, account: Account, new: str) -> None:
        investor_hash = await self._doorkeeper.hash(new)
        async with self._database.transaction() as tx:
            await self._store.set_investor_hash(tx, account.login, investor_hash)
            await self._sessions.revoke_subject(
                tx, "account", account.login, "password", self._clock.now_ms()
            )
        self._relay.wake()
