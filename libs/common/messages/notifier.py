"""Messages owned by notifier. Major 1 of each. ``Notice`` is what others raise to have somebody told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

# ── what somebody is told ───────────────────────────────────────────────────────────────────────────


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody should be told. The notifier lists it, pushes it as ``n`` and delivers it.

    ``token`` is the message key (broker 11.2: OPEN_ORDER, MARGIN_CALL, TRADE_REJECTED, ...) and chooses the
    template; a token without one shows ``title`` and ``text`` as they are. ``data`` are the template's fields
    and the ``data`` of the ``n`` frame; prices in it are formatted by the digits of ``symbol``. ``level`` is
    that of broker 10.7 (10 info, 20 warning, 30 error); from 20 on neither quiet hours nor digests hold it.
    ``channels`` None is every channel the person switched on; empty is none (list and push only).
    ``confidence`` is compared with the person's ``min_confidence``.
    """

    event_id: str
    login: int
    token: str
    raised_ms: int
    level: int = 10
    code: int = 200
    category: int = 7  # broker 10.7: 0 balance, 1 trade, 5 account, 7 notify
    symbol: str = ""
    title: str = ""
    text: str = ""
    data: Mapping[str, Any] = {}
    channels: Sequence[str] | None = None
    confidence: float | None = None


class NotificationFrame(msgspec.Struct, array_like=True, frozen=True):
    """A notification. The JSON is the client's ``n`` frame (broker 11.2); ``data`` is always an object."""

    tag: Literal["n"]
    message: str
    description: str
    token: str
    status: int
    level: int
    user_id: int
    create_time: int
    data: Mapping[str, Any]
    code: int = 200


class NotifyListAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The notifications of one account, newest first (broker 7.3). ``filter`` is a part of ``message``."""

    login: int
    limit: int
    offset: int
    filter: str = ""


class NotifyTable(msgspec.Struct, frozen=True):
    """structure+rows of broker 7.3."""

    structure: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


class NotifyRead(msgspec.Struct, frozen=True, kw_only=True):
    """Mark notifications of one account as read: those in ``ids``, and all up to ``up_to`` (0: none)."""

    login: int
    ids: Sequence[int] = ()
    up_to: int = 0


class NotifyMarked(msgspec.Struct, frozen=True, kw_only=True):
    """``{"data":"OK"}`` and how many were not read before."""

    data: str = "OK"
    marked: int = 0


# ── where somebody is told ──────────────────────────────────────────────────────────────────────────


class PreferencesAsk(msgspec.Struct, frozen=True, kw_only=True):
    """How a person wants to be told."""

    person_id: int


class PreferencesPut(msgspec.Struct, frozen=True, kw_only=True):
    """Change some of it; absent fields stay. ``said`` has the fields of ``Preferences``."""

    person_id: int
    said: Mapping[str, Any]


class EmailChoice(msgspec.Struct, frozen=True, kw_only=True):
    """The account's own mail address is always bound."""

    enabled: bool


class ChannelChoice(msgspec.Struct, frozen=True, kw_only=True):
    """A channel: whether it is wanted, and whether there is an address to use."""

    enabled: bool
    bound: bool


class QuietHours(msgspec.Struct, frozen=True, kw_only=True):
    """From ``start`` to ``end`` (HH:MM in the person's zone) nothing below level 20 is sent to people.

    A ``timezone`` given here is the person's; it is answered here if it was given here.
    """

    start: str
    end: str
    timezone: str | msgspec.UnsetType = msgspec.UNSET


class Preferences(msgspec.Struct, frozen=True, kw_only=True):
    """How a person wants to be told (contract C2). Beyond the contract: from ``slack`` on."""

    email: EmailChoice
    telegram: ChannelChoice
    discord: ChannelChoice
    x: ChannelChoice
    min_confidence: float
    quiet_hours: QuietHours | None
    slack: ChannelChoice
    ntfy: ChannelChoice
    webhook: ChannelChoice
    apprise: ChannelChoice
    digest: str
    language: str
    timezone: str


