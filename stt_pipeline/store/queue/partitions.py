"""Queries on which shards are partitions in Dagster."""

from collections.abc import Sequence

from sqlalchemy import Connection, select, update

from stt_pipeline.store.tables import shards


def unregistered_keys(connection: Connection, batch_id: int) -> list[str]:
    """Return the keys of shards that are no Dagster partition yet, in order of number."""
    return list(
        connection.scalars(
            select(shards.c.key)
            .where(shards.c.batch_id == batch_id, ~shards.c.registered)
            .order_by(shards.c.number)
        )
    )


def known_keys(connection: Connection, keys: Sequence[str]) -> set[str]:
    """Return those of ``keys`` that are keys of shards."""
    return set(connection.scalars(select(shards.c.key).where(shards.c.key.in_(keys))))


def mark_registered(connection: Connection, keys: Sequence[str]) -> None:
    """Record that these keys are Dagster partitions."""
    connection.execute(update(shards).where(shards.c.key.in_(keys)).values(registered=True))
