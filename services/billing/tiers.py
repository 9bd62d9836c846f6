"""Telling auth which tier a person has: at once after a purchase, and again until it has heard.

Who must be told stands in a table, written with the change: a crash in between loses nothing. The end of a
tier is told with it, so that it ends by itself where billing is away.
"""

from __future__ import annotations

import structlog

from libs.common.bus import Bus
from libs.common.errors import AppError
from libs.common.messages.auth import PersonSet
from libs.common.subjects import PERSON_SET
from services.billing import subscriptions
from services.billing.plan_store import PlanStore
from services.billing.writer import Ground

log = structlog.get_logger()
AT_ONCE = 100


class Tiers:
    """See the module's text."""

    def __init__(self, ground: Ground, bus: Bus, plans: PlanStore) -> None:
        self._ground = ground
        self._bus = bus
        self._plans = plans

    async def tell(self, person_id: int) -> tuple[str, int]:
        """Tell auth a person's tier of now; the tier and its end."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.connection() as db:
            spans = await self._plans.spans(db, person_id, now_ms)
        tier, until_ms = subscriptions.tier_at(spans, now_ms)
        await self._bus.request(
            PERSON_SET, PersonSet(customer_id=person_id, tier=tier, tier_until_ms=until_ms)
        )
        return tier, until_ms

    async def tell_due(self) -> None:
        """Tell of everybody whose tier has changed."""
        now_ms = self._ground.clock.now_ms()
        async with self._ground.database.connection() as db:
            due = await self._plans.tiers_due(db, now_ms, AT_ONCE)
        for person_id, change in due:
            try:
                await self.tell(person_id)
            except AppError as e:
                log.warning("a tier could not be told yet", person_id=person_id, error=str(e))
                continue
            async with self._ground.database.transaction() as tx:
                spans = await self._plans.spans(tx, person_id, now_ms)
                changes_ms = subscriptions.next_change(spans, now_ms)
                last_ms = max((span.ends_ms for span in spans), default=0)
                # The last end needs no telling: auth knows it, and staff may have given another tier since.
                following = changes_ms if changes_ms < last_ms else 0
                await self._plans.tier_told(tx, person_id, change, following)