CHANNELS = tuple(
    field.name for field in msgspec.structs.fields(Preferences) if field.type in (EmailChoice, ChannelChoice)
)  # every channel a person may switch on


class ChannelBind(msgspec.Struct, frozen=True, kw_only=True):
    """Bind an address of a channel to a person (contract C2)."""

    person_id: int
    channel: str
    target: str = ""


class ChannelBound(msgspec.Struct, frozen=True, kw_only=True):
    """The binding. ``secret`` only for webhooks and only here: it signs what the receiver gets."""

    channel: str
    target_masked: str
    status: str
    verify_hint: str
    secret: str | msgspec.UnsetType = msgspec.UNSET


class ChannelVerify(msgspec.Struct, frozen=True, kw_only=True):
    """Give the code that a pending binding was sent; without a code have the proof sent again."""

    person_id: int
    channel: str
    code: str = ""


class ChannelNamed(msgspec.Struct, frozen=True, kw_only=True):
    """Something is to be done with a person's binding: take it away, or give its webhook a new secret."""

    person_id: int
    channel: str


class ChannelSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook's new secret. Until ``previous_until`` (Unix seconds) both sign every call."""

    channel: str
    secret: str
    previous_until: int


class ChannelsAsk(msgspec.Struct, frozen=True, kw_only=True):
    """The bindings of a person."""

    person_id: int


class ChannelState(msgspec.Struct, frozen=True, kw_only=True):
    """A binding as its owner sees it: status is pending, verified or gone (the receiver refused for good)."""

    channel: str
    target_masked: str
    status: str
    enabled: bool
    waiting: int
    last_error: str
    created_at: int


class Channels(msgspec.Struct, frozen=True, kw_only=True):
    """The bindings of a person."""

    channels: Sequence[ChannelState]


# ── mail that other services have sent ──────────────────────────────────────────────────────────────


class MailSend(msgspec.Struct, frozen=True, kw_only=True):
    """Send a mail to an address. Asked again with the same ``id`` nothing more is sent.

    ``kind`` is the template: verify_email (code, minutes, url?), reset_password (code, minutes, url?),
    password_changed (time_ms), receipt (plan, amount, currency, until_ms?). ``fields`` may hold secrets: they
    are sealed until sent, then forgotten, and never logged. After ``valid_s`` it is not sent any more.
    """

    id: str
    to: str
    kind: str
    fields: Mapping[str, str] = {}
    language: str = "en"
    name: str = ""
    valid_s: int = 3600


class MailTaken(msgspec.Struct, frozen=True, kw_only=True):
    """The mail will be sent; ``repeated`` says that it was asked for before."""

    id: str
    repeated: bool = False


# ── for staff ───────────────────────────────────────────────────────────────────────────────────────


class DeadLettersAsk(msgspec.Struct, frozen=True, kw_only=True):
    """Deliveries that were given up or refused for good, newest first."""

    limit: int = 100
    offset: int = 0


class DeadLetter(msgspec.Struct, frozen=True, kw_only=True):
    """One of them. ``state`` is failed (refused for good) or dead (given up); ``id`` names it for a retry.

    ``kind`` is delivery, or fact: one that a service gave up. Of a fact ``channel`` is its consumer,
    ``type`` its subject; it was published at ``created_ms`` and given up at ``finished_ms``.
    """

    id: str
    kind: str
    state: str
    channel: str
    target_masked: str
    login: int
    type: str
    event_id: str
    attempts: int
    reason: str
    created_ms: int
    finished_ms: int


class DeadLetters(msgspec.Struct, frozen=True, kw_only=True):
    """A page and how many there are."""

    rows: Sequence[DeadLetter]
    count: int


class DeadLetterRetry(msgspec.Struct, frozen=True, kw_only=True):
    """Send it again, with the id it had."""

    id: str
