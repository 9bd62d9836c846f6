"""Rows about notifications: the list, preferences and channels of people, dead letters for staff."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from libs.common import subjects
from libs.common.errors import PermissionDenied
from libs.common.messages import house, notifier
from libs.common.principal import SessionType
from services.gateway.endpoints.admin import READERS, USERS
from services.gateway.endpoints.broker_requests import AccountRequest
from services.gateway.endpoints.fields import Count, Line
from services.gateway.endpoints.row import KIB, USER, Access, Answer, Caller, Endpoint
from services.gateway.errors import NotEnoughRights

OWN_ACCOUNT = Access(USER, account=True)
PERSON = Access(frozenset({SessionType.CUSTOMER}))
PERSON_OR_KEY = Access(frozenset({SessionType.CUSTOMER}), scope="read")

PageLimit = Annotated[int, Meta(ge=0, le=1000)]
ChannelName = Annotated[str, Meta(min_length=1, max_length=32, description="email, telegram, discord, x, …")]
ChannelTarget = Annotated[str, Meta(max_length=2048)]


class NotifyListRequest(AccountRequest, frozen=True, kw_only=True):
    """A page of notifications, newest first. ``filter`` is a part of the message; empty is all."""

    limit: PageLimit
    offset: Count
    filter: Line


class NotifyReadRequest(AccountRequest, frozen=True, kw_only=True):
    """Which notifications were read: by id, or all up to one."""

    ids: Annotated[tuple[Count, ...], Meta(max_length=1000)] = ()
    up_to: Count = 0


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a channel is wanted."""

    enabled: bool | UnsetType = UNSET
    bound: bool | UnsetType = UNSET  # answered, and ignored when it comes back


class PreferencesFields(msgspec.Struct, frozen=True, kw_only=True):
    """Preferences to change; absent ones stay."""

    email: Wish | UnsetType = UNSET
    telegram: Wish | UnsetType = UNSET
    discord: Wish | UnsetType = UNSET
    x: Wish | UnsetType = UNSET
    slack: Wish | UnsetType = UNSET
    ntfy: Wish | UnsetType = UNSET
    webhook: Wish | UnsetType = UNSET
    apprise: Wish | UnsetType = UNSET
    min_confidence: Annotated[float, Meta(ge=0, le=1)] | UnsetType = UNSET
    quiet_hours: notifier.QuietHours | UnsetType | None = UNSET
    digest: Annotated[str, Meta(description="off, hourly or daily")] | UnsetType = UNSET
    language: Annotated[str, Meta(description="en, de, es or zh")] | UnsetType = UNSET
    timezone: Annotated[str, Meta(description="IANA time zone")] | UnsetType = UNSET


class PreferencesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Change preferences."""

    said: dict[str, Any]


class BindRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Bind an address of a channel."""

    channel: ChannelName
    target: ChannelTarget = ""


class VerifyRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The code a pending binding was sent; without a code the proof is sent again."""

    channel: ChannelName
    code: Line = ""


class ChannelRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One channel."""

    channel: ChannelName


class DeadLettersRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A page of dead letters, newest first."""

    limit: Annotated[int, Meta(ge=1, le=1000)] = 100
    offset: Count = 0


class DeadLetterRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One dead letter."""

    id: Line


def _person(caller: Caller) -> int:
    """Whose preferences: a key that belongs to nobody has none."""
    if caller.principal.person_id is None:
        raise PermissionDenied("this key belongs to no person")
    return caller.principal.person_id


def _list(request: NotifyListRequest, caller: Caller) -> notifier.NotifyListAsk:
    return notifier.NotifyListAsk(
        login=caller.login, limit=request.limit, offset=request.offset, filter=request.filter
    )


def _read(request: NotifyReadRequest, caller: Caller) -> notifier.NotifyRead:
    if caller.principal.read_only:
        raise NotEnoughRights
    return notifier.NotifyRead(login=caller.login, ids=request.ids, up_to=request.up_to)


def _preferences(request: Any, caller: Caller) -> notifier.PreferencesAsk:
    return notifier.PreferencesAsk(person_id=_person(caller))


def _preferences_put(request: PreferencesRequest, caller: Caller) -> notifier.PreferencesPut:
    return notifier.PreferencesPut(person_id=_person(caller), said=request.said)


def _channels(request: Any, caller: Caller) -> notifier.ChannelsAsk:
    return notifier.ChannelsAsk(person_id=_person(caller))


def _bind(request: BindRequest, caller: Caller) -> notifier.ChannelBind:
    return notifier.ChannelBind(person_id=_person(caller), channel=request.channel, target=request.target)


def _verify(request: VerifyRequest, caller: Caller) -> notifier.ChannelVerify:
    return notifier.ChannelVerify(person_id=_person(caller), channel=request.channel, code=request.code)


def _named(request: ChannelRequest, caller: Caller) -> notifier.ChannelNamed:
    return notifier.ChannelNamed(person_id=_person(caller), channel=request.channel)


