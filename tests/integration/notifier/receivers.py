"""Receivers of deliveries: real HTTP and SMTP servers that take, refuse, hang, redirect, crawl or flood."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session


@dataclass
class Heard:
    """One call a receiver got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def status(code: int, body: Any = None, **headers: str) -> Answer:
    """Answer with a status and a JSON body."""

    async def answer(request: web.Request) -> web.StreamResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return web.json_response(body, status=code, headers=named)

    return answer


OK = status(200, {"ok": True})


@dataclass
class Receiver:
    """An HTTP server of a test. ``script`` answers the next calls, ``otherwise`` all further ones."""

    url: str = ""
    calls: list[Heard] = field(default_factory=list)
    script: deque[Answer] = field(default_factory=deque)
    otherwise: Answer = OK
    connections: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.calls.append(Heard(request.method, request.path_qs, headers, body))
        answer = self.script.popleft() if self.script else self.otherwise
        return await answer(request)

    async def hang(self, request: web.Request) -> web.StreamResponse:
        """Take the request and say nothing until the test ends."""
        await self.released.wait()
        return web.Response()

    async def flood(self, request: web.Request) -> web.StreamResponse:
        """A good status and a body without end."""
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        try:
            while not self.released.is_set():
                await response.write(b"x" * 65536)
        except (ConnectionError, asyncio.CancelledError):
            pass
        return response

    async def crawl(self, request: web.Request) -> web.StreamResponse:
        """A good status and a body that never gets done."""
        response = web.StreamResponse(status=200)
        await response.prepare(request)
        await response.write(b"{")
        await self.released.wait()
        return response

    async def drop(self, request: web.Request) -> web.StreamResponse:
        """Take the request and hang up."""
        assert request.transport is not None
        request.transport.close()
        return web.Response()


@asynccontextmanager
async def open_receiver() -> AsyncIterator[Receiver]:
    """A receiver on a free loopback port."""
    receiver = Receiver()
    server = web.Server(receiver.handle)  # type: ignore[arg-type]
    runner = web.ServerRunner(server, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}"
    try:
        yield receiver
    finally:
        receiver.released.set()
        await runner.cleanup()


@dataclass
class MailBox:
    """An SMTP server of a test. ``recipient`` and ``data`` script replies; None is 250."""

    port: int = 0
    mails: list[EmailMessage] = field(default_factory=list)
    to: list[str] = field(default_factory=list)
    recipient: deque[str | None] = field(default_factory=deque)
    data: deque[str | None] = field(default_factory=deque)
    hangs: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self.recipient.popleft() if self.recipient else None
        if reply is None:
            envelope.rcpt_tos.append(address)
        return reply or "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        reply = self.data.popleft() if self.data else None
        if reply is None:
            content = envelope.content
            assert isinstance(content, bytes)
            mail = message_from_bytes(content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.mails.append(mail)
            self.to += envelope.rcpt_tos
        if self.hangs:
            self.hangs -= 1
            await self.released.wait()
        return reply or "250 taken"


@asynccontextmanager
async def open_mailbox() -> AsyncIterator[MailBox]:
    """A mailbox on a free loopback port."""
    box = MailBox()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(box, enable_SMTPUTF8=True, loop=loop), "127.0.0.1", 0)
    box.port = server.sockets[0].getsockname()[1]
    try:
        yield box
    finally:
        box.released.set()
        server.close()
