"""The whole way through every door: a price fires an alert, and its owner hears of it where it wants."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from tests.client import Client, Stream, open_client
from tests.conftest import wait_until
from tests.house import House
from tests.integration.alerts.test_rules import HISTORY, candles
from tests.integration.notifier.receivers import MailBox, Receiver, status

FOLDER = "/api/v1/notifications"


async def signed_in(session: aiohttp.ClientSession, url: str, email: str) -> None:
    """A cookie session of the scan surface."""
    async with session.post(
        f"{url}/auth/login", json={"email": email, "password": "correct horse"}
    ) as answer:
        assert answer.status == 200, await answer.text()
        cookie = answer.cookies["session"].value
    session.headers["Cookie"] = f"session={cookie}"


async def call(session: aiohttp.ClientSession, method: str, url: str, body: Any = None) -> tuple[int, Any]:
    async with session.request(method, url, json=body) as answer:
        return answer.status, await answer.json() if await answer.read() else None


async def rules_reach_the_channels_they_name(
    client: Client, staff: Client, mailbox: MailBox, receiver: Receiver
) -> None:
    """Mail and the webhook are switched on; one rule names the webhook, one nothing, one says none at all."""
    rows = [list(row) for row in candles()]
    put = {"symbol": "GBPUSD", "timeframe": "1h", "candles": rows[:HISTORY]}
    await staff.call("POST", "/admin/candles", put)
    rule = {"symbol": "GBPUSD", "timeframe": "1h", "when": {"type": "price", "op": "above", "value": 1.0}}
    for named in (
        {"name": "hook", "channels": ["webhook"]},
        {"name": "all"},
        {"name": "none", "channels": []},
    ):
        await client.call("POST", "/alerts/rules", {**rule, **named})
    await staff.call("POST", "/admin/candles", {**put, "candles": rows[HISTORY:]})
    await wait_until(lambda: len(receiver.calls) == 4 and len(mailbox.mails) == 2)
    called = [told.json for told in receiver.calls[2:]]
    assert {told["type"] for told in called} == {"notice.alert_rule"}
    assert {told["data"]["name"] for told in called} == {"hook", "all"}
    assert mailbox.mails[1]["Subject"].startswith("all: GBPUSD")
    page = "/notify/list?limit=10&offset=0&filter=GBPUSD"
    listed = await client.call("GET", page)
    assert {row[9]["name"] for row in listed["rows"]} == {"hook", "all", "none"}


def notices(stream: Stream) -> list[list[Any]]:
    """What was notified on a socket so far; frames of the account may stand between."""
    return [frame for frame in stream.others if frame[0] == "n"]


@pytest.mark.timeout(120)
async def test_an_alert_reaches_stream_list_mail_and_webhook_of_its_owner(
    house: House, mailbox: MailBox, receiver: Receiver
) -> None:
    services = ("auth", "market", "trading", "alerts", "notifier", "gateway")
    await house.start(*services, SMTP_URL=mailbox.url, NOTIFY_ALLOW_PRIVATE="on", SERVICES=",".join(services))
    async with (
        open_client(house.url) as client,
        open_client(house.url) as staff,
        aiohttp.ClientSession() as scan,
    ):
        await staff.sign_in(1, "admin-password")
        person = await client.sign_up()
        await signed_in(scan, house.url, person["email"])
        code, told = await call(
            scan, "PUT", house.url + FOLDER + "/preferences", {"email": {"enabled": True}, "language": "es"}
        )
        assert (code, told["email"], told["language"]) == (200, {"enabled": True}, "es")

        async def echo(request: Any) -> Any:
            return await status(200, {"code": receiver.calls[-1].json["data"]["code"]})(request)

        receiver.script.append(echo)
        target = {"channel": "webhook", "target": f"{receiver.url}/hook"}
        code, bound = await call(scan, "POST", f"{house.url}{FOLDER}/channels/bind", target)
        assert (code, bound["status"]) == (201, "verified")
        code, refused = await call(scan, "POST", f"{house.url}{FOLDER}/channels/bind", target)
        assert (code, refused["code"]) == (409, "channel_already_bound")
        code, refused = await call(scan, "PUT", house.url + FOLDER + "/preferences", {"sms": {}})
        assert (code, refused["code"], refused["meta"]["field"]) == (400, "invalid_param", "sms")

        async with client.stream() as stream:
            quote = {"symbol": "EURUSD", "bid": 1.08, "ask": 1.0801}
            await staff.call("POST", "/admin/quotes", {"quotes": [quote]})
            alert = {"symbol": "EURUSD", "side": 0, "condition": 0, "repeat_mode": 0, "target_price": 1.0845}
            await client.call("POST", "/price_alert", alert)
            await staff.call("POST", "/admin/quotes", {"quotes": [{**quote, "bid": 1.085, "ask": 1.0851}]})
            await wait_until(lambda: mailbox.mails and len(receiver.calls) == 2 and notices(stream))
        (frame,) = notices(stream)
        title = "EURUSD 1,08500: cruzó al alza 1,08450"
        assert (frame[1], frame[3:7]) == (title, ["PRICE_ALERT", 1, 10, client.login])
        assert (mailbox.mails[0]["Subject"], mailbox.mails[0]["To"]) == (title, person["email"])
        assert receiver.calls[1].json["data"]["triggered_price"] == 1.085

        page = "/notify/list?limit=10&offset=0&filter="
        listed = await client.call("GET", page)
        assert listed["structure"][:3] == ["id", "token", "message"]
        assert [row[1:3] for row in listed["rows"]] == [["PRICE_ALERT", title]]
        assert await client.call("PUT", "/notify/read", {"up_to": listed["rows"][0][0]}) == {
            "data": "OK",
            "marked": 1,
        }
        assert (await client.call("GET", page))["rows"][0][6] == 2
        assert (await client.ask("GET", "/notify/list"))[0] == 400
        await rules_reach_the_channels_they_name(client, staff, mailbox, receiver)

        code, _ = await call(scan, "POST", f"{house.url}/auth/email/send")
        assert code == 204
        await wait_until(lambda: len(mailbox.mails) == 3)
        code, _ = await call(scan, "DELETE", f"{house.url}{FOLDER}/channels/webhook")
        assert code == 204
        assert (await staff.call("GET", "/admin/deadletters"))["count"] == 0
