"""Signing keys over restarts and rotations, the first staff, and the audit chain in the database."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path

import asyncpg
import pytest

from libs.common.bus_nats import NatsBus
from libs.common.db import Database
from libs.common.errors import ConfigInvalid
from libs.common.messages.auth import AuditAppend, AuditAsk, AuditVerify, KeyRotate, KeysAsk, SignIn
from libs.common.roles import ensure_roles
from libs.common.subjects import AUDIT_APPEND, AUDIT_LIST, AUDIT_VERIFY, KEY_ROTATE, KEYS_PUBLIC, SIGN_IN
from libs.common.tokens import kid_of
from services.auth.wiring import build
from tests.conftest import SERVICES
from tests.integration.auth.rig import ADMIN_PASSWORD, Rig, config_of, open_rig

MakeDatabase = Callable[[str], Awaitable[Database]]


def act(path: str = "/admin/symbols/EURUSD", **changed: object) -> AuditAppend:
    given = {"kind": "intent", "actor": 1, "session_type": 3, "method": "PUT", "path": path, **changed}
    return AuditAppend(**given)


async def test_staff_login_1_signs_in_with_the_given_password(rig: Rig) -> None:
    answer = await rig.call(SIGN_IN, SignIn(login=1, password=ADMIN_PASSWORD))
    claims = await rig.claims(answer.token)
    assert (claims.sub, claims.type, claims.person, claims.logins) == ("staff:1", 3, None, ())


async def test_the_setting_counts_at_the_first_start_only(
    database: MakeDatabase, bus: NatsBus, tmp_path: Path
) -> None:
    pool = await database("auth")
    async with open_rig(pool, bus, tmp_path):
        pass
    async with open_rig(pool, bus, tmp_path, admin_password="another-password") as rig:
        await rig.call(SIGN_IN, SignIn(login=1, password=ADMIN_PASSWORD))


async def test_without_a_setting_a_random_password_is_shown_once(
    database: MakeDatabase, bus: NatsBus, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pool = await database("auth")
    async with open_rig(pool, bus, tmp_path, admin_password="") as rig:
        shown = capfd.readouterr().err
        password = shown.split("has the password ")[1].split()[0]
        await rig.call(SIGN_IN, SignIn(login=1, password=password))
    async with open_rig(pool, bus, tmp_path, admin_password=""):
        assert "password" not in capfd.readouterr().err


async def test_an_admin_password_that_could_never_sign_in_stops_the_start(rig: Rig, tmp_path: Path) -> None:
    await rig.base.database.pool.execute("DELETE FROM auth.staff")
    with pytest.raises(ConfigInvalid, match="TRADEWIND_ADMIN_PASSWORD"):
        async with build(config_of(tmp_path, admin_password="short"), rig.base):
            pass


async def test_tokens_survive_a_restart(database: MakeDatabase, bus: NatsBus, tmp_path: Path) -> None:
    pool = await database("auth")
    async with open_rig(pool, bus, tmp_path) as rig:
        token = (await rig.sign_up()).token
    async with open_rig(pool, bus, tmp_path) as rig:
        assert (await rig.claims(token)).login == 100001


async def test_the_key_set_holds_two_keys_and_a_rotation_keeps_old_tokens(rig: Rig) -> None:
    old = (await rig.sign_up()).token
    before = {key["kid"] for key in (await rig.call(KEYS_PUBLIC, KeysAsk())).keys}
    assert len(before) == 2
    rotated = await rig.call(KEY_ROTATE, KeyRotate())
    young = (await rig.sign_up("b@example.com")).token
    assert kid_of(young) == rotated.kid != kid_of(old)
    assert rotated.kid in before, "readers of the key set knew the new key before it signed"
    for token in (old, young):
        await rig.claims(token)
    assert len((await rig.call(KEYS_PUBLIC, KeysAsk())).keys) == 3


async def test_several_starters_make_one_ring(database: MakeDatabase, bus: NatsBus, tmp_path: Path) -> None:
    pool = await database("auth")

    async def start() -> list[str]:
        async with open_rig(pool, bus, tmp_path) as rig:
            return [key["kid"] for key in (await rig.call(KEYS_PUBLIC, KeysAsk())).keys]

    rings = await asyncio.gather(*(start() for _ in range(3)))
    assert rings[0] == rings[1] == rings[2]
    assert len(rings[0]) == 2


async def test_another_secret_key_stops_the_start(
    database: MakeDatabase, bus: NatsBus, tmp_path: Path
) -> None:
    pool = await database("auth")
    async with open_rig(pool, bus, tmp_path):
        pass
    with pytest.raises(ConfigInvalid, match="restore it from your backup"):
        async with open_rig(pool, bus, tmp_path, secret_key="x" * 40):
            pass
    with pytest.raises(ConfigInvalid, match="at least 32 characters"):
        async with open_rig(pool, bus, tmp_path, secret_key="short"):
            pass


async def test_without_a_secret_a_key_file_is_made_for_its_owner_only(
    database: MakeDatabase, bus: NatsBus, tmp_path: Path
) -> None:
    pool = await database("auth")
    for _ in range(2):
        async with open_rig(pool, bus, tmp_path, secret_key="") as rig:
            await rig.call(KEYS_PUBLIC, KeysAsk())
    assert stat.S_IMODE((tmp_path / "secret.key").stat().st_mode) == 0o600


async def test_audit_rows_are_chained_paged_and_verified(rig: Rig) -> None:
    intent = await rig.call(AUDIT_APPEND, act())
    await rig.call(AUDIT_APPEND, act(kind="outcome", ref=intent.id, status=200))
    await rig.call(AUDIT_APPEND, act(actor=7))
    page = await rig.call(AUDIT_LIST, AuditAsk(limit=2))
    assert [row.id for row in page.rows] == [3, 2]
    assert page.count == 3
    assert page.rows[1].previous_hash == intent.hash
    assert [row.actor for row in (await rig.call(AUDIT_LIST, AuditAsk(actor=7))).rows] == [7]
    checked = await rig.call(AUDIT_VERIFY, AuditVerify())
    assert (checked.rows, checked.broken_id, checked.last_hash) == (3, 0, page.rows[0].hash)


async def test_rows_appended_at_once_make_one_chain(rig: Rig) -> None:
    await asyncio.gather(*(rig.call(AUDIT_APPEND, act(f"/admin/symbols/S{n}")) for n in range(30)))
    checked = await rig.call(AUDIT_VERIFY, AuditVerify())
    assert (checked.rows, checked.broken_id) == (30, 0)


@pytest.mark.parametrize(
    "sql", ["UPDATE auth.audit SET path = 'x'", "DELETE FROM auth.audit", "TRUNCATE auth.audit"]
)
async def test_auth_itself_cannot_change_what_was_audited(rig: Rig, dsns: dict[str, str], sql: str) -> None:
    await rig.call(AUDIT_APPEND, act())
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await rig.base.database.pool.execute(sql)
    # The next start grants the role its rights again, and still not these; nor may the owner by accident.
    await ensure_roles(dsns["admin"], SERVICES, dict.fromkeys(SERVICES, "test"))
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
        await rig.base.database.pool.execute(sql)
    owner = await asyncpg.connect(dsns["admin"])
    with pytest.raises(asyncpg.InsufficientPrivilegeError, match="append-only"):
        await owner.execute(sql)
    await owner.close()


async def test_a_row_edited_behind_the_back_of_the_triggers_is_found(rig: Rig, dsns: dict[str, str]) -> None:
    for number in range(5):
        await rig.call(AUDIT_APPEND, act(f"/admin/symbols/S{number}"))
    owner = await asyncpg.connect(dsns["admin"])
    await owner.execute("ALTER TABLE auth.audit DISABLE TRIGGER USER")
    await owner.execute("UPDATE auth.audit SET path = '/admin/symbols/OTHER' WHERE id = 3")
    await owner.close()
    checked = await rig.call(AUDIT_VERIFY, AuditVerify())
    assert (checked.rows, checked.broken_id) == (2, 3)
