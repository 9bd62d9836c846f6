"""The table of windows that every gateway process of a machine shares: a mapped file in the data folder.

Layout: a header, then sets of ``WAYS`` slots. A key's set comes from its digest (salted per file, so
that nobody can aim at a set); inside the set the slot with the key's digest is its own. A full set gives
up the slot whose window is over, else the one with the fewest calls, so that who is at the limit stays.

One lock per set: a POSIX record lock on one byte of the file, released by the kernel when its process
ends, however it ends. The digest of a new slot is written last, so a process killed in between leaves
an unused slot. Never: a wait for a stopped process; after ``LOCK_S_MAX`` the call is counted unlocked.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import secrets
import struct
from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

from libs.common.clock import Clock
from services.gateway.limits.windows import FRESH, Rule, Verdict, Window, hit, look

MAGIC = b"TWLIMIT1"
HEADER = struct.Struct("<8sII16s")  # magic, sets, ways, salt
SLOT = struct.Struct("<16sqqq")  # digest, end of window (ms), begin of window (ms), calls
HEADER_BYTES = 64
SETS = 4096
WAYS = 16
UNUSED = bytes(16)
LOCK_S_MAX = 0.05
PLACES_MAX = 4096  # keys whose place is remembered


class SharedFile:
    """The file, its sets and their locks. Open one per process; close it at the end."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        *,
        magic: bytes,
        slot_bytes: int,
        sets: int,
        on_unlocked: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock
        self._magic = magic
        self._slot_bytes = slot_bytes
        self._sets = sets
        self._on_unlocked = on_unlocked
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        size = HEADER_BYTES + sets * WAYS * slot_bytes
        self._salt = self._prepare(size)
        self._map = mmap.mmap(self._file, size)
        self._place = lru_cache(maxsize=PLACES_MAX)(self._find_place)

    @property
    def number(self) -> int:
        """Names this file among those of other machines: 63 bits of its salt, the same in every process."""
        return int.from_bytes(self._salt[:8], "little") >> 1

    def close(self) -> None:
        """Give the file back; what was counted stays in it."""
        self._map.close()
        os.close(self._file)

    def _start(self, number: int) -> int:
        """Where a set begins."""
        return HEADER_BYTES + number * WAYS * self._slot_bytes

    def _find_place(self, key: str) -> tuple[bytes, int]:
        digest = blake2b(key.encode(), digest_size=16, key=self._salt).digest()
        return digest, int.from_bytes(digest[:8], "little") % self._sets

    def _lock(self, number: int) -> bool:
        """Take the lock of a set; whether it was had. Every call of this process counts here, so it comes
        without an object per call: ``_unlock`` follows in a ``finally``."""
        byte = number + HEADER_BYTES
        deadline_s: float | None = None
        while True:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, byte)
                return True
            except (BlockingIOError, PermissionError):  # another process is inside, for microseconds
                now_s = self._clock.monotonic_s()
                deadline_s = deadline_s or now_s + LOCK_S_MAX
                if now_s >= deadline_s:
                    self._on_unlocked()
                    return False

    def _unlock(self, number: int, held: bool) -> None:
        if held:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, number + HEADER_BYTES)

    def _prepare(self, size: int) -> bytes:
        """Give the file its header once; its salt. A file of another layout is begun anew."""
        fcntl.lockf(self._file, fcntl.LOCK_EX, HEADER_BYTES, 0)
        try:
            head = os.pread(self._file, HEADER.size, 0)
            if len(head) == HEADER.size and os.fstat(self._file).st_size == size:
                magic, sets, ways, salt = HEADER.unpack(head)
                if (magic, sets, ways) == (self._magic, self._sets, WAYS):
                    return bytes(salt)
            salt = secrets.token_bytes(16)
            os.ftruncate(self._file, 0)
            os.ftruncate(self._file, size)
            os.pwrite(self._file, HEADER.pack(self._magic, self._sets, WAYS, salt), 0)
            return salt
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, HEADER_BYTES, 0)


class SharedWindows(SharedFile):
    """Open one per process; calls never wait for longer than ``LOCK_S_MAX``."""

    def __init__(
        self, path: Path, clock: Clock, *, sets: int = SETS, on_unlocked: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(path, clock, magic=MAGIC, slot_bytes=SLOT.size, sets=sets, on_unlocked=on_unlocked)

    def hit(self, key: str, rule: Rule) -> Verdict:
        """Count one call of ``key``."""
        digest, number = self._place(key)
        held = self._lock(number)
        try:
            now_ms = self._clock.now_ms()
            offset, state, known = self._slot(number, digest, now_ms)
            after, verdict = hit(state, rule, now_ms)
            SLOT.pack_into(
                self._map, offset, digest if known else UNUSED, verdict.resets_ms, after.began_ms, after.taken
            )
            if not known:
                self._map[offset : offset + 16] = digest
        finally:
            self._unlock(number, held)
        return verdict

    def put(self, key: str, rule: Rule, remaining: int, resets_ms: int) -> None:
        """Write how ``key``'s window stands, as another machine that counts it says."""
        digest, number = self._place(key)
        held = self._lock(number)
        try:
            offset, _, known = self._slot(number, digest, self._clock.now_ms())
            began_ms, taken = resets_ms - rule.window_ms, rule.count - remaining
            SLOT.pack_into(self._map, offset, digest if known else UNUSED, resets_ms, began_ms, taken)
            if not known:
                self._map[offset : offset + 16] = digest
        finally:
            self._unlock(number, held)

    def look(self, key: str, rule: Rule) -> Verdict:
        """How ``key``'s window stands, without counting."""
        digest, number = self._place(key)
        held = self._lock(number)
        try:
            now_ms = self._clock.now_ms()
            _, state, _ = self._slot(number, digest, now_ms)
        finally:
            self._unlock(number, held)
        return look(state, rule, now_ms)

    def _slot(self, number: int, digest: bytes, now_ms: int) -> tuple[int, Window, bool]:
        """The key's slot and state, or the slot it takes over."""
        start = self._start(number)
        spare, spare_rank = start, (2, 0)
        for offset in range(start, start + WAYS * SLOT.size, SLOT.size):
            held, ends_ms, began_ms, taken = SLOT.unpack_from(self._map, offset)
            if held == digest:
                return offset, Window(began_ms, taken), True
            rank = (0, 0) if held == UNUSED or ends_ms <= now_ms else (1, taken)
            if rank < spare_rank:
                spare, spare_rank = offset, rank
        return spare, FRESH, False
