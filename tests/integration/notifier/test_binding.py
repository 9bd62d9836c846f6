"""Binding: an address is used only when it was proved, and what proves it differs by channel."""

from __future__ import annotations

import re
from typing import Any

import pytest

from libs.common.messages.notifier import (
    ChannelNamed,
    ChannelsAsk,
    ChannelVerify,
    PreferencesAsk,
)
from services.notifier import verification
from services.notifier.errors import ChannelAlreadyBound, ChannelNotBound, InvalidParam, TooManyBinds
from tests.conftest import wait_until
from tests.integration.notifier.receivers import Receiver, status
from tests.integration.notifier.rig import EMAIL, PERSON, Rig

DISCORD = "https://discord.com/api/webhooks/123/secret-token"


def update(number: int, text: str, username: str = "Ada", chat: int = 4711) -> dict[str, Any]:
    """A message to the bot, as Telegram tells it."""
    message = {"text": text, "from": {"id": 1, "username": username}, "chat": {"id": chat, "type": "private"}}
    return {"update_id": number, "message": message}


class Telegram:
    """The Bot API of a test: what people sent to the bot, and what the bot sent."""

    def __init__(self, receiver: Receiver) -> None:
        self.receiver = receiver
        self.updates: list[dict[str, Any]] = []
        receiver.otherwise = self.answer

    async def answer(self, request: Any) -> Any:
        method = request.path.rpartition("/")[2]
        if method == "getMe":
            return await status(200, {"ok": True, "result": {"username": "tradewind_bot"}})(request)
        if method == "getUpdates":
            offset = self.receiver.calls[-1].json["offset"]
            told = [u for u in self.updates if u["update_id"] >= offset]
            return await status(200, {"ok": True, "result": told})(request)
        return await status(200, {"ok": True, "result": {}})(request)

    @property
    def sent(self) -> list[dict[str, Any]]:
        return [call.json for call in self.receiver.calls if call.path.endswith("/sendMessage")]


async def listen(rig: Rig) -> None:
    await rig.parts.listener._listen()


async def bound_channels(rig: Rig) -> dict[str, bool]:
    told = await rig.parts.service.preferences(PreferencesAsk(person_id=PERSON))
    names = ("telegram", "discord", "x", "slack", "ntfy", "webhook")
    return {name: getattr(told, name).bound for name in names if getattr(told, name).bound}


async def test_a_telegram_chat_is_bound_by_the_code_its_owner_sends_to_the_bot(
    rig: Rig, receiver: Receiver
) -> None:
    telegram = Telegram(receiver)
    answer = await rig.bind("telegram", "@Ada")
    assert (answer.channel, answer.target_masked, answer.status) == ("telegram", "@Ad***", "pending")
    found = re.search(r"/start (\w{8}) to @tradewind_bot", answer.verify_hint)
    assert found is not None
    code = found[1]
    assert await bound_channels(rig) == {}
    telegram.updates = [
        update(1, "hello"),
        update(2, f"/start {code}", username="mallory", chat=666),
        update(3, "/start 22222222"),
        update(4, f"/start {code.lower()}"),
        update(5, f"/start {code}"),
        {"update_id": 6},
        {"update_id": 7, "message": {"text": 5, "chat": []}},
    ]
    await listen(rig)
    assert [sent["chat_id"] for sent in telegram.sent] == ["4711"]
    assert await bound_channels(rig) == {"telegram": True}
    await listen(rig)
    assert receiver.calls[-1].json["offset"] == 8
    await rig.fire()
    await rig.work()
    assert telegram.sent[-1]["chat_id"] == "4711"
    assert telegram.sent[-1]["text"].startswith("EURUSD 1.08500")


async def test_a_code_of_a_chat_is_good_for_a_quarter_of_an_hour_and_not_over_http(
    rig: Rig, receiver: Receiver
) -> None:
    telegram = Telegram(receiver)
    answer = await rig.bind("telegram", "ada")
    code = re.search(r"/start (\w{8})", answer.verify_hint)[1]  # type: ignore[index]
    with pytest.raises(InvalidParam):  # its owner knows the code: it proves nothing here
        await rig.parts.binder.verify(ChannelVerify(person_id=PERSON, channel="telegram", code=code))
    rig.advance(15 * 60 + 1)
    assert not await rig.parts.binder.is_awaited("telegram")
    telegram.updates = [update(1, code)]
    await listen(rig)
    assert await bound_channels(rig) == {}


