"""The NATS bus keeps the bus contract, also across a restart of the server."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from libs.common import bus_nats
from libs.common.bus import Ack, Bus, Call, Entry, Inbound, Stored
from libs.common.errors import AppError
from libs.common.messages.market import GroupGet
from libs.common.permissions import nats_users
from libs.common.streams import TRADING_ACCOUNTS, ensure_streams, gateway_consumers
from libs.common.subjects import GROUP_GET
from libs.common.testing.bus_contract import BusContract, entries, until
from tests.conftest import PATIENCE_S
from tests.servers import NatsServer, open_nats

SERVICES = ("auth", "market", "trading", "alerts", "gateway")


@asynccontextmanager
async def connected(url: str, name: str) -> AsyncIterator[Bus]:
    bus = await bus_nats.connect(url, name)
    try:
        yield bus
    finally:
        await bus.close()


class TestNatsBus(BusContract):
    @pytest.fixture(autouse=True)
    def _house(self, nats_url: str) -> None:
        self.open_bus = lambda name: connected(nats_url, name)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server of our own with one user per service and the generated allow-lists."""
    with open_nats(tmp_path_factory.mktemp("guarded"), users=nats_users(SERVICES, 1), durable=True) as server:
        yield server


class TestNatsBusWithPermissions(BusContract):
    """The same contract, each bus as its service's own user: the allow-lists suffice."""

    @pytest.fixture(autouse=True)
    async def _house(self, guarded: NatsServer) -> None:
        import nats

        connection = await nats.connect(guarded.url_for("bootstrap"), inbox_prefix=b"_INBOX_bootstrap")
        jetstream = connection.jetstream()
        for stream in await jetstream.streams_info():
            await jetstream.delete_stream(str(stream.config.name))
        await connection.close()
        await ensure_streams(guarded.url_for("bootstrap"), SERVICES, 1)
        self.open_bus = lambda name: connected(guarded.url_for(name), name)


async def test_a_forbidden_publish_fails_the_call_and_turns_the_bus_unhealthy(guarded: NatsServer) -> None:
    await ensure_streams(guarded.url_for("bootstrap"), SERVICES, 1)
    async with connected(guarded.url_for("alerts"), "alerts") as bus:
        assert bus.problems() == ()
        with pytest.raises(Exception, match="not allowed"):
            await bus.append("AUTH", [Entry("auth.evt.account.opened.v1.1", b"{}", "x")])
        assert any("ermissions" in p for p in bus.problems())


@pytest.fixture
def own_nats(tmp_path: Path) -> Iterator[NatsServer]:
    with open_nats(tmp_path, durable=True, private=True) as server:
        yield server


@pytest.mark.parametrize("how", ["restart", "kill"])
async def test_everything_goes_on_after_the_server_came_back(own_nats: NatsServer, how: str) -> None:
    await ensure_streams(own_nats.url, SERVICES, 1)
    async with connected(own_nats.url, "market") as owner, connected(own_nats.url, "trading") as reader:
        consumed: list[str] = []
        followed: list[Stored] = []
        ticks: list[bytes] = []

        async def handle(inbound: Inbound) -> Ack:
            consumed.append(inbound.event_id)
            return Ack.DONE

        async def answer(message: GroupGet, call: Call) -> Any:
            return b'{"group":"demo"}'

        await owner.serve(GROUP_GET, answer)
        await reader.consume(TRADING_ACCOUNTS, handle)
        await reader.follow(gateway_consumers(0)[0], followed.append)
        await reader.subscribe("market.tick.>", lambda s, p: ticks.append(p))
        await owner.append("AUTH", entries(10))
        await owner.append("PUSH", [Entry("alerts.push.alert.v1.7", b"1", "p1")])
        await until(lambda: len(consumed) == 10 and len(followed) == 1)

        if how == "kill":
            await asyncio.to_thread(own_nats.kill)
        await asyncio.to_thread(own_nats.restart)
        await until(lambda: owner.problems() == () and reader.problems() == ())

        async def request_works() -> None:
            while True:
                try:
                    assert (await reader.request(GROUP_GET, GroupGet(group="demo"))).group == "demo"
                    return
                except Exception:
                    await asyncio.sleep(0.02)

        await asyncio.wait_for(request_works(), PATIENCE_S)
        await owner.append("AUTH", entries(10, start=11))
        await owner.append("PUSH", [Entry("alerts.push.alert.v1.7", b"2", "p2")])
        await owner.publish("market.tick.quote.v1.raw.X", b"t")
        await until(lambda: len(set(consumed)) == 20 and len(followed) == 2 and ticks == [b"t"], 20)
        assert sorted(set(consumed)) == sorted(f"id-{n}" for n in range(1, 21))
        assert [f.payload for f in followed] == [b"1", b"2"]


def pushes(*numbers: int) -> list[Entry]:
    return [Entry("alerts.push.alert.v1.7", str(n).encode(), f"p{n}") for n in numbers]


