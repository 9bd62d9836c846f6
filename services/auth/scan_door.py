"""The scan door: sign up and in by e-mail, a session in a cookie, and who a cookie is."""

from __future__ import annotations

from libs.common.messages.auth_people import (
    CookieResolve,
    CustomerAsk,
    ScanIn,
    ScanLogin,
    ScanOut,
    ScanSignUp,
    ScanUser,
    ScanUserIs,
)
from libs.common.principal import Principal, SessionType
from libs.common.tokens import subject_of
from services.auth import people
from services.auth.doorkeeper import Doorkeeper
from services.auth.errors import (
    AccountExists,
    BadCredentials,
    EmailTaken,
    InvalidCredentials,
    NotSignedIn,
)
from services.auth.ground import Ground
from services.auth.key_store import KeyStore
from services.auth.metrics import sign_ins, sign_ups
from services.auth.opening import Opening
from services.auth.passwords import CHARS_MIN_SCAN, read_password
from services.auth.people import NewPerson, Person, Profile, tier_now
from services.auth.sessions import Sessions, hash_token
from services.auth.times import iso

COOKIE_S = 30 * 24 * 3600
REF_CODE_CHARS_MAX = 32


class ScanDoor:
    """Cookie sessions: rows that can be ended, kept as SHA-256 of what the browser holds."""

    def __init__(
        self, ground: Ground, keys: KeyStore, opening: Opening, doorkeeper: Doorkeeper, sessions: Sessions
    ) -> None:
        self._ground = ground
        self._store = ground.store
        self._keys = keys
        self._opening = opening
        self._doorkeeper = doorkeeper
        self._sessions = sessions

    async def sign_up(self, message: ScanSignUp) -> ScanIn:
        """A person with a demo account, signed in."""
        email = people.read_email(message.email)
        password = read_password(message.password, chars_min=CHARS_MIN_SCAN)
        ref_code = people.read_text("ref_code", message.ref_code or "", chars_max=REF_CODE_CHARS_MAX)
        new = NewPerson(email, "", "", ref_code=ref_code)
        terms = await self._opening.sign_up_terms(None, None)
        try:
            account = await self._opening.open_person(
                new, Profile(people.name_of(new), email), password, terms, address=message.ip
            )
        except AccountExists as e:
            raise EmailTaken from e
        sign_ups.labels("scan").inc()
        return await self._come_in(account.person_id, message.ip)

    async def login(self, message: ScanLogin) -> ScanIn:
        """E-mail and password; unknown and wrong are the same refusal in the same time."""
        password = read_password(message.password, chars_min=1)
        key = people.fold_email(message.email[: people.EMAIL_CHARS_MAX])
        if not people.can_be_stored(key):
            raise InvalidCredentials
        async with self._ground.database.connection() as db:
            person = await self._store.person_by_email(db, key)
        try:
            await self._doorkeeper.admit(
                door="scan",
                name=f"email:{key}",
                address=message.ip,
                password=password,
                encoded=person.password_hash if person else None,
            )
        except BadCredentials as e:
            raise InvalidCredentials from e
        if person is None or not person.enable:
            raise InvalidCredentials
        await self._doorkeeper.keep_up(person.person_id, person.password_hash, password)
        sign_ins.labels("scan", "ok").inc()
        return await self._come_in(person.person_id, message.ip)

    async def _come_in(self, person_id: int, address: str) -> ScanIn:
        cookie = self._ground.ids.token(32)
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            person = await self._store.person(tx, person_id)
            if person is None:
                raise NotSignedIn
            await self._store.set_last_login(tx, person_id, now_ms)
            await self._sessions.begin_cookie(tx, person, hash_token(cookie), address, COOKIE_S)
        return ScanIn(user=scan_user(person, now_ms), session=cookie, max_age_s=COOKIE_S)

    async def logout(self, message: ScanOut) -> None:
        """The session is over, for this browser; doors hear of it."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            ended = await self._keys.end_cookie(tx, hash_token(message.session), now_ms, "sign_out")
            if ended is not None:
                session_id, subject = ended
                await self._sessions.revoke_tokens(tx, subject, (session_id,), "sign_out", now_ms)
        self._ground.relay.wake()

    async def me(self, message: CustomerAsk) -> ScanUserIs:
        """The signed-in person."""
        async with self._ground.database.connection() as db:
            person = await self._store.person(db, message.customer_id)
        if person is None:
            raise NotSignedIn
        return ScanUserIs(user=scan_user(person, self._ground.clock.now_ms()))

    async def resolve(self, message: CookieResolve) -> Principal:
        """Whose cookie this is now."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.connection() as db:
            held = await self._keys.session_of_cookie(db, hash_token(message.session), now_ms)
            if held is None:
                raise NotSignedIn
            logins = await self._store.logins_of(db, held.person_id)
        return Principal(
            kind="customer",
            logins=logins,
            person_id=held.person_id,
            session_type=SessionType.CUSTOMER,
            jti=held.session_id,
            expires_at=held.expires_ms // 1000,
            tier=tier_now(held.tier, held.tier_until_ms, now_ms),
            subject=subject_of("customer", held.person_id),
            version=held.token_version,
        )


def scan_user(person: Person, now_ms: int) -> ScanUser:
    """The User object of the scan surface."""
    tier = tier_now(person.tier, person.tier_until_ms, now_ms)
    bought = tier != "free" and person.tier_until_ms
    return ScanUser(
        id=person.person_id,
        email=person.email,
        email_verified=person.email_verified,
        tier=tier,
        tier_expires_at=iso(person.tier_until_ms) if bought else None,
        timezone=person.timezone or "UTC",
        created_at=iso(person.created_ms),
    )
