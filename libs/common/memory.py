"""Giving memory back to the system after a burst that needed much of it."""

from __future__ import annotations

import ctypes
import gc
import sys


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
