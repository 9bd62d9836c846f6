"""The broker's doors: sign up, sign in, sign check, and the accounts that staff opens."""

from __future__ import annotations

import structlog

from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import (
    AppError,
    InvalidData,
    OutcomeUnknown,
    RemoteError,
    ServiceUnavailable,
)
from libs.common.ids import Ids
from libs.common.messages import auth
from libs.common.messages.auth import (
    AccountAsk,
    AccountOpened,
    SignCheck,
    SignedIn,
    SignIn,
    SignUp,
    UserAdd,
    UserAdded,
)
from libs.common.messages.market import Group, GroupGet
from libs.common.messages.trading import AccountOpen
from libs.common.outbox import Outbox, Relay, fact
from libs.common.principal import SessionType
from libs.common.subjects import ACCOUNT_OPEN, ACCOUNT_OPENED, GROUP_GET
from services.auth import people
from services.auth.doorkeeper import Doorkeeper
from services.auth.errors import (
    AccountExists,
    BadCredentials,
    GroupNotFound,
    LoginExists,
    SignUpOff,
    UserDisabled,
)
from services.auth.metrics import sign_ins, sign_ups
from services.auth.passwords import read_password
from services.auth.people import Account, AccountTerms, Profile, Staff
from services.auth.sessions import Sessions
from services.auth.signed_in import (
    account_signed_in,
    account_subject,
    account_view,
    customer_signed_in,
    staff_signed_in,
    staff_subject,
)
from services.auth.store import Store
from services.auth.subjects import subject_held

log = structlog.get_logger()


