"""Who pays by wallet: the person of a wallet, and the token that a bought plan comes with.

Nobody can sign up with the e-mail of a wallet's person, so nobody can take what a wallet bought.
"""

from __future__ import annotations

import re
from typing import Final

from libs.common.errors import InvalidData, NotAuthenticated
from libs.common.messages.auth_people import AccessGrant, AccessGranted, WalletPerson, WalletPersonAsk
from libs.common.tokens import PASS_PREFIX
from services.auth.doorkeeper import Doorkeeper
from services.auth.ground import Ground
from services.auth.people import WALLET_DOMAIN, NewPerson, read_email
from services.auth.sessions import Sessions, hash_token

_WALLET: Final = re.compile(r"0x[0-9a-f]{40}")


class WalletDoor:
    """What billing asks for when somebody has paid."""

    def __init__(self, ground: Ground, doorkeeper: Doorkeeper, sessions: Sessions) -> None:
        self._ground = ground
        self._doorkeeper = doorkeeper
        self._sessions = sessions

    async def person_of(self, message: WalletPersonAsk) -> WalletPerson:
        """The person of a wallet; made the first time, without a trading account or a usable password."""
        if not _WALLET.fullmatch(message.wallet):
            raise InvalidData("a wallet is 0x and 40 hex digits in lower case")
        email = read_email(f"{message.wallet}@{WALLET_DOMAIN}")
        store = self._ground.store
        async with self._ground.database.connection() as db:
            known = await store.person_by_email(db, email.key)
        if known is not None:
            return WalletPerson(person_id=known.person_id)
        unusable = await self._doorkeeper.hash(self._ground.ids.token(32))
        async with self._ground.database.transaction() as tx:
            person_id = await store.insert_person(
                tx, NewPerson(email, "", ""), unusable, self._ground.clock.now_ms()
            )
            if person_id is None:  # it came twice at once
                made = await store.person_by_email(tx, email.key)
                person_id = made.person_id if made is not None else 0
        return WalletPerson(person_id=person_id)

    async def grant(self, message: AccessGrant) -> AccessGranted:
        """A token that acts like a cookie session of the person until ``until_ms``; the tier is the person's,
        which billing has just set."""
        now_ms = self._ground.clock.now_ms()
        if message.until_ms <= now_ms:
            raise InvalidData("the end lies in the past")
        token = PASS_PREFIX + self._ground.ids.token(32)
        async with self._ground.database.transaction() as tx:
            person = await self._ground.store.person(tx, message.person_id)
            if person is None:
                raise NotAuthenticated
            lifetime_s = (message.until_ms - now_ms) // 1000
            await self._sessions.begin_cookie(tx, person, hash_token(token), "", lifetime_s)
        return AccessGranted(access_token=token)
