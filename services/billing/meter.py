"""What a batch of holds, charges and releases does to wallets, calls and quotas. Pure.

The batch's rows come in locked; ``Book`` decides one request after the other on them, so that calls of one
batch see each other, and what it changed is written in the same transaction. An ended call never changes
again, and a request with a known id has no second effect: both make every message safe to repeat.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from libs.common.errors import AppError
from services.billing.errors import CallUnknown, PaymentRequired, QuotaExceeded, RequestIdTaken

DAY_MS = 86_400_000


class State(IntEnum):
    """Where a call stands. All but HELD are final, except that an expired hold may still be charged."""

    HELD = 0
    CHARGED = 1
    RELEASED = 2
    EXPIRED = 3


@dataclass(slots=True)
class Wallet:
    """Money of somebody: what is there, and how much of it is held. ``account_id`` 0: never had any."""

    name: str
    account_id: int = 0
    balance_micros: int = 0
    held_micros: int = 0
    was: tuple[int, int] = (0, 0)  # balance and holds as they were read

    def __post_init__(self) -> None:
        self.was = (self.balance_micros, self.held_micros)

    @property
    def available_micros(self) -> int:
        """What can be spent."""
        return self.balance_micros - self.held_micros


@dataclass(slots=True)
class MeteredCall:
    """One metered call."""

    request_id: str
    wallet: str
    operation: str
    state: State
    held_micros: int
    charged_micros: int = 0
    quota: str = ""
    subject: str = ""
    day: int = 0
    was: State = State.HELD  # as it was read

    def __post_init__(self) -> None:
        self.was = self.state


class QuotaKey(NamedTuple):
    """A daily quota of somebody."""

    subject: str
    quota: str
    day: int


class Hold(NamedTuple):
    """Hold a price, take of a quota. ``limit`` is the tier's."""

    request_id: str
    operation: str
    wallet: str
    micros: int
    day: int
    quota: str = ""
    subject: str = ""
    limit: int = 0

    @property
    def quota_key(self) -> QuotaKey:
        return QuotaKey(self.subject, self.quota, self.day)


class Take(NamedTuple):
    """Charge a held call: ``micros`` at most what was held; None all of it."""

    request_id: str
    micros: int | None = None


class Drop(NamedTuple):
    """Give a hold back; ``expired`` when nobody came for it."""

    request_id: str
    expired: bool = False


class Direct(NamedTuple):
    """Hold and charge in one."""

    request_id: str
    operation: str
    wallet: str
    micros: int
    day: int


Request = Hold | Take | Drop | Direct


class Outcome(NamedTuple):
    """What became of a request: the call's price or hold, what the wallet has left, the quota's use."""

    micros: int
    available_micros: int
    quota_used: int = 0


