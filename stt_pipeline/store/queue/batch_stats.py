"""Statistics of batches: progress from the counters of shards, and throughput by minute.

No query here counts files: a batch of five million files has at most 10,000 narrow shard rows.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, get_args

from sqlalchemy import ColumnElement, Connection, Select, and_, bindparam, case, func, select, true, update
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.errors import ErrorClass
from stt_pipeline.store.queue.shards import has_ready
from stt_pipeline.store.tables import batches, shards, throughput


@dataclass(frozen=True, slots=True)
class ShardSums:
    """Sums over the shards of one batch, or of several.

    ``audio_seconds`` is processed audio, ``busy_seconds`` the work of threads, ``transcribe_seconds`` the time of runs of the
    transcribe stage. ``undelivered`` of the ``completed`` files have minutes that some recipient did not get. The figures
    with ``done`` are sums over the shards that have ended.
    """

    total: int
    transcribed: int
    completed: int
    failed: int
    audio_seconds: float
    busy_seconds: float
    transcribe_seconds: float
    shards: int
    undelivered: int
    shards_done: int
    done_files: int
    done_audio_seconds: float
    done_busy_seconds: float
    failures_by_class: dict[str, int]


_IS_DONE = shards.c.stage == "done"
_CLASSES: tuple[str, ...] = tuple(sorted(get_args(ErrorClass)))
# one sum per class: for jsonb_each the planner estimates a high cost and starts parallel workers
_FAILED_BY_CLASS = [
    func.coalesce(func.sum(shards.c.failures[name].as_integer()).filter(shards.c.failed > 0), 0)
    for name in _CLASSES
]
_FIGURES = [
    *(func.coalesce(func.sum(shards.c[name]), 0) for name in ("total", "transcribed", "completed", "failed")),
    *(
        func.coalesce(func.sum(shards.c[name]), 0.0)
        for name in ("audio_seconds", "busy_seconds", "transcribe_seconds")
    ),
    func.count(),
    func.coalesce(func.sum(shards.c.undelivered), 0),
    func.count().filter(_IS_DONE),
    func.coalesce(func.sum(shards.c.completed + shards.c.failed).filter(_IS_DONE), 0),
    func.coalesce(func.sum(shards.c.audio_seconds).filter(_IS_DONE), 0.0),
    func.coalesce(func.sum(shards.c.busy_seconds).filter(_IS_DONE), 0.0),
]
"""The fields of :class:`ShardSums`, in order, before the failures by class."""


def sums(connection: Connection, batch_id: int) -> ShardSums:
    """Add up the counters of the batch's shards."""
    return _sums_of(connection.execute(_select_sums().where(shards.c.batch_id == batch_id)).one())


def sums_of_open_batches(connection: Connection) -> ShardSums:
    """Add up the counters of the shards of all batches that have not ended."""
    # the sums of each batch, by the index of its shards
    each = _select_sums().where(shards.c.batch_id == batches.c.id).lateral("each_batch")
    rows = connection.execute(
        select(each).join_from(batches, each, true()).where(batches.c.stage != "done")
    ).all()
    width = len(_FIGURES) + len(_CLASSES)
    return _sums_of([sum(row[place] for row in rows) for place in range(width)])


def _select_sums() -> Select[Any]:
    return select(
        *(column.label(f"figure_{place}") for place, column in enumerate((*_FIGURES, *_FAILED_BY_CLASS)))
    )


def _sums_of(figures: Sequence[Any]) -> ShardSums:
    counts, by_class = figures[: -len(_CLASSES)], figures[-len(_CLASSES) :]
    failures = {name: files for name, files in zip(_CLASSES, by_class, strict=True) if files}
    return ShardSums(*counts, failures)  # type: ignore[call-arg]  # of that length


@dataclass(frozen=True, slots=True)
class FileCounts:
    """Number of files in the shards of a batch, and how many of them ended."""

    total: int = 0
    completed: int = 0
    failed: int = 0


