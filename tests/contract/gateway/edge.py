"""A gateway process with the test at the other end of the bus: every command is heard, none is a service's.

Only for what is the gateway's own: routing, permissions, parsing, limits, audit. What services answer
is tested with the services (``test_routes.py``).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from libs.common.bus import Call, Handler
from libs.common.bus_nats import NatsBus
from libs.common.clock import SystemClock
from libs.common.errors import AppError
from libs.common.messages.auth import Account, AuditRow, JsonWebKeys, RevocationList
from libs.common.messages.market import GroupView, Snapshot
from libs.common.subjects import (
    ACCOUNT_OF,
    AUDIT_APPEND,
    COMMANDS,
    GROUP_VIEW,
    KEYS_PUBLIC,
    QUOTES_SNAPSHOT,
    REVOCATIONS,
    TOKEN_PRICE_FRAMES,
    Command,
)

KINDS = {"user": 0, "manager": 1, "dealer": 2, "admin": 3, "customer": 9}
LOGIN = 7
CLOCK = SystemClock()
# What a gateway asks for whenever it must know it anew, and not because of a call.
UNPROMPTED = {c.name for c in (KEYS_PUBLIC, REVOCATIONS, QUOTES_SNAPSHOT, TOKEN_PRICE_FRAMES)}


class Reached(AppError):
    """The call came to its owner."""

    code = "REACHED"
    http_status = 418


@dataclass
class Answer:
    """An HTTP answer, read."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> tuple[int, str]:
        """Status and code of an error in the broker's shape, which it must have."""
        body = self.json
        assert list(body) == ["error", "message"], body
        assert body["message"]
        return self.status, body["error"]

    @property
    def code(self) -> str:
        """The code of an error in any surface's shape."""
        body = self.json
        code: str = body["code"] if "code" in body else body["error"]
        return code


@dataclass
class Client:
    """HTTP without a cookie jar."""

    session: aiohttp.ClientSession
    url: str

    async def call(self, method: str, path: str, body: Any = None, token: str = "", **more: Any) -> Answer:
        headers = {"Authorization": token} if token else {}
        headers |= more.pop("headers", {})
        if body is not None:
            more["json"] = body
        async with self.session.request(
            method, self.url + path, headers=headers, allow_redirects=False, **more
        ) as response:
            return Answer(response.status, response.headers, await response.read())

    async def get(self, path: str, token: str = "", **more: Any) -> Answer:
        return await self.call("GET", path, None, token, **more)

    async def post(self, path: str, body: Any = None, token: str = "", **more: Any) -> Answer:
        return await self.call("POST", path, body, token, **more)

    async def put(self, path: str, body: Any = None, token: str = "", **more: Any) -> Answer:
        return await self.call("PUT", path, body, token, **more)

    async def delete(self, path: str, body: Any = None, token: str = "", **more: Any) -> Answer:
        return await self.call("DELETE", path, body, token, **more)


class Signer:
    """Signs tokens as auth would, with a key of its own."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()
        self.kid = "test"

    @property
    def jwks(self) -> JsonWebKeys:
        algorithm = jwt.get_algorithm_by_name("EdDSA")
        key = json.loads(algorithm.to_jwk(self._key.public_key()))
        return JsonWebKeys(keys=[{**key, "kid": self.kid, "alg": "EdDSA", "use": "sig"}])

    def token(self, kind: str = "user", *, kid: str | None = None, **changed: Any) -> str:
        now_s = CLOCK.now_ms() // 1000
        claims: dict[str, Any] = {
            "iss": "tradewind",
            "aud": "tradewind",
            "typ": "access",
            "sub": {"user": "account:7", "customer": "customer:1"}.get(kind, "staff:1"),
            "login": {"user": LOGIN, "customer": None}.get(kind, 1),
            "type": KINDS[kind],
            "grp": "demo" if kind == "user" else "",
            "person": 1 if kind in ("user", "customer") else None,
            "read_only": 0,
            "logins": {"user": [LOGIN], "customer": [LOGIN, 8]}.get(kind, []),
            "iat": now_s,
            "nbf": now_s,
            "exp": now_s + 3600,
            "jti": f"jti of {kind}",
            "ver": 1,
        } | changed
        headers = {"kid": kid or self.kid, "typ": "JWT"}
        return jwt.encode(claims, self._key, algorithm="EdDSA", headers=headers)


@dataclass
class Edge:
    """What the gateway asked, and what it is told; ``calls`` are the commands of callers, in order."""

    bus: NatsBus
    signer: Signer = field(default_factory=Signer)
    heard: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    calls: list[str] = field(default_factory=list)
    _answers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)

    async def start(self) -> None:
        """Serve every command."""
        self.reset()
        for command in COMMANDS:
            await self.bus.serve(command, self.handler(command))

    def reset(self) -> None:
        """Forget what was heard; answer what a gateway needs to know, and nothing else."""
        self.heard.clear()
        self.calls.clear()
        self._answers.clear()
        self.answer(KEYS_PUBLIC, lambda ask: self.signer.jwks)
        self.answer(REVOCATIONS, lambda ask: RevocationList(rows=[]))
        self.answer(QUOTES_SNAPSHOT, lambda ask: Snapshot(frames=[]))
        self.answer(GROUP_VIEW, lambda ask: GroupView(group=ask.group, profiles={"EURUSD": "raw"}))
        self.answer(ACCOUNT_OF, lambda ask: account(ask.login))
        self.answer(AUDIT_APPEND, lambda ask: audit_row(ask, len(self.heard[AUDIT_APPEND.name])))

    def answer(self, command: Command[Any, Any], give: Callable[[Any], Any]) -> None:
        """What a command is answered with from now on; ``give`` may raise."""
        self._answers[command.name] = give

    def handler(self, command: Command[Any, Any]) -> Handler:
        """Hears a command, and answers as told."""

        async def handle(message: Any, call: Call) -> Any:
            self.heard[command.name].append(message)
            if command.name not in UNPROMPTED:
                self.calls.append(command.name)
            give = self._answers.get(command.name)
            if give is None:
                raise Reached
            answer = give(message)
            return await answer if hasattr(answer, "__await__") else answer

        return handle


def account(login: int) -> Account:
    """Some account."""
    return Account(login=login, person_id=1, group=f"group-{login}", currency="USD", leverage=100)


def audit_row(said: Any, number: int) -> AuditRow:
    """What auth would answer to an append."""
    fields = msgspec.structs.asdict(said)
    return AuditRow(id=number, time_ms=0, previous_hash="", hash="", **fields)