@dataclass(slots=True)
class Book:
    """The rows of one batch, and what was done to them."""

    wallets: dict[str, Wallet]
    calls: dict[str, MeteredCall]
    quotas: dict[QuotaKey, int]
    added: dict[str, MeteredCall] = field(default_factory=dict)
    ended: dict[str, MeteredCall] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)  # wallets
    counted: set[QuotaKey] = field(default_factory=set)
    charged: dict[str, int] = field(default_factory=lambda: defaultdict(int))  # wallet → micros
    charged_calls: list[MeteredCall] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        """Whether there is anything to write."""
        return bool(self.added or self.ended or self.moved or self.counted)

    @property
    def only_holds(self) -> bool:
        """Whether there is nothing to write but holds of money."""
        return not (self.ended or self.counted or self.charged_calls) and all(
            call.state is State.HELD for call in self.added.values()
        )

    def do(self, request: Request) -> Outcome | AppError:
        """Decide one request. A refusal is returned, and then nothing has changed."""
        match request:
            case Hold():
                return self._hold(request)
            case Take():
                return self._take(request)
            case Drop():
                return self._drop(request)
            case Direct():
                return self._direct(request)

    def _wallet(self, name: str) -> Wallet:
        return self.wallets.setdefault(name, Wallet(name))

    def _hold(self, hold: Hold) -> Outcome | AppError:
        known = self.calls.get(hold.request_id)
        wallet = self._wallet(hold.wallet)
        if known is not None:
            if not _is_same(known, hold):
                return RequestIdTaken()
            return Outcome(known.held_micros, wallet.available_micros, self.quotas.get(hold.quota_key, 0))
        if hold.micros > wallet.available_micros:
            return PaymentRequired(price_micros=hold.micros, balance_micros=wallet.available_micros)
        used = self.quotas.get(hold.quota_key, 0)
        if hold.quota and used >= hold.limit:
            return QuotaExceeded(quota_limit=hold.limit, quota_used=used)
        call = MeteredCall(
            hold.request_id,
            hold.wallet,
            hold.operation,
            State.HELD,
            hold.micros,
            0,
            hold.quota,
            hold.subject,
            hold.day,
        )
        self.calls[call.request_id] = self.added[call.request_id] = call
        if hold.micros:
            wallet.held_micros += hold.micros
            self.moved.add(wallet.name)
        if hold.quota:
            used = self.quotas[hold.quota_key] = used + 1
            self.counted.add(hold.quota_key)
        return Outcome(hold.micros, wallet.available_micros, used)

    def _take(self, take: Take) -> Outcome | AppError:
        call = self.calls.get(take.request_id)
        if call is None:
            return CallUnknown()
        wallet = self._wallet(call.wallet)
        if call.state is State.CHARGED:
            return Outcome(call.charged_micros, wallet.available_micros)
        if call.state is State.RELEASED:
            return CallUnknown("the call was released before")
        micros = call.held_micros if take.micros is None else min(take.micros, call.held_micros)
        if call.state is State.EXPIRED:  # its hold is gone: what is there decides
            if micros > wallet.available_micros:
                return PaymentRequired(price_micros=micros, balance_micros=wallet.available_micros)
            self._count_quota(call, 1)
        else:
            self._unhold(call, wallet)
        self._charge(call, wallet, micros)
        return Outcome(micros, wallet.available_micros)

    def _drop(self, drop: Drop) -> Outcome | AppError:
        call = self.calls.get(drop.request_id)
        if call is None:
            return CallUnknown()
        wallet = self._wallet(call.wallet)
        if call.state is State.HELD:
            self._unhold(call, wallet)
            self._count_quota(call, -1)
            self._end(call, State.EXPIRED if drop.expired else State.RELEASED)
        return Outcome(0, wallet.available_micros)

    def _direct(self, direct: Direct) -> Outcome | AppError:
        known = self.calls.get(direct.request_id)
        wallet = self._wallet(direct.wallet)
        if known is not None:
            if not _is_same(known, direct):
                return RequestIdTaken()
            return Outcome(known.charged_micros, wallet.available_micros)
        if direct.micros > wallet.available_micros:
            return PaymentRequired(price_micros=direct.micros, balance_micros=wallet.available_micros)
        call = MeteredCall(
            direct.request_id, direct.wallet, direct.operation, State.HELD, direct.micros, day=direct.day
        )
        self.calls[call.request_id] = self.added[call.request_id] = call
        self._charge(call, wallet, direct.micros)
        return Outcome(direct.micros, wallet.available_micros)

    # ── effects ───────────────────────────────────────────────────────────────────────────────────

    def _unhold(self, call: MeteredCall, wallet: Wallet) -> None:
        if call.held_micros:
            wallet.held_micros -= call.held_micros
            self.moved.add(wallet.name)

    def _charge(self, call: MeteredCall, wallet: Wallet, micros: int) -> None:
        call.charged_micros = micros
        self._end(call, State.CHARGED)
        self.charged_calls.append(call)
        if micros:
            wallet.balance_micros -= micros
            self.moved.add(wallet.name)
            self.charged[wallet.name] += micros

    def _count_quota(self, call: MeteredCall, step: int) -> None:
        if call.quota:
            key = QuotaKey(call.subject, call.quota, call.day)
            self.quotas[key] = max(self.quotas.get(key, 0) + step, 0)
            self.counted.add(key)

    def _end(self, call: MeteredCall, state: State) -> None:
        call.state = state
        if call.request_id not in self.added:
            self.ended[call.request_id] = call


def _is_same(known: MeteredCall, again: Hold | Direct) -> bool:
    """Whether a known id comes from the same caller for the same: else it would be somebody's free call."""
    same = (known.wallet, known.operation) == (again.wallet, again.operation)
    return same and (isinstance(again, Direct) or known.subject == again.subject)


def wallets_of(requests: Iterable[Request]) -> set[str]:
    """The wallets a batch names; those of its calls come with them."""
    return {r.wallet for r in requests if isinstance(r, (Hold, Direct))}


def quotas_of(requests: Iterable[Request], calls: Mapping[str, MeteredCall]) -> set[QuotaKey]:
    """The quotas a batch touches."""
    asked = {r.quota_key for r in requests if isinstance(r, Hold) and r.quota}
    return asked | {QuotaKey(c.subject, c.quota, c.day) for c in calls.values() if c.quota}


def day_of(ms: int) -> int:
    """Days since 1970-01-01 UTC."""
    return ms // DAY_MS
