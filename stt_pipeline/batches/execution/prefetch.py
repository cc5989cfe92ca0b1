"""Work on the next files while earlier ones are recorded: downloads, and looks for speakers, go on side by side.

What is done ahead touches no shard and no database; that stays with the step, in its own thread and in order.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import Concatenate, ParamSpec, TypeVar

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.errors import LeaseLostError

_Given = ParamSpec("_Given")
_Result = TypeVar("_Result")


class Ahead:
    """Some threads for the tasks of one step; a context manager that at its end waits for those that have begun."""

    def __init__(self, work: ShardClaims, threads: int) -> None:
        """Use so many threads, and none in a careful run, where one file is in hand at a time."""
        self._work = work
        self._pool = None if work.is_careful else ThreadPoolExecutor(threads, "ahead")

    def __call__(
        self,
        task: Callable[Concatenate[ClaimedShard, _Given], _Result],
        shard: ClaimedShard,
        *given: _Given.args,
        **wishes: _Given.kwargs,
    ) -> Callable[[], _Result]:
        """Begin ``task`` on a file of ``shard`` as soon as a thread is free.

        Returns:
            What waits for its result, or raises what it raised: a LeaseLostError if the shard was lost before.
        """
        if self._pool is None:
            return partial(task, shard, *given, **wishes)

        def unless_lost() -> _Result:
            if not self._work.holds(shard):
                raise LeaseLostError(self._work.refused[shard.key])
            return task(shard, *given, **wishes)

        return self._pool.submit(unless_lost).result

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
