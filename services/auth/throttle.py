"""Brute force: how many wrong passwords an address may give, and when it may try again.

Ten per account and address, fifty per address, in any fifteen minutes. Another address can still sign in to
that account, so nobody can lock somebody else out.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

WINDOW_MS: Final = 15 * 60 * 1000
SAME_MAX: Final = 10
ADDRESS_MAX: Final = 50


class Failure(NamedTuple):
    """A wrong password: when, and whether it was for the account now asked for."""

    at_ms: int
    same: bool


def wait_s(failures: Sequence[Failure], now_ms: int) -> int:
    """Seconds until the next try may be made, 0 for now. ``failures`` of the address, newest first."""
    recent = [f for f in failures if f.at_ms > now_ms - WINDOW_MS]
    waits_ms = [0]
    for counted, allowed in ((recent, ADDRESS_MAX), ([f for f in recent if f.same], SAME_MAX)):
        if len(counted) >= allowed:
            # Room is there again when the oldest of the last ``allowed`` leaves the window.
            waits_ms.append(counted[allowed - 1].at_ms + WINDOW_MS - now_ms)
    return -(-max(waits_ms) // 1000)


def network_of(address: str) -> str:
    """What counts as one address: a home has a whole /64 of IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