class AuthService:
    """People sign up, sign in and are checked; staff adds users."""

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        outbox: Outbox,
        relay: Relay,
        bus: Bus,
        clock: Clock,
        ids: Ids,
        doorkeeper: Doorkeeper,
        sessions: Sessions,
        sign_up_open: bool,
        sign_up_groups: tuple[str, ...],
    ) -> None:
        self._database = database
        self._store = store
        self._outbox = outbox
        self._relay = relay
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._doorkeeper = doorkeeper
        self._sessions = sessions
        self._sign_up_open = sign_up_open
        self._sign_up_groups = sign_up_groups

    # ── opening ──

    async def sign_up(self, message: SignUp) -> SignedIn:
        """A person, a password and a demo account; the answer is a sign-in."""
        if not self._sign_up_open:
            raise SignUpOff
        profile = people.read_profile(message)
        password = read_password(message.password)
        group = await self._sign_up_group(message.group)
        terms = AccountTerms(
            group=group.group,
            currency=group.currency,
            leverage=people.sign_up_leverage(message.leverage, group.default_leverage),
        )
        account = await self._open(profile, password, terms, login=None)
        sign_ups.labels("broker").inc()
        return await self._account_session(account, message.ip)

    async def add_user(self, message: UserAdd) -> UserAdded:
        """Staff opens a person with an account (broker 9.5)."""
        profile = people.read_profile(message)
        password = read_password(message.password)
        leverage = people.read_leverage(message.leverage)
        login = message.login or None  # 0 is how clients of that command ask for the next number
        if login is not None and not 1 <= login <= people.LOGIN_MAX:
            raise InvalidData("login is a positive number")
        flags = ("enable", "enable_read_only", "enable_change_password", "send_reports")
        terms_flags = {name: people.read_flag(name, getattr(message, name)) for name in flags}
        if not -(2**63) <= message.user_color < 2**63:
            raise InvalidData("user_color is a number of 64 bits")
        group = await self.group(message.group)
        terms = AccountTerms(
            group=group.group,
            currency=group.currency,
            leverage=leverage,
            external_id=people.read_text("id", message.id),
            user_color=message.user_color,
            **terms_flags,
        )
        account = await self._open(profile, password, terms, login=login)
        sign_ups.labels("staff").inc()
        return UserAdded(login=account.login, leverage=account.leverage, currency=account.currency)

    async def _open(
        self, profile: Profile, password: str, terms: AccountTerms, *, login: int | None
    ) -> Account:
        async with self._database.connection() as db:
            # Known e-mails are refused before the work of hashing; the unique key decides in the end.
            if await self._store.person_known(db, profile.email.key):
                raise AccountExists
        password_hash = await self._doorkeeper.hash(password)
        now_ms = self._clock.now_ms()
        names = people.split_name(profile.name)
        async with self._database.transaction() as tx:
            person_id = await self._store.insert_person(tx, profile, password_hash, names, now_ms)
            if person_id is None:
                raise AccountExists
            account = await self.open_account(tx, person_id, profile, terms, login=login, now_ms=now_ms)
        self._relay.wake()
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
        event = fact(ACCOUNT_OPENED, opened, self._ids.event_id(), login=taken)
        await self._outbox.append(tx, [event])
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
            await self._bus.request(ACCOUNT_OPEN, message)
        except AppError as e:
            log.warning("margin account not made at once", login=account.login, error=str(e))

    # ── groups ──

    async def _sign_up_group(self, name: str | None) -> Group:
        allowed = self._sign_up_groups
        if name is not None and name not in allowed:
            raise GroupNotFound
        return await self.group(name or allowed[0])

    async def group(self, name: str) -> Group:
        """A group by name; GroupNotFound when market has none."""
        try:
            return await self._bus.request(GROUP_GET, GroupGet(group=name))
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

    # ── signing in ──

    async def sign_in(self, message: SignIn) -> SignedIn:
        """Sign in by login: a trading account, its read-only password, or staff."""
        password = read_password(message.password)
        if not 0 <= message.login <= people.LOGIN_MAX:
            raise InvalidData("login is not negative")
        async with self._database.connection() as db:
            account = await self._store.account(db, message.login)
            staff = None if account else await self._store.staff(db, message.login)
        full = await self._doorkeeper.admit(
            door="broker",
            name=f"login:{message.login}",
            address=message.ip,
            password=password,
            encoded=account.password_hash if account else staff.password_hash if staff else None,
            second=account.investor_hash if account else None,
        )
        if account is not None:
            return await self._account_signs_in(account, password, message.ip, full=full)
        if staff is not None:
            return await self._staff_signs_in(staff, password, message.ip)
        raise BadCredentials

    async def _account_signs_in(
        self, account: Account, password: str, address: str, *, full: bool
    ) -> SignedIn:
        if not account.enable:
            sign_ins.labels("broker", "refused").inc()
            raise UserDisabled
        await self.check_group(account)
        now = await self._doorkeeper.rehashed(account.password_hash, password) if full else None
        if now is not None:
            async with self._database.connection() as db:
                await self._store.rehash_person_password(db, account.person_id, account.password_hash, now)
        sign_ins.labels("broker", "ok").inc()
        return await self._account_session(account, address, read_only=not full)

    async def _account_session(self, account: Account, address: str, *, read_only: bool = False) -> SignedIn:
        subject = account_subject(account, read_only=read_only)
        given = await self._sessions.begin(subject, door="broker", address=address)
        return account_signed_in(account, given.access, refresh_token=given.refresh)

    async def _staff_signs_in(self, staff: Staff, password: str, address: str) -> SignedIn:
        if not staff.enable:
            sign_ins.labels("staff", "refused").inc()
            raise UserDisabled
        now = await self._doorkeeper.rehashed(staff.password_hash, password)
        if now is not None:
            async with self._database.connection() as db:
                await self._store.rehash_staff_password(db, staff.login, staff.password_hash, now)
        sign_ins.labels("staff", "ok").inc()
        given = await self._sessions.begin(staff_subject(staff), door="staff", address=address)
        return staff_signed_in(staff, given.access, refresh_token=given.refresh)

    # ── checking ──

    async def sign_check(self, message: SignCheck) -> SignedIn:
        """The sign-in object of a token's subject, with that token and its session type."""
        claims = await self._sessions.check(message.token)
        kind, _, number = claims.sub.partition(":")
        async with self._database.connection() as db:
            held = await subject_held(db, self._store, kind, int(number))
        session_type = SessionType(claims.type)
        if held is not None and held.account is not None:
            await self.check_group(held.account)
            return account_signed_in(held.account, message.token, session_type=session_type)
        if held is not None and held.staff is not None:
            return staff_signed_in(held.staff, message.token, session_type=session_type)
        if held is not None and held.person is not None:
            return customer_signed_in(held.person, message.token)
        raise BadCredentials

    async def account_of(self, message: AccountAsk) -> auth.Account:
        """What is known of a trading account, whoever asks: doors check first who may."""
        async with self._database.connection() as db:
            account = await self._store.account(db, message.login)
        if account is None:
            raise BadCredentials
        return account_view(account, now_ms=self._clock.now_ms())
