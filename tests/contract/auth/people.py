"""People of every kind who call a running stack over HTTP, as strangers would."""

from __future__ import annotations

import itertools
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.house import House

PASSWORD = "correct horse"
ADMIN_PASSWORD = "admin-password"
_numbers = itertools.count(2)


def new_email() -> str:
    """An e-mail nobody has."""
    return f"{secrets.token_hex(6)}@example.com"


def new_address() -> str:
    """A loopback address nobody called from: limits and wrong passwords are counted per address."""
    number = next(_numbers)
    return f"127.{1 + number // 62_500 % 200}.{number // 250 % 250}.{1 + number % 250}"


@dataclass
class Answer:
    """An HTTP answer, read."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body) if self.body else None

    @property
    def code(self) -> str:
        """The code of an error, whatever the surface calls it."""
        said = self.json or {}
        code: str = said.get("code") or said.get("error") or ""
        return code


@dataclass
class Caller:
    """Somebody with (or without) a credential, calling from one address."""

    session: aiohttp.ClientSession
    url: str
    token: str = ""
    cookie: str = ""
    login: int = 0
    email: str = ""
    refresh_token: str = ""
    customer_id: int = 0
    headers: dict[str, str] = field(default_factory=dict)

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Answer:
        """One call with this caller's credential."""
        headers = dict(self.headers) | more.pop("headers", {})
        if self.token:
            headers.setdefault("Authorization", f"Bearer {self.token}")
        if self.cookie:
            headers.setdefault("Cookie", f"session={self.cookie}")
        if body is not None:
            more["json"] = body
        async with self.session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **more
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def done(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """A call that must succeed; the decoded body."""
        answer = await self.call(method, path, body, **more)
        assert answer.status < 300, (method, path, answer.status, answer.body)
        return answer.json


def cookie_of(answer: Answer, name: str = "session") -> str:
    """The value an answer sets a cookie to."""
    for line in answer.headers.getall("Set-Cookie", []):
        if line.startswith(f"{name}="):
            value: str = line.partition("=")[2].partition(";")[0]
            return value
    return ""


class Town:
    """Makes callers and closes them."""

    def __init__(self, house: House) -> None:
        self.house = house
        self._sessions: list[aiohttp.ClientSession] = []
        self._admin: Caller | None = None

    def stranger(self, address: str | None = None) -> Caller:
        """Nobody yet."""
        connector = aiohttp.TCPConnector(local_addr=(address or new_address(), 0))
        session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        self._sessions.append(session)
        return Caller(session, self.house.url)

    async def close(self) -> None:
        for session in self._sessions:
            await session.close()

    async def admin(self) -> Caller:
        """Staff login 1."""
        if self._admin is None:
            self._admin = await self.signed_in(1, ADMIN_PASSWORD)
        return self._admin

    async def signed_in(self, login: int, password: str = PASSWORD, address: str | None = None) -> Caller:
        """A broker session of a login."""
        caller = self.stranger(address)
        said = await caller.done("POST", "/sign/in", {"login": login, "password": password})
        caller.login, caller.token, caller.refresh_token = login, said["__token"], said["refresh_token"]
        caller.email = said["email"]
        return caller

    async def user(self, **fields: Any) -> Caller:
        """Somebody who signed up at the broker."""
        caller = self.stranger()
        caller.email = new_email()
        body = {"name": "Ada Lovelace", "email": caller.email, "password": PASSWORD, **fields}
        said = await caller.done("POST", "/sign/up", body)
        caller.login, caller.token, caller.refresh_token = (
            said["login"],
            said["__token"],
            said["refresh_token"],
        )
        return caller

    async def reader(self, owner: Caller) -> Caller:
        """A read-only session of somebody's account; the owner's own session starts anew."""
        change = {"password": PASSWORD, "new_password": "just looking", "investor": 1}
        await owner.done("PUT", "/account/password", change)
        again = await self.signed_in(owner.login)
        owner.token, owner.refresh_token = again.token, again.refresh_token
        return await self.signed_in(owner.login, "just looking")

    async def customer(self, owner: Caller) -> Caller:
        """A customer session of somebody."""
        caller = self.stranger()
        body = {"email": owner.email, "password": PASSWORD}
        said = await caller.done("POST", "/customer/auth/login", body)
        caller.token, caller.email, caller.login = said["__token"], owner.email, owner.login
        caller.customer_id = said["customer_id"]
        return caller

    async def browser(self, owner: Caller) -> Caller:
        """A cookie session of somebody."""
        caller = self.stranger()
        answer = await caller.call("POST", "/auth/login", {"email": owner.email, "password": PASSWORD})
        assert answer.status == 200, answer.body
        caller.cookie, caller.email, caller.login = cookie_of(answer), owner.email, owner.login
        caller.customer_id = answer.json["user"]["id"]
        return caller

    async def staff(self, kind: int) -> Caller:
        """A member of staff of a kind."""
        admin = await self.admin()
        body = {"name": f"Staff {kind}", "password": PASSWORD, "type": kind}
        made = await admin.done("POST", "/admin/staff", body)
        return await self.signed_in(made["login"])

    async def key(self, owner: Caller, scopes: list[str], **fields: Any) -> Caller:
        """An API key of somebody."""
        browser = await self.browser(owner)
        made = await browser.done("POST", "/api/v1/keys", {"name": "a key", "scopes": scopes, **fields})
        caller = self.stranger()
        caller.token, caller.login, caller.email = made["key"], owner.login, owner.email
        return caller


@asynccontextmanager
async def socket(caller: Caller, token: str | None = None) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """An authorized socket."""
    async with caller.session.ws_connect(caller.url + "/ws") as ws:
        await ws.send_json({"authorization": token or caller.token})
        assert await ws.receive_json() == {"event": "authorization", "success": True}
        yield ws
