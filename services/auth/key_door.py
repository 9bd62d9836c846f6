"""API keys: made by their person or by e-mail, shown once, taken back, and recognized."""

from __future__ import annotations

from dataclasses import replace

from libs.common.db import Connection
from libs.common.messages.auth_people import (
    AgentKey,
    AgentKeyIssue,
    KeyCreate,
    KeyCreated,
    KeyIssued,
    KeyList,
    KeyListAsk,
    KeyResolve,
    KeyRevoke,
    KeyView,
)
from libs.common.principal import Principal
from libs.common.subjects import KEY_ISSUED
from services.auth import apikeys, people
from services.auth.apikeys import ApiKey
from services.auth.errors import BadKey, KeyLimitReached, KeyNotFound, NotSignedIn, TierInsufficient
from services.auth.ground import Ground
from services.auth.key_store import KeyStore
from services.auth.people import Person, tier_now
from services.auth.sessions import Sessions, hash_token
from services.auth.times import iso, iso_or_none

USED_EVERY_MS = 60_000


class KeyDoor:
    """Makes, lists, revokes and resolves keys."""

    def __init__(self, ground: Ground, keys: KeyStore, sessions: Sessions) -> None:
        self._ground = ground
        self._keys = keys
        self._sessions = sessions

    async def create(self, message: KeyCreate) -> KeyCreated:
        """A key of a signed-in person."""
        now_ms = self._ground.clock.now_ms()
        made = self.new_key(
            name=people.read_text("name", message.name, required=True, chars_max=apikeys.NAME_CHARS_MAX),
            scopes=apikeys.read_scopes(message.scopes),
            mode=apikeys.read_mode(message.mode),
            ip_allow=apikeys.read_ip_allow(message.ip_allow),
            expires_ms=apikeys.read_expiry(message.expires_at, now_ms),
        )
        async with self._ground.database.transaction() as tx:
            key = await self.insert(tx, replace(made, person_id=message.person_id), "scan", message.ip)
        self._ground.relay.wake()
        made = replace(made, prefix=apikeys.prefix_of(key))
        return KeyCreated(
            id=made.key_id,
            key=key,
            name=made.name,
            prefix=made.prefix,
            scopes=made.scopes,
            mode=made.mode,
            created_at=iso(made.created_ms),
            expires_at=iso_or_none(made.expires_ms),
            ip_allow=made.ip_allow,
        )

    async def issue(self, message: AgentKeyIssue) -> AgentKey:
        """A key for whoever gives an e-mail. It never belongs to a person: nobody proved anything."""
        email = people.read_email(message.email)
        made = self.new_key(
            name=people.read_text("name", message.name, chars_max=apikeys.NAME_CHARS_MAX),
            scopes=("read",),
            mode="live",
        )
        async with self._ground.database.transaction() as tx:
            key = await self.insert(tx, replace(made, email_key=email.key), "analysis", message.ip)
        self._ground.relay.wake()
        return AgentKey(key=key, key_id=made.key_id, email_key=email.key)

    async def insert(self, tx: Connection, new: ApiKey, origin: str, address: str) -> str:
        """Keep a new key and say so; the key itself. Its person, if it has one, must be there, of the tier
        its scopes need, and below the limit."""
        key = apikeys.make_key(self._ground.ids.token(32), new.mode)
        new = replace(new, prefix=apikeys.prefix_of(key))
        if new.person_id is not None:
            await self._ground.store.lock_person(tx, new.person_id)
            person = await self._ground.store.person(tx, new.person_id)
            if person is None:
                raise NotSignedIn
            _check_tier(person, new.scopes, new.created_ms)
            if len(await self._keys.keys_of(tx, person.person_id)) >= apikeys.KEYS_MAX:
                raise KeyLimitReached
            new = replace(new, email_key=person.email_key)
        await self._keys.insert_key(tx, new, hash_token(key))
        await self._ground.say(tx, KEY_ISSUED, _issued(new, origin, address), key=new.key_id)
        return key

    def new_key(
        self,
        *,
        name: str,
        scopes: tuple[str, ...],
        mode: str,
        ip_allow: tuple[str, ...] = (),
        expires_ms: int = 0,
    ) -> ApiKey:
        """A key that is nobody's yet."""
        return ApiKey(
            key_id=f"key_{self._ground.ids.event_id().replace('-', '')}",
            person_id=None,
            email_key="",
            name=name,
            prefix="",
            scopes=scopes,
            mode=mode,
            ip_allow=ip_allow,
            created_ms=self._ground.clock.now_ms(),
            expires_ms=expires_ms,
            last_used_ms=0,
            revoked_ms=0,
        )

    async def list(self, message: KeyListAsk) -> KeyList:
        """A person's keys, without the keys."""
        async with self._ground.database.connection() as db:
            keys = await self._keys.keys_of(db, message.person_id)
        return KeyList(keys=[_view(key) for key in keys])

    async def revoke(self, message: KeyRevoke) -> None:
        """It counts no more; doors hear of it. KeyNotFound for somebody else's."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            if not await self._keys.revoke_key(tx, message.id, message.person_id, now_ms):
                raise KeyNotFound
            await self._sessions.revoke_tokens(tx, f"key:{message.id}", (message.id,), "closed", now_ms)
        self._ground.relay.wake()

    async def resolve(self, message: KeyResolve) -> Principal:
        """Whose key this is; BadKey when it does not count here and now."""
        if not apikeys.has_form(message.key):
            raise BadKey
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.connection() as db:
            key = await self._keys.key_by_hash(db, hash_token(message.key))
            if key is None or not key.counts(now_ms=now_ms, address=message.ip):
                raise BadKey
            person: Person | None = None
            logins: tuple[int, ...] = ()
            if key.person_id is not None:
                person = await self._ground.store.person(db, key.person_id)
                logins = await self._ground.store.logins_of(db, key.person_id)
                if person is None or not person.enable:
                    raise BadKey
            if key.last_used_ms <= now_ms - USED_EVERY_MS:
                await self._keys.key_used(db, key.key_id, now_ms, now_ms - USED_EVERY_MS + 1)
        return Principal(
            kind="key",
            logins=logins,
            person_id=key.person_id,
            jti=key.key_id,
            expires_at=key.expires_ms // 1000,
            scopes=key.rights,
            tier=tier_now(person.tier, person.tier_until_ms, now_ms) if person else "free",
            address=message.ip,
            subject=f"key:{key.key_id}",
            mode=key.mode,
            resource=key.resource,
        )


def _check_tier(person: Person, scopes: tuple[str, ...], now_ms: int) -> None:
    tier = tier_now(person.tier, person.tier_until_ms, now_ms)
    for scope in scopes:
        needed = apikeys.SCOPE_TIERS.get(scope)
        if needed is not None and people.TIERS.index(tier) < people.TIERS.index(needed):
            raise TierInsufficient(
                f"The {scope} scope needs the {needed} tier.", required_tier=needed, current_tier=tier
            )


def _issued(key: ApiKey, origin: str, address: str) -> KeyIssued:
    return KeyIssued(
        key_id=key.key_id,
        person_id=key.person_id,
        email_key=key.email_key,
        mode=key.mode,
        origin=origin,
        address=address,
        issued_ms=key.created_ms,
    )


def _view(key: ApiKey) -> KeyView:
    return KeyView(
        id=key.key_id,
        name=key.name,
        prefix=key.prefix,
        scopes=key.scopes,
        mode=key.mode,
        created_at=iso(key.created_ms),
        expires_at=iso_or_none(key.expires_ms),
        last_used_at=iso_or_none(key.last_used_ms),
        ip_allow=key.ip_allow,
        client_id=key.client_id or None,
    )
