"""The gateway's object graph, opened top to bottom and closed bottom to top."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
import structlog
from aiohttp import web
from prometheus_client import REGISTRY

from libs.common.bus import Bus, encode
from libs.common.errors import AppError
from libs.common.messages.auth import (
    Account,
    AccountAsk,
    JsonWebKeys,
    KeysAsk,
    PersonChanged,
    RevocationsAsk,
    SessionRevoked,
    StreamRedeem,
)
from libs.common.messages.auth_people import CookieResolve, KeyResolve
from libs.common.messages.market import AssetsAsk, GroupView, GroupViewAsk
from libs.common.messages.trading_orders import AccountSync, MarketSync
from libs.common.outbound import Outbound
from libs.common.plans import PlansFile
from libs.common.principal import Principal
from libs.common.service import VERSION, App, Bare
from libs.common.subjects import (
    ACCOUNT_OF,
    ACCOUNT_SYNC,
    API_KEY_RESOLVE,
    ASSETS,
    COOKIE_RESOLVE,
    GROUP_VIEW,
    KEYS_PUBLIC,
    MARKET_SYNC,
    REVOCATIONS,
    STREAM_REDEEM,
)
from services.gateway import analysis_handlers, metrics, openapi
from services.gateway.addresses import Addresses, parse_networks
from services.gateway.audit import Audit
from services.gateway.callers import Callers
from services.gateway.config import Config
from services.gateway.door import Door, Ports, StreamHandler
from services.gateway.endpoints import ENDPOINTS, check
from services.gateway.feed import Feed
from services.gateway.feed_socket import FeedSockets
from services.gateway.geo import Geo
from services.gateway.health import Health, services_of
from services.gateway.house_handlers import handlers_of
from services.gateway.identities import Identities
from services.gateway.keyed import Keyed
from services.gateway.limits.limiter import Limiter
from services.gateway.limits.shared import SharedWindows
from services.gateway.limits.spans import SharedSpans
from services.gateway.limits.tables import Tables
from services.gateway.mcp.catalogue import Shelf, tools_of
from services.gateway.mcp.handlers import McpDoor
from services.gateway.metering import Metering
from services.gateway.oauth import handlers as oauth
from services.gateway.oauth.documents import AGENT, Documents
from services.gateway.pacing import Pacing
from services.gateway.pages.answers import Documentation
from services.gateway.pages.site import Site
from services.gateway.requests import RequestReader
from services.gateway.router import Router
from services.gateway.server import HttpServer, bind, describe, raise_file_limit, tls_context
from services.gateway.signal_stream import SignalStreams
from services.gateway.skill import Skill
from services.gateway.socket import Replay, StreamPorts, SymbolView, Upgrade
from services.gateway.stays import hosts_of
from services.gateway.stream import Stream
from services.gateway.token_feed import TokenFeed, token_channel
from services.gateway.tokens import Tokens
from services.gateway.views import Views

log = structlog.get_logger()

NO_ACCOUNT_GROUP = "demo"  # what a key made by e-mail alone sees
LIMITS_FILE = "gateway-limits-1.bin"  # the number is that of its layout
SPANS_FILE = "gateway-spans-1.bin"


class House:
    """What the gateway asks other services, as plain calls."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def keys(self) -> JsonWebKeys:
        """The public signing keys."""
        return await self._bus.request(KEYS_PUBLIC, KeysAsk())

    async def revocations(self) -> Sequence[SessionRevoked]:
        """Every revocation that still matters."""
        return (await self._bus.request(REVOCATIONS, RevocationsAsk())).rows

    async def redeem(self, token: str) -> Principal:
        """Whose stream token this is; it counts once."""
        return await self._bus.request(STREAM_REDEEM, StreamRedeem(token=token))

    async def of_key(self, key: str, address: str) -> Principal:
        """Whose API key this is, used from this address."""
        return await self._bus.request(API_KEY_RESOLVE, KeyResolve(key=key, ip=address))

    async def of_cookie(self, session: str) -> Principal:
        """Whose session cookie this is."""
        return await self._bus.request(COOKIE_RESOLVE, CookieResolve(session=session))

    async def account(self, login: int) -> Account:
        """Whose account a login is."""
        return await self._bus.request(ACCOUNT_OF, AccountAsk(login=login))

    async def market_changed(self, views: Views) -> None:
        """Sockets and trading take over what market says now; each hears of it by itself if this fails."""
        with suppress(AppError):
            await self._bus.request(MARKET_SYNC, MarketSync())
        await views.refresh()

    async def account_changed(self, login: int) -> None:
        """Trading takes over what auth says of an account now; it hears of it by itself if this fails."""
        with suppress(AppError):
            await self._bus.request(ACCOUNT_SYNC, AccountSync(login=login))

    async def group_view(self, group: str) -> GroupView:
        """What a group sees."""
        return await self._bus.request(GROUP_VIEW, GroupViewAsk(group=group))


