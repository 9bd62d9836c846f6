"""What every payment provider is: a name, whether it is set up, and what it may be asked.

A provider only talks: it holds no state and books nothing. What it says comes back as values; a failure is
``ProviderFailed`` (nothing happened) or ``OutcomeUnknown`` (it was sent, and no answer came).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from services.billing.payment import Status


class Provider(Protocol):
    """Any of them. ``configured`` is false until its keys are set: then it is asked for nothing."""

    name: str

    @property
    def configured(self) -> bool: ...

    async def close(self) -> None:
        """Give the connections back."""
        ...


@dataclass(frozen=True, slots=True)
class Verified:
    """Whether a payment would settle, or why not."""

    valid: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a settlement; ``body`` is the facilitator's answer, for the client's receipt."""

    success: bool
    transaction: str
    reason: str
    body: Mapping[str, Any]


class Settling(Provider, Protocol):
    """Moves a signed payment: x402."""

    async def verify(
        self, version: int, payload: Mapping[str, Any], requirements: Mapping[str, Any]
    ) -> Verified:
        """Would it settle?"""
        ...

    async def settle(
        self, version: int, payload: Mapping[str, Any], requirements: Mapping[str, Any]
    ) -> Settled:
        """Settle it; OutcomeUnknown when it may have happened."""
        ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """A hosted payment page: what it is for and where the customer goes afterwards."""

    order_id: str
    micros: int
    title: str
    success_url: str
    cancel_url: str
    callback_url: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A payment page that was opened; ``external`` is the provider's own name of it."""

    external: str
    url: str


@dataclass(frozen=True, slots=True)
class Heard:
    """What a callback said about one order. ``event_id`` is unique per event; "" order: not about any.

    ``paid_micros`` is what the provider says the order is for; -1: another currency.
    """

    event_id: str
    order_id: str
    external: str
    status: Status | None
    paid_micros: int
    transaction: str = ""
    note: str = ""


class Hosted(Provider, Protocol):
    """Shows the customer a page of its own and calls back: Stripe, NOWPayments."""

    async def open(self, wanted: Wanted) -> Page:
        """A new page."""
        ...

    def read(self, body: bytes, signature: str, now_s: int) -> Heard:
        """A callback, if it is signed with our secret."""
        ...
