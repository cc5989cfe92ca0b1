"""The end of a batch's traces: what Dagster knows of it, its rows and its Parquet files.

It may die anywhere and be called again: the batch's own row goes last, and until then the dispatcher orders the deletion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stt_pipeline.batches.execution.batch_claim import BatchClaim
from stt_pipeline.batches.keys import batch_key
from stt_pipeline.batches.maintenance.retention import Forget
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.parquet import datasets
from stt_pipeline.store.queue import batches, shards
from stt_pipeline.store.results import transcriptions

if TYPE_CHECKING:
    from upath import UPath

_FILES_AT_A_TIME = 5_000  # in one transaction, which keeps the batch's row locked for a second or two


def delete_batch(work: BatchClaim, *, forget: Forget, data_root: UPath) -> int:
    """Delete everything about a batch, the recordings themselves excepted, and return how many files it still had.

    Args:
        work: the batch, claimed for its deletion.
        forget: ends the batch's runs as well.
        data_root: where its Parquet files are.

    Raises:
        InvalidRequestError: a run of the batch does not end, so it may still write; to be tried again.
    """
    database, batch = work.database, work.batch
    if not forget(batch.id):
        raise InvalidRequestError(
            f"Batch {batch.id} has runs that do not end: end them in the Dagster UI. It is deleted when they have."
        )
    shards_at_a_time = max(1, _FILES_AT_A_TIME // (batch.files_per_shard or 1))
    files, last = 0, -1
    while True:
        with database.begin() as connection:
            work.verify(connection)
            found = shards.of_batch(connection, batch.id, last, shards_at_a_time)
            if not found:
                break
            ids = [shard.id for shard in found]
            transcriptions.delete_of_shards(connection, ids)
            shards.delete(connection, ids)
        files += sum(shard.total for shard in found)
        last = found[-1].number
    datasets.delete_batch(data_root, batch_key(batch.id))
    with database.begin() as connection:
        work.verify(connection)
        batches.delete(connection, batch.id)
    return files
