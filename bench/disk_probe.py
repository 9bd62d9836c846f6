"""What the disk does to anybody who syncs while something else is measured."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import TracebackType

PAGE = 4_096
PAGES = 256
EVERY_S = 0.05  # seldom enough to be in nobody's way


class DiskProbe:
    """While open, one page of a small file is written and synced 20 times a second by a thread of its own.

    ``took_s`` are the times of the syncs, in order.
    """

    def __init__(self, place: Path) -> None:
        self._path = place / "probe"
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk probe")
        self.took_s: list[float] = []

    def __enter__(self) -> DiskProbe:
        self._path.write_bytes(bytes(PAGE * PAGES))  # its blocks are there: a sync writes only the page
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
        self._path.unlink()

    def _run(self) -> None:
        file = os.open(self._path, os.O_RDWR)
        os.fsync(file)
        page = os.urandom(PAGE)
        while not self._over.wait(EVERY_S):
            os.pwrite(file, page, PAGE * (len(self.took_s) % PAGES))
            begun = time.perf_counter()
            os.fdatasync(file)
            self.took_s.append(time.perf_counter() - begun)
        os.close(file)
