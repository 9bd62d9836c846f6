"""What a row of the endpoint table says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import msgspec

from libs.common.messages.billing import Payment, QuotaState
from libs.common.principal import STAFF, Principal, SessionType
from libs.common.subjects import Command
from services.gateway.endpoints.metered import Metered
from services.gateway.endpoints.tool import Tool

Method = Literal["GET", "POST", "PUT", "DELETE"]
Repeat = Literal["safe", "idempotent", "key"]
KIB = 1024
# A request or an answer with one of these fields is never written down for an Idempotency-Key.
SECRETS = frozenset(
    {"password", "new_password", "secret", "token", "__token", "refresh_token", "session", "key"}
)
SECRETS |= {"code", "otp_code", "current_code"}


class NoRequest(msgspec.Struct, frozen=True):
    """A request without fields."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may call. ``sessions`` empty: anybody, no token is looked at.

    ``account`` says that the call is about one trading account: a session of that account may leave
    ``login`` out and name no other, a customer names a linked one, staff names any.
    """

    sessions: frozenset[SessionType] = frozenset()
    account: bool = False
    scope: str = ""  # what an API key needs; keys are not taken where it is empty
    optional: bool = False  # a public call that looks at a credential when there is one

    @property
    def public(self) -> bool:
        return not self.sessions and not self.scope


PUBLIC = Access()
ANY_SESSION = Access(frozenset(SessionType))
ANY_SESSION_OR_KEY = Access(frozenset(SessionType), scope="read")
USER = frozenset({SessionType.USER})
OWNER = USER | {SessionType.CUSTOMER}
ACCOUNT_OF_OWNER = Access(OWNER, account=True)
ACCOUNT_OF_ANY = Access(OWNER | STAFF, account=True)


def staff(*kinds: SessionType) -> Access:
    """Only these kinds of staff."""
    return Access(frozenset(kinds))


ADMIN_ONLY = staff(SessionType.ADMIN)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` calls in ``window_s`` seconds per address or principal, shared by rows of a name.

    ``aligned`` windows begin on the full window (the minute), others with the caller's first call.
    ``setting`` names the count in the plans file (``limits``), which stands above ``count``.
    """

    name: str
    count: int
    window_s: int = 60
    per: Literal["address", "principal"] = "address"
    aligned: bool = False
    when: str = ""  # counts only when this request field is given
    setting: str = ""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a request brought besides its fields: the x402 payment, the headers its row names (lower case),
    the body as it came where the row says ``raw``, and the URL it was sent to."""

    url: str = ""
    payment: Payment | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


NOTHING_SENT = Sent()


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, resolved: ``login`` and ``group`` of the trading account the call is about, 0 and ``""``
    when it is about none. ``token`` is the verified access token, ``quota`` the state of the daily quota
    a metered call takes from."""

    principal: Principal
    login: int = 0
    group: str = ""
    token: str = ""
    sent: Sent = NOTHING_SENT
    quota: QuotaState | None = None


MakeMessage = Callable[[Any, Caller], Any]


