"""Sessions: what a sign-in begins, how it goes on, and every way it ends.

A session of a broker or customer door is a family of refresh tokens, each given along with an access
token. A refresh token counts once: its second use ends the family, since one of the two users stole it.
Ending reaches the doors as a fact; the access tokens concerned are refused there from then on.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import msgspec

from libs.common.db import Connection
from libs.common.errors import NotAuthenticated
from libs.common.messages.auth import (
    Refresh,
    Refreshed,
    RevocationList,
    SessionRevoked,
    SignOut,
    StreamRedeem,
    StreamToken,
    StreamTokenAsk,
)
from libs.common.principal import Principal
from libs.common.subjects import SESSION_REVOKED
from libs.common.tokens import ACCESS, STREAM, Claims, principal_of, subject_of
from services.auth.errors import UserDisabled
from services.auth.ground import Ground
from services.auth.keyring import KeyRing
from services.auth.people import Person
from services.auth.session_store import HeldRefresh, NewSession, SessionStore
from services.auth.signed_in import customer_subject
from services.auth.subjects import subject_held
from services.auth.tokens import ACCESS_S, REFRESH_S, STREAM_S, Subject, claims_of

SSO = "sso"  # the door of an administrator who opens an account's terminal
JTIS_MAX = 500  # more in one fact: the subject's version is raised instead


@dataclass(frozen=True, slots=True)
class Given:
    """What a client is given at a sign-in."""

    access: str
    refresh: str


def hash_token(token: str) -> bytes:
    """How an opaque token is kept. It has 256 random bits, so a plain hash can't be searched."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


