"""One client of the stream: the session protocol, from authorization to the close code.

The socket knows who is there and what was asked; the hub knows what to send. Client frames are
handled one after the other, so a reply never overtakes an earlier one.

Never: a socket that can stop the process or hold up another one. Whatever a client sends is answered
in the stream's error shape or closes this socket only.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

import msgspec
import structlog

from libs.common.clock import Clock
from libs.common.errors import AppError
from libs.common.principal import Principal
from services.gateway.connections import Connection
from services.gateway.frames import PING, pong_frame, text_frame
from services.gateway.gauges import StreamGauges
from services.gateway.hub import Hub

log = structlog.get_logger()

UNAUTHORIZED = 4401
KEY_SCOPE = "read"  # what an API key needs here: the stream only shows
IDLE = 4408
RESTART = 1012


class Listing(NamedTuple):
    """A symbol as an account's group sees it: the canonical name and the price profile."""

    symbol: str
    profile: str


class SymbolView(Protocol):
    """The market of one group. It is live: what an admin changes shows at the next look-up."""

    def find(self, name: str) -> Listing | None:
        """The symbol a client means by ``name`` in any case; None when unknown or hidden."""
        ...


@dataclass(frozen=True, slots=True)
class Replay:
    """The pushes of one account after a position.

    ``seq`` is the latest known position; ``events`` are (seq, frame) in order; ``gap`` says that
    what was asked is not held any more (or not yet: a position from the future).
    """

    seq: int
    events: Sequence[tuple[int, bytes]] = ()
    gap: bool = False


class Upgrade(NamedTuple):
    """What came with the request that opened the socket: where from, and the cookies of the broker's and the
    scan surface, which count only when a page of our own origin (or no page) opened it."""

    address: str = ""
    token: str = ""
    session: str = ""


NO_UPGRADE = Upgrade()


def no_channels(name: str) -> Hashable | None:
    """The resolver of a house without public channels."""
    return None


@dataclass(frozen=True, slots=True)
class StreamPorts:
    """What a socket asks of the rest of the house.

    ``authenticate(token, upgrade)`` raises AppError; the token ``cookie`` means the cookie of the upgrade.
    ``view(principal, login)`` is the market of the account (of the principal's group while ``login`` is
    None); ``history(login, after)`` with ``after`` None only tells the latest position; ``public(name)``
    maps any name of a form that needs no authorization (``token:…``) to its channel key, None when it is
    not of such a form.
    """

    authenticate: Callable[[str, Upgrade], Awaitable[Principal]]
    view: Callable[[Principal, int | None], Awaitable[SymbolView]]
    history: Callable[[int, int | None], Awaitable[Replay]]
    public: Callable[[str], Hashable | None] = no_channels


@dataclass(frozen=True, slots=True)
class SocketLimits:
    """The bounds of one socket; the policy at each is a close code or an error."""

    frame_bytes_max: int = 65_536  # 1009
    auth_s_max: float = 10.0  # 4401
    idle_s_max: float = 60.0  # 4408
    ping_s: float = 20.0
    subscriptions_max: int = 1_000  # SUBSCRIPTION_LIMIT
    failures_max: int = 10  # refused authorizations, then 4401
    replay_max: int = 1_000  # more is a gap


class _Refused(Exception):
    """An answer with ``success: false``; the socket stays."""

    def __init__(self, event: str, code: str) -> None:
        super().__init__(code)
        self.event, self.code = event, code


def _encode(message: dict[str, Any]) -> bytes:
    return text_frame(msgspec.json.encode(message))


def _refusal(event: str, code: str) -> bytes:
    return _encode({"event": event, "success": False, "error": code})


_AUTHORIZED = _encode({"event": "authorization", "success": True})
_INVALID = _refusal("error", "INVALID_DATA")
_PONG = text_frame(b"pong")


