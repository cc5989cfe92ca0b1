"""What Dagster keeps of batches that ended long ago: it leaves, while rows and Parquet stay."""

from collections.abc import Callable

from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches

Forget = Callable[[int], bool]
"""Removes the runs and the partitions of a batch from Dagster; False while a run of it has not ended."""

_BATCHES_AT_A_TIME = 100


def retire_batches(database: Database, *, days: int, forget: Forget) -> list[int]:
    """Have Dagster forget the batches that ended more than ``days`` days ago, and return which those were.

    It may die half way and be called again. A batch that somebody works on just now is left for the next time. One that
    gets work again is known to Dagster again: the dispatcher adds the partitions that it needs.
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
            if not forget(batch_id):
                busy.add(batch_id)
                continue
            with database.begin() as connection:
                batches.mark_retired(connection, batch_id)
            retired.append(batch_id)
