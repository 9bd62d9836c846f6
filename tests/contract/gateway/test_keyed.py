"""Idempotency-Key on real processes: one effect, the same bytes, and nothing secret kept."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from services.gateway.keyed import fingerprint_of
from tests.conftest import empty_streams
from tests.contract.gateway.edge import Answer, Client
from tests.databases import Databases
from tests.house import House
from tests.servers import NatsServer

Eventually = Callable[..., Any]
SYMBOL = "EURUSD"
ALERT = {"symbol": SYMBOL, "side": 0, "condition": 2, "repeat_mode": 0, "target_price": 1.5}
_numbers = itertools.count()


@dataclass
class Desk:
    """A stack with its database in sight."""

    client: Client
    house: House
    database: asyncpg.Connection

    async def sign_up(self, **headers: str) -> str:
        """A fresh account's token."""
        body = {"name": "Ann", "email": f"k{next(_numbers)}@example.com", "password": "secret-1"}
        answer = await self.client.post("/sign/up", body, headers=headers)
        assert answer.status == 200, answer.body
        token: str = answer.json["__token"]
        return token

    async def admin(self) -> str:
        answer = await self.client.post("/sign/in", {"login": 1, "password": "admin-password"})
        token: str = answer.json["__token"]
        return token

    async def keyed(self, method: str, path: str, body: Any, token: str, key: str) -> Answer:
        return await self.client.call(method, path, body, token, headers={"Idempotency-Key": key})

    async def alert(self, token: str, key: str, **changed: Any) -> Answer:
        return await self.keyed("POST", "/price_alert", {**ALERT, **changed}, token, key)

    async def alerts(self, token: str) -> int:
        answer = await self.client.get("/price_alert/list", token)
        assert answer.status == 200, answer.body
        return len(answer.json["rows"])

    async def rows(self, key: str) -> list[asyncpg.Record]:
        found = await self.database.fetch("SELECT * FROM auth.request_key WHERE key = $1", key)
        return list(found)

    async def end_lease(self, key: str) -> None:
        """Time passes: as if its gateway had begun it long ago."""
        await self.database.execute("UPDATE auth.request_key SET lease_ms = 1 WHERE key = $1", key)


@pytest_asyncio.fixture(scope="module")
async def house_and_dsns(
    template: Databases,
    nats: NatsServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[House, dict[str, str]]]:
    """Every service an alert needs, with a symbol that has a price."""
    await empty_streams(nats)
    async with template.fresh() as dsns:
        house = House(dsns, nats.url, tmp_path_factory.mktemp("keyed"))
        try:
            await house.start("auth", "market", "trading", "alerts", "gateway")
            yield house, dsns
        finally:
            await house.stop()


@pytest_asyncio.fixture
async def desk(
    house_and_dsns: tuple[House, dict[str, str]], session: aiohttp.ClientSession
) -> AsyncIterator[Desk]:
    house, dsns = house_and_dsns
    database = await asyncpg.connect(dsns["admin"])
    made = Desk(Client(session, house.url), house, database)
    body = {"quotes": [{"symbol": SYMBOL, "bid": 1.1, "ask": 1.2}]}
    assert (await made.client.post("/admin/quotes", body, await made.admin())).status == 200
    yield made
    await database.close()


def same(one: Answer, other: Answer) -> bool:
    kept = ("Content-Type", "Cache-Control", "Retry-After")
    return (one.status, one.body, [one.headers.get(k) for k in kept]) == (
        other.status,
        other.body,
        [other.headers.get(k) for k in kept],
    )


async def test_the_same_request_twice_is_one_alert_and_the_same_bytes(desk: Desk) -> None:
    token = await desk.sign_up()
    first = await desk.alert(token, "twice")
    again = await desk.alert(token, "twice")
    assert first.status == 200, first.body
    assert same(first, again)
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await desk.alerts(token) == 1
    without = await desk.client.post("/price_alert", ALERT, token)
    assert without.body != first.body
    assert await desk.alerts(token) == 2


