"""Retires batches that ended long ago: their records in Dagster are deleted; rows and Parquet files stay.

It also finds partitions of Dagster that have no row, such as those that a user added by hand.
"""

from collections.abc import Callable, Sequence

from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, partitions

DeleteRecords = Callable[[int], bool]
"""Deletes the runs and partitions of a batch from Dagster; returns False while a run of it has not ended."""

_BATCHES_AT_A_TIME = 100
_KEYS_AT_A_TIME = 10_000


def retire_batches(database: Database, *, days: int, delete_records: DeleteRecords) -> list[int]:
    """Delete the Dagster records of batches that ended more than ``days`` days ago, and return the ids of these batches.

    It may be interrupted and called again. A batch with an unfinished run is skipped. If a retired batch gets work again,
    the dispatcher adds the partitions that it needs.
    """
    retired: list[int] = []
    busy: set[int] = set()
    while True:
        with database.begin() as connection:
            due = batches.to_retire(connection, days, _BATCHES_AT_A_TIME + len(busy))
        left = [batch_id for batch_id in due if batch_id not in busy]
        if not left:
            return retired
        for batch_id in left:
            if not delete_records(batch_id):
                busy.add(batch_id)
                continue
            with database.begin() as connection:
                batches.mark_retired(connection, batch_id)
            retired.append(batch_id)


def unknown_shards(database: Database, keys: Sequence[str]) -> list[str]:
    """Return the partition keys that no shard has, in order. A scan writes its shards before it adds their partitions."""
    unknown: list[str] = []
    for first in range(0, len(keys), _KEYS_AT_A_TIME):
        some = keys[first : first + _KEYS_AT_A_TIME]
        with database.begin() as connection:
            known = partitions.known_keys(connection, some)
        unknown += [key for key in some if key not in known]
    return unknown


def unknown_batches(database: Database, keys: Sequence[str]) -> list[str]:
    """Return the partition keys that no batch has, in order."""
    ids = {key: _batch_id(key) for key in keys}
    with database.begin() as connection:
        known = batches.known_ids(connection, {batch_id for batch_id in ids.values() if batch_id is not None})
    return [key for key in keys if ids[key] not in known]


def _batch_id(key: str) -> int | None:
    """Return the id of a batch from its key, or None if that cannot be one: ids are of the type bigint."""
    try:
        batch_id = BatchKey.parse(key).batch_id
    except ValueError:
        return None
    return batch_id if batch_id < 1 << 63 else None
