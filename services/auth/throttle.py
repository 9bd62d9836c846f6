"""Brute force: how many wrong passwords an address may give, and when it may try again.

Ten per account and address, fifty per address, in any fifteen minutes; then the door is closed for fifteen
minutes, and twice as long each further time within a day. Another address can still sign in to that account,
so nobody can lock somebody else out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from ipaddress import IPv6Address, ip_address
from typing import Final, NamedTuple

WINDOW_MS: Final = 15 * 60 * 1000
CLOSED_MS_MAX: Final = 8 * 3600 * 1000
MEMORY_MS: Final = 24 * 3600 * 1000
SAME_MAX: Final = 10
ADDRESS_MAX: Final = 50
FAILURES_MAX: Final = 1_000  # of an address in a day: more than closed doors leave room for


class Failure(NamedTuple):
    """A wrong password: when, and whether it was for the account now asked for."""

    at_ms: int
    same: bool


def wait_s(failures: Sequence[Failure], now_ms: int) -> int:
    """Seconds until the next try may be made, 0 for now. ``failures`` of the address, newest first."""
    recent = [f for f in reversed(failures) if f.at_ms > now_ms - MEMORY_MS]
    open_ms = max(
        _open_again_ms((f.at_ms for f in recent), ADDRESS_MAX),
        _open_again_ms((f.at_ms for f in recent if f.same), SAME_MAX),
    )
    return max(-(-(open_ms - now_ms) // 1000), 0)


def _open_again_ms(times_ms: Iterable[int], allowed: int) -> int:
    """When the door that failures at these times (oldest first) closed last is open again."""
    counted: deque[int] = deque()
    open_ms, closed_ms = 0, WINDOW_MS
    for at_ms in times_ms:
        while counted and counted[0] <= at_ms - WINDOW_MS:
            counted.popleft()
        counted.append(at_ms)
        if len(counted) >= allowed:
            open_ms = at_ms + closed_ms
            closed_ms = min(closed_ms * 2, CLOSED_MS_MAX)
            counted.clear()
    return open_ms


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
