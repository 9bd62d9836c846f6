"""From a fact to what somebody is told: the notification, its push and its deliveries, in one transaction.

Never: speak to an outsider here; leave a fact half done. A fact that was heard before changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from libs.common.bus import Ack, Bus, Inbound, Terminate
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.errors import AppError, RemoteError
from libs.common.ids import Ids
from libs.common.messages.alerts import AlertTriggered
from libs.common.messages.auth import AccountAsk, AccountOpened
from libs.common.messages.notifier import Notice
from libs.common.messages.scan_people import MonitorHeard
from libs.common.outbox import Outbox, Relay, fact
from libs.common.subjects import ACCOUNT_OF, NOTIFICATION_PUSH
from libs.common.telemetry import adopt_traceparent, current_traceparent, span
from services.notifier import metrics
from services.notifier.deliveries import Draft
from services.notifier.digits import Digits
from services.notifier.errors import AccountUnknown
from services.notifier.mails import masked
from services.notifier.notices import (
    Written,
    frame_of,
    is_token,
    is_wanted,
    of_alert,
    of_monitor,
    one_line,
    paragraphs,
    type_of,
)
from services.notifier.preferences import Said, gate_of
from services.notifier.rendering import Context, Templates
from services.notifier.retry import LIFETIME_MS
from services.notifier.store import Owner, Store
from services.notifier.vault import Vault

CONSUMER = "notifier"
WAITING_MAX = 10_000  # per recipient; beyond it a delivery is dead at once, visible to staff
LEVEL_MAX = 1_000
QUIET_LEVEL = 10  # of what monitors hear: quiet hours and digests hold it
FACT_BYTES_MAX = 64 * 1024
KNOWN_MAX = 100_000  # logins remembered as known; then the set begins anew
OWNER_ATTEMPTS = 6  # so often a fact waits for auth to say whose account it is
# Message keys with a template of ours; others show the title and text of the fact.
WRITTEN_HERE = frozenset(
    {"PRICE_ALERT", "ALERT_RULE", "ALERT_RULES", "OPEN_ORDER", "MARGIN_CALL", "STOP_OUT", "TRADE_REJECTED"}
)
HEADER_TRACE = "traceparent"


class Planner:
    """Handles the facts the notifier hears. ``wake`` is called after a commit that made something due."""

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
        templates: Templates,
        vault: Vault,
        wake: Callable[[], None],
    ) -> None:
        self._database = database
        self._store = store
        self._outbox = outbox
        self._relay = relay
        self._bus = bus
        self._clock = clock
        self._ids = ids
        self._templates = templates
        self._vault = vault
        self._wake = wake
        self._digits = Digits(bus, clock)
        self._known: set[int] = set()

    # ── facts ──

    async def on_account_opened(self, inbound: Inbound) -> Ack:
        """Know whose account it is, and the address of its mails."""
        opened = inbound.decode(AccountOpened)
        async with self._database.transaction() as tx:
            if await self._outbox.claim(tx, CONSUMER, inbound.event_id):
                await self._know(tx, opened.login, opened.person_id, opened.email)
        return Ack.DONE

    async def on_alert(self, inbound: Inbound) -> Ack:
        """A price alert fired."""
        return await self.on_raised(inbound, of_alert(inbound.decode(AlertTriggered)))

    async def on_notice(self, inbound: Inbound) -> Ack:
        """Another service wants somebody told."""
        return await self.on_raised(inbound, inbound.decode(Notice))

    async def on_monitor(self, inbound: Inbound) -> Ack:
        """A monitor heard something: its person is told where it says, with a trading account or without.

        The feed is its list: nothing is listed and pushed to an account.
        """
        heard = inbound.decode(MonitorHeard)
        adopt_traceparent(inbound.headers.get(HEADER_TRACE))
        span("monitor", person_id=heard.person_id)
        digits = await self._digits.of(heard.symbol)
        async with self._database.transaction() as tx:
            if not await self._outbox.claim(tx, CONSUMER, inbound.event_id or heard.event_id):
                return Ack.DONE
            owner = await self._store.person(tx, heard.person_id)
            is_due = owner is not None and await self._plan_heard(tx, heard, owner, digits)
        metrics.notices.labels("MONITOR").inc()
        if is_due:
            self._wake()
        return Ack.DONE

    async def on_raised(self, inbound: Inbound, notice: Notice) -> Ack:
        """Tell, once."""
        adopt_traceparent(inbound.headers.get(HEADER_TRACE))
        span("notice", login=notice.login)
        _check(inbound, notice)
        digits = await self._digits.of(notice.symbol)
        if inbound.attempt <= OWNER_ATTEMPTS:
            await self._learn_owner(notice.login)
        async with self._database.transaction() as tx:
            if not await self._outbox.claim(tx, CONSUMER, inbound.event_id or notice.event_id):
                return Ack.DONE
            is_due = await self._plan(tx, notice, digits)
        metrics.notices.labels(metrics.token_label(notice.token)).inc()
        self._relay.wake()
        if is_due:
            self._wake()
        return Ack.DONE

    # ── planning ──

    async def _plan(self, tx: Connection, notice: Notice, digits: int | None) -> bool:
        """Write down what somebody is told; whether anything is to be delivered."""
        owner = await self._store.owner(tx, notice.login)
        said = owner.said if owner is not None else Said()
        written = self.write(notice, said, digits)
        now_ms = self._clock.now_ms()
        raised_ms = min(notice.raised_ms, now_ms)
        await self._store.insert_notification(tx, notice, written, raised_ms // 1000)
        frame = frame_of(notice, written, raised_ms // 1000)
        push = fact(NOTIFICATION_PUSH, frame, self._ids.event_id(), login=notice.login)
        await self._outbox.append(tx, [push])
        if owner is None or not is_wanted(notice.confidence, said.min_confidence):
            return False
        draft = Draft(
            event_id=notice.event_id,
            type=type_of(notice.token),
            level=notice.level,
            created_ms=raised_ms,
            expires_ms=now_ms + LIFETIME_MS,
            login=notice.login,
            title=written.title,
            body=written.text,
            data=notice.data,
            traceparent=current_traceparent(),
        )
        return await self._deliver(tx, draft, owner, notice.channels, now_ms)

    async def _plan_heard(
        self, tx: Connection, heard: MonitorHeard, owner: Owner, digits: int | None
    ) -> bool:
        """Write down where a person is told what a monitor heard; whether anything is to be delivered."""
        if not is_wanted(heard.confidence, owner.said.min_confidence):
            return False
        now_ms = self._clock.now_ms()
        context = Context(owner.said.language, gate_of(owner.said).where, digits)
        template, data, fields = of_monitor(heard)
        written = self._templates.write(template, fields, context)
        draft = Draft(
            event_id=heard.event_id,
            type=f"monitor.{heard.event.type}",
            level=QUIET_LEVEL,
            created_ms=min(heard.heard_ms, now_ms),
            expires_ms=now_ms + LIFETIME_MS,
            title=written.title,
            body=written.text,
            data=data,
            traceparent=current_traceparent(),
        )
        return await self._deliver(tx, draft, owner, heard.channels, now_ms)

    async def _deliver(
        self, tx: Connection, draft: Draft, owner: Owner, channels: Sequence[str] | None, now_ms: int
    ) -> bool:
        """A delivery for each usable address that is wanted (None: all of them); whether there is one."""
        wanted = [
            reached
            for reached in owner.reached
            if owner.said.enabled.get(reached.channel, False)
            and (channels is None or reached.channel in channels)
        ]
        await self._store.insert_deliveries(
            tx,
            draft,
            [reached.id for reached in wanted if reached.waiting < WAITING_MAX],
            [reached.id for reached in wanted if reached.waiting >= WAITING_MAX],
            now_ms,
        )
        return bool(wanted)

    def write(self, notice: Notice, said: Said, digits: int | None) -> Written:
        """The notice in a person's language; a token without a template shows what its owner wrote."""
        context = Context(said.language, gate_of(said).where, digits)
        if notice.token in WRITTEN_HERE:
            data = {
                "login": notice.login,
                "time_ms": notice.raised_ms,
                "symbol": notice.symbol,
                **notice.data,
            }
            return self._templates.write(notice.token.lower(), data, context)
        return Written(one_line(notice.title or notice.token), paragraphs(notice.text))

    # ── accounts ──

    async def _learn_owner(self, login: int) -> None:
        """The fact that tells whose account it is may be on its way: then auth is asked."""
        if login in self._known:
            return
        async with self._database.connection() as db:
            if await self._store.is_known(db, login):
                self._remember(login)
                return
        try:
            account = await self._bus.request(ACCOUNT_OF, AccountAsk(login=login))
        except RemoteError as e:
            if e.http_status in (400, 403, 404):
                return  # nobody's account: listed and pushed, delivered nowhere
            raise AccountUnknown(f"auth answered {e.code}") from e
        except AppError as e:
            raise AccountUnknown(f"auth: {e}") from e
        async with self._database.transaction() as tx:
            await self._know(tx, login, account.person_id, account.email)

    def _remember(self, login: int) -> None:
        """An account never goes from known to unknown, so it need not be looked up for each fact."""
        if len(self._known) >= KNOWN_MAX:
            self._known.clear()
        self._known.add(login)

    async def _know(self, tx: Connection, login: int, person_id: int, email: str) -> None:
        now_ms = self._clock.now_ms()
        await self._store.add_account(tx, login, person_id, now_ms)
        if not email:
            return
        key = self._vault.fingerprint("email", email)
        sealed = self._vault.seal(email.encode(), context=f"email {key}", entropy=self._ids.token(32))
        await self._store.insert_recipient(
            tx,
            person_id=person_id,
            channel="email",
            target=sealed,
            target_key=key,
            target_masked=masked(email),
            status="verified",
            now_ms=now_ms,
        )


def _check(inbound: Inbound, notice: Notice) -> None:
    """A notice nobody could be told becomes a dead letter, with the reason."""
    if len(inbound.payload) > FACT_BYTES_MAX:
        raise Terminate(f"a notice has at most {FACT_BYTES_MAX} bytes")
    if not is_token(notice.token):
        raise Terminate("token is no message key")
    if not notice.event_id:
        raise Terminate("event_id is empty")
    if not 0 <= notice.level <= LEVEL_MAX:
        raise Terminate(f"level is between 0 and {LEVEL_MAX}")