@dataclass(slots=True)
class Deadlines:
    """When this socket was opened, heard and pinged last (monotonic seconds)."""

    opened_s: float
    heard_s: float
    pinged_s: float


@dataclass(slots=True, eq=False)
class StreamSocket:
    """The protocol state of one client. ``end(code)`` closes the socket it lives on."""

    hub: Hub
    connection: Connection
    ports: StreamPorts
    limits: SocketLimits
    clock: Clock
    gauges: StreamGauges
    end: Callable[[int], None]
    deadlines: Deadlines
    upgrade: Upgrade = NO_UPGRADE
    principal: Principal | None = None
    active_login: int | None = None
    _view: SymbolView | None = None
    _symbols: dict[str, Hashable] = field(default_factory=dict)  # canonical name → channel
    _public: dict[str, Hashable] = field(default_factory=dict)  # name as asked → channel
    _failures: int = 0

    # ── frames from the client ────────────────────────────────────────────────────────────────────

    async def on_text(self, text: str) -> None:
        """Handle one text frame; every outcome is a frame to the client or a close."""
        self.heard()
        if text == "ping":
            self.gauges.received["ping"] += 1
            self._send(_PONG)
            return
        message = _decode(text)
        if message is None:
            self.on_garbage()
            return
        try:
            await self._dispatch(message)
        except _Refused as refused:
            self._send(_refusal(refused.event, refused.code))

    def on_garbage(self) -> None:
        """Answer what is no frame of the protocol: binary, broken or unknown."""
        self.heard()
        self.gauges.received["invalid"] += 1
        self._send(_INVALID)

    def on_ping(self, payload: bytes) -> None:
        """Answer a protocol ping."""
        self.heard()
        self._send(pong_frame(payload))

    def heard(self) -> None:
        """Something came, if only a pong: the socket is not idle."""
        self.deadlines.heard_s = self.clock.monotonic_s()

    async def _dispatch(self, message: dict[str, Any]) -> None:
        if "authorization" in message:
            self.gauges.received["authorization"] += 1
            await self._authorize(message["authorization"])
            return
        match message.get("event"):
            case "account.switch":
                self.gauges.received["switch"] += 1
                await self._switch(message)
            case "subscribe":
                self.gauges.received["subscribe"] += 1
                await self._subscribe(message.get("data"))
            case "unsubscribe":
                self.gauges.received["unsubscribe"] += 1
                self._unsubscribe(message.get("data"))
            case _:
                self.on_garbage()

    # ── who is there ──────────────────────────────────────────────────────────────────────────────

    async def _authorize(self, token: object) -> None:
        try:
            principal = await self._identify(token)
        except _Refused:
            self._failures += 1
            if self._failures >= self.limits.failures_max:
                self.end(UNAUTHORIZED)
                return
            raise
        self._failures = 0
        self.principal = principal
        self._send(_AUTHORIZED)

    async def _identify(self, token: object) -> Principal:
        if not isinstance(token, str) or not token:
            raise _Refused("authorization", "INVALID_TOKEN")
        try:
            principal = await self.ports.authenticate(token.removeprefix("Bearer "), self.upgrade)
        except AppError as e:
            # A refused token is the client's matter; anything else is ours and says its own code.
            code = "INVALID_TOKEN" if e.http_status in (400, 401, 403) else e.code
            raise _Refused("authorization", code) from e
        if principal.kind == "anonymous":
            raise _Refused("authorization", "INVALID_TOKEN")
        if principal.kind not in ("account", "customer", "key") or principal.is_staff:
            raise _Refused("authorization", "UNSUPPORTED_SESSION")
        if principal.kind == "key" and KEY_SCOPE not in principal.scopes:
            raise _Refused("authorization", "PERMISSION_DENIED")
        if self.principal is not None and _subject(principal) != _subject(self.principal):
            raise _Refused("authorization", "PERMISSION_DENIED")
        return principal

    async def _switch(self, message: dict[str, Any]) -> None:
        principal = self.principal
        if principal is None:
            raise _Refused("account.switch", "NOT_AUTHORIZED")
        nested = message.get("data")
        fields = {**message, **nested} if isinstance(nested, dict) else message
        login = _chosen_login(principal, fields)
        resume, after = fields.get("resume", False), fields.get("after")
        if not isinstance(resume, bool) or not (after is None or (_is_int(after) and after >= 0)):
            raise _Refused("account.switch", "INVALID_DATA")
        await self._use_view(principal, login, "account.switch")
        self.hub.join(self.connection, login)
        self.active_login = login
        replay = await self._replay(login, after)
        reply: dict[str, Any] = {"event": "account.switch", "success": True, "active_login": login}
        if replay is not None:
            reply["seq"] = max(replay.seq, *(seq for seq, _ in replay.events), 0)
        if after is not None and (replay is None or replay.gap):
            reply["gap"] = True
        self.hub.follow(
            self.connection,
            resume=resume,
            after=_floor(replay, after),
            reply=msgspec.json.encode(reply),
            replay=replay.events if replay else (),
        )

    async def _replay(self, login: int, after: int | None) -> Replay | None:
        try:
            replay = await self.ports.history(login, after)
        except AppError as e:
            # Without a history the live events still flow; who asked for more is told of the gap.
            log.warning("push history unavailable", code=e.code)
            return None
        if after is None or replay.gap or len(replay.events) > self.limits.replay_max:
            return Replay(seq=replay.seq, gap=True)
        return replay

    async def _use_view(self, principal: Principal, login: int | None, event: str) -> None:
        try:
            self._view = await self.ports.view(principal, login)
        except AppError as e:
            raise _Refused(event, e.code) from e
        self.rebind()

    def amend(self, principal: Principal) -> None:
        """Go on as ``principal``, the same owner with other rights; a new tier is told."""
        told = self.principal is not None and self.principal.tier != principal.tier
        self.principal = principal
        if told:
            self._send(_encode({"event": "tier", "tier": principal.tier}))

    # ── what is wanted ────────────────────────────────────────────────────────────────────────────

    async def _subscribe(self, data: object) -> None:
        names = _names(data)
        if names is None:
            self.on_garbage()
            return
        public = {name: key for name in names if (key := self.ports.public(name)) is not None}
        wanted = [name for name in names if name not in public]
        self._public.update(self._within_limit(public))
        self.hub.subscribe(self.connection, list(public.values()))
        if not wanted:
            return
        view = await self._market()
        listed = {found.symbol: found for name in wanted if (found := view.find(name)) is not None}
        keys = {symbol: (found.profile, symbol) for symbol, found in listed.items()}
        self._symbols.update(self._within_limit(keys))
        self.hub.subscribe(self.connection, list(keys.values()))

    def _within_limit(self, keys: Mapping[str, Hashable]) -> Mapping[str, Hashable]:
        new = sum(1 for name in keys if name not in self._symbols and name not in self._public)
        if len(self._symbols) + len(self._public) + new > self.limits.subscriptions_max:
            raise _Refused("subscribe", "SUBSCRIPTION_LIMIT")
        return keys

    async def _market(self) -> SymbolView:
        """The view to look symbols up in; a trading account that never switched is switched now."""
        principal = self.principal
        if principal is None:
            raise _Refused("subscribe", "NOT_AUTHORIZED")
        if self.active_login is None and principal.kind == "account" and principal.login is not None:
            await self._use_view(principal, principal.login, "subscribe")
            self.hub.join(self.connection, principal.login)
            self.active_login = principal.login
            self.hub.follow(self.connection, resume=False, after=0)
        if self._view is None:
            await self._use_view(principal, self.active_login, "subscribe")
        if self._view is None:
            raise _Refused("subscribe", "NOT_AUTHORIZED")
        return self._view

    def _unsubscribe(self, data: object) -> None:
        names = _names(data)
        if names is None:
            self.on_garbage()
            return
        keys = []
        for name in names:
            if (key := self.ports.public(name)) is not None:
                keys += [
                    self._public.pop(known) for known, held in tuple(self._public.items()) if held == key
                ]
                continue
            if self.principal is None:
                raise _Refused("unsubscribe", "NOT_AUTHORIZED")
            found = self._view.find(name) if self._view else None
            if found is not None and found.symbol in self._symbols:
                keys.append(self._symbols.pop(found.symbol))
        self.hub.unsubscribe(self.connection, keys)

    def rebind(self) -> None:
        """Look every subscribed symbol up again: the account, its group or the market changed."""
        view = self._view
        if view is None:
            return
        gone: list[Hashable] = []
        new: list[Hashable] = []
        for symbol, key in tuple(self._symbols.items()):
            found = view.find(symbol)
            now = (found.profile, found.symbol) if found else None
            if now == key:
                continue
            gone.append(key)
            del self._symbols[symbol]
            if found is not None and now is not None:
                self._symbols[found.symbol] = now
                new.append(now)
        self.hub.unsubscribe(self.connection, gone)
        if new:
            self.hub.subscribe(self.connection, new)

    # ── time ──────────────────────────────────────────────────────────────────────────────────────

    def sweep(self, now_s: float, now_unix_s: float) -> None:
        """Hold the deadlines: authorization, its expiry, silence; ping when it is time."""
        deadlines, limits, principal = self.deadlines, self.limits, self.principal
        if principal is None:
            if not self._public and now_s - deadlines.opened_s >= limits.auth_s_max:
                self.end(UNAUTHORIZED)
                return
        elif principal.expires_at and now_unix_s >= principal.expires_at:
            self.end(UNAUTHORIZED)
            return
        if now_s - deadlines.heard_s >= limits.idle_s_max:
            self.end(IDLE)
        elif now_s - deadlines.pinged_s >= limits.ping_s:
            deadlines.pinged_s = now_s
            if self.connection.stalled_s is None:
                self._send(PING)

    def _send(self, framed: bytes) -> None:
        self.hub.send(self.connection, framed)


