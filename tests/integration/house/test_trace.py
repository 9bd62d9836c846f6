"""One story, unbroken: tick → trigger → row → outbox → push → delivery → webhook, told from the logs."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from deploy.local.trace import show_trace, steps_of, told
from libs.common.bus_nats import NatsBus
from libs.common.messages.notifier import ChannelBind
from libs.common.subjects import CHANNEL_BIND
from libs.common.telemetry import adopt_traceparent, is_sampled, set_trace_sample
from tests.client import Client
from tests.conftest import wait_until
from tests.house import House
from tests.integration.notifier.receivers import Receiver, open_receiver, status

SERVICES = ("auth", "market", "trading", "alerts", "notifier", "gateway")
STORY = ("trigger", "published", "published", "push", "notice", "delivery")


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with open_receiver() as opened:
        yield opened


async def bind_webhook(bus: NatsBus, receiver: Receiver, person: int) -> None:
    """A webhook of the receiver, proved by its echo."""

    async def echo(request: aiohttp.web.Request) -> aiohttp.web.StreamResponse:
        return await status(200, {"code": receiver.calls[-1].json["data"]["code"]})(request)

    receiver.script.append(echo)
    ask = ChannelBind(person_id=person, channel="webhook", target=f"{receiver.url}/hook")
    assert (await bus.request(CHANNEL_BIND, ask)).status == "verified"
    receiver.calls.clear()


async def test_a_sampled_alert_is_told_from_tick_to_webhook(
    house: House, dsns: dict[str, str], bus: NatsBus, receiver: Receiver, tmp_path: Path
) -> None:
    await house.start(*SERVICES, NOTIFY_ALLOW_PRIVATE="on", TRACE_SAMPLE="1")
    async with aiohttp.ClientSession() as session:
        client, admin = Client(session, house.url), Client(session, house.url)
        await admin.sign_in(1, "admin-password")
        await client.sign_up()
        connection = await asyncpg.connect(dsns["admin"])
        person = await connection.fetchval(
            "SELECT person_id FROM auth.account WHERE login = $1", client.login
        )
        await connection.close()
        await bind_webhook(bus, receiver, person)
        alert = {"symbol": "EURUSD", "side": 0, "condition": 0, "repeat_mode": 0, "target_price": 1.2}
        await admin.call(
            "POST", "/admin/quotes", {"quotes": [{"symbol": "EURUSD", "bid": 1.1, "ask": 1.1001}]}
        )
        await client.call("POST", "/price_alert", {**alert, "login": client.login})
        async with client.stream("EURUSD") as stream:
            quote = {"quotes": [{"symbol": "EURUSD", "bid": 1.3, "ask": 1.3001}]}
            await admin.call("POST", "/admin/quotes", quote)
            await wait_until(lambda: receiver.calls and stream.alerts)
    trace = receiver.calls[0].headers["traceparent"][3:35]
    steps = await wait_until(lambda: story(tmp_path, trace, *STORY))
    assert isinstance(steps, list)
    assert steps[0]["step"] == "trigger"
    assert {step["service"] for step in steps} >= {"alerts", "gateway", "notifier"}
    assert len(list(told(steps))) == len(steps)


def story(folder: Path, trace: str, *whole: str) -> list[dict[str, object]]:
    """The steps of ``trace`` in order, once the ``whole`` is written: each writes as it ends."""
    steps = sorted(steps_of(folder, trace), key=lambda step: str(step["timestamp"]))
    spans = [step for step in steps if step["event"] == "span"]
    missing = Counter(whole) - Counter(str(step["step"]) for step in spans)
    return [] if missing else spans


async def test_a_caller_brings_its_own_trace(house: House, tmp_path: Path) -> None:
    await house.start("auth", "market", "gateway", TRACE_SAMPLE="0")
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    async with aiohttp.ClientSession() as session:
        for flag in ("00", "01"):
            headers = {"traceparent": f"00-{trace}-00f067aa0ba902b7-{flag}"}
            body = {"login": 1, "password": "admin-password"}
            async with session.post(f"{house.url}/sign/in", json=body, headers=headers) as answer:
                assert answer.status == 200
    await wait_until(lambda: {step["service"] for step in story(tmp_path, trace)} >= {"auth", "gateway"})
    await house.stop()  # whatever else there was to write is written
    steps = story(tmp_path, trace)
    assert [step["service"] for step in steps].count("gateway") == 1
    assert {step["service"] for step in steps} == {"auth", "gateway"}
    assert "admin-password" not in json.dumps(steps)


def test_what_the_command_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    (tmp_path / "logs").mkdir()
    settings = SimpleNamespace(data=tmp_path)
    assert show_trace(settings, trace) == 1  # type: ignore[arg-type]
    assert "was it sampled" in capsys.readouterr().out
    step = {"event": "span", "step": "http GET /x", "ms": 1.5, "status": 200, "service": "gateway"}
    line = json.dumps({**step, "trace": trace, "timestamp": "2026-01-02T03:04:05.678901Z"})
    (tmp_path / "logs" / "gateway.log").write_text(f"{line[:-9]}\nnoise\n{line}\n")
    assert show_trace(settings, f"00-{trace}-00f067aa0ba902b7-01") == 0  # type: ignore[arg-type]
    assert capsys.readouterr().out == "03:04:05.678  gateway       1.500 ms  http GET /x  status=200\n"


def test_how_many_traces_are_written_down() -> None:
    try:
        for share, expected in ((0.0, 0), (1.0, 1000)):
            set_trace_sample(share)
            assert sum(is_sampled(adopt_traceparent(None)) for _ in range(1000)) == expected
        assert not is_sampled(adopt_traceparent(None, may_sample=False))
    finally:
        set_trace_sample(0.01)
