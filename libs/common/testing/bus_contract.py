"""What every Bus must do. Inherited by one test class per implementation.

A subclass provides ``open_bus(name)``, an async context manager giving a bus on a house with the
streams of ``libs.common.streams``; two buses opened in one test share that house.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from libs.common.bus import HEADER_ID, Ack, Bus, Call, Consumer, Entry, Inbound, Stored, Terminate
from libs.common.errors import AppError, InvalidData, OutcomeUnknown, ServiceUnavailable
from libs.common.messages.market import GroupGet, QuoteIn, QuotesPut
from libs.common.streams import TRADING_ACCOUNTS, gateway_consumers
from libs.common.subjects import GROUP_GET, QUOTES_PUT, SYMBOL_LIST, Command

Opened = AbstractAsyncContextManager[Bus]
AUTH_SUBJECT = "auth.evt.account.opened.v1.{n}"


async def until(condition: Callable[[], Any], timeout_s: float = 30.0) -> None:
    """Wait for a condition; the contract never sleeps for a guess."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - any condition, not only an event
            await asyncio.sleep(0.005)


def entries(count: int, start: int = 1) -> list[Entry]:
    """Numbered facts of the AUTH stream."""
    return [
        Entry(AUTH_SUBJECT.format(n=n), f'{{"n":{n}}}'.encode(), f"id-{n}", {"traceparent": f"t{n}"})
        for n in range(start, start + count)
    ]