# ── reading what a client sent ────────────────────────────────────────────────────────────────────

_decoder = msgspec.json.Decoder(dict[str, Any])


def _decode(text: str) -> dict[str, Any] | None:
    try:
        return _decoder.decode(text)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError, UnicodeEncodeError):
        return None


def _names(data: object) -> list[str] | None:
    """The symbols of a subscribe frame in their order, each once; None when it is no list of names."""
    if not isinstance(data, list) or not all(isinstance(name, str) for name in data):
        return None
    return list(dict.fromkeys(data))


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _subject(principal: Principal) -> tuple[str, int | str | None]:
    match principal.kind:
        case "account":
            return principal.kind, principal.login
        case "key":
            return principal.kind, principal.subject
        case _:
            return principal.kind, principal.person_id


def _floor(replay: Replay | None, after: int | None) -> int:
    """The position up to which a live push is a repeat.

    After a replay that is only what was replayed: an event may be published after the history was
    read and before its latest position was. Where nothing is replayed it is the position told.
    """
    if replay is None:
        return 0
    return replay.seq if replay.gap or after is None else after


def _chosen_login(principal: Principal, fields: dict[str, Any]) -> int:
    """The account a switch names: one's own, or one that is linked to the customer."""
    given = fields.get("active_login", fields.get("login"))
    if given is None:
        if principal.kind == "account" and principal.login is not None:
            return principal.login
        raise _Refused("account.switch", "INVALID_LOGIN")
    if not isinstance(given, int) or isinstance(given, bool):
        raise _Refused("account.switch", "INVALID_LOGIN")
    allowed = (principal.login,) if principal.kind == "account" else principal.logins
    if given not in allowed:
        raise _Refused("account.switch", "PERMISSION_DENIED")
    return given
