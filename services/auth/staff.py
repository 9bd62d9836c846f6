"""The first member of staff: login 1, made once, at the first start."""

from __future__ import annotations

from libs.common.clock import Clock
from libs.common.db import Database
from libs.common.errors import ConfigInvalid, InvalidData
from libs.common.ids import Ids
from libs.common.principal import SessionType
from services.auth.adapters.hashing import Hasher
from services.auth.passwords import read_password
from services.auth.people import STAFF_BOOTSTRAP_LOGIN
from services.auth.store import Store


async def ensure_first_staff(
    database: Database, store: Store, hasher: Hasher, clock: Clock, ids: Ids, given: str
) -> str | None:
    """Make staff login 1 unless it is there. The password is returned when it had to be made up."""
    async with database.connection() as db:
        if await store.staff(db, STAFF_BOOTSTRAP_LOGIN) is not None:
            return None
    try:
        password = read_password(given or ids.token(12))
    except InvalidData as e:
        raise ConfigInvalid(f"TRADEWIND_ADMIN_PASSWORD can't be used: {e}") from e
    password_hash = await hasher.hash(password)
    async with database.transaction() as tx:
        await store.lock_keys(tx)
        if await store.staff(tx, STAFF_BOOTSTRAP_LOGIN) is not None:
            return None  # another process was faster
        if not await store.claim_login(tx, STAFF_BOOTSTRAP_LOGIN, "staff"):
            raise ConfigInvalid("login 1 belongs to a trading account; it is reserved for staff")
        await store.insert_staff(
            tx, STAFF_BOOTSTRAP_LOGIN, SessionType.ADMIN, "Administrator", "", password_hash, clock.now_ms()
        )
    return None if given else password
