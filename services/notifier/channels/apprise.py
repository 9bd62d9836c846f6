"""Everything else through Apprise, behind the extra ``notify``; loaded only where the operator names schemes.

Apprise opens its own connections, so our check of addresses does not reach it: only schemes the operator
listed are taken, and those should have a fixed host.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import re
from typing import Any

from libs.common.errors import ConfigInvalid
from services.notifier.channels.base import (
    SENT,
    Address,
    Outcome,
    Outgoing,
    Proof,
    Result,
    Target,
    TargetInvalid,
)
from services.notifier.rates import Rate

URL_CHARS_MAX = 1024
_URL = re.compile(r"([a-z][a-z0-9]{1,20})://\S+", re.IGNORECASE)


def read_schemes(text: str) -> frozenset[str]:
    """The schemes people may bind; ConfigInvalid when there are some and Apprise is not installed."""
    schemes = frozenset(name.strip().lower() for name in text.split(",") if name.strip())
    if schemes and importlib.util.find_spec("apprise") is None:
        raise ConfigInvalid(
            "TRADEWIND_APPRISE_SCHEMES is set and Apprise is not installed: install the extra, "
            "pip install 'tradewind[notify]'"
        )
    return schemes


class AppriseChannel:
    """Messages to one Apprise address."""

    name = "apprise"
    for_people = True
    proof: Proof = "post"
    recipient_rate = Rate(20, 60, burst=5)
    channel_rate: Rate | None = Rate(5, 1, burst=10)

    def __init__(self, schemes: frozenset[str]) -> None:
        self._schemes = schemes

    @property
    def is_on(self) -> bool:
        """Whether the operator named schemes."""
        return bool(self._schemes)

    @property
    def hint(self) -> str:
        """What the owner should know."""
        if not self.is_on:
            return "This stack takes no Apprise addresses: its operator sets TRADEWIND_APPRISE_SCHEMES."
        return "A test message was sent."

    def read_target(self, text: str) -> Target:
        """An Apprise address of a listed scheme."""
        found = _URL.fullmatch(text.strip())
        scheme = found[1].lower() if found else ""
        if found is None or scheme not in self._schemes or len(text) > URL_CHARS_MAX:
            raise TargetInvalid("target is an Apprise address of a scheme we take", sorted(self._schemes))
        if _apprise().Apprise.instantiate(text.strip(), suppress_exceptions=True) is None:
            raise TargetInvalid("target is not an address Apprise can read", sorted(self._schemes))
        return Target(text.strip(), f"{scheme}://***")

    async def send(self, message: Outgoing, to: Address) -> Outcome:
        """One message, in a thread: Apprise says only whether it worked."""
        try:
            taken = await asyncio.to_thread(_notify, to.value, message.title, message.text)
        except Exception as e:  # foreign plugins raise what they like
            return Outcome(Result.LATER, f"Apprise failed ({type(e).__name__})")
        return SENT if taken else Outcome(Result.LATER, "Apprise could not deliver it")

    async def close(self) -> None:
        """Apprise keeps nothing open."""


def _apprise() -> Any:
    """The library, on first use."""
    return importlib.import_module("apprise")


def _notify(url: str, title: str, text: str) -> bool:
    sender = _apprise().Apprise()
    sender.add(url)
    return bool(sender.notify(title=title, body=text or title))