@dataclass(frozen=True, slots=True)
class Then:
    """A second command, of another owner, once the first has answered. ``merge`` makes the reply of both;
    it gets None when the second could not be asked, and what the first has done stands."""

    command: Command[Any, Any]
    message: Callable[[bytes, Caller], Any]
    merge: Callable[[bytes, Any], bytes]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a row makes of the owner's reply where that is not the answer itself: ``cookie`` is set on the
    surface's cookie, "" takes it away, None leaves it; ``status`` None is the row's own."""

    body: bytes
    cookie: str | None = None
    max_age_s: int = 0
    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fresh:
    """An open answer that is kept for a while: ``control`` is its Cache-Control, ``keep_s`` how long the
    gateway gives it again (less when prices change), ``counted`` whether it counts in the surface's limit."""

    control: str
    keep_s: float
    counted: bool = True


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """One operation.

    Exactly one of ``command`` (with ``message``) and ``local`` serves it: a command goes to its owner
    and the owner's bytes are the answer; ``local`` names a handler of the gateway itself.
    """

    method: Method
    path: str
    surface: str
    summary: str
    access: Access
    repeat: Repeat
    response: Any
    description: str = ""
    request: type[msgspec.Struct] = NoRequest
    command: Command[Any, Any] | None = None
    message: MakeMessage | None = None
    local: str = ""
    rest: str = ""  # the request field that takes the body's whole object
    body: Any = None  # documents the body where it is not the request struct
    body_bytes_max: int = 64 * KIB
    limits: tuple[Limit, ...] = ()
    audited: bool = False
    detail: Callable[[Any], Mapping[str, Any]] | None = None  # what the audit row keeps of the request
    starts_session: bool = False  # the answer's token goes into the cookie, too
    ends_session: bool = False  # the cookie goes, and this process refuses what was revoked at once
    revokes: bool = False  # this process refuses what was revoked at once
    status: int = 200  # of a success
    render: Callable[[bytes], Answer] | None = None  # where the owner's reply is not the answer itself
    changes_market: bool = False  # what sockets may see is looked up again before the answer
    changes_account: bool = False  # trading takes over what the account may do before the answer
    changes_person: bool = False  # this process asks again who everybody is before the answer
    errors: tuple[str, ...] = ()  # codes beyond those every row has
    content_type: str = "application/json"
    unkeyed: bool = False  # takes no Idempotency-Key though it holds no secret: OAuth, MCP, callbacks
    metered: Metered | None = None  # what a success costs, in money or of a daily quota
    tier: str = ""  # the lowest tier that may call; an API key needs ``key_tier`` where that is higher
    key_tier: str = ""
    headers: tuple[str, ...] = ()  # request headers its message is made from, lower case
    keyless: bool = False  # who brings no credential is let in as nobody; a bad one is refused all the same
    then: Then | None = None
    agents: bool = False  # who brings no credential is told how an agent comes to a key
    raw: bool = False  # the body is passed on as it came (``Sent.body``), whatever it is labelled as
    fresh: Fresh | None = None  # a public answer that is the same for everybody, kept for a while
    changes_prices: bool = False  # answers that were kept are dropped before this one is given
    hidden: bool = False  # works, but is not in the documents
    everywhere: bool = False  # answers callers of every country, on a surface that refuses some
    tools: tuple[Tool, ...] = ()  # its names at the MCP door; none keeps it out
    resource: str = ""  # a GET without parameters that agents may read as ``tradewind://<resource>``
    tags: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """How it is called in messages and metrics."""
        return f"{self.method} {self.path}"

    @cached_property
    def keyed(self) -> bool:
        """Whether an Idempotency-Key counts: on every command that is no GET, unless it says so, deals in
        secrets, touches the session cookie, or does not look who calls though it could. What staff asks may
        hold the password of a new user: auth keeps no more of a request than a keyed hash."""
        if self.method == "GET" or self.command is None or self.unkeyed:
            return False
        if self.starts_session or self.ends_session or self.access.optional:
            return False
        asked = () if self.surface == "admin" else (self.request,)
        return not any(_has_secret(kind) for kind in (*asked, self.response, self.command.reply))

    @property
    def key_scope(self) -> str:
        """The scope an API key needs; empty where keys are not taken. On the broker surface keys read
        what is about an account, and trade with the scope of that name."""
        if self.access.scope or self.surface != "broker" or not self.access.account:
            return self.access.scope
        return "read" if self.method == "GET" else "trade"

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names in braces, in order."""
        return tuple(part[1:-1] for part in self.path.split("/") if part.startswith("{"))


def _has_secret(kind: Any) -> bool:
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return False
    return any(SECRETS & {field.name, field.encode_name} for field in msgspec.structs.fields(kind))