def _dead(request: DeadLettersRequest, caller: Caller) -> notifier.DeadLettersAsk:
    return notifier.DeadLettersAsk(limit=request.limit, offset=request.offset)


def _dead_retry(request: DeadLetterRequest, caller: Caller) -> notifier.DeadLetterRetry:
    return notifier.DeadLetterRetry(id=request.id)


def _done(reply: bytes) -> Answer:
    return Answer(b"")


LIST = (
    Endpoint(
        method="GET",
        path="/notify/list",
        surface="broker",
        tags=("notifications",),
        summary="What the account was told, newest first",
        access=OWN_ACCOUNT,
        repeat="safe",
        request=NotifyListRequest,
        command=subjects.NOTIFY_LIST,
        message=_list,
        response=notifier.NotifyTable,
    ),
    Endpoint(
        method="PUT",
        path="/notify/read",
        surface="broker",
        tags=("notifications",),
        summary="Mark notifications as read: by id, or all up to one",
        access=OWN_ACCOUNT,
        repeat="idempotent",
        request=NotifyReadRequest,
        command=subjects.NOTIFY_READ,
        message=_read,
        response=notifier.NotifyMarked,
    ),
)


def _scan(**row: Any) -> Endpoint:
    return Endpoint(**{"surface": "scan", "tags": ("notifications",), "body_bytes_max": 16 * KIB, **row})


_FOLDER = "/api/v1/notifications"

PREFERENCES = (
    _scan(
        method="GET",
        path=f"{_FOLDER}/preferences",
        summary="How the person wants to be told",
        access=PERSON_OR_KEY,
        repeat="safe",
        command=subjects.PREFERENCES_GET,
        message=_preferences,
        response=notifier.Preferences,
    ),
    _scan(
        method="PUT",
        path=f"{_FOLDER}/preferences",
        summary="Change some of it; absent fields stay",
        access=PERSON,
        repeat="idempotent",
        request=PreferencesRequest,
        rest="said",
        body=PreferencesFields,
        command=subjects.PREFERENCES_PUT,
        message=_preferences_put,
        response=notifier.Preferences,
    ),
)

CHANNELS = (
    _scan(
        method="GET",
        path=f"{_FOLDER}/channels",
        summary="The person's bindings and how they do",
        access=PERSON_OR_KEY,
        repeat="safe",
        command=subjects.CHANNEL_LIST,
        message=_channels,
        response=notifier.Channels,
    ),
    _scan(
        method="POST",
        path=f"{_FOLDER}/channels/bind",
        summary="Bind an address of a channel; a webhook's signing secret is shown this once",
        access=PERSON,
        repeat="key",
        request=BindRequest,
        command=subjects.CHANNEL_BIND,
        message=_bind,
        response=notifier.ChannelBound,
        status=201,
        errors=("channel_already_bound",),
    ),
    _scan(
        method="POST",
        path=f"{_FOLDER}/channels/verify",
        summary="Prove a pending binding by its code, or have the proof sent again",
        access=PERSON,
        repeat="idempotent",
        request=VerifyRequest,
        command=subjects.CHANNEL_VERIFY,
        message=_verify,
        response=notifier.ChannelBound,
        errors=("not_found",),
    ),
    _scan(
        method="POST",
        path=f"{_FOLDER}/channels/{{channel}}/rotate",
        summary="A new signing secret for the webhook, shown this once; for a day both sign",
        access=PERSON,
        repeat="key",
        request=ChannelRequest,
        command=subjects.CHANNEL_ROTATE,
        message=_named,
        response=notifier.ChannelSecret,
        errors=("not_found",),
    ),
    _scan(
        method="DELETE",
        path=f"{_FOLDER}/channels/{{channel}}",
        summary="Take a binding away; what waits for it is not sent",
        access=PERSON,
        repeat="idempotent",
        request=ChannelRequest,
        command=subjects.CHANNEL_UNBIND,
        message=_named,
        response=None,
        render=_done,
        status=204,
        errors=("not_found",),
    ),
)

DEAD_LETTERS = (
    Endpoint(
        method="GET",
        path="/admin/deadletters",
        surface="admin",
        tags=("admin",),
        summary="Facts that services gave up, and deliveries given up or refused for good",
        access=READERS,
        repeat="safe",
        request=DeadLettersRequest,
        command=subjects.DEAD_DELIVERIES,
        message=_dead,
        response=notifier.DeadLetters,
    ),
    Endpoint(
        method="POST",
        path="/admin/deadletters/{id}/retry",
        surface="admin",
        tags=("admin",),
        summary="Handle a fact again, or send a delivery again, with the id it had",
        access=USERS,
        repeat="key",
        request=DeadLetterRequest,
        command=subjects.DEAD_DELIVERY_RETRY,
        message=_dead_retry,
        response=house.Done,
        audited=True,
        errors=("RET_NOT_FOUND", "RET_INVALID_DATA"),
    ),
)

ROWS = (*LIST, *PREFERENCES, *CHANNELS, *DEAD_LETTERS)
