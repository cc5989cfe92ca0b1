"""Sums for people who watch: progress over shard counters, throughput by minute, heartbeats of the daemons.

Nothing here counts files: a batch of five million is at most 10,000 narrow shard rows.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.store.tables import heartbeats, shards, throughput


@dataclass(frozen=True, slots=True)
class ShardSums:
    """What the shards of one batch add up to; seconds of audio done and of work spent."""

    total: int
    completed: int
    failed: int
    audio_seconds: float
    busy_seconds: float
    shards: int
    shards_done: int


def sums(connection: Connection, batch_id: int) -> ShardSums:
    """Add up the counters of the batch's shards."""
    row = connection.execute(
        select(
            func.coalesce(func.sum(shards.c.total), 0).label("total"),
            func.coalesce(func.sum(shards.c.completed), 0).label("completed"),
            func.coalesce(func.sum(shards.c.failed), 0).label("failed"),
            func.coalesce(func.sum(shards.c.audio_seconds), 0.0).label("audio_seconds"),
            func.coalesce(func.sum(shards.c.busy_seconds), 0.0).label("busy_seconds"),
            func.count().label("shards"),
            func.count().filter(shards.c.stage == "done").label("shards_done"),
        ).where(shards.c.batch_id == batch_id)
    ).one()
    return ShardSums(**row._mapping)


def add_throughput(connection: Connection, batch_id: int, *, files: int, audio_seconds: float) -> None:
    """Count finished files into the current minute."""
    row = insert(throughput).values(
        batch_id=batch_id,
        minute=func.date_trunc("minute", func.now()),
        files=files,
        audio_seconds=audio_seconds,
    )
    connection.execute(
        row.on_conflict_do_update(
            index_elements=["batch_id", "minute"],
            set_={
                "files": throughput.c.files + row.excluded.files,
                "audio_seconds": throughput.c.audio_seconds + row.excluded.audio_seconds,
            },
        )
    )


def beat(connection: Connection, name: str) -> None:
    """Write that the process ``name`` is alive now."""
    row = insert(heartbeats).values(name=name, beat_at=func.now())
    connection.execute(
        row.on_conflict_do_update(index_elements=["name"], set_={"beat_at": row.excluded.beat_at})
    )


def last_beat(connection: Connection, name: str) -> datetime | None:
    """Return when the process ``name`` was last alive, or None if it never was."""
    return connection.scalar(select(heartbeats.c.beat_at).where(heartbeats.c.name == name))
