"""The object graph of the notifier, opened top to bottom and closed bottom to top."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from libs.common.errors import ConfigInvalid
from libs.common.service import App, Base
from services.notifier import rendering
from services.notifier.binding import Binder
from services.notifier.channels.apprise import AppriseChannel, read_schemes
from services.notifier.channels.base import Channel
from services.notifier.channels.discord import DiscordChannel
from services.notifier.channels.email import EmailChannel, MailWriter, read_server
from services.notifier.channels.log import LogChannel
from services.notifier.channels.ntfy import NtfyChannel
from services.notifier.channels.outbound import AGENT, Outbound
from services.notifier.channels.slack import SlackChannel
from services.notifier.channels.telegram import TelegramChannel
from services.notifier.channels.webhook import WebhookChannel
from services.notifier.channels.x import XChannel, read_credentials
from services.notifier.config import NotifierConfig, read_key
from services.notifier.courier import Courier
from services.notifier.dead_facts import DeadFacts
from services.notifier.handlers import consumers_of, handlers_of
from services.notifier.listening import TelegramListener
from services.notifier.planner import Planner
from services.notifier.service import NotifierService
from services.notifier.store import Store
from services.notifier.vault import KeyTooShort, Vault


@dataclass(frozen=True, slots=True)
class Parts:
    """What the notifier is made of."""

    channels: Mapping[str, Channel]
    outbound: Outbound
    courier: Courier
    binder: Binder
    listener: TelegramListener
    service: NotifierService
    planner: Planner


@asynccontextmanager
async def build(config: NotifierConfig, base: Base) -> AsyncIterator[App]:
    """The running notifier. Closing: stop hearing, stop sending, close connections."""
    async with AsyncExitStack() as stack:
        parts = assemble(config, base)
        stack.push_async_callback(parts.outbound.close)

        async def begin() -> None:
            """Once commands are served: what is heard may ask other services."""
            await parts.courier.start()
            stack.push_async_callback(parts.courier.stop)
            await parts.listener.start()
            stack.push_async_callback(parts.listener.stop)
            tidy = asyncio.create_task(parts.service.tidy_for_ever(), name="notifier tidy")
            stack.callback(tidy.cancel)
            for consumer, handler in consumers_of(parts.planner):
                subscription = await base.bus.consume(consumer, handler)
                stack.push_async_callback(subscription.stop)

        yield App(handlers=handlers_of(parts.service, parts.binder), on_started=[begin])


def assemble(config: NotifierConfig, base: Base) -> Parts:
    """Every part, nothing running yet."""
    store, templates, vault = Store(), rendering.load(), _vault(config, base)
    outbound = Outbound(AGENT, allow_private=config.allows_private)
    telegram = TelegramChannel(outbound, config.telegram_api_url, config.telegram_bot_token)
    channels = _channels(config, base, outbound, vault, telegram)
    courier = Courier(
        database=base.database,
        store=store,
        channels=channels,
        templates=templates,
        vault=vault,
        clock=base.clock,
        ids=base.ids,
    )
    awaited = asyncio.Event()
    binder = Binder(
        database=base.database,
        store=store,
        channels=channels,
        templates=templates,
        vault=vault,
        clock=base.clock,
        ids=base.ids,
        awaited=awaited.set,
    )
    service = NotifierService(
        database=base.database,
        store=store,
        outbox=base.outbox,
        clock=base.clock,
        ids=base.ids,
        templates=templates,
        vault=vault,
        dead_facts=DeadFacts(base.bus),
        wake=courier.wake,
    )
    planner = Planner(
        database=base.database,
        store=store,
        outbox=base.outbox,
        relay=base.relay,
        bus=base.bus,
        clock=base.clock,
        ids=base.ids,
        templates=templates,
        vault=vault,
        wake=courier.wake,
    )
    return Parts(
        channels=channels,
        outbound=outbound,
        courier=courier,
        binder=binder,
        listener=TelegramListener(telegram, binder, awaited),
        service=service,
        planner=planner,
    )


def _vault(config: NotifierConfig, base: Base) -> Vault:
    try:
        return Vault(read_key(config, base.ids.token(32)))
    except KeyTooShort as e:
        raise ConfigInvalid(f"TRADEWIND_NOTIFY_KEY can't be used: {e}") from e


def _channels(
    config: NotifierConfig, base: Base, outbound: Outbound, vault: Vault, telegram: TelegramChannel
) -> dict[str, Channel]:
    """Every channel by its name."""
    writer = MailWriter(config.mail_from, base.clock.now)
    mail: Channel = (
        EmailChannel(read_server(config.smtp_url), writer)
        if config.smtp_url
        else LogChannel(Path(config.data_dir) / "mail", writer)
    )
    x = XChannel(
        outbound,
        config.x_api_url,
        read_credentials(config.x_credentials),
        now_s=lambda: base.clock.now_ms() // 1000,
        nonce=lambda: base.ids.token(16),
    )
    found: tuple[Channel, ...] = (
        mail,
        telegram,
        DiscordChannel(outbound, config.discord_api_url),
        x,
        SlackChannel(outbound, config.slack_api_url),
        NtfyChannel(outbound, config.ntfy_url),
        WebhookChannel(outbound, vault, base.clock.now),
        AppriseChannel(read_schemes(config.apprise_schemes)),
    )
    return {channel.name: channel for channel in found}
