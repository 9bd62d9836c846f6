"""Proving an address and resetting a password: a token by mail that counts once."""

from __future__ import annotations

import structlog

from libs.common.errors import AppError
from libs.common.messages.auth_people import MailVerify, MailVerifyAsk, PasswordForgot, PasswordReset
from libs.common.messages.notifier import MailSend
from libs.common.subjects import MAIL_SEND
from services.auth import people
from services.auth.credentials import Credentials
from services.auth.errors import BadMailToken, NotSignedIn
from services.auth.ground import Ground
from services.auth.key_store import KeyStore
from services.auth.passwords import read_password
from services.auth.people import Person
from services.auth.sessions import hash_token

log = structlog.get_logger()

VERIFY_S = 24 * 3600
RESET_S = 30 * 60
MAILS_PER_HOUR = 5
HOUR_MS = 3_600_000


class Mails:
    """Asks the notifier to send; never says whether an e-mail is known."""

    def __init__(self, ground: Ground, keys: KeyStore, credentials: Credentials) -> None:
        self._ground = ground
        self._keys = keys
        self._credentials = credentials

    async def ask_verify(self, message: MailVerifyAsk) -> None:
        """Send the mail that proves the address; nothing happens when it is proven."""
        async with self._ground.database.connection() as db:
            person = await self._ground.store.person(db, message.person_id)
        if person is None:
            raise NotSignedIn
        if not person.email_verified:
            await self._send(person, "verify", VERIFY_S)

    async def verify(self, message: MailVerify) -> None:
        """Whoever has the token reads the person's mail."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            person_id = await self._keys.take_mail_token(tx, hash_token(message.token), "verify", now_ms)
            if person_id is None:
                raise BadMailToken
            await self._keys.drop_mail_tokens(tx, person_id, "verify")
            await self._keys.set_email_verified(tx, person_id, now_ms)

    async def forgot(self, message: PasswordForgot) -> None:
        """Send the mail that resets the password, if somebody has this e-mail."""
        key = people.fold_email(message.email[: people.EMAIL_CHARS_MAX])
        if not people.can_be_stored(key):
            return
        async with self._ground.database.connection() as db:
            person = await self._ground.store.person_by_email(db, key)
        if person is not None and person.enable:
            await self._send(person, "reset", RESET_S)

    async def reset(self, message: PasswordReset) -> int:
        """A new password for whoever has the token, whose id is returned; every session of theirs ends."""
        password = read_password(message.password)
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            person_id = await self._keys.take_mail_token(tx, hash_token(message.token), "reset", now_ms)
            if person_id is None:
                raise BadMailToken
            await self._keys.drop_mail_tokens(tx, person_id, "reset")
            # The mail was read, so the address is the person's.
            await self._keys.set_email_verified(tx, person_id, now_ms)
        await self._credentials.set_person(person_id, password)
        return person_id

    async def tell_password_changed(self, *, login: int = 0, person_id: int = 0) -> None:
        """Tell the person behind a login, or by id, that the password is another one now."""
        async with self._ground.database.connection() as db:
            account = await self._ground.store.account(db, login) if login else None
            person_id = account.person_id if account else person_id
            person = await self._ground.store.person(db, person_id)
        if person is None:
            return  # staff has no mailbox here
        mail = MailSend(
            id=self._ground.ids.event_id(),
            to=person.email,
            kind="password_changed",
            fields={"time_ms": str(self._ground.clock.now_ms())},
            name=person.full_name,
        )
        try:
            await self._ground.bus.request(MAIL_SEND, mail)
        except AppError as e:
            log.info("mail not sent", kind=mail.kind, error=str(e))

    async def _send(self, person: Person, purpose: str, lifetime_s: int) -> None:
        now_ms = self._ground.clock.now_ms()
        token = self._ground.ids.token(24)
        async with self._ground.database.transaction() as tx:
            await self._ground.store.lock_person(tx, person.person_id)
            sent = await self._keys.mail_tokens_since(tx, person.person_id, purpose, now_ms - HOUR_MS)
            if sent >= MAILS_PER_HOUR:
                return  # said to nobody: an answer would tell that the e-mail is known
            await self._keys.insert_mail_token(
                tx, hash_token(token), person.person_id, purpose, now_ms, now_ms + lifetime_s * 1000
            )
        kind = "verify_email" if purpose == "verify" else "reset_password"
        mail = MailSend(
            id=self._ground.ids.event_id(),
            to=person.email,
            kind=kind,
            fields={"code": token, "minutes": str(lifetime_s // 60)},
            name=person.full_name,
            valid_s=lifetime_s,
        )
        try:
            await self._ground.bus.request(MAIL_SEND, mail)
        except AppError as e:
            # A stack without a notifier: the operator reads the mail here and hands it on.
            log.warning("mail not sent", to=mail.to, kind=kind, code=token, error=str(e))
