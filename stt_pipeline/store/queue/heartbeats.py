"""Queries on ``stt_heartbeats``: when each daemon process was last alive."""

from datetime import datetime

from sqlalchemy import Connection, func, select
from sqlalchemy.dialects.postgresql import insert

from stt_pipeline.store.tables import heartbeats


def beat(connection: Connection, name: str) -> None:
    """Record that the process ``name`` is alive now."""
    row = insert(heartbeats).values(name=name, beat_at=func.now())
    connection.execute(
        row.on_conflict_do_update(index_elements=["name"], set_={"beat_at": row.excluded.beat_at})
    )


def last_beat(connection: Connection, name: str) -> datetime | None:
    """Return the time of the latest heartbeat of the process ``name``, or None if it never sent one."""
    return connection.scalar(select(heartbeats.c.beat_at).where(heartbeats.c.name == name))
