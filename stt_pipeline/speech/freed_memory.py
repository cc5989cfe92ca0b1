"""Freed memory of glibc: returns it to the operating system, and limits the number of heaps that keep it."""

import ctypes
from contextlib import suppress

_M_ARENA_MAX = -8  # malloc.h of glibc


def give_back_freed_memory() -> None:
    """Make glibc return the memory that it keeps for ended threads; without glibc nothing happens.

    glibc has several heaps, one for a few threads each, and keeps the peak of every model batch: some 100 MB with the
    demo model, in another heap with each run. The call takes a few milliseconds.
    """
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)


def limit_heaps(heaps: int) -> None:
    """Let glibc use at most ``heaps`` heaps; without glibc nothing happens. Call it before threads start.

    Its default is eight for each core. A server with many threads fills one after the other, and each keeps its peak.
    """
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").mallopt(_M_ARENA_MAX, heaps)