class Sessions:
    """Begins, continues, checks and ends sessions."""

    def __init__(self, ground: Ground, store: SessionStore, keyring: KeyRing) -> None:
        self._ground = ground
        self._database = ground.database
        self._people = ground.store
        self._store = store
        self._relay = ground.relay
        self._clock = ground.clock
        self._ids = ground.ids
        self._keyring = keyring

    # ── beginning and going on ──

    async def begin(self, subject: Subject, *, door: str, address: str) -> Given:
        """A session of its own for this sign-in."""
        now_ms = self._clock.now_ms()
        session_id = self._ids.event_id()
        async with self._database.transaction() as tx:
            new = NewSession(session_id, subject, door, address, now_ms, now_ms + REFRESH_S * 1000)
            await self._store.insert_session(tx, new)
            return await self._give(tx, session_id, subject, now_ms)

    async def begin_cookie(
        self, tx: Connection, person: Person, cookie_hash: bytes, address: str, lifetime_s: int
    ) -> None:
        """A session that a browser carries in a cookie, in the caller's transaction."""
        now_ms = self._clock.now_ms()
        subject = customer_subject(person, ())
        new = NewSession(
            self._ids.event_id(), subject, "scan", address, now_ms, now_ms + lifetime_s * 1000, cookie_hash
        )
        await self._store.insert_session(tx, new)

    async def _give(self, tx: Connection, session_id: str, subject: Subject, now_ms: int) -> Given:
        claims = claims_of(
            subject, typ=ACCESS, jti=self._ids.event_id(), now_s=now_ms // 1000, lifetime_s=ACCESS_S
        )
        refresh = self._ids.token(32)
        await self._store.insert_refresh_token(
            tx,
            hash_token(refresh),
            session_id,
            issued_ms=now_ms,
            expires_ms=now_ms + REFRESH_S * 1000,
            access_jti=claims.jti,
            access_exp_ms=claims.exp * 1000,
        )
        return Given(self._keyring.sign(claims), refresh)

    async def refresh(self, message: Refresh) -> Refreshed:
        """The next pair of tokens; NotAuthenticated for a token that is unknown, used, over or expired."""
        token_hash = hash_token(message.refresh_token)
        now_ms = self._clock.now_ms()
        given: Given | None = None
        async with self._database.transaction() as tx:
            held = await self._store.lock_refresh_token(tx, token_hash)
            if held is None or held.ended_ms:
                raise NotAuthenticated
            if held.used_ms:
                await self._end(tx, held.session_id, held.subject, "refresh_reuse", now_ms)
            else:
                subject = await self._still(tx, held, now_ms)
                await self._store.use_refresh_token(tx, token_hash, now_ms)
                given = await self._give(tx, held.session_id, subject, now_ms)
        self._relay.wake()
        if given is None:
            raise NotAuthenticated("the refresh token was used before: the session is over")
        return Refreshed(token=given.access, refresh_token=given.refresh)

    async def _still(self, tx: Connection, held: HeldRefresh, now_ms: int) -> Subject:
        """The subject as it is now; its rights may have changed since the sign-in."""
        if now_ms >= held.expires_ms:
            raise NotAuthenticated
        now = await subject_held(tx, self._people, held.kind, held.number, read_only=held.read_only)
        if now is not None and not now.enable:
            raise UserDisabled
        if now is None or now.subject.version != held.version:
            raise NotAuthenticated
        return now.subject

    # ── checking ──

    async def check(self, token: str, *, typ: str = ACCESS) -> Claims:
        """The claims of a token that counts now, whatever the doors know; NotAuthenticated for others."""
        now_ms = self._clock.now_ms()
        claims = self._keyring.public.verify(token, now_s=now_ms // 1000, typ=typ)
        async with self._database.connection() as db:
            if await self._store.token_revoked(db, claims.jti, now_ms):
                raise NotAuthenticated
            kind, _, number = claims.sub.partition(":")
            held = await subject_held(db, self._people, kind, int(number))
        if held is not None and not held.enable:
            raise UserDisabled
        if held is None or held.subject.version != claims.ver:
            raise NotAuthenticated
        return claims

    async def stream_token(self, message: StreamTokenAsk) -> StreamToken:
        """A token for the first frame of one socket, to be used where an access token could leak."""
        claims = await self.check(message.token)
        now_s = self._clock.now_ms() // 1000
        jti = self._ids.event_id()
        expires_s = min(now_s + STREAM_S, claims.exp)
        given = msgspec.structs.replace(claims, typ=STREAM, jti=jti, iat=now_s, nbf=now_s, exp=expires_s)
        async with self._database.connection() as db:
            await self._store.insert_stream_token(db, jti, claims.jti, claims.exp, given.exp * 1000)
        return StreamToken(token=self._keyring.sign(given), expires_in=STREAM_S)

    async def redeem(self, message: StreamRedeem) -> Principal:
        """Whose socket it is. It lives as long as the access token behind the stream token."""
        claims = await self.check(message.token, typ=STREAM)
        async with self._database.connection() as db:
            taken = await self._store.take_stream_token(db, claims.jti)
            if taken is None:
                raise NotAuthenticated("the stream token was used before")
            parent_jti, parent_exp_s = taken
            if await self._store.token_revoked(db, parent_jti, self._clock.now_ms()):
                raise NotAuthenticated
        return principal_of(msgspec.structs.replace(claims, jti=parent_jti, exp=parent_exp_s))

    async def revocations(self) -> RevocationList:
        """What a door that just opened must refuse."""
        async with self._database.connection() as db:
            return RevocationList(rows=await self._store.revocations(db, self._clock.now_ms()))

    # ── ending ──

    async def sign_out(self, message: SignOut) -> None:
        """End the session of the token, or every session of its subject. Doing it again changes nothing."""
        now_ms = self._clock.now_ms()
        claims = self._keyring.public.verify(message.token, now_s=now_ms // 1000)
        async with self._database.transaction() as tx:
            session_id, door = await self._store.session_of_access(tx, claims.jti) or ("", "")
            # Neither a guest with the read-only password nor staff who looked in throws the owner out.
            if message.only_this or claims.read_only or door == SSO:
                if session_id:
                    await self._end(tx, session_id, claims.sub, "sign_out", now_ms)
                else:
                    await self.revoke_tokens(tx, claims.sub, (claims.jti,), "sign_out", now_ms)
            else:
                kind, _, number = claims.sub.partition(":")
                await self.revoke_subject(tx, kind, int(number), "sign_out", now_ms)
        self._relay.wake()

    async def _end(self, tx: Connection, session_id: str, subject: str, reason: str, now_ms: int) -> None:
        if not await self._store.end_session(tx, session_id, now_ms, reason):
            return
        jtis = await self._store.live_access(tx, session_id, now_ms)
        if len(jtis) > JTIS_MAX:
            kind, _, number = subject.partition(":")
            await self.revoke_subject(tx, kind, int(number), reason, now_ms)
        elif jtis:
            await self.revoke_tokens(tx, subject, jtis, reason, now_ms)

    async def revoke_tokens(
        self, tx: Connection, subject: str, jtis: tuple[str, ...], reason: str, now_ms: int
    ) -> None:
        """Single access tokens stop counting."""
        await self._tell(tx, SessionRevoked(subject=subject, jtis=jtis, **_times(reason, now_ms)))

    async def revoke_subject(self, tx: Connection, kind: str, number: int, reason: str, now_ms: int) -> None:
        """Every session and token of an account's or staff login, or a customer's person id, ends."""
        login: int | None = number
        person_id: int | None = None
        version: int | None
        if kind == "account":
            bumped = await self._store.bump_account(tx, number)
            person_id, version = bumped or (None, None)
        elif kind == "staff":
            version = await self._store.bump_staff(tx, number)
        else:
            login, person_id = None, number
            version = await self._store.bump_person(tx, number)
        if version is None:
            return
        subject = subject_of(kind, number)
        await self._store.end_sessions(tx, [subject], now_ms, reason)
        revoked = SessionRevoked(
            subject=subject, version_min=version, login=login, person_id=person_id, **_times(reason, now_ms)
        )
        await self._tell(tx, revoked)

    async def revoke_person(self, tx: Connection, person_id: int, reason: str, now_ms: int) -> None:
        """Every session and token of a person ends: of each account, of the customer, every cookie."""
        await self.revoke_subject(tx, "customer", person_id, reason, now_ms)
        bumped = await self._store.bump_accounts_of(tx, person_id)
        subjects = [subject_of("account", login) for login, _ in bumped]
        await self._store.end_sessions(tx, subjects, now_ms, reason)
        for login, version in bumped:
            revoked = SessionRevoked(
                subject=subject_of("account", login),
                version_min=version,
                login=login,
                person_id=person_id,
                **_times(reason, now_ms),
            )
            await self._tell(tx, revoked)

    async def _tell(self, tx: Connection, revoked: SessionRevoked) -> None:
        await self._store.insert_revocation(tx, revoked)
        await self._ground.say(tx, SESSION_REVOKED, revoked, who=revoked.subject)

    async def tidy(self) -> None:
        """Forget what nobody can present any more."""
        async with self._database.connection() as db:
            await self._store.forget(db, self._clock.now_ms())


def _times(reason: str, now_ms: int) -> dict[str, Any]:
    return {"reason": reason, "revoked_ms": now_ms, "until_ms": now_ms + ACCESS_S * 1000}
