"""POST /mcp: who may come in, before the SDK sees anything.

Without a key: everything that only tells what is here. ``tools/call`` needs one: 401 leads to OAuth, 403
names the scope that is missing. Foreign hosts and pages of other origins are 403 (DNS rebinding). With
``?pay=x402`` a tool may be called without a key, and answers with the terms of payment until it is paid.

A call is stopped in the words of its version: since 2026-07-28 by closing the request; before that by
``notifications/cancelled`` from the same key and address, and closing means nothing.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextlib import nullcontext, suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
import structlog

from libs.common.bus import Bus, decode, encode
from libs.common.errors import AppError, MessageUnreadable, NotAuthenticated, PermissionDenied
from libs.common.messages.gateway import CallTakenBack
from libs.common.principal import Principal
from libs.common.subjects import CALL_TAKEN_BACK
from services.gateway.callers import admit
from services.gateway.endpoints.mcp import PASSED, McpRequest
from services.gateway.endpoints.row import Caller, Endpoint
from services.gateway.errors import ForeignOrigin
from services.gateway.identities import KEY_PREFIXES
from services.gateway.mcp.calls import Perform, Visit
from services.gateway.mcp.catalogue import Shelf, ToolRow
from services.gateway.mcp.line import EVENTS, Line
from services.gateway.mcp.watch import Watch, Watches
from services.gateway.surfaces.base import Reply
from services.gateway.surfaces.dialects import SURFACES

if TYPE_CHECKING:
    from services.gateway.mcp.server import Agents

log = structlog.get_logger()

_SURFACE = SURFACES["mcp"]
WARM_POLL_S = 0.5
LOAD_TURN_S = 0.0005
CLOSING_STOPS_SINCE = "2026-07-28"


class _Message(msgspec.Struct):
    """As much of a message as decides who may send it, and how it is answered."""

    method: Any = None
    params: Any = None
    id: Any = None

    @property
    def tool(self) -> str | None:
        """The tool it calls, "" for one without a name; None when it is no call."""
        name = self._param("name")
        if self.method != "tools/call":
            return None
        return name if isinstance(name, str) else ""

    @property
    def taken_back(self) -> str | None:
        """The number of the call it takes back, as JSON."""
        number = self._param("requestId")
        return _number(number) if self.method == "notifications/cancelled" else None

    @property
    def wants_progress(self) -> bool:
        """Whether its sender wants to hear how far it is."""
        meta = self._param("_meta")
        token = meta.get("progressToken") if isinstance(meta, dict) else None
        return isinstance(token, str | int) and not isinstance(token, bool)

    def _param(self, name: str) -> Any:
        return self.params.get(name) if isinstance(self.params, dict) else None


def _number(value: Any) -> str | None:
    """What a client numbered a call with: texts and numbers are told apart."""
    return encode(value).decode() if isinstance(value, str | int) else None


_message = msgspec.json.Decoder(_Message)


class McpDoor:
    """Lets agents in. ``verify`` says whose key it is; ``shelf`` is what they find."""

    def __init__(
        self,
        verify: Callable[..., Awaitable[Principal]],
        tools: Mapping[str, ToolRow],
        shelf: Shelf,
        hosts: frozenset[str],
        bus: Bus,
    ) -> None:
        self._verify = verify
        self._tools = tools
        self._shelf = shelf
        self._hosts = hosts
        self._bus = bus
        self._watches = Watches()
        self._agents: Agents | None = None
        self._warming: asyncio.Task[None] | None = None
        self._opening = asyncio.Lock()

    async def start(self, is_ready: Callable[[], Awaitable[bool]]) -> None:
        """Hear which calls are taken back: that may be said to another process than the one at work. Be warm
        once the house is ready."""
        await self._bus.subscribe(CALL_TAKEN_BACK.pattern, self._on_taken_back)
        self._warming = asyncio.create_task(self._warm(is_ready), name="agents")

    async def _warm(self, is_ready: Callable[[], Awaitable[bool]]) -> None:
        """Load the SDK, so that neither the first agent waits for that, nor the start of the house."""
        while True:
            if await is_ready():
                break
            await asyncio.sleep(WARM_POLL_S)
        agents = await self._open()
        await agents.rehearse()
        log.info("the agents' door is warm")

    async def close(self) -> None:
        """Take no more."""
        if self._warming is not None:
            self._warming.cancel()
        if self._agents is not None:
            await self._agents.close()

    async def handle(self, asked: McpRequest, caller: Caller, perform: Perform, line: Line) -> Reply:
        """Answer one message; once ``line`` has carried events, the answer went there, too."""
        sent = caller.sent
        said = read_message(sent.body)
        base = urlsplit(sent.url)
        origin = f"{base.scheme}://{base.netloc}"
        try:
            self._refuse_foreign(sent.headers, base.netloc)
            visit = await self._visit(asked, caller, perform, origin, said)
        except _Challenged as e:
            return _challenge(e, origin)
        agents = self._agents or await self._open()
        headers = {name: sent.headers[name] for name in PASSED if name in sent.headers}
        newer = headers.get("mcp-protocol-version", "") >= CLOSING_STOPS_SINCE
        if said.taken_back is not None and visit.principal is not None and not newer:
            await self._take_back(holder_of(visit.principal, caller), said.taken_back)
        tells = line if said.wants_progress and EVENTS in headers.get("accept", "").lower() else None
        on_gone = visit.watch.stop if newer and visit.watch is not None else None
        known = nullcontext() if newer else self._known(caller, said, visit)
        with known, line.heard(on_gone):
            try:
                reply = await agents.answer(headers, sent.body, visit, tells)
            except Exception:
                if line.response is None:
                    raise
                log.exception("a call failed after its answer had begun")  # it ends without a result
                return Reply(500, b"")
        return reply._replace(headers={**_SURFACE.headers, **reply.headers})

    # ── calls that are taken back ──

    def _known(self, caller: Caller, said: _Message, visit: Visit) -> Any:
        number = _number(said.id)
        if visit.watch is None or visit.principal is None or number is None:
            return nullcontext()  # without a key anybody could stop anybody's
        return self._watches.known(holder_of(visit.principal, caller), number, visit.watch)

    async def _take_back(self, holder: str, number: str) -> None:
        self._watches.stop(holder, number)
        message = CallTakenBack(holder=holder, number=number)
        with suppress(AppError):
            await self._bus.publish(CALL_TAKEN_BACK.at(), encode(message))

    def _on_taken_back(self, subject: str, payload: bytes) -> None:
        try:
            said = decode(payload, CallTakenBack)
        except MessageUnreadable:
            log.exception("message unreadable", subject=subject)
            return
        self._watches.stop(said.holder, said.number)

    # ── who may come in ──

    def _refuse_foreign(self, headers: Mapping[str, str], own: str) -> None:
        if not is_ours(headers.get("host", ""), self._hosts):
            raise ForeignOrigin("this host is not ours")
        origin = headers.get("origin")
        if origin is None:
            return
        place = urlsplit(origin).netloc.lower()
        if place not in (headers.get("host", "").lower(), own.lower()):
            raise ForeignOrigin("a page of another origin may not ask")

    async def _visit(
        self, asked: McpRequest, caller: Caller, perform: Perform, origin: str, said: _Message
    ) -> Visit:
        pays = asked.pay == "x402"
        principal = await self._principal(caller, origin)
        name = said.tool
        if name is None:
            return Visit(principal, perform, pays)
        made = self._tools.get(name)
        row = made.row if made is not None else None
        if principal is None:
            payable = row is not None and (row.access.public or (row.metered and row.metered.payable))
            if not (pays and payable):
                raise _Challenged(NotAuthenticated("a key is needed"), f'scope="{scopes_for(row)}"')
        elif row is not None and not row.access.public:
            try:
                admit(row, principal)
            except PermissionDenied as e:
                wanted = scopes_for(row, principal.scopes)
                raise _Challenged(e, f'error="insufficient_scope", scope="{wanted}"') from e
        return Visit(principal, perform, pays, Watch())

    async def _principal(self, caller: Caller, origin: str) -> Principal | None:
        """Whose key came along, if one did; a bad one is refused whatever it is used for."""
        authorization = caller.sent.headers.get("authorization")
        if authorization is None:
            return None
        token = _SURFACE.token_in(authorization)
        refused = 'error="invalid_token"'
        if not token.startswith(KEY_PREFIXES):
            raise _Challenged(NotAuthenticated("a key or an OAuth token is needed"), refused)
        try:
            principal = await self._verify(token, address=caller.principal.address)
        except AppError as e:
            if e.http_status != 401:
                raise
            raise _Challenged(NotAuthenticated("the key does not count"), refused) from e
        if principal.resource and principal.resource.lower() != f"{origin}/mcp".lower():
            raise _Challenged(NotAuthenticated("this token counts for another resource"), refused)
        return principal

    # ── the SDK ──

    async def _open(self) -> Agents:
        async with self._opening:
            if self._agents is None:
                agents = await asyncio.to_thread(_load, self._shelf)
                await agents.open()
                self._agents = agents
            return self._agents


def _load(shelf: Shelf) -> Agents:
    """A second of imports, for a thread: the loop goes on meanwhile.

    Measured beside a loop that ticks: as it comes, the loop stands still for up to 200 ms (collections that
    look at everything) and 5 ms at every turn; without collections and with shorter turns for 12 ms and 1.
    """
    interval_s, collects = sys.getswitchinterval(), gc.isenabled()
    gc.disable()
    sys.setswitchinterval(LOAD_TURN_S)
    try:
        server = importlib.import_module("services.gateway.mcp.server")
        agents: Agents = server.Agents(shelf)
        return agents
    finally:
        sys.setswitchinterval(interval_s)
        gc.freeze()  # what was loaded stays: no collection need look at it
        if collects:
            gc.enable()


class _Challenged(Exception):
    """Refused at the door, with what the challenge says."""

    def __init__(self, error: AppError, challenge: str) -> None:
        super().__init__(str(error))
        self.error, self.challenge = error, challenge


def _challenge(refused: _Challenged, origin: str) -> Reply:
    said = _SURFACE.error(refused.error)
    parts = [part for part in (refused.challenge,) if part]
    parts.append(f'resource_metadata="{origin}/.well-known/oauth-protected-resource"')
    return said._replace(headers={**said.headers, "WWW-Authenticate": f"Bearer {', '.join(parts)}"})


def read_message(body: bytes) -> _Message:
    """What a body asks; an empty message for what can't be read: that is answered by the SDK."""
    try:
        return _message.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _Message()


def scopes_for(row: Endpoint | None, held: Iterable[str] = ()) -> str:
    """What a client asks for to make this call and to lose nothing: no more than that, and at the first time
    what one click gives without an account."""
    needed = row.key_scope if row is not None else ""
    return " ".join(sorted({"read", *held, needed} - {""}))


def holder_of(principal: Principal, caller: Caller) -> str:
    """Whose calls these are: of one key, from one address."""
    return f"{principal.subject}|{caller.principal.address}"


def is_ours(host: str, hosts: frozenset[str]) -> bool:
    """Whether a Host header is one of ours. An address can't be rebound, a name can."""
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return False
    if not name:
        return False
    if name in hosts:
        return True
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
