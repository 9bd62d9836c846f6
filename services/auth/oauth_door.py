"""OAuth: clients register, people agree, codes become keys. A token is an API key: one table of grants."""

from __future__ import annotations

import dataclasses

import structlog
from msgspec.structs import replace

from libs.common.db import Connection
from libs.common.messages.auth_oauth import (
    OAuthAsk,
    OAuthAsked,
    OAuthClient,
    OAuthCode,
    OAuthConsent,
    OAuthExchange,
    OAuthGiven,
    OAuthRegister,
    OAuthRevoke,
    OAuthToken,
)
from services.auth import apikeys, oauth, people
from services.auth.errors import (
    BadGrant,
    BadOAuthRequest,
    BadRedirectUri,
    BadTarget,
    GrantTypeUnknown,
    KeyLimitReached,
    NotSignedIn,
    OAuthClientUnknown,
    TierInsufficient,
)
from services.auth.ground import Ground
from services.auth.key_door import KeyDoor
from services.auth.key_store import KeyStore
from services.auth.oauth import Client, HeldCode
from services.auth.oauth_store import OAuthStore
from services.auth.people import tier_now
from services.auth.sessions import Sessions, hash_token

log = structlog.get_logger()

NOT_MET = "the code is unknown, expired or used, or it was given for another request"


