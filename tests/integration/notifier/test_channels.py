"""Each channel speaks its outsider's own language, and understands every answer."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
import pytest_asyncio
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from libs.common.bus_memory import MemoryBus
from libs.common.clock import ManualClock
from services.notifier.channels.base import Address, Channel, Outcome, Outgoing, Result, TargetInvalid
from tests.house import free_port
from tests.integration.notifier.conftest import START, settings_of
from tests.integration.notifier.receivers import MailBox, Receiver, status
from tests.integration.notifier.rig import Rig, open_rig

MESSAGE = Outgoing(
    id="0198-abc",
    type="alert.triggered",
    title="EURUSD 1.08500: crossed up <1.08450>",
    text="look @everyone <!channel> & more\n" + "x" * 5000,
    created_ms=1_772_452_800_123,
    login=100001,
    data={"symbol": "EURUSD"},
    traceparent="00-" + "1" * 32 + "-" + "2" * 16 + "-01",
)
SLACK = "services/T1/B1/secret"
TARGETS = {
    "telegram": "4711",
    "discord": "123/tok-en",
    "slack": SLACK,
    "x": "ada",
    "ntfy": "a-topic",
    "webhook": "/hook",
    "email": "ada@example.com",
}


@pytest_asyncio.fixture
async def rig(tmp_path: Path, receiver: Receiver, mailbox: MailBox) -> AsyncIterator[Rig]:
    """The channels alone: nothing here is kept, so there is no database."""
    settings = settings_of(receiver, mailbox)
    nothing: Any = None
    async with open_rig(nothing, MemoryBus(), tmp_path, ManualClock(START), **settings) as running:
        yield running


async def send(rig: Rig, channel: str, receiver: Receiver, message: Outgoing = MESSAGE) -> Outcome:
    """One attempt."""
    target = receiver.url + TARGETS[channel] if channel == "webhook" else TARGETS[channel]
    return await rig.parts.channels[channel].send(message, Address(1, target))


# ── what goes out ──


async def test_telegram_gets_plain_text_within_its_limit(rig: Rig, receiver: Receiver) -> None:
    assert (await send(rig, "telegram", receiver)).result is Result.SENT
    (call,) = receiver.calls
    assert (call.method, call.path) == ("POST", "/bot42:bot-secret/sendMessage")
    assert call.json["chat_id"] == "4711"
    assert "parse_mode" not in call.json
    assert call.json["text"].startswith("EURUSD 1.08500: crossed up <1.08450>\n\nlook @everyone")
    assert len(call.json["text"]) == 4096


async def test_discord_gets_a_message_that_mentions_nobody(rig: Rig, receiver: Receiver) -> None:
    assert (await send(rig, "discord", receiver)).result is Result.SENT
    (call,) = receiver.calls
    assert call.path == "/api/webhooks/123/tok-en?wait=true"
    assert call.json["allowed_mentions"] == {"parse": []}
    assert len(call.json["content"]) == 2000


async def test_slack_gets_text_that_can_not_mention_or_link(rig: Rig, receiver: Receiver) -> None:
    assert (await send(rig, "slack", receiver)).result is Result.SENT
    (call,) = receiver.calls
    assert call.path == f"/{SLACK}"
    assert "<" not in call.json["text"] and "&lt;!channel&gt; &amp; more" in call.json["text"]


async def test_ntfy_gets_json_with_title_and_priority(rig: Rig, receiver: Receiver) -> None:
    assert (await send(rig, "ntfy", receiver)).result is Result.SENT
    (call,) = receiver.calls
    assert call.path == "/"
    assert (call.json["topic"], call.json["priority"]) == ("a-topic", 3)
    assert len(call.json["message"].encode()) < 4096


def verified(call: Any, secret: str) -> Any:
    return Webhook(secret).verify(call.body, call.headers)


async def test_a_webhook_is_signed_by_standard_webhooks_and_carries_the_trace(
    rig: Rig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = rig.parts.channels["webhook"]
    monkeypatch.setattr(channel, "_now", lambda: datetime.now(UTC))  # the library looks at its own clock
    assert (await send(rig, "webhook", receiver)).result is Result.SENT
    (call,) = receiver.calls
    vault = rig.parts.planner._vault
    said = verified(call, vault.webhook_secret(1, 1))
    assert (said["id"], said["type"], said["timestamp"]) == (
        call.headers["webhook-id"],
        "alert.triggered",
        "2026-03-02T12:00:00.123Z",
    )
    assert said["data"]["symbol"] == "EURUSD" and said["data"]["login"] == 100001
    assert call.headers["traceparent"] == MESSAGE.traceparent
    with pytest.raises(WebhookVerificationError):
        verified(call, vault.webhook_secret(2, 1))
    call.body += b" "
    with pytest.raises(WebhookVerificationError):
        verified(call, vault.webhook_secret(1, 1))


async def test_during_a_rotation_both_secrets_sign_and_an_old_call_is_refused(
    rig: Rig, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = rig.parts.channels["webhook"]
    vault = rig.parts.planner._vault
    monkeypatch.setattr(channel, "_now", lambda: datetime.now(UTC))
    await channel.send(MESSAGE, Address(5, receiver.url + "/hook", (3, 2)))
    for generation in (3, 2):
        verified(receiver.calls[-1], vault.webhook_secret(5, generation))
    with pytest.raises(WebhookVerificationError):
        verified(receiver.calls[-1], vault.webhook_secret(5, 1))
    monkeypatch.setattr(channel, "_now", lambda: datetime.now(UTC) - timedelta(minutes=6))
    await channel.send(MESSAGE, Address(5, receiver.url + "/hook", (3,)))
    with pytest.raises(WebhookVerificationError, match="too old"):
        verified(receiver.calls[-1], vault.webhook_secret(5, 3))


async def test_x_looks_the_handle_up_once_and_signs_every_request(rig: Rig, receiver: Receiver) -> None:
    receiver.script.append(status(200, {"data": {"id": "99", "username": "ada"}}))
    assert (await send(rig, "x", receiver)).result is Result.SENT
    assert (await send(rig, "x", receiver)).result is Result.SENT
    assert [(call.method, call.path) for call in receiver.calls] == [
        ("GET", "/2/users/by/username/ada"),
        ("POST", "/2/dm_conversations/with/99/messages"),
        ("POST", "/2/dm_conversations/with/99/messages"),
    ]
    for call in receiver.calls:
        assert _oauth_signature(call, receiver.url) == _oauth_of(call)["oauth_signature"]
    assert len({_oauth_of(call)["oauth_nonce"] for call in receiver.calls}) == 3


def _oauth_of(call: Any) -> dict[str, str]:
    pairs = call.headers["authorization"].removeprefix("OAuth ").split(", ")
    return {name: unquote(value.strip('"')) for name, value in (pair.split("=", 1) for pair in pairs)}


def _oauth_signature(call: Any, url: str) -> str:
    """RFC 5849 done by hand, from what arrived."""
    given = {name: value for name, value in _oauth_of(call).items() if name != "oauth_signature"}
    normal = "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in sorted(given.items()))
    base = f"{call.method}&{quote(url + call.path, safe='')}&{quote(normal, safe='')}"
    return b64encode(hmac.new(b"cs&as", base.encode(), hashlib.sha1).digest()).decode()


async def test_a_mail_has_the_same_message_id_on_every_attempt_and_another_for_another_reader(
    rig: Rig, receiver: Receiver, mailbox: MailBox
) -> None:
    channel = rig.parts.channels["email"]
    for to in ("ada@example.com", "ada@example.com", "bob@example.com"):
        assert (await channel.send(MESSAGE, Address(1, to))).result is Result.SENT
    first, again, other = mailbox.mails
    assert first["Message-ID"] == again["Message-ID"] != other["Message-ID"]
    assert first["From"] == "Tradewind <tradewind@example.com>"
    assert (first["To"], first["X-Tradewind-Id"]) == ("ada@example.com", MESSAGE.id)
    assert first["Subject"] == MESSAGE.title
    assert first["Date"].datetime == datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
    assert mailbox.to == ["ada@example.com", "ada@example.com", "bob@example.com"]


async def test_a_mail_in_chinese_to_an_address_in_chinese_arrives_as_written(
    rig: Rig, mailbox: MailBox
) -> None:
    message = Outgoing(id="1", type="t", title="EURUSD：上穿", text="买价 1.08500", created_ms=0)
    outcome = await rig.parts.channels["email"].send(message, Address(1, "用户@例子.com"))
    assert outcome.result is Result.SENT
    (mail,) = mailbox.mails
    assert (mail["Subject"], mail.get_content().strip()) == ("EURUSD：上穿", "买价 1.08500")


# ── what comes back ──

ANSWERS: list[tuple[str, int, Any, Result, bool]] = [
    ("telegram", 403, {"description": "Forbidden: bot was blocked by the user"}, Result.REFUSED, True),
    ("telegram", 400, {"description": "Bad Request: chat not found"}, Result.REFUSED, True),
    ("telegram", 400, {"description": "Bad Request: message is too long"}, Result.REFUSED, False),
    ("telegram", 400, "no object", Result.REFUSED, False),
    ("telegram", 401, {}, Result.LATER, False),
    ("telegram", 500, {}, Result.LATER, False),
    ("discord", 404, {}, Result.REFUSED, True),
    ("discord", 401, {}, Result.REFUSED, True),
    ("discord", 400, {}, Result.REFUSED, False),
    ("discord", 502, {}, Result.LATER, False),
    ("slack", 410, {}, Result.REFUSED, True),
    ("slack", 404, {}, Result.REFUSED, True),
    ("slack", 400, {}, Result.REFUSED, False),
    ("slack", 500, {}, Result.LATER, False),
    ("ntfy", 403, {}, Result.REFUSED, True),
    ("ntfy", 507, {}, Result.LATER, False),
    ("x", 404, {}, Result.REFUSED, True),
    ("x", 401, {}, Result.LATER, False),
    ("webhook", 410, {}, Result.REFUSED, True),
    ("webhook", 400, {}, Result.LATER, False),
    ("webhook", 404, {}, Result.LATER, False),
    ("webhook", 302, {}, Result.LATER, False),
    ("webhook", 500, {}, Result.LATER, False),
    ("webhook", 204, None, Result.SENT, False),
]


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: f"{case[0]}-{case[1]}-{case[3].value}")
async def test_every_answer_is_understood(
    rig: Rig, receiver: Receiver, case: tuple[str, int, Any, Result, bool]
) -> None:
    channel, code, body, result, gone = case
    receiver.otherwise = status(code, body)
    outcome = await send(rig, channel, receiver)
    assert (outcome.result, outcome.gone) == (result, gone)
    assert "secret" not in outcome.reason and "tok-en" not in outcome.reason


@pytest.mark.parametrize(
    ("channel", "body", "headers", "wait_s"),
    [
        ("telegram", {"parameters": {"retry_after": 34}}, {}, 34.0),
        ("discord", {"retry_after": 1.5}, {}, 1.5),
        ("discord", {}, {"Retry_After": "7"}, 7.0),
        ("slack", {}, {"Retry_After": "30"}, 30.0),
        ("ntfy", {}, {"Retry_After": "soon"}, None),
        ("webhook", {}, {"Retry_After": "-5"}, None),
        ("discord", [], {}, None),
    ],
)
async def test_a_service_that_asks_to_wait_is_understood(
    rig: Rig, receiver: Receiver, channel: str, body: Any, headers: dict[str, str], wait_s: float | None
) -> None:
    receiver.otherwise = status(429, body, **headers)
    outcome = await send(rig, channel, receiver)
    assert (outcome.result, outcome.retry_after_s) == (Result.LATER, wait_s)


@pytest.mark.parametrize("channel", ["telegram", "discord", "slack", "ntfy", "webhook", "x"])
async def test_a_connection_that_breaks_after_the_request_is_unknown(
    rig: Rig, receiver: Receiver, channel: str
) -> None:
    receiver.otherwise = receiver.drop
    assert (await send(rig, channel, receiver)).result is Result.UNKNOWN


@pytest.mark.parametrize("channel", ["telegram", "discord", "slack", "ntfy", "webhook", "x"])
async def test_an_answer_that_is_not_http_is_no_defect(rig: Rig, receiver: Receiver, channel: str) -> None:
    async def nonsense(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.write(b"220 hello, this is no web server\r\n" + b"x" * 100_000)  # type: ignore[attr-defined]
        request.transport.close()
        return web.Response()

    receiver.otherwise = nonsense
    assert (await send(rig, channel, receiver)).result in (Result.UNKNOWN, Result.LATER)


async def test_who_can_not_be_reached_was_sent_nothing(
    rig: Rig, receiver: Receiver, mailbox: MailBox
) -> None:
    webhook = await rig.parts.channels["webhook"].send(
        MESSAGE, Address(1, f"http://127.0.0.1:{free_port()}/")
    )
    named = await rig.parts.channels["webhook"].send(MESSAGE, Address(1, "http://no-such-host.invalid/"))
    assert {webhook.result, named.result} == {Result.LATER}
    mailbox.recipient.append("550 no such user")
    assert (await send(rig, "email", receiver)).result is Result.REFUSED
    mailbox.recipient.append("451 greylisted")
    assert (await send(rig, "email", receiver)).result is Result.LATER
    mailbox.data.append("554 spam")
    assert (await send(rig, "email", receiver)).result is Result.REFUSED
    mailbox.data.append("452 full")
    assert (await send(rig, "email", receiver)).result is Result.LATER


# ── addresses ──

GOOD: list[tuple[str, str, str]] = [
    ("telegram", "@Ada_Lovelace", "@ada_lovelace"),
    ("telegram", "ada1", "@ada1"),
    ("discord", "https://discord.com/api/webhooks/1/aB-_9", "1/aB-_9"),
    ("discord", "https://canary.discord.com/api/v10/webhooks/1/aB/", "1/aB"),
    ("slack", "https://hooks.slack.com/services/T0/B0/x9", "services/T0/B0/x9"),
    ("x", "@Ada", "ada"),
    ("ntfy", "my_topic-1", "my_topic-1"),
    ("email", "ada@example.com", "ada@example.com"),
]


@pytest.mark.parametrize(("channel", "given", "kept"), GOOD)
async def test_an_address_is_read_to_what_is_needed_of_it(
    rig: Rig, channel: str, given: str, kept: str
) -> None:
    target = rig.parts.channels[channel].read_target(given)
    assert target.value == kept
    assert kept == target.masked or kept not in target.masked


BAD: list[tuple[str, str]] = [
    ("telegram", ""), ("telegram", "@"), ("telegram", "a b"), ("telegram", "@ada/../x"), ("telegram", "123"),
    ("discord", "https://evil.example/api/webhooks/1/a"), ("discord", "https://discord.com.evil.example/api/webhooks/1/a"),
    ("discord", "https://discord.com/api/webhooks/1/a/../../users"), ("discord", "https://discord.com/api/webhooks/x/a"),
    ("discord", "https://u:p@discord.com/api/webhooks/1/a"), ("discord", "https://discord.com@evil.example/api/webhooks/1/a"),
    ("discord", "http://[::1"), ("discord", ""),
    ("slack", "https://hooks.slack.com/workflows/T/B/x"), ("slack", "https://hooks.slack.com.evil.example/services/T0/B0/x"),
    ("slack", "https://hooks.slack.com/services/T0/B0/x/../../y"), ("slack", ""),
    ("x", "@way_too_long_for_a_handle"), ("x", "a/b"), ("x", ""),
    ("ntfy", "a topic"), ("ntfy", "https://ntfy.example/"), ("ntfy", "https://ntfy.example/a/b"),
    ("ntfy", "https://u:p@ntfy.example/a"), ("ntfy", "x" * 65), ("ntfy", "file:///etc/passwd"),
    ("email", "nobody"), ("email", "a@b, c@d"),
    ("webhook", "ftp://h/x"), ("webhook", "https://"), ("webhook", "https://u:p@h/"), ("webhook", ""),
    ("webhook", "javascript:alert(1)"), ("webhook", "https://h/" + "x" * 3000), ("webhook", "https://[fe80::1"),
    ("webhook", "//h/x"),
    ("apprise", "pover://user@token"), ("apprise", "json://127.0.0.1"),
]  # fmt: skip


@pytest.mark.parametrize(("channel", "given"), BAD)
async def test_an_address_that_is_none_is_refused(rig: Rig, channel: str, given: str) -> None:
    with pytest.raises(TargetInvalid):
        rig.parts.channels[channel].read_target(given)


async def test_every_channel_says_what_the_courier_must_know(rig: Rig) -> None:
    for name, channel in rig.parts.channels.items():
        typed: Channel = channel
        assert typed.name == name
        assert typed.recipient_rate.count > 0
        assert typed.hint
    assert {n for n, c in rig.parts.channels.items() if not c.for_people} == {"webhook"}
    assert not rig.parts.channels["apprise"].is_on