async def test_the_listener_asks_the_bot_only_while_a_code_is_awaited(rig: Rig, receiver: Receiver) -> None:
    telegram = Telegram(receiver)
    await rig.parts.listener.start()
    try:
        answer = await rig.bind("telegram", "ada")
        code = re.search(r"/start (\w{8})", answer.verify_hint)[1]  # type: ignore[index]
        telegram.updates = [update(1, code)]
        await wait_until(lambda: bound_channels(rig))
        polls = [call for call in receiver.calls if call.path.endswith("/getUpdates")]
        assert polls and polls[0].json["timeout"] == 20
        assert not await rig.parts.binder.is_awaited("telegram")
    finally:
        await rig.parts.listener.stop()


@pytest.mark.parametrize(
    ("channel", "target"),
    [("discord", DISCORD), ("slack", "https://hooks.slack.com/services/T1/B1/abc"), ("ntfy", "my-topic")],
)
async def test_a_chat_service_is_bound_when_it_takes_a_test_message(
    rig: Rig, receiver: Receiver, channel: str, target: str
) -> None:
    answer = await rig.bind(channel, target)
    assert answer.status == "verified"
    assert "secret-token" not in answer.target_masked and answer.target_masked != target
    assert len(receiver.calls) == 1
    assert await bound_channels(rig) == {channel: True}
    await rig.fire()  # binding said that it is wanted
    await rig.work()
    assert len(receiver.calls) == 2
    with pytest.raises(ChannelAlreadyBound):
        await rig.bind(channel, target)


async def test_what_refuses_the_test_message_is_not_bound(rig: Rig, receiver: Receiver) -> None:
    receiver.otherwise = status(404)
    with pytest.raises(InvalidParam) as refused:
        await rig.bind("discord", DISCORD)
    assert refused.value.meta["field"] == "target"
    assert await rig.parts.binder.channels(ChannelsAsk(person_id=PERSON))
    assert await bound_channels(rig) == {}
    receiver.otherwise = status(200)
    assert (await rig.bind("discord", DISCORD)).status == "verified"


async def test_what_can_not_be_reached_is_pending_gets_nothing_and_can_be_proved_later(
    rig: Rig, receiver: Receiver
) -> None:
    receiver.otherwise = status(503)
    assert (await rig.bind("discord", DISCORD)).status == "pending"
    await rig.want(discord=True)
    await rig.fire()
    assert await rig.states() == []
    receiver.otherwise = status(200)
    verify = rig.parts.binder.verify
    with pytest.raises(TooManyBinds):
        await verify(ChannelVerify(person_id=PERSON, channel="discord"))
    rig.advance(31)
    assert (await verify(ChannelVerify(person_id=PERSON, channel="discord"))).status == "verified"
    assert (await verify(ChannelVerify(person_id=PERSON, channel="discord"))).status == "verified"


async def test_a_webhook_is_bound_when_it_echoes_the_code(rig: Rig, receiver: Receiver) -> None:
    async def echo(request: Any) -> Any:
        said = receiver.calls[-1].json
        assert said["type"] == "channel.verify"
        return await status(200, {"challenge": said["data"]["code"]})(request)

    receiver.script.append(echo)
    answer = await rig.bind("webhook", f"{receiver.url}/hook?k=v")
    assert answer.status == "verified"
    assert str(answer.secret).startswith("whsec_")
    assert await bound_channels(rig) == {"webhook": True}


async def test_a_webhook_that_does_not_echo_waits_for_the_code_from_its_owner(
    rig: Rig, receiver: Receiver
) -> None:
    answer = await rig.bind("webhook", f"{receiver.url}/hook")
    assert answer.status == "pending"
    code = receiver.calls[0].json["data"]["code"]
    verify = rig.parts.binder.verify
    for _ in range(2):
        with pytest.raises(InvalidParam):
            await verify(ChannelVerify(person_id=PERSON, channel="webhook", code="22222222"))
    done = await verify(ChannelVerify(person_id=PERSON, channel="webhook", code=code.lower()))
    assert done.status == "verified"


async def test_a_code_can_not_be_guessed_by_trying(rig: Rig, receiver: Receiver) -> None:
    await rig.bind("webhook", f"{receiver.url}/hook")
    code = receiver.calls[0].json["data"]["code"]
    for _ in range(verification.TRIES_MAX):
        with pytest.raises(InvalidParam):
            await rig.parts.binder.verify(ChannelVerify(person_id=PERSON, channel="webhook", code="33333333"))
    with pytest.raises(InvalidParam):
        await rig.parts.binder.verify(ChannelVerify(person_id=PERSON, channel="webhook", code=code))


