"""What gateways say to one another: limits across machines, calls taken back. Owner: gateway. Major 1.

1.1 added ``CallTakenBack``.
"""

from __future__ import annotations

import msgspec


class MachineAlive(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway process is there; its machine counts limits in a table of its own.

    ``machine`` names the table that all processes of a machine share, ``since_ms`` is when the first of them
    came (Unix ms). ``ask``: whoever hears it says that it is there, too.
    """

    machine: int
    since_ms: int
    ask: bool = False


class CallTakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """An agent takes back a call of its own: ``holder`` is its key and address, ``number`` is the call's."""

    holder: str
    number: str


class LimitBucket(msgspec.Struct, frozen=True, array_like=True):
    """One limit that a call counts in: at most ``count`` calls per ``window_ms``."""

    name: str
    count: int
    window_ms: int
    aligned: bool
    shown: bool


class LimitCount(msgspec.Struct, frozen=True, kw_only=True):
    """Count one call in these buckets, in their order, up to the first that refuses it."""

    buckets: list[LimitBucket]


class LimitCounted(msgspec.Struct, frozen=True, kw_only=True):
    """Whether the call may go on; how the bucket stands that headers tell of; until when it is refused."""

    taken: bool
    remaining: int
    resets_ms: int
    refused_until_ms: int
