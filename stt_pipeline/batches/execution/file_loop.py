"""How the files of a run's shards go through a step, one after the other; many at once, through a transcriber, in ``streaming``.

Either way a file that raises fails alone, and what came out is written about once a second, for each shard in a transaction
in which its lease was proved. What the steps are is in ``transcribing`` and ``publishing``.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.errors import ConfigurationError, SourceUnavailableError
from stt_pipeline.store.manifest.files import AudioFile

# of so many files, what is known of them is read at once
_FILES_AT_A_TIME = 20

WRITE_SECONDS = 1.0
"""The results of so much time are written at once: with short recordings, a transaction for each would cost more than what
a killed run has to do again."""

_Known = TypeVar("_Known")
_Result = TypeVar("_Result")

Step = Callable[[ClaimedShard, AudioFile, _Known | None], Done[_Result] | None]
"""Works on one file, given what is known of it; returns what is to be written, if anything."""

Read = Callable[[Connection, ClaimedShard, Sequence[AudioFile]], Mapping[int, _Known]]
"""Returns what is known of some files of a shard, by id."""

Write = Callable[[Connection, ClaimedShard, Sequence[Done[_Result]]], None]
"""Stores what came out, in a transaction in which the lease was proved."""


def for_each_file(
    work: ShardClaims,
    step: Step[_Known, _Result],
    *,
    read: Read[_Known] | None = None,
    write: Write[_Result],
) -> None:
    """Take the files of the claimed shards through a step, in order.

    What came out is written about once a second; if that raises, once more for each file alone. A shard whose lease
    was lost meanwhile is left where it is, and one whose source is away is given back; both are reported as refused.

    Raises:
        ConfigurationError: no file can succeed, so none is blamed.
    """
    for shard in list(work.shards):
        started = time.monotonic()
        with work.unless_lost(shard):
            done: list[Done[_Result]] = []
            written_at = started
            try:
                for file, known in files_of(work, shard, read):
                    work.mark_active_file(shard, file)
                    try:
                        result = step(shard, file, known)
                    except Exception as error:
                        work.record(shard, file, error)
                    else:
                        done += [result] if result else []
                    if time.monotonic() - written_at > WRITE_SECONDS:
                        some, done, written_at = done, [], time.monotonic()
                        write_results(work, shard, some, write)
            except (ConfigurationError, SourceUnavailableError):  # what came out all the same is kept
                with work.unless_lost(shard):
                    write_results(work, shard, done, write)
                raise
            write_results(work, shard, done, write)
            if work.holds(shard):
                work.end(shard, time.monotonic() - started)


def files_of(
    work: ShardClaims, shard: ClaimedShard, read: Read[_Known] | None
) -> Iterator[tuple[AudioFile, _Known | None]]:
    """Yield the files of a shard, each with what is known of it."""
    manifest = work.begin(shard)
    for first in range(0, len(manifest), _FILES_AT_A_TIME):
        some = manifest[first : first + _FILES_AT_A_TIME]
        known: Mapping[int, _Known] = {}
        if read:
            with work.database.begin() as connection:
                known = read(connection, shard, some)
        for file in some:
            yield file, known.get(file.id)


def write_results(
    work: ShardClaims, shard: ClaimedShard, done: Sequence[Done[_Result]], write: Write[_Result]
) -> None:
    """Store what came out, and count it; if that raises, once more for each file alone, so that it fails alone.

    Raises:
        LeaseLostError: the shard is another run's.
    """
    if not done:
        return
    try:
        with work.database.begin() as connection:
            shard.verify(connection)
            write(connection, shard, done)
    except Exception as error:
        if len(done) == 1:
            work.record(shard, done[0].file, error)
        else:
            for one in done:
                write_results(work, shard, [one], write)
    else:
        for one in done:
            shard.count(one.file, seconds=one.seconds)
