"""Loads a model or another large object once per process, in one thread while the others wait.

Only the decorator is here. What is loaded, and from where, is in the module that uses it.
"""

import threading
from collections.abc import Callable
from functools import lru_cache, update_wrapper
from typing import Any, Generic, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class CachedLoader(Generic[_P, _T]):
    """A function whose results are kept by its arguments; any thread may call it. Errors are not kept."""

    def __init__(self, load: Callable[_P, _T], maxsize: int | None) -> None:
        """Wrap ``load``. Its arguments must be hashable."""
        self._load: Any = lru_cache(maxsize=maxsize)(load)
        self._lock = threading.Lock()  # the cache alone lets several threads load the same object
        update_wrapper(self, load)

    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Return the result of the function for these arguments, and call it if there is none yet."""
        with self._lock:
            result: _T = self._load(*args, **kwargs)
            return result

    def cache_clear(self) -> None:
        """Forget all results."""
        self._load.cache_clear()


def once_per_process(maxsize: int | None = None) -> Callable[[Callable[_P, _T]], CachedLoader[_P, _T]]:
    """Return a decorator for functions that load something.

    Args:
        maxsize: how many results are kept; the least recently used one goes first. None keeps all.
    """

    def decorate(load: Callable[_P, _T]) -> CachedLoader[_P, _T]:
        return CachedLoader(load, maxsize)

    return decorate
