"""The customer door: a person who owns several trading accounts, with one-time codes if wanted."""

from __future__ import annotations

import hashlib

from libs.common.errors import InvalidData, NotAuthenticated
from libs.common.messages.auth_people import (
    CustomerAccount,
    CustomerAccountOpen,
    CustomerAccountOpened,
    CustomerAccounts,
    CustomerAsk,
    CustomerIn,
    CustomerLogin,
    CustomerRecord,
    CustomerRegister,
    CustomerRegistered,
    OtpCheck,
    OtpOffer,
    OtpSet,
    OtpState,
)
from services.auth import people, totp
from services.auth.doorkeeper import Doorkeeper
from services.auth.errors import (
    AccountExists,
    AccountLimitReached,
    BadCredentials,
    BadCustomer,
    BadOtpCode,
    CustomerDisabled,
    DuplicateRecord,
    OtpNotConfigured,
    OtpRequired,
)
from services.auth.ground import Ground
from services.auth.metrics import sign_ins, sign_ups
from services.auth.opening import Opening
from services.auth.passwords import read_password
from services.auth.people import Account, NewPerson, Person, Profile
from services.auth.sealing import Sealer
from services.auth.sessions import Sessions
from services.auth.signed_in import customer_subject
from services.auth.telling import tell_person_changed
from services.auth.throttle import network_of

ISSUER = "Tradewind"
ACCOUNTS_MAX = 50