@asynccontextmanager
async def build(config: Config, base: Bare) -> AsyncIterator[App]:
    """Everything of one gateway process, listening."""
    check(ENDPOINTS)
    metrics.zero()
    addresses = Addresses(parse_networks(config.trusted_proxies))
    tls = tls_context(config.tls_dir)
    listener = bind(config.http_host, config.http_port, shared=config.gateway_processes > 1)
    async with AsyncExitStack() as stack:
        stack.callback(listener.close)
        house = House(base.bus)
        tokens = Tokens(house, base.clock)
        identities = Identities(tokens, base.clock, of_key=house.of_key, of_cookie=house.of_cookie)
        stream, feed, views, feeds, signals = _open_stream(house, tokens, identities, config, base, stack)
        tables = _tables(config, base, stack)
        limiter = Limiter(tables, base.bus, base.clock, on_asked=metrics.limit_asked)
        metering = Metering(base.bus)
        stack.push_async_callback(metering.close)
        document = openapi.document(ENDPOINTS, version=VERSION, server_url=config.public_url or "/")
        health = _health(config, base)
        plans = PlansFile(config.plans_file, base.clock)
        callers = Callers(identities.principal, house.account, config.public_url)
        documentation = Documentation(document)
        skill = Skill(ENDPOINTS)
        agents = await _open_agents(config, base, callers, documentation, health, stack)
        to_stream, to_feeds = _upgraded(stream.handle), _upgraded(feeds.handle)
        door = Door(
            Ports(
                bus=base.bus,
                clock=base.clock,
                ids=base.ids,
                router=Router(ENDPOINTS),
                readers={row.name: RequestReader(row) for row in ENDPOINTS},
                callers=callers,
                addresses=addresses,
                geo=Geo(config.geo_header, config.geo_block, addresses),
                limiter=limiter,
                audit=Audit(base.bus),
                keyed=Keyed(base.bus),
                metering=metering,
                pacing=Pacing(limiter, plans, base.clock),
                locals={
                    **handlers_of(health, tokens, documentation, msgspec.json.encode(document), plans.now),
                    **analysis_handlers.handlers_of(ENDPOINTS, plans.now, health, base.clock, config.feed),
                    **Site(ENDPOINTS, plans.now, documentation, metering.terms).handlers(),
                    **oauth.handlers_of(_oauth_ports(config, callers, identities, tokens, base)),
                    "skill_manifest": skill.manifest,
                },
                sockets={"stream": to_stream, "root": to_stream, "feed_socket": to_feeds},
                hosts=hosts_of(agents.handle, skill, signals.handle),
                refresh_market=lambda: house.market_changed(views),
                learn_revocations=tokens.learn_revocations,
                follow_account=house.account_changed,
                forget_people=identities.forget,
                tls=tls is not None,
                public_url=config.public_url,
                scan_pro_only=config.scan_pro_only == "on",
                metered=config.metering == "on",
            )
        )
        await limiter.start()
        stack.push_async_callback(limiter.stop)
        await feed.start()
        await _hear_token_prices(base, stream, door, stack)
        views.start()
        stream.start()
        await _listen(door, listener, tls, (stream, feeds, signals), stack)
        await _fetch_keys(tokens)
        yield App()


async def _listen(
    door: Door,
    listener: socket.socket,
    tls: ssl.SSLContext | None,
    sockets: tuple[Stream, FeedSockets, SignalStreams],
    stack: AsyncExitStack,
) -> None:
    """Take connections; at the end the sockets go first."""
    for one in sockets[1:]:
        await one.start()
    server = HttpServer(door)
    await server.start(listener, tls)

    async def end_sockets() -> None:
        await asyncio.gather(*(one.close() for one in sockets))

    stack.push_async_callback(server.stop, end_sockets)
    log.info("gateway listens", **describe(listener), tls=tls is not None, files_max=raise_file_limit())


def _upgraded(handle: Callable[[web.Request, Upgrade], Awaitable[web.StreamResponse]]) -> StreamHandler:
    """Outside an aiohttp application requests have the base class's name; a socket needs no more of them."""
    return lambda request, upgrade: handle(cast(web.Request, request), upgrade)


