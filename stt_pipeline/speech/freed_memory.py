"""Returns freed memory to the operating system. Nothing here limits or measures how much is used."""

import ctypes
from contextlib import suppress


def give_back_freed_memory() -> None:
    """Make glibc return the memory that it keeps for ended threads; without glibc nothing happens.

    glibc has several heaps, one for a few threads each, and keeps the peak of every model batch: some 100 MB with the
    demo model, in another heap with each run. The call takes a few milliseconds.
    """
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL("libc.so.6").malloc_trim(0)