class BusContract:
    """The promises of ``libs.common.bus``."""

    open_bus: Callable[..., Opened]

    @asynccontextmanager
    async def three_buses(self) -> AsyncIterator[tuple[Bus, Bus, Bus]]:
        """The writer of facts, their reader, and the gateway, which alone may read dead letters."""
        async with (
            self.open_bus("auth") as owner,
            self.open_bus("trading") as reader,
            self.open_bus("gateway") as staff,
        ):
            yield owner, reader, staff

    async def test_ticks_arrive_in_order_at_every_subscriber_of_a_pattern(self) -> None:
        async with self.open_bus("market") as sender, self.open_bus("alerts") as reader:
            heard: list[tuple[str, bytes]] = []
            other: list[bytes] = []
            await reader.subscribe("market.tick.quote.v1.*.*", lambda s, p: heard.append((s, p)))
            await reader.subscribe("market.tick.quote.v1.raw.GBPUSD", lambda s, p: other.append(p))
            await reader.flush()
            for n in range(500):
                await sender.publish("market.tick.quote.v1.raw.EURUSD", str(n).encode())
            await sender.publish("market.tick.quote.v1.raw.GBPUSD", b"g")
            await sender.flush()
            await until(lambda: len(heard) == 501 and other == [b"g"])
            assert heard[:500] == [("market.tick.quote.v1.raw.EURUSD", str(n).encode()) for n in range(500)]

    async def test_a_stopped_subscription_hears_nothing_more(self) -> None:
        async with self.open_bus("market") as sender, self.open_bus("alerts") as bus:
            heard: list[bytes] = []
            all_heard: list[bytes] = []
            subscription = await bus.subscribe("market.tick.a", lambda s, p: heard.append(p))
            await bus.subscribe("market.tick.>", lambda s, p: all_heard.append(p))
            await subscription.stop()
            await bus.flush()
            await sender.publish("market.tick.a", b"late")
            await until(lambda: all_heard == [b"late"])
            assert heard == []

    async def test_a_request_is_answered_by_the_owner_with_headers_passed(self) -> None:
        async with self.open_bus("market") as owner, self.open_bus("gateway") as caller:
            seen: list[tuple[Any, Call]] = []

            async def handle(message: GroupGet, call: Call) -> Any:
                seen.append((message, call))
                return b'{"group":"demo","unknown_field":1}'

            await owner.serve(GROUP_GET, handle)
            await owner.flush()
            reply = await caller.request(GROUP_GET, GroupGet(group="demo"), headers={"Correlation-Id": "c1"})
            assert reply.group == "demo"
            assert seen[0][0] == GroupGet(group="demo")
            assert seen[0][1].headers["Correlation-Id"] == "c1"

    async def test_a_refusal_arrives_as_the_owners_error(self) -> None:
        async with self.open_bus("market") as owner, self.open_bus("gateway") as caller:

            async def handle(message: GroupGet, call: Call) -> Any:
                raise InvalidData("group was empty", field="group")

            await owner.serve(GROUP_GET, handle)
            await owner.flush()
            with pytest.raises(AppError) as caught:
                await caller.request(GROUP_GET, GroupGet(group=""))
            assert (caught.value.code, caught.value.http_status) == ("INVALID_DATA", 400)
            assert (str(caught.value), caught.value.meta) == ("group was empty", {"field": "group"})

    async def test_a_defect_is_answered_as_one_and_the_owner_goes_on(self) -> None:
        async with self.open_bus("market") as owner, self.open_bus("gateway") as caller:
            calls: list[int] = []

            async def handle(message: GroupGet, call: Call) -> Any:
                calls.append(1)
                if len(calls) == 1:
                    raise ZeroDivisionError
                return b'{"group":"demo"}'

            await owner.serve(GROUP_GET, handle)
            await owner.flush()
            with pytest.raises(AppError) as caught:
                await caller.request(GROUP_GET, GroupGet(group="demo"))
            assert (caught.value.code, caught.value.http_status) == ("RET_TECH_PROBLEM", 500), caught.value
            assert (await caller.request(GROUP_GET, GroupGet(group="demo"))).group == "demo"

    async def test_an_unreadable_request_is_refused_not_fatal(self) -> None:
        async with self.open_bus("market") as owner, self.open_bus("gateway") as caller:

            async def handle(message: GroupGet, call: Call) -> Any:
                return b'{"group":"demo"}'

            await owner.serve(GROUP_GET, handle)
            await owner.flush()
            for bad in (b"", b"{", b'{"group":1}', b"\xff\xfe"):
                with pytest.raises(AppError) as caught:
                    await caller.request_bytes(GROUP_GET, bad)
                assert caught.value.http_status == 400
            assert await caller.request_bytes(GROUP_GET, b'{"group":"x"}') == b'{"group":"demo"}'

    async def test_nobody_there_is_unavailable(self) -> None:
        async with self.open_bus("gateway") as caller:
            with pytest.raises(ServiceUnavailable):
                await caller.request_bytes(SYMBOL_LIST, b"{}")

    async def test_a_lost_answer_to_an_effect_is_unknown_and_to_a_query_unavailable(self) -> None:
        async with self.open_bus("market") as owner, self.open_bus("gateway") as caller:
            release = asyncio.Event()

            async def hang(message: Any, call: Call) -> Any:
                await release.wait()
                return b"{}"

            effect = Command(QUOTES_PUT.name, QuotesPut, dict, effect=True, timeout_s=0.1)
            query = Command(GROUP_GET.name, GroupGet, dict, timeout_s=0.1)
            await owner.serve(effect, hang)
            await owner.serve(query, hang)
            await owner.flush()
            with pytest.raises(OutcomeUnknown):
                await caller.request(effect, QuotesPut(quotes=[QuoteIn(symbol="X", bid=1, ask=1)]))
            with pytest.raises(ServiceUnavailable):
                await caller.request(query, GroupGet(group="demo"))
            release.set()

    async def test_requests_side_by_side_get_their_own_replies(self) -> None:
        async with self.open_bus("market") as owner, self.open_bus("gateway") as caller:

            async def handle(message: GroupGet, call: Call) -> Any:
                await asyncio.sleep(0)
                return message

            echo = Command(GROUP_GET.name, GroupGet, GroupGet)
            await owner.serve(echo, handle)
            await owner.flush()
            asked = [GroupGet(group=str(n)) for n in range(200)]
            replies = await asyncio.gather(*(caller.request(echo, message) for message in asked))
            assert list(replies) == asked

    async def test_appended_facts_are_consumed_once_each_in_order_with_headers(self) -> None:
        async with self.open_bus("auth") as owner, self.open_bus("trading") as reader:
            seen: list[Inbound] = []

            async def handle(inbound: Inbound) -> Ack:
                seen.append(inbound)
                return Ack.DONE

            await owner.append("AUTH", entries(3))
            await reader.consume(TRADING_ACCOUNTS, handle)
            seqs = await owner.append("AUTH", entries(1500, start=4))
            await until(lambda: len(seen) == 1503)
            assert [i.event_id for i in seen] == [f"id-{n}" for n in range(1, 1504)]
            assert [i.seq for i in seen][3:] == seqs
            assert seen[0].headers["traceparent"] == "t1"
            assert {i.attempt for i in seen} == {1}

    async def test_a_known_id_is_dropped_and_keeps_its_first_seq(self) -> None:
        async with self.open_bus("auth") as owner, self.open_bus("trading") as reader:
            seen: list[str] = []

            async def handle(inbound: Inbound) -> Ack:
                seen.append(inbound.event_id)
                return Ack.DONE

            first = await owner.append("AUTH", entries(5))
            again = await owner.append("AUTH", entries(8, start=3))
            assert again[:3] == first[2:]
            await reader.consume(TRADING_ACCOUNTS, handle)
            await until(lambda: len(seen) == 10)
            assert seen == [f"id-{n}" for n in range(1, 11)]

    async def test_what_has_no_id_is_kept_as_often_as_it_is_sent(self) -> None:
        async with self.open_bus("auth") as owner, self.open_bus("trading") as reader:
            seen: list[Inbound] = []

            async def handle(inbound: Inbound) -> Ack:
                seen.append(inbound)
                return Ack.DONE

            nameless = [replace(entry, event_id="") for entry in entries(3)]
            seqs = [await owner.append("AUTH", sent) for sent in (nameless, nameless, nameless[:1])]
            assert seqs == [[1, 2, 3], [4, 5, 6], [7]]
            await reader.consume(TRADING_ACCOUNTS, handle)
            await until(lambda: len(seen) == 7)
            assert {i.event_id for i in seen} == {""}
            assert seen[0].headers["traceparent"] == "t1"

    async def test_a_retry_comes_again_until_done(self) -> None:
        async with self.open_bus("auth") as owner, self.open_bus("trading") as reader:
            attempts: list[int] = []

            async def handle(inbound: Inbound) -> Ack:
                attempts.append(inbound.attempt)
                if len(attempts) == 1:
                    return Ack.RETRY
                if len(attempts) == 2:
                    raise RuntimeError("the database went away")
                return Ack.DONE

            await reader.consume(quick(TRADING_ACCOUNTS), handle)
            await owner.append("AUTH", entries(1))
            await until(lambda: len(attempts) == 3)
            assert attempts == [1, 2, 3]

    async def test_what_can_never_be_handled_goes_to_the_dead_letters_with_the_reason(self) -> None:
        async with self.three_buses() as (owner, reader, staff):
            done: list[str] = []

            async def handle(inbound: Inbound) -> Ack:
                if inbound.event_id == "id-1":
                    raise Terminate("the account is of no known group")
                if inbound.event_id == "id-2":
                    inbound.decode(GroupGet)
                done.append(inbound.event_id)
                return Ack.DONE

            await reader.consume(quick(TRADING_ACCOUNTS), handle)
            await owner.append("AUTH", entries(3))
            await until(lambda: done == ["id-3"])
            dead = (await staff.history("DEADLETTER", ">", 0, 10)).entries
            assert [d.payload for d in dead] == [b'{"n":1}', b'{"n":2}']
            assert dead[0].headers["Dead-Reason"] == "the account is of no known group"
            assert dead[0].headers["Dead-Subject"] == AUTH_SUBJECT.format(n=1)

    async def test_what_was_given_up_can_be_handled_again(self) -> None:
        async with self.three_buses() as (owner, reader, staff):
            handled: list[str] = []

            async def handle(inbound: Inbound) -> Ack:
                handled.append(inbound.event_id)
                if len(handled) == 1:
                    raise Terminate("not yet")
                return Ack.DONE

            await reader.consume(quick(TRADING_ACCOUNTS), handle)
            await owner.append("AUTH", entries(2))
            await until(lambda: handled == ["id-1", "id-2"])
            (dead,) = (await staff.history("DEADLETTER", ">", 0, 10)).entries
            fact = Inbound(0, dead.headers["Dead-Subject"], dead.payload, {HEADER_ID: "id-1"}, 1)
            assert await reader.again("nobody", fact) == "there is no consumer nobody"
            assert await reader.again(dead.headers["Dead-Consumer"], fact) is None
            assert handled == ["id-1", "id-2", "id-1"]

    async def test_retries_end_in_the_dead_letters(self) -> None:
        async with self.three_buses() as (owner, reader, staff):
            attempts: list[int] = []

            async def handle(inbound: Inbound) -> Ack:
                attempts.append(inbound.attempt)
                return Ack.RETRY

            await reader.consume(quick(TRADING_ACCOUNTS, attempts_max=3), handle)
            await owner.append("AUTH", entries(1))
            dead: list[Stored] = []

            async def arrived() -> None:
                while not dead:
                    dead.extend((await staff.history("DEADLETTER", ">", 0, 10)).entries)
                    await asyncio.sleep(0.01)

            await asyncio.wait_for(arrived(), 10)
            assert attempts == [1, 2, 3]
            assert dead[0].headers["Dead-Attempts"] == "3"

    async def test_a_stopped_consumer_goes_on_where_it_was(self) -> None:
        async with self.open_bus("auth") as owner, self.open_bus("trading") as reader:
            seen: list[str] = []

            async def handle(inbound: Inbound) -> Ack:
                seen.append(inbound.event_id)
                return Ack.DONE

            subscription = await reader.consume(TRADING_ACCOUNTS, handle)
            await owner.append("AUTH", entries(10))
            await until(lambda: len(seen) == 10)
            await subscription.stop()
            await owner.append("AUTH", entries(10, start=11))
            await reader.consume(TRADING_ACCOUNTS, handle)
            await until(lambda: len(seen) == 20)
            assert seen == [f"id-{n}" for n in range(1, 21)]

    async def test_a_follower_hears_what_comes_from_now_on_in_order(self) -> None:
        async with self.open_bus("alerts") as owner, self.open_bus("gateway") as reader:
            await owner.append("PUSH", [Entry("alerts.push.alert.v1.7", b"old", "old")])
            heard: list[Stored] = []
            await reader.follow(gateway_consumers(0)[0], heard.append)
            many = [Entry("alerts.push.alert.v1.7", str(n).encode(), f"p{n}") for n in range(1000)]
            seqs = await owner.append("PUSH", many)
            await until(lambda: len(heard) == 1000)
            assert [h.payload for h in heard] == [e.payload for e in many]
            assert [h.seq for h in heard] == seqs

    async def test_history_gives_a_pattern_after_a_seq_and_the_streams_bounds(self) -> None:
        async with self.open_bus("alerts") as owner, self.open_bus("gateway") as reader:
            assert await reader.history("PUSH", ">", 0, 10) == await reader.history("PUSH", "x", 5, 10)
            mixed = [Entry(f"alerts.push.alert.v1.{n % 3}", str(n).encode(), f"h{n}") for n in range(30)]
            seqs = await owner.append("PUSH", mixed)
            window = await reader.history("PUSH", "*.push.*.v1.1", seqs[3], 100)
            assert [w.payload for w in window.entries] == [str(n).encode() for n in range(4, 30, 3)]
            assert (window.first_seq, window.last_seq) == (seqs[0], seqs[-1])
            short = await reader.history("PUSH", "*.push.*.v1.1", 0, 2)
            assert [w.seq for w in short.entries] == [seqs[1], seqs[4]]
            assert (await reader.history("PUSH", ">", seqs[-1] + 100, 10)).entries == ()


def quick(consumer: Consumer, attempts_max: int = 12) -> Consumer:
    """The consumer with delays a test can wait for."""
    return Consumer(
        durable=consumer.durable,
        stream=consumer.stream,
        service=consumer.service,
        filters=consumer.filters,
        attempts_max=attempts_max,
        retry_delay_s=0.01,
        retry_delay_s_max=0.05,
    )