class CustomerDoor:
    """Registration, login, accounts and one-time codes of customers."""

    def __init__(
        self, ground: Ground, opening: Opening, doorkeeper: Doorkeeper, sessions: Sessions, sealer: Sealer
    ) -> None:
        self._ground = ground
        self._store = ground.store
        self._opening = opening
        self._doorkeeper = doorkeeper
        self._sessions = sessions
        self._sealer = sealer

    # ── coming in ──

    async def register(self, message: CustomerRegister) -> CustomerRegistered:
        """A person with a demo account; the customer signs in afterwards."""
        email = people.read_email(message.email)
        password = read_password(message.password)
        texts = {
            name: people.read_text(name, getattr(message, name), chars_max=people.NAME_CHARS_MAX)
            for name in ("first_name", "last_name", "phone", "brand", "preferred_language", "timezone")
        }
        new = NewPerson(
            email, marketing_allowed=people.read_flag("marketing_allowed", message.marketing_allowed), **texts
        )
        terms = await self._opening.sign_up_terms(None, None)
        profile = Profile(people.name_of(new), email, phone=new.phone)
        try:
            account = await self._opening.open_person(new, profile, password, terms, address=message.ip)
        except AccountExists as e:
            raise DuplicateRecord from e
        sign_ups.labels("customer").inc()
        return CustomerRegistered(customer=_record(await self._person(account.person_id)))

    async def login(self, message: CustomerLogin) -> CustomerIn:
        """E-mail, password and, when it is on, a one-time code."""
        password = read_password(message.password)
        email = people.read_email(message.email)
        async with self._ground.database.connection() as db:
            person = await self._store.person_by_email(db, email.key)
        try:
            await self._doorkeeper.admit(
                door="customer",
                name=f"email:{email.key}",
                address=message.ip,
                password=password,
                encoded=person.password_hash if person else None,
            )
        except BadCredentials as e:
            raise BadCustomer from e
        if person is None:
            raise BadCustomer
        if not person.enable:
            raise CustomerDisabled
        await self._second_factor(person, message)
        await self._doorkeeper.keep_up(person.person_id, person.password_hash, password)
        return await self._come_in(person, message.ip)

    async def _come_in(self, person: Person, address: str) -> CustomerIn:
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.connection() as db:
            accounts = await self._store.accounts_of(db, person.person_id)
            await self._store.set_last_login(db, person.person_id, now_ms)
        subject = customer_subject(person, [account.login for account in accounts])
        given = await self._sessions.begin(subject, door="customer", address=address)
        sign_ins.labels("customer", "ok").inc()
        return CustomerIn(
            customer_id=person.person_id,
            email=person.email,
            full_name=person.full_name,
            first_name=person.first_name,
            last_name=person.last_name,
            status=person.status,
            phone=person.phone,
            preferred_language=person.preferred_language,
            brand=person.brand,
            desk=person.desk,
            manager_id=person.manager_id,
            last_login_time=person.last_login_ms // 1000,
            otp_enabled=int(person.otp_enabled),
            accounts=[_linked(account) for account in accounts],
            token=given.access,
            refresh_token=given.refresh,
        )

    async def accounts(self, message: CustomerAsk) -> CustomerAccounts:
        """The accounts a customer may choose from."""
        async with self._ground.database.connection() as db:
            accounts = await self._store.accounts_of(db, message.customer_id)
        return CustomerAccounts(accounts=[_linked(account) for account in accounts])

    async def open_account(self, message: CustomerAccountOpen) -> CustomerAccountOpened:
        """A further account of the person, with a token that may name it."""
        terms = await self._opening.terms_for(message.currency, message.leverage)
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            await self._store.lock_person(tx, message.customer_id)
            person = await self._store.person(tx, message.customer_id)
            if person is None:
                raise NotAuthenticated
            accounts = await self._store.accounts_of(tx, message.customer_id)
            if len(accounts) >= ACCOUNTS_MAX:
                raise AccountLimitReached
            account = await self._opening.open_account(
                tx, person.person_id, _profile(person, accounts), terms, login=None, now_ms=now_ms
            )
            logins = (*(a.login for a in accounts), account.login)
            await tell_person_changed(self._ground, tx, person, logins, now_ms)
        self._ground.relay.wake()
        await self._opening.tell_trading(account)
        subject = customer_subject(person, logins)
        given = await self._sessions.begin(subject, door="customer", address=message.ip)
        return CustomerAccountOpened(
            login=account.login,
            customer_id=person.person_id,
            enable=int(account.enable),
            leverage=account.leverage,
            group=account.group_name,
            name=account.name,
            email=account.email,
            currency=account.currency,
            token=given.access,
        )

    async def _person(self, person_id: int) -> Person:
        async with self._ground.database.connection() as db:
            person = await self._store.person(db, person_id)
        if person is None:
            raise NotAuthenticated
        return person

    # ── one-time codes ──

    async def otp_offer(self, message: CustomerAsk) -> OtpOffer:
        """A fresh secret to show; nothing is kept until a code proves that the app has it."""
        person = await self._person(message.customer_id)
        entropy = hashlib.sha256(self._ground.ids.token(32).encode()).digest()
        secret = totp.make_secret(entropy)
        return OtpOffer(
            otp_url=totp.provisioning_url(secret, person.email, ISSUER),
            secret=secret,
            algorithm=totp.ALGORITHM,
            digits=totp.DIGITS,
            period=totp.PERIOD_S,
        )

    async def otp_set(self, message: OtpSet) -> OtpState:
        """Ask for codes from now on. Replacing a secret needs a code of the one before."""
        secret = totp.read_secret(message.secret)
        person = await self._person(message.customer_id)
        name, network = self._otp_name(person), network_of(message.ip)
        await self._doorkeeper.hold("customer", name, network)
        good = totp.step_of(secret, message.code, now_s=self._now_s()) is not None
        if person.otp_enabled:
            if message.current_code is None:
                raise InvalidData("current_code is missing")
            current = self._opened(person)
            good &= totp.step_of(current, message.current_code, now_s=self._now_s()) is not None
        if not good:
            await self._doorkeeper.count("customer", name, network)
            raise BadOtpCode
        now_ms = self._ground.clock.now_ms()
        sealed = self._sealer.seal(
            secret.encode(), context=_context(person), entropy=self._ground.ids.token(32)
        )
        async with self._ground.database.transaction() as tx:
            await self._store.set_otp(tx, person.person_id, sealed, now_ms)
        return OtpState(otp_enabled=1)

    async def otp_check(self, message: OtpCheck) -> None:
        """Whether a code is right now; it stays good for the door."""
        person = await self._person(message.customer_id)
        if person.otp_sealed is None:
            raise OtpNotConfigured
        name, network = self._otp_name(person), network_of(message.ip)
        await self._doorkeeper.hold("customer", name, network)
        if totp.step_of(self._opened(person), message.code, now_s=self._now_s()) is None:
            await self._doorkeeper.count("customer", name, network)
            raise BadOtpCode

    async def _second_factor(self, person: Person, message: CustomerLogin) -> None:
        if not person.otp_enabled:
            return
        if person.otp_sealed is None:
            raise OtpNotConfigured
        if not message.otp_code:
            raise OtpRequired
        name, network = self._otp_name(person), network_of(message.ip)
        await self._doorkeeper.hold("customer", name, network)
        step = totp.step_of(self._opened(person), message.otp_code, now_s=self._now_s())
        used = False
        if step is not None:
            async with self._ground.database.connection() as db:
                used = await self._store.use_otp_step(db, person.person_id, step)
        if not used:
            await self._doorkeeper.count("customer", name, network)
            raise BadOtpCode

    def _otp_name(self, person: Person) -> str:
        return f"otp:{person.person_id}"

    def _opened(self, person: Person) -> str:
        return self._sealer.open(person.otp_sealed or b"", context=_context(person)).decode()

    def _now_s(self) -> int:
        return self._ground.clock.now_ms() // 1000


def _context(person: Person) -> str:
    return f"otp secret {person.person_id}"


def _profile(person: Person, accounts: list[Account]) -> Profile:
    """The profile of a further account: that of the first one, else what is known of the person."""
    email = people.Email(person.email, person.email_key)
    if not accounts:
        return Profile(person.full_name or person.email, email, phone=person.phone)
    first = accounts[0]
    return Profile(
        first.name, email, first.phone, first.country, first.city, first.address, first.state, first.zipcode
    )


def _linked(account: Account) -> CustomerAccount:
    return CustomerAccount(
        login=account.login,
        customer_id=account.person_id,
        enable=int(account.enable),
        leverage=account.leverage,
        group=account.group_name,
        name=account.name,
        email=account.email,
    )


def _record(person: Person) -> CustomerRecord:
    return CustomerRecord(
        customer_id=person.person_id,
        email=person.email,
        first_name=person.first_name,
        last_name=person.last_name,
        full_name=person.full_name,
        status=person.status,
        enable=int(person.enable),
        brand=person.brand,
        created_time=person.created_ms // 1000,
        updated_time=person.updated_ms // 1000,
    )
