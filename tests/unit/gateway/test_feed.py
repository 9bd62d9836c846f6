"""From the bus to the stream: quotes, the last ones, pushes and their history, what groups see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from libs.common.bus import Call, Entry, Stored
from libs.common.bus_memory import MemoryBus
from libs.common.clock import ManualClock
from libs.common.errors import ServiceUnavailable
from libs.common.messages.auth import SessionRevoked
from libs.common.messages.market import GroupView, Snapshot
from libs.common.subjects import (
    ALERT_PUSH,
    INSTRUMENT_CHANGED,
    PUSH_STREAM,
    QUOTE,
    QUOTES_SNAPSHOT,
    SESSION_REVOKED,
)
from services.gateway.feed import Feed
from services.gateway.hub import Hub
from services.gateway.views import Views

Eventually = Callable[..., Any]
START = datetime(2026, 1, 31, tzinfo=UTC)


def frame(symbol: str, seq: int, ctm_ms: int = 1000) -> bytes:
    return b'["t","%b",1.1,1.2,1,%d,%d]' % (symbol.encode(), ctm_ms, seq)


class Heard:
    """A feed on a memory bus, and what it told."""

    def __init__(self, bus: MemoryBus) -> None:
        self.bus = bus
        self.hub = Hub(clock=ManualClock(START), scheduler=asyncio.get_running_loop(), cpu_s=lambda: 0.0)
        self.market_facts = 0
        self.revoked: list[SessionRevoked] = []
        self.pushed: list[tuple[int, int, bytes]] = []
        self.hub.on_push = self._on_push  # type: ignore[method-assign]
        self.feed = Feed(bus, self.hub, 0, on_market=self._on_market, on_revoked=self.revoked.append)

    def _on_push(self, login: int, seq: int, frame: bytes) -> None:
        self.pushed.append((login, seq, frame))

    def _on_market(self) -> None:
        self.market_facts += 1

    async def serve_snapshot(self, *frames: tuple[str, bytes]) -> None:
        async def snapshot(ask: Any, call: Call) -> Snapshot:
            return Snapshot(frames=[(profile, msgspec.Raw(raw)) for profile, raw in frames])

        await self.bus.serve(QUOTES_SNAPSHOT, snapshot)


@pytest.fixture
async def heard() -> Heard:
    return Heard(MemoryBus())


async def test_quotes_reach_their_channel_untouched(heard: Heard, eventually: Eventually) -> None:
    await heard.serve_snapshot()
    await heard.feed.start()
    await heard.bus.publish(QUOTE.at(profile="raw", symbol="BTC/USDT"), frame("BTC/USDT", 5))
    last = await eventually(lambda: heard.hub.last(("raw", "BTC/USDT")))
    assert last == frame("BTC/USDT", 5)
    heard.feed.stop()


async def test_the_last_quotes_are_there_before_the_next_tick(heard: Heard, eventually: Eventually) -> None:
    await heard.serve_snapshot(("raw", frame("EURUSD", 5)), ("wide", frame("EURUSD", 5)))
    await heard.feed.start()
    await eventually(lambda: heard.hub.last(("raw", "EURUSD")) and heard.hub.last(("wide", "EURUSD")))
    heard.feed.stop()


async def test_a_snapshot_never_takes_a_newer_quote_back(heard: Heard, eventually: Eventually) -> None:
    await heard.serve_snapshot(("raw", frame("EURUSD", 5)), ("raw", frame("GBPUSD", 1)))
    heard.feed.on_tick(QUOTE.at(profile="raw", symbol="EURUSD"), frame("EURUSD", 6))
    await heard.feed.start()
    await eventually(lambda: heard.hub.last(("raw", "GBPUSD")))
    assert heard.hub.last(("raw", "EURUSD")) == frame("EURUSD", 6)
    heard.feed.stop()


async def test_quotes_are_asked_for_until_market_answers(
    heard: Heard, eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.feed.RETRY_S", 0.01)
    await heard.feed.start()
    await asyncio.sleep(0)
    await heard.serve_snapshot(("raw", frame("EURUSD", 5)))
    await eventually(lambda: heard.hub.last(("raw", "EURUSD")))
    heard.feed.stop()


async def test_pushes_come_with_account_and_position(heard: Heard, eventually: Eventually) -> None:
    await heard.serve_snapshot()
    await heard.feed.start()
    entries = [Entry(ALERT_PUSH.at(login=login), b'["a"]', f"event {login}") for login in (7, 8)]
    await heard.bus.append(PUSH_STREAM, entries)
    await eventually(lambda: len(heard.pushed) == 2)
    assert [login for login, _, _ in heard.pushed] == [7, 8]
    assert heard.pushed[0][1] < heard.pushed[1][1]
    heard.feed.stop()


async def test_history_is_that_of_the_account_after_a_position(heard: Heard) -> None:
    logins = [7, 8, 7, 8, 7]
    entries = [Entry(ALERT_PUSH.at(login=x), b'["a",%d]' % n, f"e{n}") for n, x in enumerate(logins)]
    seqs = await heard.bus.append(PUSH_STREAM, entries)
    whole = await heard.feed.history(7, seqs[0])
    assert [frame for _, frame in whole.events] == [b'["a",2]', b'["a",4]']
    assert (whole.seq, whole.gap) == (seqs[-1], False)
    assert (await heard.feed.history(7, None)).seq == seqs[-1]
    assert list((await heard.feed.history(7, None)).events) == []
    assert (await heard.feed.history(7, seqs[-1] + 1)).gap is True  # a position from the future


async def test_facts_are_told_apart(heard: Heard, eventually: Eventually) -> None:
    await heard.serve_snapshot()
    await heard.feed.start()
    await heard.bus.append("MARKET", [Entry(INSTRUMENT_CHANGED.at(symbol="EURUSD"), b"{}", "m1")])
    said = SessionRevoked(subject="account:7", reason="sign_out", revoked_ms=0, until_ms=1, jtis=("x",))
    subject = SESSION_REVOKED.pattern.replace("*", "someone")
    await heard.bus.append(
        "AUTH", [Entry(subject, b"broken", "a0"), Entry(subject, msgspec.json.encode(said), "a1")]
    )
    await eventually(lambda: heard.market_facts == 1 and heard.revoked == [said])
    heard.feed.stop()


# ── what groups see ───────────────────────────────────────────────────────────────────────────────


class Market:
    """Answers what groups see."""

    def __init__(self) -> None:
        self.profiles = {"EURUSD": "raw", "BTC/USDT": "raw"}
        self.asked = 0
        self.away = False
        self.rebound = 0

    async def ask(self, group: str) -> GroupView:
        self.asked += 1
        await asyncio.sleep(0)
        if self.away:
            raise ServiceUnavailable
        return GroupView(group=group, profiles=dict(self.profiles))

    def rebind(self) -> None:
        self.rebound += 1


async def test_a_view_finds_symbols_as_clients_write_them() -> None:
    market = Market()
    view = await Views(market.ask, market.rebind).of_group("demo")
    found = view.find("BINANCE:btcusdt")
    assert found is not None
    assert (found.symbol, found.profile) == ("BTC/USDT", "raw")
    assert view.find("NOPE") is None


async def test_many_sockets_ask_once() -> None:
    market = Market()
    views = Views(market.ask, market.rebind)
    found = await asyncio.gather(*(views.of_group("demo") for _ in range(10)))
    assert all(view is found[0] for view in found)
    assert market.asked == 1


async def test_a_change_shows_in_the_view_a_socket_holds(eventually: Eventually) -> None:
    market = Market()
    views = Views(market.ask, market.rebind)
    views.start()
    view = await views.of_group("demo")
    market.profiles = {"EURUSD": "wide"}
    views.changed()
    found = await eventually(lambda: market.rebound and view.find("EURUSD"))
    assert found.profile == "wide"
    assert view.find("BTC/USDT") is None
    views.stop()


async def test_a_refresh_that_fails_is_tried_again(
    eventually: Eventually, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.gateway.views.RETRY_S", 0.01)
    market = Market()
    views = Views(market.ask, market.rebind)
    view = await views.of_group("demo")
    market.away = True
    views.start()
    views.changed()
    await eventually(lambda: market.asked >= 3)
    market.away, market.profiles = False, {"EURUSD": "wide"}
    assert await eventually(lambda: view.find("EURUSD").profile == "wide")  # type: ignore[union-attr]
    views.stop()


async def test_a_group_that_failed_is_asked_again() -> None:
    market = Market()
    views = Views(market.ask, market.rebind)
    market.away = True
    with pytest.raises(ServiceUnavailable):
        await views.of_group("demo")
    market.away = False
    assert (await views.of_group("demo")).find("EURUSD") is not None


@pytest.mark.parametrize("seq", [3, 5])
async def test_a_push_at_a_place_that_was_told_before_is_no_repeat(heard: Heard, seq: int) -> None:
    """NATS was killed and lost its tail: the next push stands where the last one stood, or before it."""
    rewound: list[int] = []
    heard.hub.rewind_pushes = lambda: rewound.append(len(heard.pushed))  # type: ignore[method-assign]
    for place in (4, 5, seq, seq + 1):
        heard.feed.on_push(Stored(place, ALERT_PUSH.at(login=7), b"[]"))
    assert rewound == [2]
    assert [push[1] for push in heard.pushed] == [4, 5, seq, seq + 1]
