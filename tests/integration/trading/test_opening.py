"""Opening a margin account, on a real PostgreSQL and NATS: once, with its deposit, told to its sockets."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.common.bus import Entry, encode
from libs.common.errors import InvalidData, RemoteError
from libs.common.messages.auth import AccountOpened
from libs.common.messages.trading import AccountAsk
from libs.common.streams import TRADING_ACCOUNTS
from libs.common.subjects import ACCOUNT_OPENED
from services.trading.errors import AccountDiffers, UserUnknown
from services.trading.handlers import on_account_told
from services.trading.ledger import Reason, finance
from services.trading.service import Claim
from services.trading.store import QUERIES
from tests.conftest import wait_until
from tests.integration.trading.stage import NOW, Stage, wanted

FINANCE = (Reason.BALANCE_IN, Reason.BALANCE_OUT, Reason.CREDIT_IN, Reason.CREDIT_OUT)


async def test_opening_books_the_default_deposit_and_tells_the_sockets(stage: Stage) -> None:
    state = await stage.service.open_account(wanted())
    assert (state.balance, state.equity, state.margin_free, state.margin_level) == (
        10_000.0,
        10_000.0,
        10_000.0,
        0.0,
    )
    await wait_until(stage.is_published)
    frames = await stage.pushes(500)
    booked_s = int(NOW.timestamp())
    order = frames[0][1]
    assert frames == [
        [
            "o",
            order,
            500,
            "",
            6,
            0,
            0.0,
            0.0,
            booked_s,
            booked_s,
            0.0,
            0.0,
            3,
            0.0,
            0.0,
            10_000.0,
            "Default deposit",
            0,
        ],
        ["b", 500, 10_000.0, 0.0, 10_000.0, 0.0, 10_000.0, 0.0, 0, 0.0, 1],
    ]
    assert await stage.rows("SELECT cmd, profit_minor, login FROM trading.trade") == [(6, 1_000_000, 500)]
    assert await stage.rows(
        "SELECT kind, login, amount_minor FROM trading.posting p"
        " JOIN trading.ledger_account a ON a.id = p.account_id ORDER BY login"
    ) == [("deposits", 0, -1_000_000), ("balance", 500, 1_000_000)]


async def test_opening_again_gives_the_same_account_and_no_second_deposit(stage: Stage) -> None:
    first = await stage.service.open_account(wanted())
    assert await stage.service.open_account(wanted()) == first
    assert await stage.service.account(AccountAsk(login=500)) == first
    assert await stage.rows("SELECT count(*) FROM trading.trade") == [(1,)]


async def test_many_openings_at_once_make_one_account_and_one_deposit(stage: Stage) -> None:
    calls = [stage.service.open_account(wanted()) for _ in range(12)]
    calls += [stage.service.open_account(wanted(), Claim("trading-accounts", "event-1")) for _ in range(6)]
    states = await asyncio.gather(*calls)
    assert {state.balance for state in states} == {10_000.0}
    assert await stage.rows("SELECT count(*) FROM trading.trade") == [(1,)]
    async with stage.database.connection() as connection:
        assert await stage.store.ledger_sums(connection) == {}


async def test_a_group_without_deposit_makes_an_empty_account_and_one_frame(stage: Stage) -> None:
    assert (await stage.service.open_account(wanted(group="empty"))).balance == 0.0
    frames = await wait_until(lambda: stage.pushes(500))
    assert frames == [["b", 500, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, 1]]


async def test_a_currency_without_minor_units_is_booked_in_whole_units(stage: Stage) -> None:
    assert (await stage.service.open_account(wanted(group="yen", currency="JPY"))).balance == 500.0
    assert await stage.rows("SELECT profit_minor FROM trading.trade") == [(500,)]


async def test_refusals_change_nothing(stage: Stage) -> None:
    with pytest.raises(RemoteError) as refused:
        await stage.service.open_account(wanted(group="nowhere"))
    assert refused.value.code == "GROUP_NOT_FOUND"
    for bad in (wanted(login=0), wanted(currency="")):
        with pytest.raises(InvalidData):
            await stage.service.open_account(bad)
    with pytest.raises(UserUnknown):
        await stage.service.account(AccountAsk(login=500))
    assert await stage.rows("SELECT count(*) FROM trading.margin_account") == [(0,)]
    await stage.service.open_account(wanted())
    with pytest.raises(AccountDiffers):
        await stage.service.open_account(wanted(currency="EUR"))


async def test_a_fact_delivered_twice_and_a_command_make_one_account(stage: Stage) -> None:
    reading = await stage.bus.consume(TRADING_ACCOUNTS, on_account_told(stage.service))
    opened = AccountOpened(
        login=700,
        person_id=3,
        group="demo",
        currency="USD",
        leverage=50,
        email="a@b.c",
        name="A",
        opened_ms=5,
    )
    subject = ACCOUNT_OPENED.at(login=700)
    await stage.bus.append(
        "AUTH", [Entry(subject, encode(opened), "event-a"), Entry(subject, encode(opened), "event-b")]
    )
    await stage.service.open_account(wanted(login=700))
    # A third account behind them in the stream: when it is there, both facts have been handled.
    behind = AccountOpened(
        login=701,
        person_id=3,
        group="demo",
        currency="USD",
        leverage=50,
        email="a@b.c",
        name="A",
        opened_ms=5,
    )
    await stage.bus.append("AUTH", [Entry(ACCOUNT_OPENED.at(login=701), encode(behind), "event-c")])
    await wait_until(lambda: stage.rows("SELECT 1 FROM trading.margin_account WHERE login = 701"))
    assert await stage.rows("SELECT login, count(*) FROM trading.trade GROUP BY login ORDER BY login") == [
        (700, 1),
        (701, 1),
    ]
    await reading.stop()


@settings(
    max_examples=10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    operations=st.lists(
        st.tuples(st.sampled_from(FINANCE), st.integers(1, 3), st.integers(1, 10**9)),
        min_size=1,
        max_size=15,
    )
)
async def test_the_database_holds_the_sum_at_zero_and_the_balance_at_its_postings(
    stage: Stage, operations: list[tuple[Reason, int, int]]
) -> None:
    async def balance_of(login: int) -> int:
        async with stage.database.connection() as connection:
            known = await stage.store.account(connection, login)
        assert known is not None
        return known.balance_minor

    expected: dict[int, int] = {}
    for login in (1, 2, 3):
        await stage.service.open_account(wanted(login=login, group="empty"))
        expected[login] = await balance_of(login)
    for reason, login, amount in operations:
        signed = amount if reason in (Reason.BALANCE_IN, Reason.CREDIT_IN) else -amount
        async with stage.database.transaction() as tx:
            await stage.store.post(tx, finance(reason, login, "USD", signed), trade=None, posted_ms=1)
        if reason in (Reason.BALANCE_IN, Reason.BALANCE_OUT):
            expected[login] += signed
    async with stage.database.connection() as connection:
        assert await stage.store.ledger_sums(connection) == {}
    for login, balance in expected.items():
        assert await balance_of(login) == balance


async def test_the_database_refuses_an_entry_that_does_not_balance_and_any_change_of_a_posting(
    stage: Stage,
) -> None:
    await stage.service.open_account(wanted())
    async with stage.database.connection() as connection:
        with pytest.raises(asyncpg.RaiseError, match="does not sum to zero"):
            await connection.fetchrow(
                QUERIES["post"], "balance_in", None, 1, ["balance"], [500], ["USD"], [1]
            )
        with pytest.raises(asyncpg.RaiseError, match="never changed"):
            await connection.execute("UPDATE trading.posting SET amount_minor = 0")
        with pytest.raises(asyncpg.RaiseError, match="never changed"):
            await connection.execute("DELETE FROM trading.posting")


async def test_every_query_prepares(stage: Stage) -> None:
    async with stage.database.connection() as connection:
        for name, sql in QUERIES.items():
            columns = [a.name for a in (await connection.prepare(sql)).get_attributes()]
            assert len(columns) == len(set(columns)), f"{name} returns a column name twice"
