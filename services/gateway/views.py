"""The market of each group for the stream: which symbols it sees and at which price profile.

A view is live: sockets keep the object, a refresh changes what it says. Facts of market wake a refresh;
an admin write of this process waits for one before it is answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from libs.common.errors import AppError
from libs.common.messages.market import GroupView
from libs.common.symbols import SymbolIndex
from services.gateway.socket import Listing

log = structlog.get_logger()

RETRY_S = 0.5

Ask = Callable[[str], Awaitable[GroupView]]


class GroupMarket:
    """What one group sees now."""

    def __init__(self, view: GroupView) -> None:
        self.update(view)

    def update(self, view: GroupView) -> None:
        """Say this from now on."""
        self._profiles = view.profiles
        self._index = SymbolIndex(view.profiles)

    def find(self, name: str) -> Listing | None:
        """The symbol a client means by ``name``; None when unknown or hidden."""
        symbol = self._index.find(name)
        return None if symbol is None else Listing(symbol, self._profiles[symbol])


class Views:
    """Every group somebody asked for. ``rebind`` is called after what they see may have changed."""

    def __init__(self, ask: Ask, rebind: Callable[[], None]) -> None:
        self._ask = ask
        self._rebind = rebind
        self._groups: dict[str, GroupMarket] = {}
        self._asking: dict[str, asyncio.Task[GroupMarket]] = {}
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to follow changes."""
        self._task = asyncio.create_task(self._follow(), name="views")

    def stop(self) -> None:
        """Follow no more."""
        if self._task is not None:
            self._task.cancel()

    async def of_group(self, group: str) -> GroupMarket:
        """The live view of a group; the owner's error when there is none."""
        known = self._groups.get(group)
        if known is not None:
            return known
        task = self._asking.get(group)
        if task is None:
            task = self._asking[group] = asyncio.create_task(self._load(group), name="group view")
            task.add_done_callback(lambda done: self._asking.pop(group, None))
        return await asyncio.shield(task)

    def changed(self) -> None:
        """Instruments or groups changed; what is known is asked again soon."""
        self._changed.set()

    async def refresh(self) -> None:
        """Ask again for every known group now; a failure is tried again in the background."""
        try:
            for group, market in tuple(self._groups.items()):
                market.update(await self._ask(group))
        except AppError as e:
            log.warning("group views not refreshed", code=e.code, error=str(e))
            self._changed.set()
        finally:
            self._rebind()

    async def _load(self, group: str) -> GroupMarket:
        market = self._groups[group] = GroupMarket(await self._ask(group))
        return market

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            await self.refresh()
            if self._changed.is_set():
                await asyncio.sleep(RETRY_S)
