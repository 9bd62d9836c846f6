"""What a command does to an alert, in two steps: written in the writer's transaction, then known to the book.

``write`` decides and writes, and may refuse with an error without having written anything; ``apply``
runs after the commit and only then changes the book. Changes run one after the other, after the ticks
heard before them have been judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import msgspec

from libs.common.db import Connection
from libs.common.messages.alerts import AlertCreate, AlertDelete, AlertUpdate
from services.alerts.alert import INT64_MAX, Alert
from services.alerts.checks import changed_alert, new_alert
from services.alerts.errors import (
    AlertElsewhere,
    AlertNotFound,
    ForeignAlert,
    InvalidLogin,
    SymbolNotFound,
    TooManyAlerts,
)
from services.alerts.levels import holds
from services.alerts.store import Store
from services.alerts.watch import AlertBook, Watch


class Change(Protocol):
    """See the module's text. ``touched`` are the watches whose alerts it changed."""

    touched: list[Watch]

    async def write(self, tx: Connection, store: Store, book: AlertBook, now_ms: int) -> int:
        """Write; the id of the alert, or how many alerts were changed."""
        ...

    def apply(self, book: AlertBook) -> None:
        """Make the book know."""
        ...


class Create:
    """Arm a new alert."""

    def __init__(self, ask: AlertCreate, *, symbol: str, profile: str, alerts_max: int) -> None:
        self.touched: list[Watch] = []
        self.login = ask.login
        self._ask = ask
        self._symbol = symbol
        self._profile = profile
        self._alerts_max = alerts_max
        self._alert: Alert | None = None

    async def write(self, tx: Connection, store: Store, book: AlertBook, now_ms: int) -> int:
        alert = new_alert(self._ask, symbol=self._symbol, profile=self._profile, now_ms=now_ms)
        if await store.count_of(tx, alert.login, self._alerts_max) >= self._alerts_max:
            raise TooManyAlerts(f"an account may have {self._alerts_max} alerts")
        alert = _armed_now(alert, book, now_ms)
        self._alert = msgspec.structs.replace(alert, id=await store.add(tx, alert))
        self.touched.append(book.watch(alert.profile, alert.symbol))
        return self._alert.id

    def apply(self, book: AlertBook) -> None:
        if self._alert is not None:
            book.arm(self._alert, fresh=True)


class Update:
    """Change an alert; ``view`` are the symbols its account's group sees, and their profiles."""

    def __init__(self, ask: AlertUpdate, *, symbol: str, view: Mapping[str, str]) -> None:
        self.touched: list[Watch] = []
        self._ask = ask
        self._symbol = symbol
        self._view = view
        self._before: Alert | None = None
        self._after: Alert | None = None

    async def write(self, tx: Connection, store: Store, book: AlertBook, now_ms: int) -> int:
        before = await _locked(tx, store, self._ask.id, self._ask.login)
        if not store.owns(self._symbol) or not _let_go(before, store):
            raise AlertElsewhere
        profile = self._view.get(self._symbol)
        if profile is None:
            raise SymbolNotFound(f"{self._symbol} is not known")
        after = changed_alert(before, self._ask, symbol=self._symbol, profile=profile, now_ms=now_ms)
        if after.is_active:
            after = _armed_now(after, book, now_ms)
            self.touched.append(book.watch(after.profile, after.symbol))
        await store.put(tx, after)
        self._before, self._after = before, after
        return after.id

    def apply(self, book: AlertBook) -> None:
        if self._before is not None and self._before.is_active:
            book.disarm(self._before)
        if self._after is not None and self._after.is_active:
            book.arm(self._after, fresh=True)


class Delete:
    """Take an alert away; its log rows stay."""

    def __init__(self, ask: AlertDelete) -> None:
        self.touched: list[Watch] = []
        self._ask = ask
        self._before: Alert | None = None

    async def write(self, tx: Connection, store: Store, book: AlertBook, now_ms: int) -> int:
        before = await _locked(tx, store, self._ask.id, self._ask.login)
        if not store.owns(before.symbol):
            raise AlertElsewhere
        await store.remove(tx, before.id)
        self._before = before
        return before.id

    def apply(self, book: AlertBook) -> None:
        if self._before is not None and self._before.is_active:
            book.disarm(self._before)


