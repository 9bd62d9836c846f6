"""Bursts: at most so many calls in *any* second, exact across the gateway processes of a machine.

A window forgets at its end, so twice its count may fall around the seam of two. Here the moments of the last
calls are kept: a ring as long as a burst may be, in a mapped file beside the windows, with the same sets,
digests and locks. A burst larger than the ring falls back to a window.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from libs.common.clock import Clock
from services.gateway.limits.shared import UNUSED, WAYS, SharedFile
from services.gateway.limits.windows import Verdict

RING = 64
MAGIC = b"TWSPANS1"
SETS = 1024
SLOT = struct.Struct(
    f"<16sqHH{RING}I"
)  # digest, last call (ms), next place, calls kept, moments (ms, low 32 bits)
LOW = 1 << 32


class SharedSpans(SharedFile):
    """Open one per process; calls never wait for longer than ``LOCK_S_MAX``."""

    def __init__(
        self, path: Path, clock: Clock, *, sets: int = SETS, on_unlocked: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(path, clock, magic=MAGIC, slot_bytes=SLOT.size, sets=sets, on_unlocked=on_unlocked)

    def hit(self, key: str, count: int, span_ms: int) -> Verdict:
        """Count one call of ``key``, unless ``count`` (at most ``RING``) fell in the ``span_ms`` before."""
        digest, number = self._place(key)
        held = self._lock(number)
        try:
            now_ms = self._clock.now_ms()
            offset = self._slot_of(number, digest)
            owner, last_ms, place, kept, *moments = SLOT.unpack_from(self._map, offset)
            if owner != digest or last_ms > now_ms:  # another's, or the clock was set back
                place, kept, moments = 0, 0, [0] * RING
            recent = [age for age in self._ages(moments, place, kept, now_ms) if age < span_ms]
            if len(recent) >= count:
                return Verdict(False, 0, now_ms + span_ms - recent[count - 1])
            moments[place] = now_ms % LOW
            place, kept = (place + 1) % RING, min(len(recent) + 1, RING)
            SLOT.pack_into(self._map, offset, digest, now_ms, place, kept, *moments)
        finally:
            self._unlock(number, held)
        return Verdict(True, count - len(recent) - 1, now_ms + span_ms)

    @staticmethod
    def _ages(moments: list[int], place: int, kept: int, now_ms: int) -> list[int]:
        """How long ago the kept calls were, the newest first."""
        return [(now_ms - moments[(place - 1 - n) % RING]) % LOW for n in range(kept)]

    def _slot_of(self, number: int, digest: bytes) -> int:
        """The key's slot; else an unused one; else that of the longest silence."""
        start = self._start(number)
        spare, silent_ms = start, None
        for offset in range(start, start + WAYS * SLOT.size, SLOT.size):
            held, last_ms = struct.unpack_from("<16sq", self._map, offset)
            if held == digest:
                return offset
            rank = -1 if held == UNUSED else last_ms
            if silent_ms is None or rank < silent_ms:
                spare, silent_ms = offset, rank
        return spare
