"""The garbage collector of processes that hold much for long, and memory that goes back to the system.

A full collection looks at every container there is: with 100,000 open orders that is a tenth of a second in
which nobody is answered, again and again as more come. Objects that were frozen are not looked at; they go
when nothing refers to them any more, as all do that are in no cycle.
"""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

# New containers until the youngest are looked at, such collections until the next generation is, and so on:
# a pause is about a microsecond for each, so that the longest is some milliseconds.
_THRESHOLDS = (500, 2, 2)


def settle() -> None:
    """What is held now stays: no collection looks at it again."""
    gc.collect()
    gc.freeze()
    gc.collect()  # a full collection waits until a quarter as much is new as the one before has left


@contextmanager
def keep_survivors() -> Iterator[None]:
    """While open, what a full collection leaves is not looked at again: no pause grows with what is held.

    For one part of a process, and only where cycles are rare: one that outlives a full collection and is
    dropped later stays for ever.
    """
    before = gc.get_threshold()
    gc.callbacks.append(_freeze)
    gc.set_threshold(*_THRESHOLDS)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(_freeze)


def _freeze(phase: str, info: Mapping[str, int]) -> None:
    if phase == "stop" and info["generation"] == 2:
        gc.freeze()


def give_back() -> bool:
    """Return freed memory to the operating system; whether that is possible here.

    glibc keeps what was freed for the next burst. After work that happens once, such as making a
    year of history, that would keep hundreds of megabytes for nothing.
    """
    gc.collect()
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL("libc.so.6").malloc_trim(0))
    except (OSError, AttributeError):  # another C library
        return False
