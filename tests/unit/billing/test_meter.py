"""Holds, charges and releases of random batches against a plain account of them."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.common.errors import AppError
from services.billing.errors import CallUnknown, PaymentRequired, QuotaExceeded, RequestIdTaken
from services.billing.meter import Book, Direct, Drop, Hold, Outcome, QuotaKey, Request, State, Take, Wallet
from tests.oracles.billing import PlainTill

IDS = st.sampled_from([f"r{n}" for n in range(6)])
MICROS = st.integers(0, 60)
LIMIT = 3
KEY = QuotaKey("person:1", "scan", 20_000)

holds = st.builds(
    lambda id, micros, quota: Hold(
        id, "POST /x", "w", micros, KEY.day, KEY.quota if quota else "", KEY.subject, LIMIT
    ),
    IDS,
    MICROS,
    st.booleans(),
)
requests = st.one_of(
    holds,
    st.builds(Take, IDS, MICROS),
    st.builds(Drop, IDS, st.booleans()),
    st.builds(lambda n, micros: Direct(f"d{n}", "POST /y", "w", micros, KEY.day), st.integers(0, 3), MICROS),
)

WORDS = {PaymentRequired: "credit", QuotaExceeded: "quota", CallUnknown: "unknown"}


def word_of(result: Outcome | AppError) -> str:
    return WORDS[type(result)] if isinstance(result, AppError) else "ok"


def plainly(till: PlainTill, request: Request) -> str:
    match request:
        case Hold():
            return till.hold(request.request_id, request.micros, bool(request.quota))
        case Take():
            return till.take(request.request_id, request.micros or 0)
        case Drop():
            return till.drop(request.request_id, request.expired)
        case Direct():
            if request.request_id in till.calls:
                return "ok"
            said = till.hold(request.request_id, request.micros, False)
            return till.take(request.request_id, request.micros) if said == "ok" else said


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 150), st.lists(st.lists(requests, max_size=8), max_size=8))
def test_batches_do_what_one_after_the_other_would(deposit: int, batches: list[list[Request]]) -> None:
    till = PlainTill(deposits=deposit, quota_limit=LIMIT)
    wallet, calls, used = Wallet("w", 1, deposit, 0), {}, {KEY: 0}
    for batch in batches:
        book = Book({"w": wallet}, dict(calls), dict(used))
        for request in batch:
            assert word_of(book.do(request)) == plainly(till, request), request
        # What is written is what the next batch reads.
        calls.update(book.added)
        calls.update(book.ended)
        used.update({key: book.quotas[key] for key in book.counted})
        assert wallet.balance_micros == deposit - till.charged()
        assert wallet.held_micros == till.held() <= wallet.balance_micros
        assert used[KEY] == till.quota_used() <= LIMIT + 1
        charged_now = {call.request_id for call in book.charged_calls}
        assert sum(calls[id].charged_micros for id in charged_now) == sum(book.charged.values())
    assert {id: State[str(c["state"]).upper()] for id, c in till.calls.items()} == {
        id: call.state for id, call in calls.items()
    }


def test_a_request_id_of_somebody_else_buys_nothing() -> None:
    rich, poor = Wallet("rich", 1, 100, 0), Wallet("poor", 2, 0, 0)
    book = Book({"rich": rich, "poor": poor}, {}, {})
    own = Hold("r1", "POST /x", "rich", 10, KEY.day)
    assert isinstance(book.do(own), Outcome)
    others: list[Request] = [
        own._replace(wallet="poor"),
        own._replace(operation="POST /dear"),
        own._replace(subject="person:2"),
        Direct("r1", "POST /x", "poor", 10, KEY.day),
        Direct("r1", "POST /y", "rich", 10, KEY.day),
    ]
    assert all(isinstance(book.do(other), RequestIdTaken) for other in others)
    assert (rich.held_micros, poor.held_micros, len(book.added)) == (10, 0, 1)
    assert book.do(own) == Outcome(10, 90)  # its own again changes nothing
    assert rich.held_micros == 10