def file_counts(connection: Connection, batch_ids: Collection[int]) -> dict[int, FileCounts]:
    """Return the file counts of several batches by batch id; a batch without shards has no entry."""
    rows = connection.execute(
        select(
            shards.c.batch_id,
            func.sum(shards.c.total),
            func.sum(shards.c.completed),
            func.sum(shards.c.failed),
        )
        .where(shards.c.batch_id.in_(batch_ids))
        .group_by(shards.c.batch_id)
    )
    return {batch_id: FileCounts(*counts) for batch_id, *counts in rows}


@dataclass(frozen=True, slots=True)
class StageCount:
    """Shards of a batch in one stage; of these, how many are dispatched, and how many a run has claimed."""

    shards: int
    dispatched: int
    in_progress: int


def stages(connection: Connection, batch_id: int) -> dict[str, StageCount]:
    """Count the shards of a batch by stage, in order of the stages."""
    rows = connection.execute(
        select(
            shards.c.stage,
            func.count(),
            func.count(shards.c.token).filter(shards.c.run_id.is_(None)),
            func.count(shards.c.run_id),
        )
        .where(shards.c.batch_id == batch_id)
        .group_by(shards.c.stage)
    )
    found = {stage: StageCount(*counts) for stage, *counts in rows}
    return {stage: found[stage] for stage in ("transcribe", "publish", "done") if stage in found}


@dataclass(frozen=True, slots=True)
class Rates:
    """Recent files a minute of a batch: those that were transcribed, and those that ended. None if there are none."""

    transcribed: float | None
    ended: float | None


# minutes; the first window with a file is used, because large shards end rarely
_WINDOWS = (10, 60, 360)
_SHORTEST_WINDOW = 60.0


def rates(connection: Connection, batch_id: int) -> Rates:
    """Return the recent rates of a batch; None for one without a file in the last six hours.

    The window is the last ten minutes, or the last one or six hours if there is no file in less. It begins with its first
    minute that has a file, so that a new batch does not look slow. Transcripts of a batch that was scanned within that
    minute count from the scan, so that the first ones already show the time left.
    """
    return Rates(
        transcribed=_rate(connection, batch_id, throughput.c.transcribed, shortest=1.0),
        ended=_rate(connection, batch_id, throughput.c.files, shortest=_SHORTEST_WINDOW),
    )


def _rate(
    connection: Connection, batch_id: int, counted: ColumnElement[int], *, shortest: float
) -> float | None:
    scanned_at = select(batches.c.scanned_at).where(batches.c.id == batch_id).scalar_subquery()
    begin = func.greatest(func.min(throughput.c.minute), scanned_at)
    for minutes in _WINDOWS:
        files, seconds = connection.execute(
            select(func.sum(counted), func.extract("epoch", func.clock_timestamp() - begin)).where(
                throughput.c.batch_id == batch_id,
                throughput.c.minute > func.now() - timedelta(minutes=minutes),
                counted > 0,
            )
        ).one()
        if files:
            return float(files) / max(float(seconds), shortest) * 60
    return None


@dataclass(frozen=True, slots=True)
class BatchTimes:
    """What the ended shards of a batch took, in seconds: their audio, the transcribe stage, and the wall clock.

    ``wall_seconds`` is the time from the scan to the end of the batch; None if it has not ended or belongs to a watch.
    """

    audio_seconds: float
    transcribe_seconds: float
    wall_seconds: float | None


_RECENT_BATCHES = 1_000
_MEASURED_BATCHES = 20


def latest(connection: Connection, model: str) -> list[BatchTimes]:
    """Return the times of the latest batches with the option ``model``; empty is the default model."""
    wall = case(
        (
            and_(batches.c.status == "completed", batches.c.watch_id.is_(None)),
            batches.c.completed_at - batches.c.scanned_at,
        )
    )
    recent = (
        select(batches.c.id, wall.label("wall"))
        .where(batches.c.id > select(func.max(batches.c.id) - _RECENT_BATCHES).scalar_subquery())
        .where(batches.c.scanned_at.is_not(None))
        .where(func.coalesce(batches.c.options["model"].astext, "") == model)
        .order_by(batches.c.id.desc())
        .limit(_MEASURED_BATCHES)
        .subquery()
    )
    rows = connection.execute(
        select(
            func.sum(shards.c.audio_seconds).label("audio"),
            func.sum(shards.c.transcribe_seconds).label("transcribe"),
            func.extract("epoch", recent.c.wall).label("wall"),
        )
        .join(shards, shards.c.batch_id == recent.c.id)
        .where(shards.c.stage == "done")
        .group_by(recent.c.id, recent.c.wall)
    )
    return [
        BatchTimes(row.audio, row.transcribe, None if row.wall is None else float(row.wall)) for row in rows
    ]


