"""Work on the next files while earlier ones are recorded: downloads, and looks for speakers, go on side by side.

What is done ahead touches no shard and no database; that stays with the step, in its own thread and in order.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, TypeVar

from stt_pipeline.batches.work import Work

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Ahead:
    """Some threads for the tasks of one step; a context manager that at its end waits for those that have begun."""

    def __init__(self, work: Work, threads: int) -> None:
        """Use so many threads, and none in a careful run, where one file is in hand at a time."""
        self._pool = None if work.is_careful else ThreadPoolExecutor(threads, "ahead")

    def __call__(
        self, task: Callable[_Given, _Result], *given: _Given.args, **wishes: _Given.kwargs
    ) -> Callable[[], _Result]:
        """Begin ``task`` as soon as a thread is free; return what waits for its result, or raises what it raised."""
        if self._pool is None:
            return partial(task, *given, **wishes)
        return self._pool.submit(task, *given, **wishes).result

    def __enter__(self) -> "Ahead":
        """Nothing has begun yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave out what has not begun."""
        if self._pool:
            self._pool.shutdown(cancel_futures=True)
