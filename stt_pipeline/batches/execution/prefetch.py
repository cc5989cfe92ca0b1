"""Threads that work on the files of a step while the step's own thread writes the results of earlier ones.

A task in a thread does not touch the counters of its shard; the step's own thread does it, in order.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, TypeVar

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.errors import LeaseLostError
from stt_pipeline.store.manifest.files import AudioFile

_Result = TypeVar("_Result")

Threads = int | Callable[[ClaimedShard], int]
"""Number of files that are processed at a time: of all shards, or of each."""

_TASKS_PER_THREAD = 2  # so that a thread finds its next task at once; results of more would only fill memory


@dataclass(frozen=True, slots=True, eq=False)
class Task(Generic[_Result]):
    """The work on one file of a shard.

    Attributes:
        file: None for a task that only ends its shard, or raises an error of the whole shard.
        future: the result, or the error.
        most_ahead: how many tasks may start before this one's result is read; None for a task that starts nothing.
    """

    shard: ClaimedShard
    file: AudioFile | None
    future: Future[_Result]
    most_ahead: int | None = None

    def wait(self, while_waiting: Callable[[], object], every_seconds: float) -> None:
        """Wait for the result, and call ``while_waiting`` every ``every_seconds`` until then."""
        while wait([self.future], timeout=every_seconds).not_done:
            while_waiting()


def failed_task(shard: ClaimedShard, file: AudioFile | None, error: Exception) -> Task[_Result]:
    """Return a task that has failed."""
    future = Future[_Result]()
    future.set_exception(error)
    return Task(shard, file, future)


def end_of_shard(shard: ClaimedShard) -> Task[_Result | None]:
    """Return the task after the last one of a shard."""
    future = Future[_Result | None]()
    future.set_result(None)
    return Task(shard, None, future)


class Prefetch:
    """The threads of one step: a context manager that waits at its end for the tasks that have started."""

    def __init__(self, claims: ShardClaims, threads: Threads) -> None:
        """A careful run has one thread, because it processes one file at a time."""
        self._claims = claims
        self._threads = threads
        self._pools: dict[int, ThreadPoolExecutor] = {}

    def task(self, shard: ClaimedShard, file: AudioFile, work: Callable[[], _Result]) -> Task[_Result]:
        """Start ``work`` as soon as a thread is free. With one thread, the next task is made after this one's result is read.

        Returns:
            A task whose result raises LeaseLostError if the shard was lost before the work began.
        """
        threads = 1 if self._claims.is_careful else self._threads_of(shard)
        if threads not in self._pools:
            self._pools[threads] = ThreadPoolExecutor(threads, "prefetch")

        def work_if_held() -> _Result:
            if not self._claims.holds(shard):
                raise LeaseLostError(self._claims.refused[shard.key])
            with self._claims.watchdog.watching(shard, file):
                return work()

        future = self._pools[threads].submit(work_if_held)
        return Task(shard, file, future, most_ahead=_TASKS_PER_THREAD * threads if threads > 1 else 0)

    def _threads_of(self, shard: ClaimedShard) -> int:
        return self._threads if isinstance(self._threads, int) else self._threads(shard)

    def __enter__(self) -> "Prefetch":
        """No thread has started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Cancel the tasks that have not started."""
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)


def look_ahead(tasks: Iterator[Task[_Result]]) -> Iterator[Task[_Result]]:
    """Yield the tasks in order, drawing as many ahead as they allow, across the ends of shards."""
    drawn: deque[Task[_Result]] = deque()
    most_ahead = 0
    for task in tasks:
        drawn.append(task)
        if task.most_ahead is not None:
            most_ahead = task.most_ahead
        while len(drawn) > most_ahead:
            yield drawn.popleft()
    yield from drawn
