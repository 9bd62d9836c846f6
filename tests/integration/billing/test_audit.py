"""Billing looks at its own ledger: what does not add up is told in the metrics, and logged."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from libs.common.clock import ManualClock
from libs.common.db import Database
from libs.common.ids import RandomIds
from libs.common.plans import PlansFile
from services.billing.chores import AUDIT_EVERY_MS, Chores
from services.billing.store import Store
from services.billing.writer import Ground


def unsound() -> float | None:
    return REGISTRY.get_sample_value("tradewind_billing_unsound_rows")


async def test_an_unsound_ledger_is_told_and_a_mended_one_too(
    database: Callable[[str], Awaitable[Database]],
) -> None:
    billing = await database("billing")
    clock, store = ManualClock(datetime(2026, 1, 1, tzinfo=UTC)), Store()
    ground = Ground(billing, store, clock, RandomIds(), PlansFile("", clock))
    nobody: Any = None  # auditing needs no others
    chores = Chores(ground, nobody, nobody, nobody, nobody, nobody)
    async with billing.transaction() as tx:
        await store.open_wallet(tx, "key:a")
    await chores.audit()
    assert unsound() == 0
    for balance, expected in ((5, 1.0), (0, 0.0)):
        async with billing.transaction() as tx:
            await tx.execute("UPDATE billing.wallet SET balance_micros = $1", balance)
        with capture_logs() as logs:
            await chores.audit()  # not due yet
            assert unsound() != expected
            clock.advance(AUDIT_EVERY_MS / 1000)
            await chores.audit()
        assert unsound() == expected
        said = [line for line in logs if line["event"] == "the ledger is unsound"]
        assert len(said) == expected and all("key:a" in line["what"] for line in said)
