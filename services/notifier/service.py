"""Use cases of callers: the list, preferences, mails of other services, dead letters; and the tidying."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import structlog

from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import InvalidData
from libs.common.ids import Ids
from libs.common.messages.notifier import (
    DeadLetterRetry,
    DeadLetters,
    DeadLettersAsk,
    MailSend,
    MailTaken,
    NotifyListAsk,
    NotifyMarked,
    NotifyRead,
    NotifyTable,
    Preferences,
    PreferencesAsk,
    PreferencesPut,
)
from libs.common.outbox import Outbox
from libs.common.telemetry import current_traceparent
from services.notifier import mails, metrics, preferences
from services.notifier.dead_facts import DeadFacts
from services.notifier.deliveries import Draft
from services.notifier.errors import DeadLetterNotFound, DeadLetterSpent
from services.notifier.gates import URGENT_LEVEL
from services.notifier.preferences import Said, read_language
from services.notifier.rendering import Context, Templates
from services.notifier.retry import LIFETIME_MS
from services.notifier.store import NEVER_MS, Store
from services.notifier.vault import Vault

log = structlog.get_logger()

STRUCTURE = (
    "id",
    "token",
    "message",
    "create_time",
    "open_time",
    "type",
    "status",
    "level",
    "description",
    "data",
)
LIST_ROWS_MAX = 1000
READ_IDS_MAX = 1000
DAY_MS = 86_400_000
SENT_KEPT_MS = 7 * DAY_MS
DEAD_KEPT_MS = 30 * DAY_MS
TOLD_KEPT_MS = 90 * DAY_MS
TIDY_EVERY_S = 60.0
MEASURE_EVERY_S = 15.0
MAIL_CONSUMER = "mail"


class NotifierService:
    """``wake`` is called after a commit that made something due."""

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        outbox: Outbox,
        clock: Clock,
        ids: Ids,
        templates: Templates,
        vault: Vault,
        dead_facts: DeadFacts,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._store = store
        self._outbox = outbox
        self._clock = clock
        self._ids = ids
        self._templates = templates
        self._vault = vault
        self._dead_facts = dead_facts
        self._wake = wake

    # ── the list ──

    async def notifications(self, ask: NotifyListAsk) -> NotifyTable:
        """A page of an account's notifications, newest first (broker 7.3)."""
        if not 0 <= ask.limit <= LIST_ROWS_MAX:
            raise InvalidData(f"limit is between 0 and {LIST_ROWS_MAX}")
        if ask.offset < 0:
            raise InvalidData("offset is not negative")
        if "\x00" in ask.filter:
            raise InvalidData("filter has a control character")
        async with self._database.connection() as db:
            rows = await self._store.notifications(db, ask.login, ask.filter, ask.limit, ask.offset)
        return NotifyTable(STRUCTURE, rows)

    async def read(self, ask: NotifyRead) -> NotifyMarked:
        """Mark notifications of an account as read; others' ids are passed over."""
        if len(ask.ids) > READ_IDS_MAX:
            raise InvalidData(f"ids has at most {READ_IDS_MAX}")
        if any(not 0 <= number < 2**63 for number in (*ask.ids, ask.up_to)):
            raise InvalidData("an id is a positive number")
        async with self._database.transaction() as tx:
            marked = await self._store.mark_read(
                tx, ask.login, ask.ids, ask.up_to, self._clock.now_ms() // 1000
            )
        return NotifyMarked(marked=marked)

    # ── preferences ──

    async def preferences(self, ask: PreferencesAsk) -> Preferences:
        """How a person wants to be told."""
        async with self._database.connection() as db:
            said = await self._store.said(db, ask.person_id) or Said()
            bindings = await self._store.bindings(db, ask.person_id)
        return preferences.shown(said, {b.channel for b in bindings if b.status == "verified"})

    async def put_preferences(self, put: PreferencesPut) -> Preferences:
        """Change some of it, in force for what waits as well."""
        now_ms = self._clock.now_ms()
        async with self._database.transaction() as tx:
            await self._store.add_person(tx, put.person_id, now_ms)
            said = await self._store.said(tx, put.person_id, lock=True) or Said()
            changed = preferences.merged(said, put.said)
            await self._store.set_said(tx, put.person_id, changed, now_ms)
            await self._store.wake_recipients(tx, put.person_id, now_ms)
        self._wake()
        return await self.preferences(PreferencesAsk(person_id=put.person_id))

    # ── mails of other services ──

    async def send_mail(self, mail: MailSend) -> MailTaken:
        """Have a mail sent, once per id. Its text is sealed until then: it may hold a code."""
        mails.check(mail)
        address = mails.read_address(mail.to)
        now_ms = self._clock.now_ms()
        written = self._templates.write(
            mail.kind,
            {"name": mail.name, **mail.fields},
            Context(read_language(mail.language), preferences.gate_of(Said()).where),
        )
        event_id = f"mail-{mail.id}"
        content = msgspec.json.encode((written.title, written.text))
        draft = Draft(
            event_id=event_id,
            type=f"mail.{mail.kind}",
            level=URGENT_LEVEL,
            created_ms=now_ms,
            expires_ms=now_ms + mail.valid_s * 1000,
            sealed=self._vault.seal(content, context=f"mail {event_id}", entropy=self._ids.token(32)),
            traceparent=current_traceparent(),
        )
        async with self._database.transaction() as tx:
            if not await self._outbox.claim(tx, MAIL_CONSUMER, mail.id):
                return MailTaken(id=mail.id, repeated=True)
            recipient_id = await self._mail_recipient(tx, address, now_ms)
            await self._store.insert_deliveries(tx, draft, [recipient_id], [], now_ms)
        self._wake()
        return MailTaken(id=mail.id)

    async def _mail_recipient(self, tx: Connection, address: str, now_ms: int) -> int:
        """The lane of an address; the same for every spelling of case, as mail servers have it."""
        key = self._vault.fingerprint("mail", address.casefold())
        found = await self._store.mail_recipient(tx, "email", key)
        if found is None:
            sealed = self._vault.seal(address.encode(), context=f"email {key}", entropy=self._ids.token(32))
            found = await self._store.insert_recipient(
                tx,
                person_id=None,
                channel="email",
                target=sealed,
                target_key=key,
                target_masked=mails.masked(address),
                status="verified",
                now_ms=now_ms,
            )
        if found is None:  # another process was faster
            found = await self._store.mail_recipient(tx, "email", key)
        if found is None:
            raise RuntimeError("the recipient just written is not there")
        return found

    # ── dead letters ──

    async def dead_letters(self, ask: DeadLettersAsk) -> DeadLetters:
        """Facts that services gave up, then failed and dead deliveries, each newest first."""
        if not 0 <= ask.limit <= LIST_ROWS_MAX or ask.offset < 0:
            raise InvalidData(f"limit is between 0 and {LIST_ROWS_MAX}, offset not negative")
        facts = await self._dead_facts.newest()
        page = facts[ask.offset : ask.offset + ask.limit]
        async with self._database.connection() as db:
            rows, count = await self._store.dead_deliveries(
                db, ask.limit - len(page), max(0, ask.offset - len(facts))
            )
        return DeadLetters(rows=[*page, *rows], count=count + len(facts))

    async def retry_dead_letter(self, ask: DeadLetterRetry) -> None:
        """Send one again, with the id it had."""
        kind, _, number = ask.id.rpartition("-")
        is_number = number.isascii() and number.isdigit() and len(number) <= 18
        if kind not in ("delivery", "fact") or not is_number:
            raise DeadLetterNotFound
        if kind == "fact":
            await self._dead_facts.handle_again(int(number))
            return
        async with self._database.transaction() as tx:
            dead = await self._store.dead_delivery(tx, int(number))
            if dead is None:
                raise DeadLetterNotFound
            if dead.status != "verified":
                raise DeadLetterSpent("its channel is gone; the owner has to bind again")
            if dead.is_spent:
                raise DeadLetterSpent("its content was a secret and is forgotten")
            now_ms = self._clock.now_ms()
            await self._store.revive(tx, dead, now_ms, now_ms + LIFETIME_MS)
        log.info("dead letter sent again", delivery=dead.id)
        self._wake()

    # ── tidying ──

    async def tidy_for_ever(self) -> None:
        """Measure what waits, and forget what is old, as long as the process lives."""
        tidied_s = self._clock.monotonic_s()
        while True:
            try:
                await self.measure()
                if self._clock.monotonic_s() - tidied_s >= TIDY_EVERY_S:
                    tidied_s = self._clock.monotonic_s()
                    await self.tidy()
            except Exception as e:
                log.warning("tidying failed", error=f"{type(e).__name__}: {e}")
            await asyncio.sleep(MEASURE_EVERY_S)

    async def measure(self) -> None:
        """How much waits, and since when."""
        async with self._database.connection() as db:
            count, due_ms = await self._store.backlog(db)
        metrics.waiting.set(count)
        late_ms = self._clock.now_ms() - due_ms if due_ms < NEVER_MS else 0
        metrics.overdue.set(max(late_ms, 0) / 1000)

    async def tidy(self) -> None:
        """Forget what is old, a bounded piece at a time."""
        async with self._database.connection() as db:
            await self._store.forget(
                db,
                now_ms=self._clock.now_ms(),
                sent_ms=SENT_KEPT_MS,
                dead_ms=DEAD_KEPT_MS,
                told_ms=TOLD_KEPT_MS,
            )
