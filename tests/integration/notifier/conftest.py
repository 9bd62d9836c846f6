"""The notifier on the test's own database with receivers.

The bus carries two questions here and is the memory twin; ``test_house.py`` runs the process on NATS.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest_asyncio

from libs.common.bus_memory import MemoryBus
from libs.common.clock import ManualClock
from libs.common.db import Database
from tests.integration.notifier.receivers import MailBox, Receiver, open_mailbox, open_receiver
from tests.integration.notifier.rig import Rig, open_rig

START = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """An HTTP receiver."""
    async with open_receiver() as running:
        yield running


@pytest_asyncio.fixture
async def mailbox() -> AsyncIterator[MailBox]:
    """An SMTP server."""
    async with open_mailbox() as running:
        yield running


def settings_of(receiver: Receiver, mailbox: MailBox) -> dict[str, Any]:
    """Every service's address points at the receivers."""
    return {
        "smtp_url": mailbox.url,
        "telegram_api_url": receiver.url,
        "telegram_bot_token": "42:bot-secret",
        "discord_api_url": f"{receiver.url}/api",
        "slack_api_url": receiver.url,
        "x_api_url": receiver.url,
        "x_credentials": "ck:cs:at:as",
        "ntfy_url": receiver.url,
    }


@pytest_asyncio.fixture
async def rig(
    database: Callable[[str], Awaitable[Database]], tmp_path: Path, receiver: Receiver, mailbox: MailBox
) -> AsyncIterator[Rig]:
    """The notifier with a clock the test moves."""
    settings = settings_of(receiver, mailbox)
    opened = open_rig(await database("notifier"), MemoryBus(), tmp_path, ManualClock(START), **settings)
    async with opened as running:
        await running.open_account()
        yield running
