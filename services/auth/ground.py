"""What every use case of auth stands on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from libs.common.bus import Bus
from libs.common.clock import Clock
from libs.common.db import Connection, Database
from libs.common.ids import Ids
from libs.common.outbox import Outbox, Relay, fact
from libs.common.subjects import Subject
from services.auth.store import Store


@dataclass(frozen=True, slots=True)
class Ground:
    """The database with its store and outbox, the bus, time and identity."""

    database: Database
    store: Store
    outbox: Outbox
    relay: Relay
    bus: Bus
    clock: Clock
    ids: Ids

    async def say(self, tx: Connection, subject: Subject[Any], message: Any, **keys: str | int) -> None:
        """Write a fact into the outbox, in the transaction of what it tells of; wake the relay after."""
        await self.outbox.append(tx, [fact(subject, message, self.ids.event_id(), **keys)])