async def test_a_private_address_is_refused_at_binding(rig: Rig, receiver: Receiver) -> None:
    rig.parts.outbound._allow_private = False
    for target in (
        "https://127.0.0.1/x",
        "https://localhost/x",
        "https://[::ffff:10.0.0.1]/",
        "http://example.com/",
    ):
        with pytest.raises(InvalidParam) as refused:
            await rig.bind("webhook", target)
        assert refused.value.meta["field"] == "target"
    assert receiver.calls == []
    assert await bound_channels(rig) == {}


async def test_x_is_bound_without_proof_and_says_so(rig: Rig) -> None:
    answer = await rig.bind("x", "@Ada")
    assert answer.status == "pending"
    assert "not verified" in answer.verify_hint
    assert await bound_channels(rig) == {"x": True}


async def test_mail_is_bound_to_the_accounts_own_address_only(rig: Rig) -> None:
    with pytest.raises(InvalidParam):
        await rig.bind("email", "other@example.com")
    for target in ("", EMAIL.upper()):
        answer = await rig.bind("email", target)
        assert (answer.status, answer.target_masked) == ("verified", "a***@example.com")
    told = await rig.parts.service.preferences(PreferencesAsk(person_id=PERSON))
    assert told.email.enabled
    with pytest.raises(InvalidParam):
        await rig.bind("email", "", person=999)


async def test_an_unknown_channel_is_refused_with_those_there_are(rig: Rig) -> None:
    with pytest.raises(InvalidParam) as refused:
        await rig.bind("pigeon", "coop 7")
    assert refused.value.meta == {"field": "channel", "allowed": list(rig.parts.channels)}


async def test_binding_is_limited_because_it_speaks_to_others(rig: Rig, receiver: Receiver) -> None:
    receiver.otherwise = status(503)
    for _ in range(10):
        await rig.bind("discord", DISCORD)
    with pytest.raises(TooManyBinds) as refused:
        await rig.bind("discord", DISCORD)
    assert refused.value.http_status == 429
    assert len(receiver.calls) == 10
    rig.advance(3601)
    await rig.bind("discord", DISCORD)


async def test_unbinding_fails_what_waits_and_makes_room_for_another_address(
    rig: Rig, receiver: Receiver
) -> None:
    await rig.bind("discord", DISCORD)
    await rig.fire()
    await rig.parts.binder.unbind(ChannelNamed(person_id=PERSON, channel="discord"))
    assert (await rig.delivery())["last_error"] == "the channel was unbound"
    assert await rig.work() == 0
    assert len(receiver.calls) == 1
    with pytest.raises(ChannelNotBound):
        await rig.parts.binder.unbind(ChannelNamed(person_id=PERSON, channel="discord"))
    assert (await rig.bind("discord", DISCORD)).status == "verified"
    told = await rig.parts.service.preferences(PreferencesAsk(person_id=PERSON))
    assert told.discord.enabled


async def test_rotation_gives_a_new_secret_and_for_a_day_both_sign(rig: Rig, receiver: Receiver) -> None:
    answer = await rig.bind("webhook", f"{receiver.url}/hook")
    code = receiver.calls[0].json["data"]["code"]
    await rig.parts.binder.verify(ChannelVerify(person_id=PERSON, channel="webhook", code=code))
    rotated = await rig.parts.binder.rotate(ChannelNamed(person_id=PERSON, channel="webhook"))
    assert rotated.secret != answer.secret
    assert rotated.previous_until == rig.clock.now_ms() // 1000 + 86_400
    await rig.fire()
    await rig.work()
    assert len(receiver.calls[-1].headers["webhook-signature"].split(" ")) == 2
    rig.advance(86_401)
    await rig.fire()
    await rig.work()
    assert len(receiver.calls[-1].headers["webhook-signature"].split(" ")) == 1
    with pytest.raises(InvalidParam):
        await rig.parts.binder.rotate(ChannelNamed(person_id=PERSON, channel="discord"))


async def test_a_person_sees_the_state_of_its_channels(rig: Rig, receiver: Receiver) -> None:
    await rig.bind("discord", DISCORD)
    receiver.otherwise = status(404)
    await rig.fire()
    await rig.work()
    states = (await rig.parts.binder.channels(ChannelsAsk(person_id=PERSON))).channels
    assert [(s.channel, s.status, s.enabled, s.last_error) for s in states] == [
        ("email", "verified", False, ""),
        ("discord", "gone", True, "answered 404"),
    ]
    assert await bound_channels(rig) == {}
    receiver.otherwise = status(200)
    assert (await rig.bind("discord", DISCORD)).status == "verified"  # gone makes room
