"""Scripts and settings of terminals."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from libs.common.bus import decode
from libs.common.bus_nats import NatsBus
from libs.common.errors import InvalidData, PermissionDenied
from libs.common.messages.auth_people import (
    ScriptAdd,
    ScriptAsk,
    ScriptListAsk,
    ScriptUpdate,
    SettingsAsk,
    SettingsPut,
)
from libs.common.messages.notifier import NotificationFrame
from libs.common.subjects import (
    SCRIPT_ADD,
    SCRIPT_DELETE,
    SCRIPT_GET,
    SCRIPT_LIST,
    SCRIPT_UPDATE,
    SETTINGS_GET,
    SETTINGS_PUT,
)
from services.auth.errors import ScriptNotAdded, ScriptNotFound, SettingsFull
from tests.integration.auth.rig import Rig

FIELDS = [
    "id", "login", "name", "script", "description", "kind", "language", "visibility", "autostart", "enabled",
    "created_time", "updated_time",
]  # fmt: skip


async def add(rig: Rig, login: int, **fields: Any) -> int:
    given = {"name": "trend", "script": "plot(sma(20))", **fields}
    saved = await rig.call(SCRIPT_ADD, ScriptAdd(login=login, **given))
    assert saved.data == "OK"
    script_id: int = saved.id
    return script_id


async def put(rig: Rig, login: int, settings: bytes, prefix: str = "web", origin: str = "") -> None:
    message = SettingsPut(login=login, settings=msgspec.Raw(settings), prefix=prefix, origin=origin)
    await rig.call(SETTINGS_PUT, message)


async def test_a_script_is_kept_shown_changed_and_removed(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    script_id = await add(rig, login)
    (row,) = (await rig.call(SCRIPT_LIST, ScriptListAsk(login=login))).rows
    shown = msgspec.to_builtins(row)
    assert list(shown) == FIELDS
    assert (row.kind, row.language, row.visibility, row.autostart, row.enabled) == (
        "indicator", "stscript", "private", 0, 1,
    )  # fmt: skip
    rig.clock.advance(5)
    changed = ScriptUpdate(id=script_id, login=login, name="t2", script="x", kind="robot", autostart=1)
    await rig.call(SCRIPT_UPDATE, changed)
    kept = ScriptUpdate(id=script_id, login=login, name="t3", script="y")
    await rig.call(SCRIPT_UPDATE, kept)
    row = await rig.call(SCRIPT_GET, ScriptAsk(id=script_id, logins=(login,)))
    assert (row.name, row.script, row.kind, row.autostart) == ("t3", "y", "robot", 1)
    assert row.updated_time == row.created_time + 5
    await rig.call(SCRIPT_DELETE, ScriptAsk(id=script_id, logins=(login,)))
    with pytest.raises(ScriptNotFound):
        await rig.call(SCRIPT_GET, ScriptAsk(id=script_id, logins=(login,)))


async def test_a_private_script_is_for_its_account_and_staff(rig: Rig) -> None:
    login, other = [(await rig.sign_up(f"{n}@example.com")).login for n in ("a", "b")]
    script_id = await add(rig, login)
    with pytest.raises(PermissionDenied):
        await rig.call(SCRIPT_GET, ScriptAsk(id=script_id, logins=(other,)))
    with pytest.raises(PermissionDenied):
        await rig.call(SCRIPT_DELETE, ScriptAsk(id=script_id, logins=(other,)))
    with pytest.raises(PermissionDenied):
        await rig.call(SCRIPT_UPDATE, ScriptUpdate(id=script_id, login=other, name="n", script="s"))
    assert (await rig.call(SCRIPT_GET, ScriptAsk(id=script_id, staff=True))).id == script_id
    assert (await rig.call(SCRIPT_LIST, ScriptListAsk(login=other))).rows == []
    public = await add(rig, login, visibility="public")
    assert (await rig.call(SCRIPT_GET, ScriptAsk(id=public, logins=(other,)))).id == public
    with pytest.raises(PermissionDenied):
        await rig.call(SCRIPT_DELETE, ScriptAsk(id=public, logins=(other,)))
    await rig.call(SCRIPT_UPDATE, ScriptUpdate(id=public, login=other, name="n", script="s", staff=True))


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"script": " "},
        {"script": "x" * 131_073},
        {"script": "\x00"},
        {"kind": "virus"},
        {"language": "python"},
        {"visibility": "secret"},
        {"autostart": 2},
        {"enabled": -1},
    ],
)
async def test_a_script_that_cannot_be_kept_is_refused(rig: Rig, fields: dict[str, Any]) -> None:
    login = (await rig.sign_up()).login
    with pytest.raises(InvalidData):
        await add(rig, login, **fields)


async def test_an_account_has_at_most_two_hundred_scripts(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    for _ in range(200):
        await add(rig, login)
    with pytest.raises(ScriptNotAdded):
        await add(rig, login)
    with pytest.raises(ScriptNotAdded):
        await add(rig, 5)


async def test_an_unknown_script_is_not_found(rig: Rig) -> None:
    for command, message in (
        (SCRIPT_GET, ScriptAsk(id=99, staff=True)),
        (SCRIPT_DELETE, ScriptAsk(id=99, staff=True)),
        (SCRIPT_UPDATE, ScriptUpdate(id=99, login=1, name="n", script="s", staff=True)),
    ):
        with pytest.raises(ScriptNotFound):
            await rig.call(command, message)


async def test_settings_come_back_byte_for_byte_and_by_prefix(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    empty = await rig.call(SETTINGS_GET, SettingsAsk(login=login))
    assert (bytes(empty.settings), empty.updated_time) == (b"{}", 0)
    web = b'{"z":1.50,"a":[true,null,"\xc3\xa9"],"a":2}'
    await put(rig, login, web)
    assert bytes((await rig.call(SETTINGS_GET, SettingsAsk(login=login, prefix="web"))).settings) == web
    assert bytes((await rig.call(SETTINGS_GET, SettingsAsk(login=login))).settings) == web
    rig.clock.advance(1)
    await put(rig, login, b'{"mobile":1}', "mobile")
    assert bytes((await rig.call(SETTINGS_GET, SettingsAsk(login=login))).settings) == b'{"mobile":1}'
    await put(rig, login, b'{"none":1}', "")
    rig.clock.advance(1)
    await put(rig, login, web)
    assert bytes((await rig.call(SETTINGS_GET, SettingsAsk(login=login))).settings) == b'{"none":1}'
    assert bytes((await rig.call(SETTINGS_GET, SettingsAsk(login=login, prefix="tv"))).settings) == b"{}"


async def test_a_change_is_pushed_to_the_sessions_of_the_login(
    rig: Rig, bus: NatsBus, eventually: Callable[..., Awaitable[Any]]
) -> None:
    login = (await rig.sign_up()).login
    await put(rig, login, b"{}", origin="jti-1")

    async def pushed() -> Any:
        return (await bus.history("PUSH", f"auth.push.settings.v1.{login}", 0, 10)).entries

    (entry,) = await eventually(pushed)
    frame = decode(entry.payload, NotificationFrame)
    assert (frame.tag, frame.token, frame.user_id) == ("n", "SETTINGS_CHANGED", login)
    now_s = rig.clock.now_ms() // 1000
    assert frame.data == {"event": 6, "prefix": "web", "updated_time": now_s, "origin": "jti-1"}


@pytest.mark.parametrize(
    "settings", [b"[]", b"1", b"{", b'{"a":' + b"1" * 131_072 + b"}", b"[" * 5000, b"\xff"]
)
async def test_settings_that_are_no_object_or_too_large_are_refused(rig: Rig, settings: bytes) -> None:
    login = (await rig.sign_up()).login
    with pytest.raises(InvalidData):
        await put(rig, login, settings)


async def test_a_login_has_settings_under_at_most_sixteen_prefixes(rig: Rig) -> None:
    login = (await rig.sign_up()).login
    for number in range(16):
        await put(rig, login, b"{}", f"p{number}")
    await put(rig, login, b'{"again":1}', "p3")
    with pytest.raises(SettingsFull):
        await put(rig, login, b"{}", "p16")