def longest_wait(connection: Connection) -> float | None:
    """Return how many seconds a batch with ready shards has waited for a run or for its next file; None without one.

    A batch waits since its scan, since its last file ended, or since its latest order, whichever is last.
    """
    last_file = (
        select(func.max(throughput.c.minute) + timedelta(minutes=1))
        .where(throughput.c.batch_id == batches.c.id)
        .scalar_subquery()
    )
    last_order = (
        select(func.max(shards.c.dispatched_at))
        .where(shards.c.batch_id == batches.c.id, shards.c.token.is_not(None))
        .scalar_subquery()
    )
    since = func.greatest(batches.c.scanned_at, last_file, last_order)  # greatest ignores nulls
    seconds = connection.scalar(
        select(func.extract("epoch", func.clock_timestamp() - func.min(since))).where(
            batches.c.status == "processing", batches.c.stage == "shards", has_ready(batches.c.id)
        )
    )
    return None if seconds is None else max(0.0, float(seconds))


def throughput_of(connection: Connection, batch_id: int) -> list[tuple[datetime, int, float]]:
    """Return (minute, files that ended, seconds of audio) of a batch, in order; minutes without files are omitted."""
    rows = connection.execute(
        select(throughput.c.minute, throughput.c.files, throughput.c.audio_seconds)
        .where(throughput.c.batch_id == batch_id, throughput.c.files > 0)
        .order_by(throughput.c.minute)
    )
    return [(row.minute, row.files, row.audio_seconds) for row in rows]


def add_throughput(connection: Connection, batch_id: int, *, files: int, audio_seconds: float) -> None:
    """Add files that ended, successful or not, to the current minute, and the audio seconds of the successful ones."""
    _add_to_minute(connection, batch_id, files=files, audio_seconds=audio_seconds)


def add_transcripts(connection: Connection, batch_id: int, shard_id: int, files: int) -> None:
    """Add new transcripts to their shard and to the current minute, in the transaction that writes them."""
    connection.execute(
        update(shards).where(shards.c.id == shard_id).values(transcribed=shards.c.transcribed + files)
    )
    _add_to_minute(connection, batch_id, transcribed=files)


def _add_to_minute(connection: Connection, batch_id: int, **figures: float) -> None:
    row = insert(throughput).values(
        batch_id=batch_id, minute=func.date_trunc("minute", func.now()), **figures
    )
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["batch_id", "minute"],
            set_={name: throughput.c[name] + row.excluded[name] for name in figures},
        )
    )


def subtract_throughput(connection: Connection, ended: Iterable[tuple[int, datetime, float]]) -> None:
    """Take files that are reset out of the minutes in which they ended.

    Args:
        ended: batch, minute and seconds of successful audio of each file.
    """
    counted: dict[tuple[int, datetime], tuple[int, float]] = {}
    for batch_id, minute, seconds in ended:
        files, total = counted.get((batch_id, minute), (0, 0.0))
        counted[batch_id, minute] = files + 1, total + seconds
    if not counted:
        return
    connection.execute(
        update(throughput)
        .where(
            throughput.c.batch_id == bindparam("its_batch"), throughput.c.minute == bindparam("its_minute")
        )
        .values(
            files=throughput.c.files - bindparam("reset"),
            audio_seconds=func.greatest(throughput.c.audio_seconds - bindparam("seconds"), 0.0),
        ),
        [
            {"its_batch": batch_id, "its_minute": minute, "reset": files, "seconds": seconds}
            for (batch_id, minute), (files, seconds) in sorted(counted.items())
        ],
    )
