"""Rows whose answer is more than a reply: events before it, other rows' calls in it, a stream without end.

Such a row names its host. A host gets the ``Stay`` of a request: the door has asked who calls, counted the
call and read its body; what is sent from then on is the host's. Refusals it raises are answered by the door.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from services.gateway.endpoints.row import Caller
from services.gateway.mcp.calls import Perform
from services.gateway.mcp.line import Line
from services.gateway.skill import Skill
from services.gateway.surfaces.base import Reply

McpHandler = Callable[[Any, Caller, Perform, Line], Awaitable[Reply]]
FollowHandler = Callable[[web.BaseRequest, Any, Caller, Mapping[str, str]], Awaitable[web.StreamResponse]]


@dataclass(slots=True)
class Stay:
    """One request at its host. ``headers`` go with whatever the answer is; ``perform`` does another row's
    call, as if it had come by itself. A host says that the answer ``lasts`` as long as the client likes:
    then it is no time to answer."""

    request: web.BaseRequest
    headers: Mapping[str, str]
    perform: Perform
    lasts: bool = False


Host = Callable[[Any, Caller, Stay], Awaitable[Reply | web.StreamResponse]]


def hosts_of(agents: McpHandler, skill: Skill, signals: FollowHandler) -> Mapping[str, Host]:
    """By the name that rows give in ``local``."""

    async def mcp(asked: Any, caller: Caller, stay: Stay) -> Reply | web.StreamResponse:
        line = Line(stay.request, stay.headers)
        reply = await agents(asked, caller, stay.perform, line)
        return reply if line.response is None else line.response

    async def act(asked: Any, caller: Caller, stay: Stay) -> Reply:
        return await skill.act(asked, caller, stay.perform)

    async def follow(asked: Any, caller: Caller, stay: Stay) -> web.StreamResponse:
        stay.lasts = True
        return await signals(stay.request, asked, caller, stay.headers)

    return {"mcp": mcp, "skill": act, "signal_feed": follow}
