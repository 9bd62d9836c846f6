"""The broker's doors: sign up, sign in, sign check, and the accounts that staff opens."""

from __future__ import annotations

from libs.common.errors import InvalidData
from libs.common.messages import auth
from libs.common.messages.auth import AccountAsk, SignCheck, SignedIn, SignIn, SignUp, UserAdd, UserAdded
from libs.common.principal import SessionType
from services.auth import people
from services.auth.doorkeeper import Doorkeeper
from services.auth.errors import BadCredentials, UserDisabled
from services.auth.ground import Ground
from services.auth.metrics import sign_ins, sign_ups
from services.auth.opening import Opening
from services.auth.passwords import read_password
from services.auth.people import Account, AccountTerms, Staff, new_person
from services.auth.sessions import Sessions
from services.auth.signed_in import (
    account_signed_in,
    account_subject,
    account_view,
    customer_signed_in,
    staff_signed_in,
    staff_subject,
)
from services.auth.subjects import subject_held


class AuthService:
    """People sign up, sign in and are checked; staff adds users."""

    def __init__(self, ground: Ground, opening: Opening, doorkeeper: Doorkeeper, sessions: Sessions) -> None:
        self._database = ground.database
        self._store = ground.store
        self._clock = ground.clock
        self._opening = opening
        self._doorkeeper = doorkeeper
        self._sessions = sessions

    # ── opening ──

    async def sign_up(self, message: SignUp) -> SignedIn:
        """A person, a password and a demo account; the answer is a sign-in."""
        profile = people.read_profile(message)
        password = read_password(message.password)
        terms = await self._opening.sign_up_terms(message.group, message.leverage)
        account = await self._opening.open_person(
            new_person(profile), profile, password, terms, address=message.ip
        )
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
        group = await self._opening.group(message.group)
        terms = AccountTerms(
            group=group.group,
            currency=group.currency,
            leverage=leverage,
            external_id=people.read_text("id", message.id),
            user_color=message.user_color,
            **terms_flags,
        )
        account = await self._opening.open_person(new_person(profile), profile, password, terms, login=login)
        sign_ups.labels("staff").inc()
        return UserAdded(login=account.login, leverage=account.leverage, currency=account.currency)

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
        await self._opening.check_group(account)
        if full:
            await self._doorkeeper.keep_up(account.person_id, account.password_hash, password)
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
            await self._opening.check_group(held.account)
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
