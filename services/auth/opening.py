"""Opening people and trading accounts, the same way behind every door."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from libs.common.db import Connection
from libs.common.errors import AppError, InvalidData, OutcomeUnknown, RemoteError, ServiceUnavailable
from libs.common.messages.auth import AccountOpened
from libs.common.messages.auth_people import PersonJoined
from libs.common.messages.market import Group, GroupGet
from libs.common.messages.trading import AccountOpen
from libs.common.subjects import ACCOUNT_OPEN, ACCOUNT_OPENED, GROUP_GET, PERSON_JOINED
from services.auth import people
from services.auth.doorkeeper import Doorkeeper
from services.auth.errors import AccountExists, GroupNotFound, LoginExists, SignUpOff, UserDisabled
from services.auth.ground import Ground
from services.auth.people import Account, AccountTerms, NewPerson, Profile

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class SignUpRules:
    """Whether people may sign up by themselves, and into which groups; the first is the default."""

    open: bool
    groups: tuple[str, ...]


class Opening:
    """Makes people and accounts; the fact of it reaches trading, which makes the margin account."""

    def __init__(self, ground: Ground, doorkeeper: Doorkeeper, rules: SignUpRules) -> None:
        self._ground = ground
        self._store = ground.store
        self._doorkeeper = doorkeeper
        self._rules = rules

    # ── groups ──

    async def sign_up_terms(self, group_name: str | None, leverage: int | None) -> AccountTerms:
        """The terms of an account that somebody opens without staff."""
        if not self._rules.open:
            raise SignUpOff
        if group_name is not None and group_name not in self._rules.groups:
            raise GroupNotFound
        return self.terms_in(await self.group(group_name or self._rules.groups[0]), leverage)

    async def terms_for(self, currency: str | None, leverage: int | None) -> AccountTerms:
        """The terms of a further account in ``currency``; GroupNotFound when no open group has it."""
        for name in self._rules.groups:
            group = await self.group(name)
            if currency is None or group.currency == currency:
                return self.terms_in(group, leverage)
        raise GroupNotFound("there is no group with this currency")

    def terms_in(self, group: Group, leverage: int | None) -> AccountTerms:
        """The group caps the leverage and decides the currency."""
        return AccountTerms(
            group=group.group,
            currency=group.currency,
            leverage=people.sign_up_leverage(leverage, group.default_leverage),
        )

    async def group(self, name: str) -> Group:
        """A group by name; GroupNotFound when market has none."""
        try:
            return await self._ground.bus.request(GROUP_GET, GroupGet(group=name))
        except RemoteError as e:
            if e.code == GroupNotFound.code:
                raise GroupNotFound from e
            raise

    async def check_group(self, account: Account) -> None:
        """An account in a group that is gone or closed can't sign in."""
        try:
            group = await self.group(account.group_name)
        except (ServiceUnavailable, OutcomeUnknown):
            return  # people sign in while the market is away
        if not group.enable:
            raise UserDisabled

    # ── people and accounts ──

    async def open_person(
        self,
        person: NewPerson,
        profile: Profile,
        password: str,
        terms: AccountTerms,
        *,
        login: int | None = None,
        address: str = "",
    ) -> Account:
        """A person with a first account; AccountExists when the e-mail is known."""
        if person.email.key.endswith(f"@{people.WALLET_DOMAIN}"):
            raise InvalidData("email: nobody reads mail there")
        async with self._ground.database.connection() as db:
            # Known e-mails are refused before the work of hashing; the unique key decides in the end.
            if await self._store.person_known(db, person.email.key):
                raise AccountExists
        password_hash = await self._doorkeeper.hash(password)
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            person_id = await self._store.insert_person(tx, person, password_hash, now_ms)
            if person_id is None:
                raise AccountExists
            account = await self.open_account(tx, person_id, profile, terms, login=login, now_ms=now_ms)
            joined = PersonJoined(
                person_id=person_id,
                email_key=person.email.key,
                ref_code=person.ref_code,
                address=address,
                joined_ms=now_ms,
            )
            await self._ground.say(tx, PERSON_JOINED, joined, person=person_id)
        self._ground.relay.wake()
        await self.tell_trading(account)
        return account

    async def open_account(
        self,
        tx: Connection,
        person_id: int,
        profile: Profile,
        terms: AccountTerms,
        *,
        login: int | None,
        now_ms: int,
    ) -> Account:
        """The account and the fact that it was opened, in the caller's transaction."""
        taken = await self._take_login(tx, login)
        await self._store.insert_account(tx, taken, person_id, terms, profile, now_ms)
        opened = AccountOpened(
            login=taken,
            person_id=person_id,
            group=terms.group,
            currency=terms.currency,
            leverage=terms.leverage,
            email=profile.email.typed,
            name=profile.name,
            opened_ms=now_ms,
        )
        await self._ground.say(tx, ACCOUNT_OPENED, opened, login=taken)
        account = await self._store.account(tx, taken)
        if account is None:
            raise RuntimeError("the account just opened is not there")
        return account

    async def _take_login(self, tx: Connection, wanted: int | None) -> int:
        if wanted is not None:
            if not await self._store.claim_login(tx, wanted, "account"):
                raise LoginExists
            return wanted
        while True:  # staff may have chosen numbers the sequence has yet to reach
            login = await self._store.next_login(tx)
            if await self._store.claim_login(tx, login, "account"):
                return login

    async def tell_trading(self, account: Account) -> None:
        """After the commit: have the margin account made before anybody reads it.

        The fact is what makes it for certain; this call only makes it in time, so it may fail.
        """
        message = AccountOpen(
            login=account.login,
            person_id=account.person_id,
            group=account.group_name,
            currency=account.currency,
            leverage=account.leverage,
            opened_ms=account.opened_ms,
        )
        try:
            await self._ground.bus.request(ACCOUNT_OPEN, message)
        except AppError as e:
            log.warning("margin account not made at once", login=account.login, error=str(e))