def _tables(config: Config, base: Bare, stack: AsyncExitStack) -> Tables:
    """The limits of this machine: files that its gateway processes share."""
    folder = Path(config.data_dir)
    windows = SharedWindows(folder / LIMITS_FILE, base.clock, on_unlocked=metrics.UNLOCKED.inc)
    stack.callback(windows.close)
    spans = SharedSpans(folder / SPANS_FILE, base.clock, on_unlocked=metrics.UNLOCKED.inc)
    stack.callback(spans.close)
    return Tables(windows, spans)


def _oauth_ports(
    config: Config, callers: Callers, identities: Identities, tokens: Tokens, base: Bare
) -> oauth.OAuthPorts:
    outbound = Outbound(AGENT, allow_private=config.clients_allow_private == "on")
    return oauth.OAuthPorts(
        bus=base.bus,
        of_cookie=lambda session: identities.principal(session, cookie=True),
        is_own=callers.is_own,
        documents=Documents(outbound, base.clock),
        ids=base.ids,
        learn_revocations=tokens.learn_revocations,
    )


def _health(config: Config, base: Bare) -> Health:
    async def own_problems() -> list[str]:
        return list(base.bus.problems())

    return Health(base.bus, services_of(config.services), own_problems, base.clock)


async def _open_agents(
    config: Config,
    base: Bare,
    callers: Callers,
    documentation: Documentation,
    health: Health,
    stack: AsyncExitStack,
) -> McpDoor:
    tools = tools_of(ENDPOINTS)
    named = {urlsplit(config.public_url).hostname, config.http_host, "localhost"}

    async def instruments() -> bytes:
        return await base.bus.request_bytes(ASSETS, encode(AssetsAsk(login=0, group=NO_ACCOUNT_GROUP)))

    async def is_ready() -> bool:
        return (await health.readiness(traffic=False)).ready

    door = McpDoor(
        callers.verify,
        tools,
        Shelf(tools=tools, rows=ENDPOINTS, page=documentation.text, instruments=instruments),
        frozenset(name.lower() for name in named if name),
        base.bus,
    )
    stack.push_async_callback(door.close)
    await door.start(is_ready)
    return door


async def _hear_token_prices(base: Bare, stream: Stream, door: Door, stack: AsyncExitStack) -> None:
    """Token prices go to the stream, and tell the door that what it kept is out of date."""
    feed = TokenFeed(base.bus, stream.hub, door.open_data.drop)
    stack.callback(feed.stop)
    await feed.start()


def _open_stream(
    house: House,
    tokens: Tokens,
    identities: Identities,
    config: Config,
    base: Bare,
    stack: AsyncExitStack,
) -> tuple[Stream, Feed, Views, FeedSockets, SignalStreams]:
    async def view(principal: Principal, login: int | None) -> SymbolView:
        if login is None and not principal.group:  # no account was chosen yet: what the first one sees
            login = principal.logins[0] if principal.logins else None
        own = login is None or login == principal.login
        group = principal.group if own else (await house.account(login or 0)).group
        return await views.of_group(group or NO_ACCOUNT_GROUP)

    async def history(login: int, after: int | None) -> Replay:
        return await feed.history(login, after)

    def revoked(fact: SessionRevoked) -> None:
        tokens.revoke(fact)
        stream.revoke(lambda principal: not tokens.allows(principal))
        feeds.revoke(lambda principal: not tokens.allows(principal))
        signals.revoke(lambda principal: not tokens.allows(principal))

    def changed(person: PersonChanged) -> None:
        identities.changed(person)
        stream.amend(person)

    ports = StreamPorts(authenticate=identities.of_socket, view=view, history=history, public=token_channel)
    stream = Stream(ports, clock=base.clock)
    feeds = FeedSockets(base.bus, identities.of_socket)
    signals = SignalStreams(base.bus, base.clock, base.ids, metered=config.metering == "on")
    views = Views(house.group_view, stream.rebind)
    feed = Feed(
        base.bus,
        stream.hub,
        config.process_index,
        on_market=views.changed,
        on_revoked=revoked,
        on_person=changed,
    )
    REGISTRY.register(stream.gauges)
    stack.callback(REGISTRY.unregister, stream.gauges)
    stack.callback(views.stop)
    stack.callback(feed.stop)
    return stream, feed, views, feeds, signals


async def _fetch_keys(tokens: Tokens) -> None:
    try:
        await tokens.refresh()
    except AppError as e:
        log.info("public keys come later", error=str(e))