@pytest.mark.parametrize("settled", [True, False])
async def test_after_a_lost_tail_a_follower_hears_what_is_new_and_nothing_twice(
    own_nats: NatsServer, tmp_path: Path, settled: bool
) -> None:
    """The server comes back with an older copy of a stream; relays send what is missing again."""
    await ensure_streams(own_nats.url, SERVICES, 1)
    [messages] = await asyncio.to_thread(lambda: list(tmp_path.rglob("streams/PUSH/msgs")))
    async with connected(own_nats.url, "alerts") as owner, connected(own_nats.url, "gateway") as reader:
        heard: list[Stored] = []
        await owner.append("PUSH", pushes(1, 2))
        await reader.follow(gateway_consumers(0)[0], heard.append)
        await owner.append("PUSH", pushes(3, 4, 5))
        await until(lambda: len(heard) == 3)
        await asyncio.to_thread(own_nats.stop)  # in order, so that the copy is whole
        await asyncio.to_thread(shutil.copytree, messages, tmp_path / "older")
        await asyncio.to_thread(own_nats.restart)
        await until(lambda: owner.problems() == () and reader.problems() == ())
        await owner.append("PUSH", pushes(6, 7))
        await until(lambda: len(heard) == 5)
        await asyncio.to_thread(own_nats.kill)
        await asyncio.to_thread(shutil.rmtree, messages)
        await asyncio.to_thread(shutil.copytree, tmp_path / "older", messages)
        with capture_logs() as logs:
            await asyncio.to_thread(own_nats.restart)
            await until(lambda: owner.problems() == () and reader.problems() == ())
            if settled:
                await until(lambda: "stream lost its tail" in [line["event"] for line in logs])
        assert await owner.append("PUSH", pushes(8)) == [6]
        if settled:
            await until(lambda: heard[-1].payload == b"8")
        assert await owner.append("PUSH", pushes(6, 7, 9)) == [7, 8, 9]
        await until(lambda: heard[-1].payload == b"9")
        assert [int(h.payload) for h in heard] == [3, 4, 5, 6, 7, 8, 9]


async def test_a_follower_of_a_stream_made_anew_hears_what_is_new_and_nothing_twice(
    own_nats: NatsServer,
) -> None:
    import nats

    await ensure_streams(own_nats.url, SERVICES, 1)
    async with connected(own_nats.url, "alerts") as owner, connected(own_nats.url, "gateway") as reader:
        heard: list[Stored] = []
        await owner.append("PUSH", pushes(1, 2, 3))
        await reader.follow(gateway_consumers(0)[0], heard.append)
        await owner.append("PUSH", pushes(4, 5, 6, 7))
        await until(lambda: len(heard) == 4)
        connection = await nats.connect(own_nats.url)
        await connection.request("$JS.API.STREAM.DELETE.PUSH", b"")
        await connection.close()
        await ensure_streams(own_nats.url, SERVICES, 1)
        await asyncio.to_thread(own_nats.restart)
        await until(lambda: owner.problems() == () and reader.problems() == ())
        await owner.append("PUSH", pushes(8, 4, 5, 6, 7, 9))
        await until(lambda: bool(heard) and heard[-1].payload == b"9")
        assert [int(h.payload) for h in heard] == [4, 5, 6, 7, 8, 9]


async def test_a_reply_to_a_call_from_before_a_restart_is_no_lack_of_rights(tmp_path: Path) -> None:
    """The server forgot that it was asked: the reply is denied, and the service is as healthy as before."""
    with open_nats(tmp_path, users=nats_users(SERVICES, 1), durable=True, private=True) as server:
        owner_bus, caller_bus = (connected(server.url_for(name), name) for name in ("market", "gateway"))
        async with owner_bus as owner, caller_bus as caller:
            asked, go_on = asyncio.Event(), asyncio.Event()

            async def answer(message: GroupGet, call: Call) -> Any:
                asked.set()
                await go_on.wait()
                return b'{"group":"demo"}'

            await owner.serve(GROUP_GET, answer)
            await owner.flush()
            first = asyncio.create_task(caller.request(GROUP_GET, GroupGet(group="demo")))
            await asyncio.wait_for(asked.wait(), PATIENCE_S)
            with capture_logs() as logs:
                await asyncio.to_thread(server.restart)
                await until(lambda: owner.problems() == () and caller.problems() == ())
                go_on.set()
                await until(lambda: any("ermissions violation" in line.get("error", "") for line in logs))
            assert owner.problems() == ()
            with pytest.raises(AppError):
                await first
            assert (await caller.request(GROUP_GET, GroupGet(group="demo"))).group == "demo"


async def test_what_is_larger_than_the_bus_carries_is_refused_at_once(nats_url: str) -> None:
    async with connected(nats_url, "market") as owner, connected(nats_url, "gateway") as caller:

        async def handler(ask: GroupGet, call: Call) -> Any:
            return b'"' + b"x" * (9 * 1024 * 1024) + b'"'

        await owner.serve(GROUP_GET, handler)
        await owner.flush()
        with pytest.raises(AppError) as asked:
            await caller.request_bytes(GROUP_GET, b" " * (9 * 1024 * 1024))
        with pytest.raises(AppError) as answered:
            await caller.request(GROUP_GET, GroupGet(group="demo"))
    assert asked.value.http_status == answered.value.http_status == 413
