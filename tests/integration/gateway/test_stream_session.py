"""The session protocol over real sockets: who is there, what is wanted, what is heard."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry, generate_latest

from libs.common.errors import ServiceUnavailable
from services.gateway.stream import StreamLimits
from tests.conftest import PATIENCE_S
from tests.integration.gateway.streaming import OTHER, USER, Market, Served, World, served


class Talker:
    """A client that speaks JSON and reads with a deadline."""

    def __init__(self, ws: aiohttp.ClientWebSocketResponse) -> None:
        self.ws = ws

    async def say(self, **fields: Any) -> None:
        await self.ws.send_str(json.dumps(fields))

    async def text(self) -> str:
        message = await self.ws.receive(timeout=PATIENCE_S)
        assert message.type is aiohttp.WSMsgType.TEXT, message
        return str(message.data)

    async def hear(self) -> Any:
        return json.loads(await self.text())

    async def ask(self, **fields: Any) -> Any:
        await self.say(**fields)
        return await self.hear()

    async def fence(self) -> None:
        """Return when everything said before was handled; nothing else may have come."""
        await self.ws.send_str("ping")
        assert await self.text() == "pong"

    async def close_code(self) -> int | None:
        message = await self.ws.receive(timeout=PATIENCE_S)
        while message.type is aiohttp.WSMsgType.TEXT:
            message = await self.ws.receive(timeout=PATIENCE_S)
        assert message.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED), message
        return self.ws.close_code


@asynccontextmanager
async def talker(house: Served, token: str | None = None, login: int | None = None) -> AsyncIterator[Talker]:
    async with aiohttp.ClientSession() as session, session.ws_connect(house.url) as ws:
        client = Talker(ws)
        if token is not None:
            assert await client.ask(authorization=token) == {"event": "authorization", "success": True}
        if login is not None:
            reply = await client.ask(event="account.switch", active_login=login)
            assert reply["success"] is True
        yield client


@pytest.fixture
async def house() -> AsyncIterator[Served]:
    async with served() as running:
        yield running


def refusal(event: str, code: str) -> dict[str, Any]:
    return {"event": event, "success": False, "error": code}


# ── authorization ─────────────────────────────────────────────────────────────────────────────────


async def test_bare_ping_is_answered_with_bare_pong_before_authorization(house: Served) -> None:
    async with talker(house) as client:
        await client.fence()


@pytest.mark.parametrize("token", ["nonsense", "", 5, None, ["user"], {"a": 1}])
async def test_a_bad_token_is_refused_and_the_socket_stays(house: Served, token: object) -> None:
    async with talker(house) as client:
        assert await client.ask(authorization=token) == refusal("authorization", "INVALID_TOKEN")
        assert (await client.ask(authorization="user"))["success"] is True


async def test_bearer_prefix_is_accepted(house: Served) -> None:
    async with talker(house, "Bearer user") as client:
        await client.fence()


async def test_staff_tokens_are_unsupported(house: Served) -> None:
    async with talker(house) as client:
        assert await client.ask(authorization="staff") == refusal("authorization", "UNSUPPORTED_SESSION")


async def test_refresh_for_the_same_subject_succeeds_and_for_another_is_denied(house: Served) -> None:
    async with talker(house, "user", 7) as client:
        assert (await client.ask(authorization="user"))["success"] is True
        assert await client.ask(authorization="other") == refusal("authorization", "PERMISSION_DENIED")
        assert await client.ask(authorization="bad") == refusal("authorization", "INVALID_TOKEN")
        await house.push(7, 1, b'["b",7]')
        assert await client.hear() == ["b", 7]


async def test_when_auth_is_down_its_code_is_told_and_the_token_is_not_called_invalid() -> None:
    world = World(refusal=ServiceUnavailable())
    async with served(world) as house, talker(house) as client:
        assert await client.ask(authorization="user") == refusal("authorization", "RET_ERR_NOSERVICE")
        world.refusal = None
        assert (await client.ask(authorization="user"))["success"] is True


async def test_guessing_tokens_ends_with_4401(house: Served) -> None:
    async with talker(house) as client:
        for _ in range(9):
            assert (await client.ask(authorization="guess"))["success"] is False
        await client.say(authorization="guess")
        assert await client.close_code() == 4401


# ── account.switch ────────────────────────────────────────────────────────────────────────────────


async def test_switch_needs_authorization(house: Served) -> None:
    async with talker(house) as client:
        reply = await client.ask(event="account.switch", active_login=7)
        assert reply == refusal("account.switch", "NOT_AUTHORIZED")


@pytest.mark.parametrize(
    "fields",
    [{}, {"active_login": 7}, {"login": 7}, {"data": {"active_login": 7}}, {"data": {"login": 7}}],
)
async def test_switch_forms_of_a_trading_account(house: Served, fields: dict[str, Any]) -> None:
    async with talker(house, "user") as client:
        reply = await client.ask(event="account.switch", **fields)
        assert reply == {"event": "account.switch", "success": True, "active_login": 7, "seq": 0}


@pytest.mark.parametrize(
    ("token", "fields", "code"),
    [
        ("user", {"active_login": 8}, "PERMISSION_DENIED"),
        ("customer", {"active_login": 9}, "PERMISSION_DENIED"),
        ("customer", {}, "INVALID_LOGIN"),
        ("customer", {"active_login": "7"}, "INVALID_LOGIN"),
        ("user", {"active_login": True}, "INVALID_LOGIN"),
        ("user", {"active_login": 7, "resume": 1}, "INVALID_DATA"),
        ("user", {"active_login": 7, "after": -1}, "INVALID_DATA"),
        ("user", {"active_login": 7, "after": "1"}, "INVALID_DATA"),
    ],
)
async def test_switch_refusals(house: Served, token: str, fields: dict[str, Any], code: str) -> None:
    async with talker(house, token) as client:
        assert await client.ask(event="account.switch", **fields) == refusal("account.switch", code)


async def test_events_follow_the_last_successful_switch(house: Served) -> None:
    async with talker(house, "customer", 7) as client, talker(house, "other", 9) as stranger:
        await house.push(7, 1, b'["b",7]')
        assert await client.hear() == ["b", 7]
        assert (await client.ask(event="account.switch", active_login=8))["seq"] == 1
        assert (await client.ask(event="account.switch", active_login=9))["success"] is False
        await house.push(7, 2, b'["b",7]')
        await house.push(8, 3, b'["b",8]')
        assert await client.hear() == ["b", 8]
        await client.fence()
        await stranger.fence()


async def test_resumed_session_gets_numbered_events_and_replays_what_it_missed(house: Served) -> None:
    for seq in range(1, 6):
        house.world.pushes.append((7, seq, b'["o",%d]' % seq))
    async with talker(house, "user") as client:
        reply = await client.ask(event="account.switch", active_login=7, resume=True, after=2)
        assert reply == {"event": "account.switch", "success": True, "active_login": 7, "seq": 5}
        assert [await client.hear() for _ in range(3)] == [{"seq": s, "event": ["o", s]} for s in (3, 4, 5)]
        await house.push(7, 6, b'["b",7]')
        assert await client.hear() == {"seq": 6, "event": ["b", 7]}


@pytest.mark.parametrize(("first_seq", "after"), [(1, 99), (4, 2)])
async def test_a_position_that_is_gone_or_from_the_future_is_a_gap(first_seq: int, after: int) -> None:
    world = World(pushes=[(7, 4, b'["o",4]'), (7, 5, b'["o",5]')], first_seq=first_seq)
    async with served(world) as house, talker(house, "user") as client:
        reply = await client.ask(event="account.switch", active_login=7, resume=True, after=after)
        assert (reply["success"], reply["seq"], reply["gap"]) == (True, 5, True)
        await house.push(7, 6, b"[6]")
        assert await client.hear() == {"seq": 6, "event": [6]}


async def test_replay_meets_pushes_that_arrive_while_the_history_is_read(house: Served) -> None:
    house.world.pushes += [(7, seq, b"[%d]" % seq) for seq in (1, 2, 3)]

    async def meanwhile() -> None:
        # 4 is in the history that is read next and comes live too; 5 comes live only.
        house.world.pushes.append((7, 4, b"[4]"))
        house.stream.hub.on_push(7, 4, b"[4]")
        house.stream.hub.on_push(7, 5, b"[5]")

    house.world.before_history = meanwhile
    async with talker(house, "user") as client:
        reply = await client.ask(event="account.switch", resume=True, after=1)
        assert reply["success"] is True
        assert [(await client.hear())["seq"] for _ in range(4)] == [2, 3, 4, 5]
        await client.fence()


async def test_without_a_history_live_events_flow_and_the_gap_is_told(house: Served) -> None:
    async def broken() -> None:
        raise ServiceUnavailable

    house.world.before_history = broken
    async with talker(house, "user") as client:
        reply = await client.ask(event="account.switch", resume=True, after=1)
        assert reply == {"event": "account.switch", "success": True, "active_login": 7, "gap": True}
        await house.push(7, 9, b"[9]")
        assert await client.hear() == {"seq": 9, "event": [9]}


# ── subscribe ─────────────────────────────────────────────────────────────────────────────────────


async def test_subscribe_before_authorization_is_refused(house: Served) -> None:
    async with talker(house) as client:
        reply = await client.ask(event="subscribe", data=["EURUSD"])
        assert reply == refusal("subscribe", "NOT_AUTHORIZED")


async def test_subscriber_gets_the_last_quote_then_live_ones_as_the_bus_carries_them(house: Served) -> None:
    last = await house.tick("EURUSD", 1)
    async with talker(house, "user", 7) as client:
        await client.say(event="subscribe", data=["eurusd", "EURUSD", "NOSUCH"])
        assert await client.text() == last
        sent = [await house.tick("EURUSD", seq) for seq in range(2, 10)]
        assert [await client.text() for _ in sent] == sent
        await client.say(event="unsubscribe", data=["EurUsd"])
        await client.fence()
        await house.tick("EURUSD", 10)
        await client.fence()


async def test_each_symbol_comes_in_the_profile_of_the_account(house: Served) -> None:
    house.world.markets[8] = Market({"EURUSD": "wide"})
    raw, wide = await house.tick("EURUSD", 1, "raw"), await house.tick("EURUSD", 2, "wide")
    async with talker(house, "customer", 7) as client:
        await client.say(event="subscribe", data=["EURUSD"])
        assert await client.text() == raw
        await client.say(event="account.switch", active_login=8)
        assert await client.text() == wide  # the subscription moved with the account
        assert (await client.hear())["success"] is True
        await house.tick("EURUSD", 3, "raw")
        sent = await house.tick("EURUSD", 4, "wide")
        assert await client.text() == sent


async def test_a_symbol_that_becomes_hidden_is_heard_no_more(house: Served) -> None:
    async with talker(house, "user", 7) as client:
        await client.say(event="subscribe", data=["EURUSD", "GBPUSD"])
        await client.fence()
        del house.world.market.profiles["EURUSD"]
        await house.run(house.stream.rebind)
        await house.tick("EURUSD", 1)
        kept = await house.tick("GBPUSD", 1)
        assert await client.text() == kept


async def test_a_market_that_changes_reaches_every_socket_in_turns() -> None:
    async with served(limits=StreamLimits(rebind_sockets=1)) as house, AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(talker(house, "user", 7)) for _ in range(5)]
        for client in clients:
            await client.say(event="subscribe", data=["EURUSD"])
            await client.fence()
        house.world.market.profiles["EURUSD"] = "wide"
        await house.run(house.stream.rebind)
        await house.run(house.stream.rebind)  # again, perhaps while the first is under way
        for client in clients:
            await client.fence()
        sent = await house.tick("EURUSD", 1, "wide")
        assert [await client.text() for client in clients] == [sent] * 5


async def test_a_trading_account_that_subscribes_without_switching_is_switched(house: Served) -> None:
    async with talker(house, "user") as client:
        await client.say(event="subscribe", data=["EURUSD"])
        await client.fence()
        await house.push(7, 1, b'["b",7]')
        assert await client.hear() == ["b", 7]


async def test_a_customer_that_subscribes_without_switching_hears_quotes_only(house: Served) -> None:
    async with talker(house, "customer") as client:
        await client.say(event="subscribe", data=["EURUSD"])
        await client.fence()
        await house.push(7, 1, b'["b",7]')
        sent = await house.tick("EURUSD", 1)
        assert await client.text() == sent


async def test_too_many_subscriptions_are_refused_as_a_whole(house: Served) -> None:
    symbols = [f"S{n}" for n in range(1200)]
    house.world.market.profiles.update(dict.fromkeys(symbols, "raw"))
    async with talker(house, "user", 7) as client:
        reply = await client.ask(event="subscribe", data=symbols)
        assert reply == refusal("subscribe", "SUBSCRIPTION_LIMIT")
        await client.say(event="subscribe", data=symbols[:1000])
        await client.fence()
        sent = await house.tick("S999", 1)
        assert await client.text() == sent


async def test_public_channels_need_no_authorization(house: Served) -> None:
    async with talker(house) as client:
        await client.say(event="subscribe", data=["token:ABC"])
        await client.fence()
        await house.run(
            lambda: house.stream.hub.on_channel(("token", "token:abc"), b'["p","ABC",1.5,0.9,1,1]')
        )
        assert await client.hear() == ["p", "ABC", 1.5, 0.9, 1, 1]
        mixed = await client.ask(event="subscribe", data=["token:ABC", "EURUSD"])
        assert mixed[0] == "p"
        assert await client.hear() == refusal("subscribe", "NOT_AUTHORIZED")
        await client.say(event="unsubscribe", data=["token:abc"])
        await client.fence()
        await house.run(lambda: house.stream.hub.on_channel(("token", "token:abc"), b'["p","ABC",2]'))
        await client.fence()


# ── revocation, restart, metrics ──────────────────────────────────────────────────────────────────


async def test_revoked_sessions_are_closed_with_4401_and_others_stay(house: Served) -> None:
    async with talker(house, "user", 7) as gone, talker(house, "other", 9) as stays:
        revoked = await house.run(lambda: house.stream.revoke(lambda principal: principal.jti == USER.jti))
        assert revoked == 1
        assert await gone.close_code() == 4401
        await house.push(OTHER.login or 0, 1, b"[1]")
        assert await stays.hear() == [1]


async def test_restart_closes_with_1012_after_what_was_waiting(house: Served) -> None:
    async with talker(house, "user", 7) as client:

        async def last_words() -> None:
            house.stream.hub.on_push(7, 1, b"[1]")
            await house.stream.close()

        closing = asyncio.run_coroutine_threadsafe(last_words(), house.loop)
        assert await client.hear() == [1]
        assert await client.close_code() == 1012
        await asyncio.wrap_future(closing)
        assert await house.sockets() == 0
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(house.url)
            assert refused.value.status == 503


async def test_metrics_tell_what_happened_and_name_no_user(house: Served) -> None:
    registry = CollectorRegistry()
    registry.register(house.stream.gauges)
    async with talker(house, "user", 7) as client:
        await client.say(event="subscribe", data=["EURUSD"])
        await client.fence()
        sent = await house.tick("EURUSD", 1)
        assert await client.text() == sent
        text = (await house.run(lambda: generate_latest(registry))).decode()
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values["tradewind_gateway_stream_sockets"] == "1.0"
    assert values["tradewind_gateway_stream_deliveries_total"] == "1.0"
    assert values['tradewind_gateway_stream_received_total{kind="ping"}'] == "1.0"
    assert values['tradewind_gateway_stream_closed_total{code="4413"}'] == "0.0"
    assert "u7" not in text
