"""The official SDK's server, without sessions, as one function from request to answer.

Imported once the house is ready, or when the first agent comes: the SDK is large. Nothing of a request
outlives its answer. Answers are plain JSON; a call that wants to hear how far it is gets events, and its
answer as the last of them.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import anyio
import mcp_types as types
import msgspec
from mcp.server.caching import CacheHint
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.runner import serve_one
from mcp.server.streamable_http import REQUEST_CANCELLED
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError, NoBackChannelError
from mcp.shared.jsonrpc_dispatcher import progress_token_from_params
from mcp.shared.message import ServerMessageMetadata
from mcp.shared.transport_context import TransportContext
from mcp_types import DEFAULT_NEGOTIATED_VERSION
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS, LATEST_MODERN_VERSION
from pydantic import ValidationError

from libs.common.errors import AppError, NotAuthenticated
from libs.common.principal import ANONYMOUS
from libs.common.service import VERSION
from services.gateway.mcp.calls import Outcome, RowCall, Visit, call_tool
from services.gateway.mcp.catalogue import URI_PREFIX, Shelf, ToolRow, resources_of
from services.gateway.mcp.line import EVENTS, Line
from services.gateway.mcp.texts import INSTRUCTIONS, JOBS, PAGES
from services.gateway.mcp.watch import CallStopped
from services.gateway.surfaces.base import Reply

VISIT = "tradewind.visit"
META = "io.modelcontextprotocol/"
LIST_TTL_MS = 300_000
BODY_BYTES_MAX = 256 * 1024
_LISTS = ("tools/list", "resources/list", "resources/templates/list", "prompts/list", "server/discover")
Context = ServerRequestContext[Any, Any]


class Agents:
    """The SDK's server with our handlers. ``open`` once, ``close`` at the end."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._resources = resources_of(shelf.rows)
        self._tools = types.ListToolsResult(tools=[_tool(made) for made in shelf.tools.values()])
        hint = CacheHint(ttl_ms=LIST_TTL_MS, scope="public")
        self._server: Server[Any] = Server(
            "tradewind",
            version=VERSION,
            title="Tradewind",
            instructions=INSTRUCTIONS,
            cache_hints=dict.fromkeys(_LISTS, hint),  # type: ignore[arg-type]
            get_tool_input_schema=self._input_schema,
            on_list_tools=self._list_tools,
            on_call_tool=self._call_tool,
            on_list_resources=self._list_resources,
            on_list_resource_templates=self._list_templates,
            on_read_resource=self._read_resource,
            on_list_prompts=self._list_prompts,
            on_get_prompt=self._get_prompt,
        )
        self._manager = self._transport(json_response=True)
        self._telling = self._transport(json_response=False)
        self._ending = asyncio.Event()
        self._running: asyncio.Task[None] | None = None

    def _transport(self, *, json_response: bool) -> StreamableHTTPSessionManager:
        return StreamableHTTPSessionManager(
            self._server,
            json_response=json_response,
            stateless=True,
            max_request_body_size=BODY_BYTES_MAX,
        )

    async def open(self) -> None:
        """Take requests."""
        ready = asyncio.Event()
        self._running = asyncio.create_task(self._run(ready), name="mcp")
        await ready.wait()

    async def rehearse(self) -> None:
        """Ask ourselves what agents ask first: the SDK makes its validators when they are needed."""
        meta = {f"{META}protocolVersion": LATEST_MODERN_VERSION, f"{META}clientCapabilities": {}}
        accept = {"accept": f"application/json, {EVENTS}", "content-type": "application/json"}
        for method, name in (("tools/list", ""), ("tools/call", "nothing")):
            params: dict[str, Any] = {"name": name, "arguments": {}} if name else {}
            modern = {**accept, "mcp-protocol-version": LATEST_MODERN_VERSION, "mcp-method": method}
            modern |= {"mcp-name": name} if name else {}
            for headers, given in ((accept, params), (modern, {**params, "_meta": meta})):
                asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": given}
                await self.answer(headers, _encode(asked), Visit(None, _nobody))
                await asyncio.sleep(0)  # each takes some milliseconds: others get their turn

    async def close(self) -> None:
        """Take no more."""
        self._ending.set()
        if self._running is not None:
            await self._running

    async def _run(self, ready: asyncio.Event) -> None:
        # The SDK's group of tasks has to end in the task it began in.
        async with self._manager.run(), self._telling.run():
            ready.set()
            await self._ending.wait()

    async def answer(
        self, headers: Mapping[str, str], body: bytes, visit: Visit, line: Line | None = None
    ) -> Reply:
        """One POST through the SDK: the headers are passed on as they came. With a ``line`` the caller may be
        told how far it is; once that was done, the answer is there and not in the reply."""
        quick = await self._older_call(headers, body, visit, line)
        if quick is not None:
            return quick
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/mcp",
            "raw_path": b"/mcp",
            "query_string": b"",
            "root_path": "",
            "headers": [
                (name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()
            ],
            "client": ("", 0),
            "server": None,
            VISIT: visit,
        }
        exchange = _Exchange(body, line)
        older = headers.get("mcp-protocol-version", DEFAULT_NEGOTIATED_VERSION) in HANDSHAKE_PROTOCOL_VERSIONS
        transport = self._manager if line is None or older else self._telling
        await transport.handle_request(scope, exchange.receive, exchange.send)
        return exchange.reply()

    async def _older_call(
        self, headers: Mapping[str, str], body: bytes, visit: Visit, line: Line | None
    ) -> Reply | None:
        """A tool call of a handshake version, straight to the SDK's runner; None for everything else.

        The SDK's transport begins a session with its tasks and streams for every request of these versions,
        which costs twice the call itself. What is in any way unusual goes there.
        """
        version = headers.get("mcp-protocol-version", DEFAULT_NEGOTIATED_VERSION)
        if version not in HANDSHAKE_PROTOCOL_VERSIONS or not _is_plain(headers):
            return None
        try:
            asked = _call.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return None
        if not isinstance(asked.id, str | int) or isinstance(asked.id, bool):
            return None
        said: dict[str, Any] = {"jsonrpc": "2.0", "id": asked.id}
        connection = Connection.from_envelope(version, None, None)
        try:
            said["result"] = await serve_one(
                self._server,
                _Single(asked.id, visit, asked.params, line),
                "tools/call",
                asked.params,
                connection=connection,
                lifespan_state={},
            )
        except MCPError as e:
            said["error"] = e.error.model_dump(mode="json", exclude_none=True)
        except ValidationError:
            said["error"] = {
                "code": types.INVALID_PARAMS,
                "message": "Invalid request parameters",
                "data": "",
            }
        if line is not None and line.response is not None:
            await line.tell(said)
        return Reply(200, _encode(said))

    # ── tools ──

    def _input_schema(self, name: str) -> Mapping[str, Any] | None:
        made = self._shelf.tools.get(name)
        return None if made is None else made.input_schema

    async def _list_tools(self, ctx: Context, params: Any) -> types.ListToolsResult:
        return self._tools

    async def _call_tool(self, ctx: Context, params: types.CallToolRequestParams) -> types.CallToolResult:
        made = self._shelf.tools.get(params.name)
        if made is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown tool: {params.name[:100]}")
        visit = _visit_of(ctx)
        if visit.principal is None and not visit.pays:
            raise MCPError(types.INVALID_REQUEST, "a key is needed")
        meta = dict(params.meta or {})
        if visit.watch is not None and meta.get("progress_token") is not None:
            visit.watch.report = ctx.session.report_progress
        try:
            said = await call_tool(made, params.arguments or {}, meta, visit, ANONYMOUS)
        except CallStopped as e:
            raise MCPError(REQUEST_CANCELLED, "Request cancelled") from e
        return types.CallToolResult(
            content=[_content(said)],
            structured_content=said.value if isinstance(said.value, dict) else None,
            is_error=said.failed,
            _meta=dict(said.meta) if said.meta else None,
        )

    # ── resources ──

    async def _list_resources(self, ctx: Context, params: Any) -> types.ListResourcesResult:
        found = [
            types.Resource(uri=f"{URI_PREFIX}docs/{name}", name=name, mime_type="text/markdown")
            for name in PAGES
            if self._shelf.page(name) is not None
        ]
        found.append(
            types.Resource(
                uri=f"{URI_PREFIX}instruments",
                name="instruments",
                title="Every instrument with its terms",
                mime_type="application/json",
            )
        )
        found += [
            types.Resource(uri=uri, name=row.resource, title=row.summary, mime_type="application/json")
            for uri, row in self._resources.items()
        ]
        return types.ListResourcesResult(resources=found)

    async def _list_templates(self, ctx: Context, params: Any) -> types.ListResourceTemplatesResult:
        page = types.ResourceTemplate(
            uri_template=f"{URI_PREFIX}docs/{{+page}}",
            name="page",
            title="A page of the documentation",
            mime_type="text/markdown",
        )
        return types.ListResourceTemplatesResult(resource_templates=[page])

    async def _read_resource(
        self, ctx: Context, params: types.ReadResourceRequestParams
    ) -> types.ReadResourceResult:
        uri = str(params.uri)
        text, kind = await self._read(uri, _visit_of(ctx))
        if text is None:
            # The code by which this is said differs between the eras.
            modern = ctx.protocol_version >= "2026-07-28"
            code = types.INVALID_PARAMS if modern else -32002
            raise MCPError(code, f"Resource not found: {uri[:200]}", {"uri": uri[:200]})
        content = types.TextResourceContents(uri=uri, mime_type=kind, text=text)
        return types.ReadResourceResult(contents=[content])

    async def _read(self, uri: str, visit: Visit) -> tuple[str | None, str]:
        row = self._resources.get(uri)
        try:
            if row is not None:
                reply = await visit.perform(RowCall(row, b"{}", visit.principal or ANONYMOUS))
                return reply.body.decode(), "application/json"
            if uri == f"{URI_PREFIX}instruments":
                return (await self._shelf.instruments()).decode(), "application/json"
        except AppError as e:
            raise MCPError(types.INTERNAL_ERROR, str(e)) from e
        if uri.startswith(f"{URI_PREFIX}docs/"):
            return self._shelf.page(uri.removeprefix(f"{URI_PREFIX}docs/")), "text/markdown"
        return None, ""

    # ── prompts ──

    async def _list_prompts(self, ctx: Context, params: Any) -> types.ListPromptsResult:
        prompts = [
            types.Prompt(
                name=job.name,
                title=job.title,
                description=job.description,
                arguments=[
                    types.PromptArgument(name=name, description=about, required=name not in job.defaults)
                    for name, about in job.arguments.items()
                ],
            )
            for job in JOBS
        ]
        return types.ListPromptsResult(prompts=prompts)

    async def _get_prompt(self, ctx: Context, params: types.GetPromptRequestParams) -> types.GetPromptResult:
        job = next((job for job in JOBS if job.name == params.name), None)
        if job is None:
            raise MCPError(types.INVALID_PARAMS, f"Unknown prompt: {params.name[:100]}")
        try:
            text = job.filled({k: v for k, v in (params.arguments or {}).items() if k in job.arguments})
        except KeyError as e:
            raise MCPError(types.INVALID_PARAMS, f"Missing argument: {e.args[0]}") from e
        message = types.PromptMessage(role="user", content=types.TextContent(type="text", text=text))
        return types.GetPromptResult(description=job.description, messages=[message])


