"""The loop that takes the files of a run's shards through a step. A transcriber's loop is in ``transcription_stream``.

In both, a file that raises fails alone. Results are written about once a second, for each shard in a transaction that
verifies its lease. The steps are in ``stages``.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TypeVar

from sqlalchemy import Connection

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done, PreemptedError
from stt_pipeline.batches.execution.prefetch import (
    Prefetch,
    Task,
    Threads,
    end_of_shard,
    failed_task,
    look_ahead,
)
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.errors import ConfigurationError, SourceUnavailableError
from stt_pipeline.store.manifest.files import AudioFile

_FILES_PER_READ = 20

WRITE_SECONDS = 1.0
"""Results are written after this time. A transaction for each short recording would cost more than what a killed run has to
do again."""

_Known = TypeVar("_Known")
_Result = TypeVar("_Result")

Work = Callable[[], Done[_Result]]
"""Processes one file and returns what is to be written. It runs in a thread, and does not touch the shard's counters."""

Step = Callable[[ClaimedShard, AudioFile, _Known | None], Work[_Result] | None]
"""Decides about one file, given the row that was read for it: returns its work, or None if there is none."""

Read = Callable[[Connection, ClaimedShard, Sequence[AudioFile]], Mapping[int, _Known]]
"""Reads rows for some files of a shard, by file id; it only reads."""

Write = Callable[[Connection, ClaimedShard, Sequence[Done[_Result]]], None]
"""Writes results, in a transaction that has verified the lease."""


def for_each_file(
    claims: ShardClaims,
    step: Step[_Known, _Result],
    *,
    read: Read[_Known] | None = None,
    write: Write[_Result],
    threads: Threads = 1,
    shortest_first: bool = False,
) -> None:
    """Take the files of the claimed shards through a step, in order.

    Results are written about once a second, also while a long recording is processed; if that raises, again for each file
    alone. A shard whose lease is lost is dropped, and one whose source is unavailable is released; both are then in
    ``claims.refused``.

    Args:
        threads: how many files are processed at a time; a careful run processes one.
        shortest_first: begin with the shards that have the least audio, so that they do not wait for the others.

    Raises:
        ConfigurationError: no file can succeed, so none has failed.
    """
    started = time.monotonic()
    with Prefetch(claims, threads) as prefetch:
        shards = claims.shards
        if shortest_first:
            shards = sorted(shards, key=lambda shard: shard.shard.probed_seconds)
        tasks = look_ahead(_tasks(claims, shards, step, read, prefetch))
        for shard in shards:
            of_shard = _to_end_of_shard(tasks)
            with claims.working_on(shard):
                _process(claims, shard, of_shard, write)
                if claims.holds(shard):
                    claims.finish(shard, time.monotonic() - started)
            deque(of_shard, maxlen=0)  # those of a shard that was dropped
            started = time.monotonic()


def _to_end_of_shard(tasks: Iterator[Task[_Result]]) -> Iterator[Task[_Result]]:
    for task in tasks:
        yield task
        if task.file is None:
            return


def _tasks(
    claims: ShardClaims,
    shards: Sequence[ClaimedShard],
    step: Step[_Known, _Result],
    read: Read[_Known] | None,
    prefetch: Prefetch,
) -> Iterator[Task[Done[_Result] | None]]:
    """Yield the tasks of all shards, and after those of each shard one without a file."""
    for shard in shards:
        try:
            for file, known in files_of(claims, shard, read):
                if not claims.holds(shard):
                    break
                if claims.is_preempted:
                    raise PreemptedError
                claims.crash_guard.mark_active_file(shard, file)
                try:
                    work = step(shard, file, known)
                except Exception as error:
                    yield failed_task(shard, file, error)
                    continue
                if work:
                    yield prefetch.task(shard, file, partial(_timed, work))
        except Exception as error:
            yield failed_task(shard, None, error)
        else:
            yield end_of_shard(shard)


def _timed(work: Work[_Result]) -> Done[_Result]:
    started = time.monotonic()
    done = work()
    return replace(done, busy_seconds=time.monotonic() - started)


def _process(
    claims: ShardClaims,
    shard: ClaimedShard,
    tasks: Iterator[Task[Done[_Result] | None]],
    write: Write[_Result],
) -> None:
    """Write the results of a shard's tasks, and the events of the shards before it."""
    done: list[Done[_Result]] = []
    written_at = time.monotonic()

    def write_if_due() -> None:
        nonlocal done, written_at
        if time.monotonic() - written_at > WRITE_SECONDS:
            due, done, written_at = done, [], time.monotonic()
            write_results(claims, shard, due, write)
        claims.finished.flush_if_due()

    try:
        for task in tasks:
            task.wait(write_if_due, WRITE_SECONDS)
            try:
                result = task.future.result()
            except Exception as error:
                if task.file is None:
                    raise
                claims.failures.record(shard, task.file, error)
            else:
                done += [result] if result else []
            write_if_due()
    except (ConfigurationError, SourceUnavailableError, PreemptedError):  # earlier results are kept
        with claims.working_on(shard):
            write_results(claims, shard, done, write)
        raise
    write_results(claims, shard, done, write)


def files_of(
    claims: ShardClaims, shard: ClaimedShard, read: Read[_Known] | None
) -> Iterator[tuple[AudioFile, _Known | None]]:
    """Yield the files of a shard, each with the row that was read for it."""
    manifest = claims.files_of(shard)
    for first in range(0, len(manifest), _FILES_PER_READ):
        some = manifest[first : first + _FILES_PER_READ]
        known: Mapping[int, _Known] = {}
        if read:
            with claims.database.begin() as connection:
                known = read(connection, shard, some)
        for file in some:
            yield file, known.get(file.id)


def write_results(
    claims: ShardClaims, shard: ClaimedShard, done: Sequence[Done[_Result]], write: Write[_Result]
) -> None:
    """Write results and count them; if that raises, again for each file alone, so that one file fails alone.

    Raises:
        LeaseLostError: another run has the shard.
    """
    if not done:
        return
    try:
        with claims.database.begin() as connection:
            shard.verify(connection)
            write(connection, shard, done)
    except Exception as error:
        if len(done) == 1:
            claims.failures.record(shard, done[0].file, error)
        else:
            for one in done:
                write_results(claims, shard, [one], write)
    else:
        for one in done:
            shard.count(one.file, seconds=one.seconds)
            claims.listener.file_done(shard, one)