async def test_another_request_with_the_key_is_refused(desk: Desk) -> None:
    token = await desk.sign_up()
    assert (await desk.alert(token, "other")).status == 200
    refused = await desk.alert(token, "other", target_price=1.6)
    assert refused.error == (422, "IDEMPOTENCY_MISMATCH")
    path = await desk.keyed("POST", "/price_alert?comment=x", ALERT, token, "other")
    assert path.error == (422, "IDEMPOTENCY_MISMATCH")
    spaced = await desk.client.session.post(
        desk.client.url + "/price_alert",
        data=json.dumps(ALERT, indent=1),
        headers={"Authorization": token, "Idempotency-Key": "other", "Content-Type": "application/json"},
    )
    assert spaced.status == 422  # the same bytes, not the same meaning
    assert await desk.alerts(token) == 1


async def test_of_many_at_once_one_is_done(desk: Desk) -> None:
    token = await desk.sign_up()
    answers = await asyncio.gather(*(desk.alert(token, "crowd") for _ in range(20)))
    done = [a for a in answers if a.status == 200]
    assert len({a.body for a in done}) == 1
    assert sum("Idempotency-Replayed" not in a.headers for a in done) == 1
    assert {a.error for a in answers if a.status != 200} <= {(409, "IDEMPOTENCY_IN_FLIGHT")}
    assert all("Retry-After" in a.headers for a in answers if a.status == 409)
    assert await desk.alerts(token) == 1


async def test_a_services_refusal_is_kept_and_the_doors_is_not(desk: Desk) -> None:
    token = await desk.sign_up()
    refused = await desk.alert(token, "refused", symbol="NOSUCH")
    again = await desk.alert(token, "refused", symbol="NOSUCH")
    assert refused.status >= 400
    assert same(refused, again)
    assert again.headers["Idempotency-Replayed"] == "true"
    at_door = [
        await desk.alert(token, "door", side="wrong"),
        await desk.alert("", "door"),
        await desk.alert(token, "door", login=1),
        await desk.keyed("POST", "/admin/quotes", {"quotes": []}, token, "door"),
    ]
    assert [a.status for a in at_door] == [400, 401, 403, 403]
    assert await desk.rows("door") == []
    assert (await desk.alert(token, "door")).status == 200


@pytest.mark.parametrize("key", ["", "a b", "\u00e4", "k" * 256])
async def test_a_key_that_is_none_is_refused(desk: Desk, key: str) -> None:
    token = await desk.sign_up()
    assert (await desk.alert(token, key)).error == (400, "INVALID_DATA")
    assert await desk.alerts(token) == 0


async def test_each_principal_has_keys_of_its_own(desk: Desk) -> None:
    one, other = await desk.sign_up(), await desk.sign_up()
    first, second = await desk.alert(one, "mine"), await desk.alert(other, "mine")
    assert (first.status, second.status) == (200, 200)
    assert "Idempotency-Replayed" not in second.headers
    assert (await desk.alerts(one), await desk.alerts(other)) == (1, 1)
    assert len(await desk.rows("mine")) == 2


async def test_an_admins_write_counts_once_and_is_audited_once(desk: Desk) -> None:
    admin = await desk.admin()
    body = {"quotes": [{"symbol": SYMBOL, "bid": 1.11, "ask": 1.21}]}
    count = "SELECT count(*) FROM auth.audit WHERE path = '/admin/quotes'"
    before = await desk.database.fetchval(count)
    first = await desk.keyed("POST", "/admin/quotes", body, admin, "quotes")
    again = await desk.keyed("POST", "/admin/quotes", body, admin, "quotes")
    assert (first.status, first.json) == (200, {"data": "OK"})
    assert same(first, again)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert await desk.database.fetchval(count) == before + 2  # intent and outcome of one


async def test_a_put_and_a_delete_honour_it_too(desk: Desk) -> None:
    token = await desk.sign_up()
    made = (await desk.alert(token, "made")).json
    number = made["rows"][0][made["structure"].index("id")]
    for method, path, body in (
        ("PUT", "/price_alert", {"id": number, "comment": "x"}),
        ("DELETE", f"/price_alert/{number}", None),
    ):
        first = await desk.keyed(method, path, body, token, f"{method} it".replace(" ", "-"))
        again = await desk.keyed(method, path, body, token, f"{method} it".replace(" ", "-"))
        assert first.status == 200, first.body
        assert same(first, again)
        assert again.headers["Idempotency-Replayed"] == "true"