class _Asked(msgspec.Struct, tag_field="method", tag="tools/call"):
    """A tool call as it must look to be served straight."""

    jsonrpc: Literal["2.0"]
    id: Any
    params: dict[str, Any]


async def _nobody(call: RowCall) -> Reply:
    raise NotAuthenticated("nobody asks")


_call = msgspec.json.Decoder(_Asked)
_encode = msgspec.json.Encoder().encode


def _is_plain(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    accepted = {part.partition(";")[0].strip() for part in headers.get("accept", "").lower().split(",")}
    return kind == "application/json" and "application/json" in accepted


class _Request(NamedTuple):
    """What handlers look at of a request."""

    scope: Mapping[str, Any]


class _Single:
    """The SDK's dispatch context for one request: its answer goes back, and before it how far it is."""

    can_send_request = False

    def __init__(
        self, request_id: str | int, visit: Visit, params: Mapping[str, Any], line: Line | None
    ) -> None:
        self._line = line
        self._token = progress_token_from_params(params)
        self.transport = TransportContext(kind="streamable-http", can_send_request=False)
        self.request_id = request_id
        self.message_metadata: Any = ServerMessageMetadata(request_context=_Request({VISIT: visit}))
        self.cancel_requested = anyio.Event()

    async def send_raw_request(self, method: str, params: Any, opts: Any = None) -> dict[str, Any]:
        raise NoBackChannelError(method)

    async def notify(self, method: str, params: Any, opts: Any = None) -> None:
        """One event before the answer, to who takes events."""
        if self._line is not None:
            await self._line.tell({"jsonrpc": "2.0", "method": method, "params": params})

    async def progress(self, progress: float, total: float | None = None, message: str | None = None) -> None:
        """How far it is, to who asked for it."""
        if self._token is not None:
            said = {"progressToken": self._token, "progress": progress, "total": total, "message": message}
            known = {name: value for name, value in said.items() if value is not None}
            await self.notify("notifications/progress", known)


class _Exchange:
    """The two ends of an ASGI call: the whole body goes in, the whole answer comes out; events at once."""

    def __init__(self, body: bytes, line: Line | None) -> None:
        self._line = line
        self._body: bytes | None = body
        self._status = 500
        self._headers: dict[str, str] = {}
        self._parts: list[bytes] = []
        self._done = asyncio.Event()

    async def receive(self) -> dict[str, Any]:
        if self._body is None:  # nobody goes away here: what that means is the door's business
            await self._done.wait()
            return {"type": "http.disconnect"}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            self._headers = {k.decode().lower(): v.decode() for k, v in message.get("headers", ())}
        else:
            part = message.get("body", b"")
            if self._line is not None and self._headers.get("content-type", "").startswith(EVENTS):
                await self._line.write(part)
            else:
                self._parts.append(part)
            if not message.get("more_body", False):
                self._done.set()

    def reply(self) -> Reply:
        kept = {"Allow": self._headers["allow"]} if "allow" in self._headers else {}
        kind = self._headers.get("content-type", "application/json")
        return Reply(self._status, b"".join(self._parts), kept, kind)


def _visit_of(ctx: Context) -> Visit:
    request: Any = ctx.request
    visit: Visit = request.scope[VISIT]
    return visit


def _content(said: Outcome) -> types.TextContent | types.ImageContent:
    if said.picture is None:
        return types.TextContent(type="text", text=said.text)
    kind, body = said.picture
    return types.ImageContent(type="image", data=base64.b64encode(body).decode(), mime_type=kind)


def _tool(made: ToolRow) -> types.Tool:
    hints = made.hints
    return types.Tool(
        name=made.name,
        title=made.title,
        description=made.description,
        input_schema=msgspec.to_builtins(made.input_schema),
        output_schema=msgspec.to_builtins(made.output_schema) if made.output_schema else None,
        annotations=types.ToolAnnotations(
            read_only_hint=hints["readOnlyHint"],
            destructive_hint=hints["destructiveHint"],
            idempotent_hint=hints["idempotentHint"],
            open_world_hint=hints["openWorldHint"],
        ),
    )
