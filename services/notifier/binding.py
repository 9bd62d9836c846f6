"""Binding addresses of channels to people, and proving that they are theirs.

An outsider is spoken to outside of every transaction: the binding is written first, then proved. What is
pending receives nothing but its proof.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.ids import Ids
from libs.common.messages.notifier import (
    ChannelBind,
    ChannelBound,
    ChannelNamed,
    Channels,
    ChannelsAsk,
    ChannelSecret,
    ChannelState,
    ChannelVerify,
)
from services.notifier import verification
from services.notifier.channels.base import Address, Channel, Outgoing, Result, Target, TargetInvalid
from services.notifier.channels.telegram import Heard, TelegramChannel
from services.notifier.channels.webhook import VERIFY_TYPE
from services.notifier.errors import ChannelAlreadyBound, ChannelNotBound, InvalidParam, TooManyBinds
from services.notifier.preferences import Said, gate_of, switched_off, switched_on
from services.notifier.rendering import Context, Templates
from services.notifier.store import Binding, Store
from services.notifier.vault import Vault

BINDS_PER_HOUR_MAX = 10
HOUR_MS = 3_600_000
ROTATION_MS = 24 * HOUR_MS
UNBOUND = "the channel was unbound"


@dataclass(frozen=True, slots=True)
class _Pending:
    """A binding just written, with the code that proves it."""

    recipient_id: int
    channel: Channel
    target: Target
    code: str
    said: Said


class Binder:
    """Binds, verifies, unbinds. ``awaited`` is called when a channel waits for a code from the other side."""

    def __init__(
        self,
        *,
        database: Database,
        store: Store,
        channels: Mapping[str, Channel],
        templates: Templates,
        vault: Vault,
        clock: Clock,
        ids: Ids,
        awaited: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._store = store
        self._channels = channels
        self._templates = templates
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._awaited = awaited

    # ── binding ──

    async def bind(self, ask: ChannelBind) -> ChannelBound:
        """Bind an address, and prove it as its channel does."""
        channel = self._channel(ask.channel)
        if channel.proof == "account":
            return await self._bind_account_mail(ask, channel)
        target = self._target(channel, ask.target)
        pending = await self._write(ask.person_id, channel, target)
        if isinstance(channel, TelegramChannel):
            await channel.learn_name()
        status, hint = await self._prove(ask.person_id, pending)
        return ChannelBound(
            channel=channel.name,
            target_masked=target.masked,
            status=status,
            verify_hint=hint,
            **self._secret(channel, pending.recipient_id, 1),
        )

    async def _write(self, person_id: int, channel: Channel, target: Target) -> _Pending:
        now_ms = self._clock.now_ms()
        code = verification.code_of(self._ids.token(32))
        async with self._database.transaction() as tx:
            await self._store.add_person(tx, person_id, now_ms)
            said = await self._store.said(tx, person_id, lock=True) or Said()
            await self._refuse_too_many(tx, person_id, now_ms)
            bound = await self._store.binding(tx, person_id, channel.name)
            if bound is not None and bound.status == "verified":
                raise ChannelAlreadyBound
            if bound is not None:
                await self._store.close_recipient(tx, bound.id, now_ms, "another address was bound")
            key = self._vault.fingerprint(channel.name, target.value)
            recipient_id = await self._store.insert_recipient(
                tx,
                person_id=person_id,
                channel=channel.name,
                target=self._seal(channel.name, key, target.value),
                target_key=key,
                target_masked=target.masked,
                status="pending",
                now_ms=now_ms,
                code_hash=verification.code_hash(code),
                code_until_ms=now_ms + verification.CODE_MS,
            )
            if recipient_id is None:
                raise ChannelAlreadyBound
            if channel.proof == "none":
                await self._accept(tx, person_id, recipient_id, channel.name)
        return _Pending(recipient_id, channel, target, code, said)

    async def _refuse_too_many(self, tx: Connection, person_id: int, now_ms: int) -> None:
        if await self._store.binds_since(tx, person_id, now_ms - HOUR_MS) >= BINDS_PER_HOUR_MAX:
            raise TooManyBinds(retry_after_s=600)

    async def _prove(self, person_id: int, pending: _Pending) -> tuple[str, str]:
        """Speak to the outsider; the status and what the owner is told."""
        channel = pending.channel
        match channel.proof:
            case "reply":
                self._awaited()
                return "pending", channel.hint.replace("{code}", pending.code)
            case "post" | "echo" if channel.is_on:
                return await self._send_proof(person_id, pending)
            case _:
                return "pending", channel.hint

    async def _send_proof(self, person_id: int, pending: _Pending) -> tuple[str, str]:
        channel = pending.channel
        outcome = await channel.send(
            self._proof_message(pending.said, pending.code),
            Address(pending.recipient_id, pending.target.value),
        )
        match outcome.result:
            case Result.SENT if channel.proof == "post" or pending.code.encode() in outcome.answer:
                async with self._database.transaction() as tx:
                    await self._accept(tx, person_id, pending.recipient_id, channel.name)
                return "verified", "This channel is bound."
            case Result.REFUSED:
                async with self._database.transaction() as tx:
                    await self._store.close_recipient(tx, pending.recipient_id, self._clock.now_ms(), UNBOUND)
                raise InvalidParam(f"target was refused: {outcome.reason}", field="target")
            case Result.SENT:
                return "pending", channel.hint
            case _:
                return (
                    "pending",
                    f"The test message did not get through ({outcome.reason}): verify again later.",
                )

    def _proof_message(self, said: Said, code: str) -> Outgoing:
        context = Context(said.language, gate_of(said).where)
        written = self._templates.write("channel_test", {"code": code}, context)
        return Outgoing(
            id=f"verify-{self._ids.event_id()}",
            type=VERIFY_TYPE,
            title=written.title,
            text=written.text,
            created_ms=self._clock.now_ms(),
            data={"code": code},
        )

    async def _accept(self, tx: Connection, person_id: int, recipient_id: int, channel: str) -> bool:
        """The address is its owner's: from now on the channel is wanted."""
        if await self._store.verify(tx, recipient_id) is None:
            return False
        now_ms = self._clock.now_ms()
        said = await self._store.said(tx, person_id, lock=True) or Said()
        await self._store.set_said(tx, person_id, switched_on(said, channel), now_ms)
        return True

    async def _bind_account_mail(self, ask: ChannelBind, channel: Channel) -> ChannelBound:
        async with self._database.transaction() as tx:
            await self._store.add_person(tx, ask.person_id, self._clock.now_ms())
            said = await self._store.said(tx, ask.person_id, lock=True) or Said()
            bound = await self._store.binding(tx, ask.person_id, "email")
            if bound is None:
                raise InvalidParam("the mail address of this account is not known here", field="channel")
            if ask.target:
                target = self._target(channel, ask.target)
                if self._open(bound).casefold() != target.value.casefold():
                    raise InvalidParam("target is another address than the account's", field="target")
            await self._store.set_said(tx, ask.person_id, switched_on(said, "email"), self._clock.now_ms())
        return ChannelBound(
            channel="email", target_masked=bound.target_masked, status="verified", verify_hint=channel.hint
        )

    # ── proving later ──

    async def verify(self, ask: ChannelVerify) -> ChannelBound:
        """The owner gives the code, or has the proof sent again."""
        channel = self._channel(ask.channel)
        async with self._database.transaction() as tx:
            now_ms = self._clock.now_ms()
            bound = await self._store.binding(tx, ask.person_id, channel.name)
            if bound is None:
                raise ChannelNotBound
            if bound.status == "verified":
                return self._shown(bound, channel, "This channel is bound.")
            if not ask.code:
                pending = await self._renewed(tx, ask.person_id, bound, channel, now_ms)
            else:
                right = self._is_right(bound, channel, ask.code, now_ms)
                if right:
                    await self._accept(tx, ask.person_id, bound.id, channel.name)
                else:
                    await self._store.count_try(tx, bound.id)
        if not ask.code:
            status, hint = await self._prove(ask.person_id, pending)
            return ChannelBound(
                channel=channel.name, target_masked=bound.target_masked, status=status, verify_hint=hint
            )
        if not right:
            raise InvalidParam("code is wrong, too old, or was tried too often", field="code")
        return ChannelBound(
            channel=channel.name,
            target_masked=bound.target_masked,
            status="verified",
            verify_hint="This channel is bound.",
        )

    def _is_right(self, bound: Binding, channel: Channel, code: str, now_ms: int) -> bool:
        """A code of a chat's proof comes from the chat, never from here: its owner was told it."""
        read = verification.read_code(code)
        return (
            channel.proof in ("post", "echo")
            and read is not None
            and bound.status == "pending"
            and bound.code_until_ms > now_ms
            and bound.code_tries < verification.TRIES_MAX
            and bound.code_hash == verification.code_hash(read)
        )

    async def _renewed(
        self, tx: Connection, person_id: int, bound: Binding, channel: Channel, now_ms: int
    ) -> _Pending:
        """A new code. Asking again sends a message, so it is as limited as binding: one in 30 s."""
        if bound.code_until_ms - verification.CODE_MS + 30_000 > now_ms:
            raise TooManyBinds(retry_after_s=30)
        code = verification.code_of(self._ids.token(32))
        await self._store.set_code(tx, bound.id, verification.code_hash(code), now_ms + verification.CODE_MS)
        said = await self._store.said(tx, person_id) or Said()
        return _Pending(bound.id, channel, Target(self._open(bound), bound.target_masked), code, said)

    async def heard(self, told: Heard) -> int | None:
        """A chat told a code: the recipient that is proved by it, or None. The chat is answered."""
        async with self._database.transaction() as tx:
            proved = await self._prove_chat(tx, told)
        if proved is None:
            return None
        recipient_id, said = proved
        message = self._proof_message(said, "")
        await self._channels["telegram"].send(message, Address(recipient_id, str(told.chat_id)))
        return recipient_id

    async def _prove_chat(self, tx: Connection, told: Heard) -> tuple[int, Said] | None:
        code_hash = verification.code_hash(told.code)
        for bound in await self._store.pending_by_code(tx, "telegram", code_hash, self._clock.now_ms()):
            if self._open(bound) != f"@{told.username}":
                continue  # somebody else's code
            chat = str(told.chat_id)
            key = self._vault.fingerprint("telegram", chat)
            await self._store.retarget(tx, bound.id, self._seal("telegram", key, chat), key)
            person_id = await self._store.owner_of(tx, bound.id)
            if await self._accept(tx, person_id, bound.id, "telegram"):
                return bound.id, await self._store.said(tx, person_id) or Said()
        return None

    async def is_awaited(self, channel: str) -> bool:
        """Whether a code is expected from the other side of a channel."""
        async with self._database.connection() as db:
            return await self._store.is_awaited(db, channel, self._clock.now_ms())

    # ── what is bound ──

    async def channels(self, ask: ChannelsAsk) -> Channels:
        """A person's bindings."""
        async with self._database.connection() as db:
            said = await self._store.said(db, ask.person_id) or Said()
            bindings = await self._store.bindings(db, ask.person_id)
        return Channels(
            channels=[
                ChannelState(
                    channel=b.channel,
                    target_masked=b.target_masked,
                    status=self._status(b),
                    enabled=said.enabled.get(b.channel, False),
                    waiting=b.waiting,
                    last_error=b.last_error,
                    created_at=b.created_ms // 1000,
                )
                for b in bindings
            ]
        )

    async def unbind(self, ask: ChannelNamed) -> None:
        """Take a binding away; what waits for it has failed. The account's mail stays, switched off."""
        channel = self._channel(ask.channel)
        async with self._database.transaction() as tx:
            said = await self._store.said(tx, ask.person_id, lock=True) or Said()
            bound = await self._store.binding(tx, ask.person_id, channel.name)
            if bound is None:
                raise ChannelNotBound
            if channel.proof != "account":
                await self._store.close_recipient(tx, bound.id, self._clock.now_ms(), UNBOUND)
            off = switched_off(said, channel.name)
            await self._store.set_said(tx, ask.person_id, off, self._clock.now_ms())

    async def rotate(self, ask: ChannelNamed) -> ChannelSecret:
        """A new signing secret; for a day the one before it signs, too."""
        channel = self._channel(ask.channel)
        if channel.name != "webhook":
            raise InvalidParam("only a webhook has a secret", field="channel", allowed=["webhook"])
        until_ms = self._clock.now_ms() + ROTATION_MS
        async with self._database.transaction() as tx:
            bound = await self._store.binding(tx, ask.person_id, channel.name)
            if bound is None:
                raise ChannelNotBound
            generation = await self._store.rotate(tx, bound.id, until_ms)
        return ChannelSecret(
            channel=channel.name,
            secret=self._vault.webhook_secret(bound.id, generation),
            previous_until=until_ms // 1000,
        )

    # ── small ──

    def _channel(self, name: str) -> Channel:
        channel = self._channels.get(name)
        if channel is None:
            raise InvalidParam("there is no such channel", field="channel", allowed=list(self._channels))
        return channel

    def _target(self, channel: Channel, text: str) -> Target:
        try:
            return channel.read_target(text)
        except TargetInvalid as e:
            raise InvalidParam(str(e), field="target", allowed=e.allowed) from e

    def _status(self, bound: Binding) -> str:
        channel = self._channels.get(bound.channel)
        # Usable, and yet nobody has proved that it is theirs.
        return "pending" if channel is not None and channel.proof == "none" else bound.status

    def _shown(self, bound: Binding, channel: Channel, hint: str) -> ChannelBound:
        return ChannelBound(
            channel=channel.name,
            target_masked=bound.target_masked,
            status=self._status(bound),
            verify_hint=hint,
        )

    def _secret(self, channel: Channel, recipient_id: int, generation: int) -> dict[str, str]:
        if channel.name != "webhook":
            return {}
        return {"secret": self._vault.webhook_secret(recipient_id, generation)}

    def _seal(self, channel: str, key: str, value: str) -> bytes:
        return self._vault.seal(value.encode(), context=f"{channel} {key}", entropy=self._ids.token(32))

    def _open(self, bound: Binding) -> str:
        return self._vault.open(bound.target, context=f"{bound.channel} {bound.target_key}").decode()
