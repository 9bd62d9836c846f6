"""What terminals keep on the server: scripts and settings (broker 7.1, 7.2)."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from libs.common.errors import PermissionDenied
from libs.common.messages import auth_people
from libs.common.messages.notifier import NotificationFrame
from libs.common.subjects import SETTINGS_PUSH
from services.auth import scripts
from services.auth.errors import ScriptNotAdded, ScriptNotFound, SettingsFull
from services.auth.ground import Ground
from services.auth.scripts import Script
from services.auth.terminal_store import TerminalStore

EVENT_SETTINGS = 6  # the event category of broker 10.7


class Terminal:
    """Scripts belong to an account; settings to whoever signs in with a login."""

    def __init__(self, ground: Ground, store: TerminalStore) -> None:
        self._ground = ground
        self._store = store

    async def list_scripts(self, message: auth_people.ScriptListAsk) -> auth_people.ScriptList:
        """An account's scripts."""
        async with self._ground.database.connection() as db:
            found = await self._store.scripts_of(db, message.login)
        return auth_people.ScriptList(rows=[script.view() for script in found])

    async def script(self, message: auth_people.ScriptAsk) -> auth_people.ScriptView:
        """One script; private ones are for their account and staff only."""
        async with self._ground.database.connection() as db:
            script = await self._store.script(db, message.id)
        if script is None:
            raise ScriptNotFound
        if not script.seen_by(message.logins, staff=message.staff):
            raise PermissionDenied("the script is another account's, and private")
        return script.view()

    async def add_script(self, message: auth_people.ScriptAdd) -> auth_people.ScriptSaved:
        """Keep a script."""
        fields = scripts.read_fields(message)
        now_ms = self._ground.clock.now_ms()
        script = Script(id=0, login=message.login, created_ms=now_ms, updated_ms=now_ms, **fields)
        async with self._ground.database.transaction() as tx:
            await self._ground.store.lock_account(tx, message.login)
            if await self._ground.store.account(tx, message.login) is None:
                raise ScriptNotAdded("there is no such account")
            if await self._store.scripts_count(tx, message.login) >= scripts.SCRIPTS_MAX:
                raise ScriptNotAdded
            return auth_people.ScriptSaved(id=await self._store.insert_script(tx, script))

    async def update_script(self, message: auth_people.ScriptUpdate) -> auth_people.ScriptSaved:
        """Change a script of this account."""
        fields = scripts.read_fields(message)
        async with self._ground.database.transaction() as tx:
            script = _own(await self._store.script(tx, message.id), (message.login,), staff=message.staff)
            changed = replace(script, updated_ms=self._ground.clock.now_ms(), **fields)
            await self._store.update_script(tx, changed)
        return auth_people.ScriptSaved(id=message.id)

    async def delete_script(self, message: auth_people.ScriptAsk) -> None:
        """Remove a script of this account."""
        async with self._ground.database.transaction() as tx:
            _own(await self._store.script(tx, message.id), message.logins, staff=message.staff)
            await self._store.delete_script(tx, message.id)

    async def settings(self, message: auth_people.SettingsAsk) -> auth_people.Settings:
        """The settings as they were put; an empty object when there are none."""
        prefix = None if message.prefix is None else scripts.read_prefix(message.prefix)
        async with self._ground.database.connection() as db:
            found = await self._store.settings(db, message.login, prefix)
        text, updated_ms = found or ("{}", 0)
        return auth_people.Settings(settings=msgspec.Raw(text.encode()), updated_time=updated_ms // 1000)

    async def put_settings(self, message: auth_people.SettingsPut) -> None:
        """Replace settings; every session of the login hears that they changed."""
        prefix = scripts.read_prefix(message.prefix)
        text = scripts.read_settings(bytes(message.settings))
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.transaction() as tx:
            if await self._store.prefixes_count(tx, message.login, prefix) >= scripts.PREFIXES_MAX:
                raise SettingsFull
            await self._store.put_settings(tx, message.login, prefix, text, now_ms)
            await self._ground.say(
                tx, SETTINGS_PUSH, _changed(message, prefix, now_ms // 1000), login=message.login
            )
        self._ground.relay.wake()


def _own(script: Script | None, logins: tuple[int, ...], *, staff: bool) -> Script:
    if script is None:
        raise ScriptNotFound
    if not staff and script.login not in logins:
        raise PermissionDenied("the script is another account's")
    return script


def _changed(message: auth_people.SettingsPut, prefix: str, now_s: int) -> NotificationFrame:
    """``origin`` lets the session that changed them know its own echo."""
    data = {"event": EVENT_SETTINGS, "prefix": prefix, "updated_time": now_s, "origin": message.origin}
    return NotificationFrame(
        tag="n",
        message="Settings changed",
        description="",
        token="SETTINGS_CHANGED",  # noqa: S106
        status=1,
        level=10,
        user_id=message.login,
        create_time=now_s,
        data=data,
    )
