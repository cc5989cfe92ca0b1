"""Retires batches that ended long ago: their records in Dagster are deleted; rows and Parquet files stay."""

from collections.abc import Callable

from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches

DeleteRecords = Callable[[int], bool]
"""Deletes the runs and partitions of a batch from Dagster; returns False while a run of it has not ended."""

_BATCHES_AT_A_TIME = 100


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
