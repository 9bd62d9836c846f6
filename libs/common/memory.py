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

NEW_MAX = 500  # new containers until they are looked at, with what they hold: a millisecond or two, at most


def settle() -> None:
    """What is held now stays: no collection looks at it again."""
    gc.collect()
    gc.freeze()


@contextmanager
def keep_survivors() -> Iterator[None]:
    """While open, what a collection leaves is not looked at again: no pause grows with what is held.

    For one part of a process, and only where cycles are rare: one that outlives a collection and is dropped
    later stays for ever.
    """
    before = gc.get_threshold()
    gc.callbacks.append(_freeze)
    gc.set_threshold(NEW_MAX, 1_000_000, 1_000_000)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(_freeze)


def _freeze(phase: str, info: Mapping[str, int]) -> None:
    if phase == "stop":
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
