"""Gives memory that was freed back to the system. How much is used is nothing of it."""

import ctypes
from contextlib import suppress


def give_back_freed_memory() -> None:
    """Have the C library return what it keeps for threads that are gone; where it cannot, nothing happens.

    glibc has a heap for each of some threads, and keeps what a model batch needed at its peak: some 100 MB with the demo
    model, in other places with each run. It takes a few milliseconds.
    """
    with suppress(OSError, AttributeError):  # neither glibc's library nor its function elsewhere
        ctypes.CDLL("libc.so.6").malloc_trim(0)
