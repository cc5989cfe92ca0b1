"""Deletes a batch: its records in Dagster, its rows and its Parquet files.

It may be interrupted and called again: the batch's own row is deleted last, and until then the dispatcher orders the deletion.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from stt_pipeline.batches.execution.batch_claim import BatchClaim
from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.batches.maintenance.retention import DeleteRecords
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.parquet import datasets
from stt_pipeline.store.queue import batches, shards
from stt_pipeline.store.results import transcriptions

if TYPE_CHECKING:
    from upath import UPath

_FILES_AT_A_TIME = 5_000  # in one transaction, which locks the batch's row for one or two seconds


def delete_batch(claim: BatchClaim, *, delete_records: DeleteRecords, data_root: UPath) -> int:
    """Delete a batch and all its results, but not its recordings, and return the number of files deleted now.

    Args:
        claim: the batch, claimed for its deletion.
        delete_records: also ends the batch's runs.
        data_root: the data folder with its Parquet files.

    Raises:
        InvalidRequestError: a run of the batch does not end, so it may still write; try again later.
    """
    database, batch = claim.database, claim.batch
    if not delete_records(batch.id):
        raise InvalidRequestError(
            f"Batch {batch.id} has runs that do not end: terminate them in the Dagster UI. It is deleted after that."
        )
    shards_at_a_time = max(1, _FILES_AT_A_TIME // (batch.files_per_shard or 1))
    files, last = 0, -1
    while True:
        with database.begin() as connection:
            claim.verify(connection)
            found = shards.of_batch(connection, batch.id, last, shards_at_a_time)
            if not found:
                break
            ids = [shard.id for shard in found]
            transcriptions.delete_of_shards(connection, ids)
            shards.delete(connection, ids)
        files += sum(shard.total for shard in found)
        last = found[-1].number
    datasets.delete_batch(data_root, str(BatchKey(batch.id)))
    with database.begin() as connection:
        claim.verify(connection)
        batches.delete(connection, batch.id)
    return files
