"""The object graph of auth, opened top to bottom and closed bottom to top."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import structlog

from libs.common.errors import ConfigInvalid
from libs.common.service import App, Base
from services.auth.adapters.background import Background
from services.auth.adapters.hashing import Hasher
from services.auth.adapters.turnstile import Turnstile
from services.auth.administration import Administration
from services.auth.auditing import Auditor
from services.auth.config import AuthConfig, read_secret
from services.auth.credentials import Credentials
from services.auth.customers import CustomerDoor
from services.auth.doorkeeper import Doorkeeper
from services.auth.ground import Ground
from services.auth.handlers import UseCases, handlers_of
from services.auth.key_door import KeyDoor
from services.auth.key_store import KeyStore
from services.auth.keyring import KeyRing
from services.auth.mails import Mails
from services.auth.oauth_door import OAuthDoor
from services.auth.opening import Opening, SignUpRules
from services.auth.request_door import RequestDoor
from services.auth.request_store import RequestStore
from services.auth.scan_door import ScanDoor
from services.auth.sealing import Sealer, SecretTooShort
from services.auth.service import AuthService
from services.auth.session_store import SessionStore
from services.auth.sessions import Sessions
from services.auth.staff import ensure_first_staff
from services.auth.store import Store
from services.auth.terminal import Terminal
from services.auth.terminal_store import TerminalStore
from services.auth.throttle import MEMORY_MS
from services.auth.wallet_door import WalletDoor

log = structlog.get_logger()

TIDY_EVERY_S = 60.0
PASSWORDS_AT_ONCE = 4  # enough that the hashing threads never run dry
PASSWORDS_WAITING = 600  # some fifteen seconds of hashing: later ones would be given up before their turn


@asynccontextmanager
async def build(config: AuthConfig, base: Base) -> AsyncIterator[App]:
    """Everything auth is made of."""
    async with AsyncExitStack() as stack:
        store = Store()
        hasher = Hasher()
        stack.callback(hasher.close)
        sealer = _sealer(config, base)
        keyring = KeyRing(base.database, store, sealer, base.clock, base.ids)
        await keyring.open()
        shown = await ensure_first_staff(
            base.database, store, hasher, base.clock, base.ids, config.admin_password
        )
        if shown is not None:
            # Once, on the console of whoever starts it, and never into a log record.
            print(f"staff login 1 (admin) has the password {shown}", file=sys.stderr)  # noqa: T201
        background = Background()
        stack.push_async_callback(background.close)
        use = _use_cases(config, base, store, hasher, keyring, sealer, background)
        tidy = asyncio.create_task(_tidy(use, base, store), name="auth tidy")
        stack.callback(tidy.cancel)
        yield App(handlers=handlers_of(use))


def _use_cases(
    config: AuthConfig,
    base: Base,
    store: Store,
    hasher: Hasher,
    keyring: KeyRing,
    sealer: Sealer,
    background: Background,
) -> UseCases:
    ground = Ground(
        database=base.database,
        store=store,
        outbox=base.outbox,
        relay=base.relay,
        bus=base.bus,
        clock=base.clock,
        ids=base.ids,
    )
    keys = KeyStore()
    doorkeeper = Doorkeeper(base.database, store, hasher, base.clock)
    opening = Opening(ground, doorkeeper, SignUpRules(config.signup == "on", config.sign_up_groups))
    sessions = Sessions(ground, SessionStore(), keyring)
    credentials = Credentials(ground, doorkeeper, sessions)
    key_door = KeyDoor(ground, keys, sessions)
    return UseCases(
        service=AuthService(ground, opening, doorkeeper, sessions),
        sessions=sessions,
        credentials=credentials,
        customers=CustomerDoor(ground, opening, doorkeeper, sessions, sealer),
        administration=Administration(ground, opening, doorkeeper, sessions),
        scan=ScanDoor(ground, keys, opening, doorkeeper, sessions),
        keys=key_door,
        oauth=OAuthDoor(ground, keys, key_door, sessions),
        wallets=WalletDoor(ground, doorkeeper, sessions),
        mails=Mails(ground, keys, credentials),
        terminal=Terminal(ground, TerminalStore()),
        requests=RequestDoor(ground, RequestStore(), sealer),
        background=background,
        turnstile=Turnstile(inside_max=PASSWORDS_AT_ONCE, waiting_max=PASSWORDS_WAITING),
        auditor=Auditor(base.database, store, base.clock),
        keyring=keyring,
    )


def _sealer(config: AuthConfig, base: Base) -> Sealer:
    try:
        return Sealer(read_secret(config, base.ids.token(32)))
    except SecretTooShort as e:
        raise ConfigInvalid(f"TRADEWIND_SECRET_KEY can't be used: {e}") from e


async def _tidy(use: UseCases, base: Base, store: Store) -> None:
    """What has to be done from time to time, as long as the process lives."""
    while True:
        await asyncio.sleep(TIDY_EVERY_S)
        try:
            await use.keyring.refresh()
            await use.sessions.tidy()
            await use.requests.tidy()
            await use.oauth.tidy()
            async with base.database.connection() as db:
                await KeyStore().forget_mail_tokens(db, base.clock.now_ms())
                await store.forget_failures(db, base.clock.now_ms() - MEMORY_MS)
        except Exception as e:
            log.warning("tidying failed", error=f"{type(e).__name__}: {e}")