async def test_what_makes_a_person_by_staff_is_done_once_and_its_password_is_not_kept(desk: Desk) -> None:
    admin = await desk.admin()
    user = {"group": "demo", "name": "Bob", "password": "secret-4", "leverage": 100, "enable": 1}
    cases = [
        ("/admin/staff", {"name": "Sam", "password": "secret-3", "type": 1}),
        ("/admin/users", {**user, "email": f"k{next(_numbers)}@example.com"}),
    ]
    for number, (path, body) in enumerate(cases):
        first = await desk.keyed("POST", path, body, admin, f"hire-{number}")
        again = await desk.keyed("POST", path, body, admin, f"hire-{number}")
        assert first.status == 200, first.body
        assert same(first, again)
        assert again.headers["Idempotency-Replayed"] == "true"
        other = await desk.keyed("POST", path, {**body, "password": "secret-5"}, admin, f"hire-{number}")
        assert other.status == 422
    prints = {bytes(row["fingerprint"]) for n in (0, 1) for row in await desk.rows(f"hire-{n}")}
    plain = {fingerprint_of("POST", path, "", json.dumps(body).encode()) for path, body in cases}
    assert len(prints) == 2
    assert not prints & plain, "a likely password could be tried against a plain hash"


async def test_signing_up_takes_no_key_and_nothing_secret_is_kept(desk: Desk) -> None:
    token = await desk.sign_up(**{"Idempotency-Key": "sign"})
    other = await desk.sign_up(**{"Idempotency-Key": "sign"})
    assert token != other
    admin = await desk.admin()
    staff = {"name": "Sam", "password": "secret-3", "type": 1}
    assert (await desk.keyed("POST", "/admin/staff", staff, admin, "staff")).status == 200
    change = {"password": "secret-1", "new_password": "secret-2"}
    assert (await desk.keyed("PUT", "/account/password", change, token, "sign")).status == 200
    assert (await desk.keyed("POST", "/stream/token", {}, other, "sign")).status == 200
    assert await desk.rows("sign") == []
    assert (await desk.alert(other, "kept")).status == 200
    everything = await desk.database.fetchval(
        "SELECT string_agg(r::text || convert_from(r.body, 'UTF8'), ' ') FROM auth.request_key AS r"
    )
    assert "kept" in everything
    for secret in ("secret-1", "secret-2", "secret-3", token, other, admin, "__token"):
        assert secret not in everything


async def test_a_key_of_a_gateway_that_died_works_again_after_its_lease(
    desk: Desk, eventually: Eventually
) -> None:
    token = await desk.sign_up()
    alerts = desk.house.running["alerts-0"]
    alerts.signal(signal.SIGSTOP)
    try:
        asking = asyncio.create_task(desk.alert(token, "died"))
        await eventually(lambda: desk.rows("died"))
        await desk.house.end("gateway-0", signal.SIGKILL)
        with pytest.raises(aiohttp.ClientError):
            await asking
    finally:
        alerts.signal(signal.SIGCONT)
    await desk.house.start("gateway")
    assert (await desk.alert(token, "died")).error == (409, "IDEMPOTENCY_IN_FLIGHT")
    assert (await desk.alert(token, "died", side=1)).error == (422, "IDEMPOTENCY_MISMATCH")
    await desk.end_lease("died")
    done = await desk.alert(token, "died")
    assert done.status == 200
    assert "Idempotency-Replayed" not in done.headers
    assert same(done, await desk.alert(token, "died"))


async def test_a_day_later_the_key_is_a_new_one(desk: Desk) -> None:
    token = await desk.sign_up()
    assert (await desk.alert(token, "old")).status == 200
    await desk.database.execute("UPDATE auth.request_key SET created_ms = 1 WHERE key = 'old'")
    later = await desk.alert(token, "old", target_price=1.7)
    assert later.status == 200
    assert "Idempotency-Replayed" not in later.headers
    assert await desk.alerts(token) == 2


async def test_without_auth_nothing_is_done(desk: Desk) -> None:
    token = await desk.sign_up()
    assert await desk.alerts(token) == 0  # the gateway knows the token now
    await desk.house.end("auth-0")
    try:
        assert (await desk.alert(token, "away")).error == (503, "RET_ERR_NOSERVICE")
        assert (
            await desk.client.post("/price_alert", ALERT, token)
        ).status == 200  # a key is what needs auth
    finally:
        await desk.house.start("auth")
    assert (await desk.alert(token, "away")).status == 200
    assert await desk.alerts(token) == 2
