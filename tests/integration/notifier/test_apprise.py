"""Apprise, where it is installed (the extra ``notify``)."""

from __future__ import annotations

import pytest

from services.notifier.channels.apprise import AppriseChannel, read_schemes
from services.notifier.channels.base import Address, Outgoing, Result, TargetInvalid
from tests.integration.notifier.receivers import Receiver, status

pytest.importorskip("apprise", reason="the extra notify is not installed")

MESSAGE = Outgoing(id="1", type="alert.triggered", title="EURUSD 1.08500", text="look", created_ms=0)


async def test_a_message_reaches_what_apprise_knows(receiver: Receiver) -> None:
    channel = AppriseChannel(read_schemes("json"))
    target = channel.read_target(f"json://{receiver.url.removeprefix('http://')}/hook")
    assert target.masked == "json://***"
    outcome = await channel.send(MESSAGE, Address(1, target.value))
    assert outcome.result is Result.SENT
    (call,) = receiver.calls
    assert (call.json["title"], call.json["message"]) == ("EURUSD 1.08500", "look")
    receiver.otherwise = status(500)
    assert (await channel.send(MESSAGE, Address(1, target.value))).result is Result.LATER


@pytest.mark.parametrize("target", ["xml://127.0.0.1/", "json://", "json:// a", "mailto://x", "", "json"])
async def test_only_listed_schemes_and_readable_addresses_are_taken(target: str) -> None:
    with pytest.raises(TargetInvalid):
        AppriseChannel(frozenset({"json"})).read_target(target)
