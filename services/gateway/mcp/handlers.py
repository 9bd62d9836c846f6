"""POST /mcp: who may come in, before the SDK sees anything.

Without a key: everything that only tells what is here. ``tools/call`` needs one: 401 leads to OAuth, 403
names the scope that is missing. Foreign hosts and pages of other origins are 403 (DNS rebinding). With
``?pay=x402`` a tool may be called without a key, and answers with the terms of payment until it is paid.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec

from libs.common.errors import AppError, NotAuthenticated, PermissionDenied
from libs.common.principal import Principal
from services.gateway.callers import admit
from services.gateway.endpoints.mcp import PASSED, McpRequest
from services.gateway.endpoints.row import Caller
from services.gateway.errors import ForeignOrigin
from services.gateway.identities import KEY_PREFIXES
from services.gateway.mcp.calls import Perform, Visit
from services.gateway.mcp.catalogue import Shelf, ToolRow
from services.gateway.surfaces.base import Reply
from services.gateway.surfaces.dialects import SURFACES

if TYPE_CHECKING:
    from services.gateway.mcp.server import Agents

_SURFACE = SURFACES["mcp"]


class _Message(msgspec.Struct):
    """As much of a message as decides who may send it."""

    method: Any = None
    params: Any = None


_message = msgspec.json.Decoder(_Message)


class McpDoor:
    """Lets agents in. ``verify`` says whose key it is; ``shelf`` is what they find."""

    def __init__(
        self,
        verify: Callable[..., Awaitable[Principal]],
        tools: Mapping[str, ToolRow],
        shelf: Shelf,
        hosts: frozenset[str],
    ) -> None:
        self._verify = verify
        self._tools = tools
        self._shelf = shelf
        self._hosts = hosts
        self._agents: Agents | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Take no more."""
        if self._agents is not None:
            await self._agents.close()

    async def handle(self, asked: McpRequest, caller: Caller, perform: Perform) -> Reply:
        """Answer one message."""
        sent = caller.sent
        base = urlsplit(sent.url)
        origin = f"{base.scheme}://{base.netloc}"
        try:
            self._refuse_foreign(sent.headers, base.netloc)
            visit = await self._visit(asked, caller, perform, origin)
        except _Challenged as e:
            return _challenge(e, origin)
        agents = self._agents or await self._open()
        headers = {name: sent.headers[name] for name in PASSED if name in sent.headers}
        reply = await agents.answer(headers, sent.body, visit)
        return reply._replace(headers={**_SURFACE.headers, **reply.headers})

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

    async def _visit(self, asked: McpRequest, caller: Caller, perform: Perform, origin: str) -> Visit:
        pays = asked.pay == "x402"
        principal = await self._principal(caller, origin)
        name = called_tool(caller.sent.body)
        if name is None:
            return Visit(principal, perform, pays)
        made = self._tools.get(name)
        row = made.row if made is not None else None
        if principal is None:
            payable = row is not None and (row.access.public or (row.metered and row.metered.payable))
            if not (pays and payable):
                raise _Challenged(NotAuthenticated("a key is needed"), "")
        elif row is not None and not row.access.public:
            try:
                admit(row, principal)
            except PermissionDenied as e:
                wanted = " ".join(sorted({"read", *principal.scopes, row.key_scope} - {""}))
                raise _Challenged(e, f'error="insufficient_scope", scope="{wanted}"') from e
        return Visit(principal, perform, pays)

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
                # A second of imports, in a thread: the loop goes on meanwhile.
                server = await asyncio.to_thread(importlib.import_module, "services.gateway.mcp.server")
                agents: Agents = server.Agents(self._shelf)
                await agents.open()
                self._agents = agents
            return self._agents


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


def called_tool(body: bytes) -> str | None:
    """The tool a message calls, "" for one without a name; None for other messages, and for what can't be
    read: that is answered by the SDK."""
    try:
        message = _message.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if message.method != "tools/call":
        return None
    name = message.params.get("name") if isinstance(message.params, dict) else None
    return name if isinstance(name, str) else ""


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
