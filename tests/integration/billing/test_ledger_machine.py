"""Concurrent holds, charges, releases, crashes, payments and refunds in any order, on the real database.

After every step: postings sum to zero, wallets and holds are what their postings and calls say, no balance is
negative, and each payment stands where the best of its callbacks puts it, booked once.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from libs.common.clock import SystemClock
from libs.common.db import Database
from libs.common.errors import AppError, InternalError
from libs.common.ids import RandomIds
from libs.common.plans import PlansFile
from services.billing import ledger
from services.billing.callbacks import Callbacks
from services.billing.errors import PaymentRequired
from services.billing.fulfilment import Fulfilment
from services.billing.meter import Direct, Drop, Hold, Request, Take, day_of
from services.billing.payment import RANK, Payment, Status
from services.billing.payment_store import PaymentStore
from services.billing.plan_store import PlanStore
from services.billing.providers.base import Heard, Page, Wanted
from services.billing.store import Store
from services.billing.writer import Batcher, Ground

_numbers = itertools.count()
WALLETS = ("key:a", "key:b")
ORDERS = 3
AMOUNT = 5_000_000
SOAK_EXAMPLES, SOAK_STEPS = 40, 25
Act = Callable[[], Coroutine[Any, Any, Any]]


class Post:
    """A provider whose callbacks are what the machine puts in."""

    name = "stripe"
    configured = True

    def __init__(self) -> None:
        self.next = Heard("", "", "", None, 0)

    async def close(self) -> None: ...

    async def open(self, wanted: Wanted) -> Page:
        raise NotImplementedError

    def read(self, body: bytes, signature: str, now_s: int) -> Heard:
        order, status, paid, event = body.decode().split()
        return Heard(event, order, "", Status(status), int(paid))


class Machine(RuleBasedStateMachine):
    """Runs in a thread of its own; ``run`` does things on the loop that owns the database."""

    run: Callable[[Act], Any]
    database: Database

    def __init__(self) -> None:
        super().__init__()
        self.mark = next(_numbers)
        self.wallets = [f"{name}{self.mark}" for name in WALLETS]
        self.orders = [f"top_{self.mark}_{n}" for n in range(ORDERS)]
        self.heard: dict[str, list[Status]] = {order: [] for order in self.orders}
        self.run(self.open)

    async def open(self) -> None:
        clock = SystemClock()
        self.ground = Ground(self.database, Store(), clock, RandomIds(), PlansFile("", clock))
        self.payments = PaymentStore()
        fulfilment = Fulfilment(self.ground, self.payments, PlanStore())
        self.callbacks, self.post = Callbacks(self.ground, self.payments, fulfilment), Post()
        async with self.database.transaction() as tx:
            for number, order in enumerate(self.orders):
                wallet = self.wallets[number % len(self.wallets)]
                await self.payments.add(tx, payment_of(order, wallet, clock.now_ms()))
        self.start()

    def start(self) -> None:
        """Two processes: each remembers rows which the other, and callbacks, change."""
        self.batchers = [Batcher(self.ground), Batcher(self.ground)]
        self.tasks = [asyncio.ensure_future(batcher.run()) for batcher in self.batchers]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()  # what was committed stays, what was not is rolled back
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def requests(self, kinds: list[tuple[str, int, int, int]]) -> list[Request]:
        day = day_of(self.ground.clock.now_ms())
        made: list[Request] = []
        for kind, wallet, number, micros in kinds:
            id, name = f"c{self.mark}.{number}", self.wallets[wallet]
            match kind:
                case "hold":
                    quota = "scan" if number < 3 else ""  # without one, rows may be remembered
                    made.append(Hold(id, "POST /x", name, micros, day, quota, name, 4))
                case "take":
                    made.append(Take(id, micros))
                case "direct":
                    made.append(Direct(f"{id}d", "POST /y", name, micros, day))
                case _:
                    made.append(Drop(id, kind == "expire"))
        return made

    calls = st.lists(
        st.tuples(
            st.sampled_from(["hold", "hold", "take", "take", "drop", "expire", "direct"]),
            st.integers(0, len(WALLETS) - 1),
            st.integers(0, 9),
            st.integers(0, 3_000_000),
        ),
        min_size=1,
        max_size=12,
    )

    def sent(self, kinds: list[tuple[str, int, int, int]], split: int) -> list[Coroutine[Any, Any, Any]]:
        """The first ``split`` requests to one process, the others to the other."""
        requests = self.requests(kinds)
        return [self.batchers[n >= split].do(request) for n, request in enumerate(requests)]

    @rule(kinds=calls, split=st.integers(0, 12))
    def meter(self, kinds: list[tuple[str, int, int, int]], split: int) -> None:
        async def act() -> None:
            results = await asyncio.gather(*self.sent(kinds, split), return_exceptions=True)
            assert not [r for r in results if isinstance(r, Exception) and not refusal(r)], results

        self.run(act)

    @rule(kinds=calls, split=st.integers(0, 12), turns=st.integers(0, 6))
    def crash_while_metering(self, kinds: list[tuple[str, int, int, int]], split: int, turns: int) -> None:
        async def act() -> None:
            asked = [asyncio.ensure_future(one) for one in self.sent(kinds, split)]
            for _ in range(turns):
                await asyncio.sleep(0)
            await self.stop()
            for one in asked:
                one.cancel()
            await asyncio.gather(*asked, return_exceptions=True)
            self.start()

        self.run(act)

    @rule(
        said=st.lists(
            st.tuples(
                st.integers(0, ORDERS - 1),
                st.sampled_from([s for s in Status if s not in (Status.CREATED, Status.UNKNOWN)]),
                st.sampled_from([AMOUNT, AMOUNT, AMOUNT, 1, -1]),
                st.integers(1, 2),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def callbacks_arrive(self, said: list[tuple[int, Status, int, int]]) -> None:
        """Several at once; what each order stands at then is the highest of all that was heard."""

        async def act() -> None:
            sent = []
            for number, status, paid, times in said:
                order = self.orders[number]
                event = f"evt_{self.mark}_{next(_numbers)}"
                body = f"{order} {status.value} {paid} {event}".encode()
                sent += [self.callbacks.take(self.post, body, "") for _ in range(times)]
                self.heard[order].append(effective(status, paid))
            results = await asyncio.gather(*sent, return_exceptions=True)
            assert not [r for r in results if isinstance(r, Exception) and not isinstance(r, AppError)], (
                results
            )

        self.run(act)

    @invariant()
    def nothing_is_lost_or_made(self) -> None:
        self.run(self.check)

    async def check(self) -> None:
        store = self.ground.store
        async with self.database.transaction() as tx:
            assert await store.unsound(tx) == []
            for order, heard in self.heard.items():
                payment = await self.payments.by_ref(tx, "stripe", order)
                assert payment is not None
                top = max((RANK[status] for status in heard), default=0)
                assert RANK[payment.status] == top, (payment.status, heard)
            for name in self.wallets:
                wallet = await store.wallet(tx, name)
                assert 0 <= wallet.held_micros <= wallet.balance_micros

    def teardown(self) -> None:
        self.run(self.stop)


def refusal(error: Exception) -> bool:
    """Whether a request was refused, not broken."""
    return isinstance(error, AppError) and not isinstance(error, InternalError)


def effective(status: Status, paid: int) -> Status:
    """What a callback amounts to: money of another amount is for staff, and paid back it is not taken."""
    if status is Status.SETTLED and paid != AMOUNT:
        return Status.HELD
    if status is Status.REFUNDED and paid != AMOUNT:
        return Status.CREATED
    return status


def payment_of(order: str, wallet: str, now_ms: int) -> Payment:
    return Payment(
        id=order,
        provider="stripe",
        ref=order,
        purpose="topup",
        status=Status.CREATED,
        wallet=wallet,
        person_id=None,
        plan="",
        period="",
        request_id="",
        amount_micros=AMOUNT,
        paid_micros=0,
        external="",
        transaction=None,
        payer="",
        detail="",
        note="",
        created_ms=now_ms,
        settled_ms=0,
        tried_ms=now_ms,
    )


async def run_machine(database: Database, examples: int, steps: int) -> None:
    """The machine in a thread, its coroutines here."""
    loop = asyncio.get_running_loop()

    def run(act: Act) -> Any:
        return asyncio.run_coroutine_threadsafe(act(), loop).result(60)

    kind = type("BoundMachine", (Machine,), {"run": staticmethod(run), "database": database})
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    await asyncio.to_thread(run_state_machine_as_test, kind, settings=limits)


async def test_the_ledger_holds(database: Callable[[str], Awaitable[Database]]) -> None:
    await run_machine(await database("billing"), examples=8, steps=12)


@pytest.mark.soak
@pytest.mark.timeout(300)
async def test_the_ledger_holds_for_long(database: Callable[[str], Awaitable[Database]]) -> None:
    await run_machine(await database("billing"), examples=SOAK_EXAMPLES, steps=SOAK_STEPS)


async def test_what_a_process_remembers_is_compared(database: Callable[[str], Awaitable[Database]]) -> None:
    """Two processes spend the same money in turn, each with what it wrote last in mind."""
    clock, pool = SystemClock(), await database("billing")
    ground = Ground(pool, Store(), clock, RandomIds(), PlansFile("", clock))
    async with pool.transaction() as tx:
        entry = ledger.staff("given", "key:both", 10, "test")
        await ground.store.post(tx, entry, now_ms=clock.now_ms(), plans="")
    batchers = [Batcher(ground), Batcher(ground)]
    tasks = [asyncio.ensure_future(batcher.run()) for batcher in batchers]
    day, left = day_of(clock.now_ms()), []
    for n in range(10):
        batcher = batchers[n // 2 % 2]  # the second of each two is written from memory
        await batcher.do(Hold(f"both{n}", "POST /x", "key:both", 1, day))
        left.append((await batcher.do(Take(f"both{n}"))).available_micros)
        async with pool.connection() as db:
            assert await ground.store.unsound(db) == []
    assert left == list(range(9, -1, -1))
    for batcher in batchers:
        with pytest.raises(PaymentRequired):
            await batcher.do(Hold("more", "POST /x", "key:both", 1, day))
        batcher.stop()
    await asyncio.gather(*tasks)