class Detach:
    """Let go of an active alert that is about to move to another partition.

    Until it is armed there nobody watches it: it waits unseen, as one does whose group can't see its symbol,
    and ``Regroup`` takes it back if it stays.
    """

    def __init__(self, ask: AlertDelete) -> None:
        self.touched: list[Watch] = []
        self._ask = ask
        self._before: Alert | None = None

    async def write(self, tx: Connection, store: Store, book: AlertBook, now_ms: int) -> int:
        before = await _locked(tx, store, self._ask.id, self._ask.login)
        if not store.owns(before.symbol):
            raise AlertElsewhere
        if before.is_active:
            await store.move(tx, [before.id], "", before.armed_seq, before.fired_seq)
            self._before = before
        return before.id

    def apply(self, book: AlertBook) -> None:
        if self._before is not None:
            book.disarm(self._before)


class Regroup:
    """Watch a group's alerts at the prices the group sees now."""

    def __init__(self, group: str, view: Mapping[str, str]) -> None:
        self.touched: list[Watch] = []
        self._group = group
        self._view = view
        self._moved: list[tuple[Alert, Alert, bool]] = []

    async def write(self, tx: Connection, store: Store, book: AlertBook, now_ms: int) -> int:
        for symbol, old in await store.places_of_group(tx, self._group):
            new = self._view.get(symbol, "")
            if new != old:
                await self._move(tx, store, book, symbol, old, new)
        return len(self._moved)

    async def _move(
        self, tx: Connection, store: Store, book: AlertBook, symbol: str, old: str, new: str
    ) -> None:
        moved = [_moved(a, new, book) for a in await store.active_at(tx, self._group, symbol, old)]
        if new:
            self.touched.append(book.watch(new, symbol))
        for fresh in (True, False):
            after = [after for _, after, is_fresh in moved if is_fresh is fresh]
            if after:
                place = (after[0].profile, after[0].armed_seq, after[0].fired_seq)
                await store.move(tx, [alert.id for alert in after], *place)
        self._moved += moved

    def apply(self, book: AlertBook) -> None:
        for before, after, fresh in self._moved:
            book.disarm(before)
            book.arm(after, fresh=fresh)


def _moved(alert: Alert, profile: str, book: AlertBook) -> tuple[Alert, Alert, bool]:
    """An alert before and after it moves to another profile, and whether its condition is still to be judged.

    One that held at the old prices has had its hit; one that did not is judged at the new ones.
    """
    price = book.watch(alert.profile, alert.symbol).price(alert.side) if alert.profile else None
    fresh = price is None or not holds(alert, price)
    seq = book.newest_seq(profile, alert.symbol) if profile else 0
    after = msgspec.structs.replace(
        alert, profile=profile, armed_seq=seq if fresh else seq - 1, fired_seq=0 if fresh else seq
    )
    return alert, after, fresh


def _armed_now(alert: Alert, book: AlertBook, now_ms: int) -> Alert:
    """The alert as it is armed now: judged from the next tick on, measured from the current price."""
    price = book.watch(alert.profile, alert.symbol).price(alert.side)
    if alert.reference_price == 0 and price is not None:
        alert = msgspec.structs.replace(alert, reference_price=price)
    if alert.reference_time == 0 and alert.reference_price:
        alert = msgspec.structs.replace(alert, reference_time=now_ms // 1000)
    seq = book.newest_seq(alert.profile, alert.symbol)
    return msgspec.structs.replace(alert, armed_seq=seq, fired_seq=0)


def _let_go(alert: Alert, store: Store) -> bool:
    """Whether no other partition watches an alert."""
    return store.owns(alert.symbol) or not (alert.is_active and alert.profile)


async def _locked(tx: Connection, store: Store, id: int, login: int) -> Alert:
    """As ``own_alert``; nobody else changes it until ``tx`` ends."""
    return _own(await store.locked(tx, id) if 0 < id <= INT64_MAX else None, id, login)


async def own_alert(tx: Connection, store: Store, id: int, login: int) -> Alert:
    """An account's alert; the errors of 8.3 and 8.4 when it has none with this id."""
    return _own(await store.alert(tx, id) if 0 < id <= INT64_MAX else None, id, login)


def _own(alert: Alert | None, id: int, login: int) -> Alert:
    if login <= 0:
        raise InvalidLogin(f"login was {login}")
    if alert is None:
        raise AlertNotFound(f"there is no alert {id}")
    if alert.login != login:
        raise ForeignAlert(f"alert {id} belongs to another account")
    return alert