class OAuthDoor:
    """Registers, asks, agrees, exchanges and revokes."""

    def __init__(self, ground: Ground, keys: KeyStore, door: KeyDoor, sessions: Sessions) -> None:
        self._ground = ground
        self._keys = keys
        self._door = door
        self._sessions = sessions
        self._store = OAuthStore()

    async def register(self, message: OAuthRegister) -> OAuthClient:
        """A new client; what it says of itself is shown to people as its own words."""
        oauth.check_registration(
            message.token_endpoint_auth_method, message.grant_types, message.response_types
        )
        uris = oauth.read_redirect_uris(message.redirect_uris)
        now_ms = self._ground.clock.now_ms()
        client_id = f"client_{self._ground.ids.event_id().replace('-', '')}"
        client = Client(client_id, oauth.read_client_name(message.client_name, uris), uris, now_ms)
        async with self._ground.database.connection() as db:
            await self._store.insert_client(db, client, message.ip)
        return OAuthClient(
            client_id=client_id,
            client_id_issued_at=now_ms // 1000,
            client_name=client.name,
            redirect_uris=uris,
        )

    async def ask(self, message: OAuthAsk) -> OAuthAsked:
        """What a person is asked. OAuthClientUnknown and BadRedirectUri are for the person: nobody who is
        not known is answered at an address that is not theirs."""
        async with self._ground.database.connection() as db:
            client = await self._client(db, message)
            tier = await self._tier(db, message.person_id)
        redirect_uri = message.redirect_uri
        if not oauth.may_redirect(client.redirect_uris, redirect_uri):
            raise BadRedirectUri("the redirect_uri is none of the client's")
        asked = OAuthAsked(
            client_name=client.name,
            client_host=oauth.place_of(redirect_uri),
            redirect_uri=redirect_uri,
            publisher=client.publisher,
        )
        return _judged(message, asked, tier)

    async def consent(self, message: OAuthConsent) -> OAuthCode:
        """Somebody agreed to what the client asks."""
        asked = await self.ask(message.ask)
        if asked.error or (asked.needs_person and message.ask.person_id is None):
            raise BadOAuthRequest(asked.error_description or "somebody has to sign in for these scopes")
        now_ms = self._ground.clock.now_ms()
        code = f"code_{self._ground.ids.token(32)}"
        held = HeldCode(
            client_id=message.ask.client_id,
            client_name=asked.client_name,
            redirect_uri=message.ask.redirect_uri,
            challenge=message.ask.challenge,
            resource=oauth.read_resource(message.ask.resource or "", message.ask.own_resource) or "",
            scopes=asked.scopes,
            person_id=message.ask.person_id,
            address=message.ip,
            expires_ms=now_ms + oauth.CODE_MS,
            key_id="",
        )
        async with self._ground.database.connection() as db:
            await self._store.insert_code(db, hash_token(code), held, now_ms)
        return OAuthCode(code=code)

    async def exchange(self, message: OAuthExchange) -> OAuthGiven:
        """The grant a code stands for. A second use ends it: one of the two users stole the code."""
        if not message.grant_type:
            raise BadOAuthRequest("grant_type is needed")
        if message.grant_type != "authorization_code":
            raise GrantTypeUnknown("grant_type is authorization_code")
        if not (message.code and message.redirect_uri and message.client_id and message.verifier):
            raise BadOAuthRequest("code, redirect_uri, client_id and code_verifier are needed")
        code_hash = hash_token(message.code)
        given: OAuthGiven | None = None
        async with self._ground.database.transaction() as tx:
            held = await self._store.lock_code(tx, code_hash)
            if held is None:
                raise BadGrant(NOT_MET)
            if held.key_id:
                await self._end(tx, held.key_id, held.client_id)
            else:
                self._check(message, held)
                given = await self._give(tx, code_hash, held)
        self._ground.relay.wake()
        if given is None:
            log.warning("an authorization code was used twice: its grant is over", client=held.client_id)
            raise BadGrant(NOT_MET)
        return given

    async def revoke(self, message: OAuthRevoke) -> None:
        """The token counts no more. Whoever holds it may say so; what is unknown is over already."""
        if not apikeys.has_form(message.token):
            return
        async with self._ground.database.transaction() as tx:
            key = await self._keys.key_by_hash(tx, hash_token(message.token))
            if key is None or not key.client_id or message.client_id not in (None, key.client_id):
                return
            await self._end(tx, key.key_id, key.client_id)
        self._ground.relay.wake()

    async def tidy(self) -> None:
        """Forget outlived codes and clients nobody wanted."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.connection() as db:
            await self._store.forget(
                db, codes_before_ms=now_ms, clients_before_ms=now_ms - oauth.CLIENT_UNUSED_MS
            )

    # ── the steps ──

    async def _client(self, db: Connection, message: OAuthAsk) -> Client:
        if oauth.is_document_id(message.client_id):
            if message.document is None:
                raise OAuthClientUnknown("the client's metadata can't be had")
            return oauth.read_document(message.client_id, message.document)
        client = await self._store.client(db, message.client_id)
        if client is None:
            raise OAuthClientUnknown("there is no such client")
        return client

    async def _tier(self, db: Connection, person_id: int | None) -> str:
        person = None if person_id is None else await self._ground.store.person(db, person_id)
        if person is None:
            return "free"
        return tier_now(person.tier, person.tier_until_ms, self._ground.clock.now_ms())

    def _check(self, message: OAuthExchange, held: HeldCode) -> None:
        if self._ground.clock.now_ms() >= held.expires_ms:
            raise BadGrant(NOT_MET)
        if (message.client_id, message.redirect_uri) != (held.client_id, held.redirect_uri):
            raise BadGrant(NOT_MET)
        if not oauth.answers(held.challenge, message.verifier):
            raise BadGrant(NOT_MET)
        if message.resource and oauth.read_resource(message.resource, message.own_resource) is None:
            raise BadTarget("resource is none of ours")

    async def _give(self, tx: Connection, code_hash: bytes, held: HeldCode) -> OAuthGiven:
        new = self._door.new_key(name=held.client_name, scopes=held.scopes, mode="live")
        new = dataclasses.replace(
            new, client_id=held.client_id, resource=held.resource, person_id=held.person_id
        )
        try:
            key = await self._door.insert(tx, new, "oauth", held.address)
        except (KeyLimitReached, TierInsufficient, NotSignedIn) as e:
            raise BadGrant(str(e)) from e
        await self._store.use_code(tx, code_hash, new.key_id)
        return OAuthGiven(
            token=OAuthToken(access_token=key, scope=" ".join(held.scopes)),
            key_id=new.key_id,
            person_id=held.person_id,
            address=held.address,
        )

    async def _end(self, tx: Connection, key_id: str, client_id: str) -> None:
        now_ms = self._ground.clock.now_ms()
        if await self._store.end_grant(tx, key_id, client_id, now_ms):
            await self._sessions.revoke_tokens(tx, f"key:{key_id}", (key_id,), "closed", now_ms)


def _judged(message: OAuthAsk, asked: OAuthAsked, tier: str) -> OAuthAsked:
    """What is wrong with a request, in the words that go to the client; or what a consent gives."""

    def no(error: str, why: str) -> OAuthAsked:
        return replace(asked, error=error, error_description=why)

    if message.response_type != "code":
        return no("unsupported_response_type", "response_type is code")
    if message.challenge_method != "S256" or not oauth.is_challenge(message.challenge):
        return no("invalid_request", "PKCE is needed: code_challenge with code_challenge_method S256")
    if message.resource and oauth.read_resource(message.resource, message.own_resource) is None:
        return no("invalid_target", "resource is none of ours")
    scopes = oauth.read_scopes(message.scope)
    if scopes is None:
        return no("invalid_scope", f"scope is some of {' '.join(oauth.SCOPES)}")
    kept = tuple(scope for scope in scopes if message.person_id is None or _has_tier(scope, tier))
    return replace(asked, scopes=kept, needs_person=bool(oauth.PERSON_SCOPES & set(kept)))


def _has_tier(scope: str, tier: str) -> bool:
    needed = apikeys.SCOPE_TIERS.get(scope, people.TIERS[0])
    return people.TIERS.index(tier) >= people.TIERS.index(needed)
