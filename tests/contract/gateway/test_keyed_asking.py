"""What the gateway asks of auth for an Idempotency-Key, and what it has kept of the answers of services."""

from __future__ import annotations

from typing import Any

import pytest

from libs.common.errors import AppError, ErrorBody, RemoteError, Retry, ServiceUnavailable
from libs.common.messages.house import Done
from libs.common.messages.requests import BODY_BYTES_MAX, RequestAnswer, RequestBegun, RequestFinish
from libs.common.subjects import ALERT_CREATE, REQUEST_BEGIN, REQUEST_FINISH
from tests.contract.gateway.edge import Answer, Client, Edge
from tests.contract.gateway.samples import SAMPLES

Edged = tuple[Edge, Client]
KEY = {"Idempotency-Key": "k"}
ROW = "POST /price_alert"
SAID = b'{"structure":["id"],"rows":[[1]]}'


def remote(code: str, status: int, retry: Retry = Retry.NO) -> RemoteError:
    return RemoteError(ErrorBody(code=code, status=status, message="why", retry=retry))


async def ask(at_edge: Edged, *, owner: Any, begun: Any = None) -> tuple[Answer, list[RequestFinish]]:
    """The answer to a keyed request, and what the gateway told auth after it."""
    edge, client = at_edge
    edge.answer(REQUEST_BEGIN, lambda message: begun or RequestBegun(outcome="new", lease_ms=5))
    edge.answer(REQUEST_FINISH, lambda message: Done())

    def answer(message: Any) -> Any:
        if isinstance(owner, AppError):
            raise owner
        return owner

    edge.answer(ALERT_CREATE, answer)
    said = await client.post(*SAMPLES[ROW], edge.signer.token(), headers=KEY)
    return said, edge.heard[REQUEST_FINISH.name]


async def test_without_the_header_or_on_a_get_auth_is_not_asked(at_edge: Edged) -> None:
    edge, client = at_edge
    await client.post(*SAMPLES[ROW], edge.signer.token())
    await client.get("/price_alert/list", edge.signer.token(), headers=KEY)
    assert len(edge.heard[ALERT_CREATE.name]) == 1
    assert edge.heard[REQUEST_BEGIN.name] == []


async def test_an_answer_is_kept_under_its_lease(at_edge: Edged) -> None:
    said, finished = await ask(at_edge, owner=SAID)
    assert (said.status, said.body) == (200, SAID)
    (asked,) = at_edge[0].heard[REQUEST_BEGIN.name]
    assert (asked.surface, asked.principal, asked.key) == ("broker", "account:7", "k")
    (over,) = finished
    assert over == RequestFinish(
        surface="broker",
        principal="account:7",
        key="k",
        lease_ms=5,
        answer=RequestAnswer(
            status=200, content_type="application/json", body=SAID, headers={"Cache-Control": "no-store"}
        ),
    )


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        (remote("INVALID_CHANNEL", 400), 400),
        (remote("RET_TRADE_LIMIT_REACHED", 409), 409),
        (remote("RET_TECH_PROBLEM", 500), 500),
    ],
)
async def test_a_services_refusal_is_kept(at_edge: Edged, refusal: AppError, status: int) -> None:
    said, (over,) = await ask(at_edge, owner=refusal)
    assert over.answer is not None
    assert (said.status, said.body) == (over.answer.status, over.answer.body)
    assert over.answer.status == status


@pytest.mark.parametrize(
    "owner",
    [
        remote("RET_TOO_FREQUENT", 429, Retry.LATER),
        remote("INVALID_ADD_SCRIPT", 500),
        remote("RET_ERR_NOSERVICE", 503, Retry.LATER),
        b'"' + b"x" * BODY_BYTES_MAX + b'"',
    ],
)
async def test_what_is_not_kept_frees_its_key(at_edge: Edged, owner: Any) -> None:
    _, (over,) = await ask(at_edge, owner=owner)
    assert (over.lease_ms, over.answer) == (5, None)


async def test_an_unknown_outcome_leaves_its_key_in_flight(at_edge: Edged) -> None:
    said, finished = await ask(at_edge, owner=remote("RET_ERR_TIMEOUT", 504, Retry.RECONCILE))
    assert said.error == (504, "RET_ERR_TIMEOUT")
    assert finished == []


@pytest.mark.parametrize(
    ("begun", "error"),
    [
        (RequestBegun(outcome="mismatch"), (422, "IDEMPOTENCY_MISMATCH")),
        (RequestBegun(outcome="in_flight"), (409, "IDEMPOTENCY_IN_FLIGHT")),
    ],
)
async def test_a_refused_key_does_nothing(
    at_edge: Edged, begun: RequestBegun, error: tuple[int, str]
) -> None:
    said, finished = await ask(at_edge, owner=SAID, begun=begun)
    assert said.error == error
    assert at_edge[0].heard[ALERT_CREATE.name] == finished == []


async def test_an_answer_that_can_not_be_kept_is_given_all_the_same(at_edge: Edged) -> None:
    edge, client = at_edge

    def away(message: Any) -> Any:
        raise ServiceUnavailable("the disk is full")

    edge.answer(REQUEST_BEGIN, lambda message: RequestBegun(outcome="new", lease_ms=5))
    edge.answer(REQUEST_FINISH, away)
    edge.answer(ALERT_CREATE, lambda message: SAID)
    said = await client.post(*SAMPLES[ROW], edge.signer.token(), headers=KEY)
    assert (said.status, said.body) == (200, SAID)


async def test_nothing_is_done_when_the_key_can_not_be_looked_up(at_edge: Edged) -> None:
    edge, client = at_edge

    def broken(message: Any) -> Any:
        raise remote("RET_TECH_PROBLEM", 500)

    edge.answer(REQUEST_BEGIN, broken)
    said = await client.post(*SAMPLES[ROW], edge.signer.token(), headers=KEY)
    assert said.error == (503, "RET_ERR_NOSERVICE")
    assert edge.heard[ALERT_CREATE.name] == []


async def test_anonymous_callers_are_told_apart_by_address_and_scan_has_its_own_words(at_edge: Edged) -> None:
    edge, client = at_edge
    edge.answer(REQUEST_BEGIN, lambda message: RequestBegun(outcome="mismatch"))
    body = {"email": "ann@example.com"}
    said = await client.post("/auth/password/forgot", body, headers=KEY)
    assert (said.status, said.code) == (422, "idempotency_mismatch")
    (asked,) = edge.heard[REQUEST_BEGIN.name]
    assert (asked.surface, asked.principal) == ("scan", "address:127.0.0.1")
