"""Compacts the Parquet files of finished batches into a few large ones, beside those of the shards.

The files are written in ``parquet.compaction``.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from stt_pipeline.batches.execution.batch_claim import BatchClaim, claimed_batch
from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.errors import InvalidRequestError, LeaseLostError, SttError
from stt_pipeline.parquet.compaction import FILE_BYTES, Compacted, compact, is_current
from stt_pipeline.parquet.datasets import Dataset
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches
from stt_pipeline.store.queue.batches import Batch, Filter, Status

if TYPE_CHECKING:
    from upath import UPath

_log = logging.getLogger(__name__)

_FINISHED: tuple[Status, ...] = ("completed", "failed")
# of each status: a failed compaction shows within days, and a user can compact an older batch
_NEWEST_BATCHES = 100


@dataclass(frozen=True, slots=True)
class Compaction:
    """The compacted datasets of a batch; none if the batch has not ended and was skipped."""

    batch: Batch
    datasets: Mapping[Dataset, Compacted]


def compact_batch(
    claimed: AbstractContextManager[BatchClaim], root: UPath, *, file_bytes: int = FILE_BYTES
) -> Compaction:
    """Compact the datasets of a finished batch; skip a batch that has open shards.

    It can be repeated at any time, and must be after shards were processed again.

    Args:
        claimed: the claim of the batch, which is entered here, with ``show_error=False``: a failure is one of the run,
            and not of the batch. Two compactions at once, or a deletion beside one, would leave wrong files.
        root: the data folder.
        file_bytes: approximate size of a file.

    Raises:
        InvalidRequestError: the batch does not exist, or another run works on it.
        LeaseLostError: another run took over the batch meanwhile.
        ConfigurationError: the data folder cannot be used.
        SourceUnavailableError: the data folder does not answer at the moment, or a shard's file was deleted meanwhile.
        SttError: a shard's file is broken.
    """
    datasets: dict[Dataset, Compacted] = {}
    with claimed as claim:

        def verify() -> None:
            with claim.database.begin() as connection:
                claim.verify(connection)

        if claim.batch.stage == "done":
            for dataset in get_args(Dataset):
                key = str(BatchKey(claim.batch.id))
                datasets[dataset] = compact(root, dataset, key, file_bytes=file_bytes, verify=verify)
    return Compaction(claim.batch, datasets)


def compact_missing(database: Database, root: UPath, *, run_id: str, lease_seconds: int) -> list[int]:
    """Compact the newest batches whose compacted files are missing or older than a shard's, and return their ids.

    A batch that another run works on is skipped. A batch that fails does not stop the others.

    Raises:
        ConfigurationError: the data folder cannot be listed.
        SourceUnavailableError: it does not answer at the moment.
        SttError: some batches failed; the others are compacted.
    """
    with database.begin() as connection:
        finished = [
            batch.id
            for status in _FINISHED
            for batch in batches.latest(connection, _NEWEST_BATCHES, filters=Filter(status=status))
        ]
    done = []
    failed = []
    for batch_id in finished:
        if all(is_current(root, dataset, str(BatchKey(batch_id))) for dataset in get_args(Dataset)):
            continue
        claimed = claimed_batch(
            database, batch_id, run_id=run_id, token=None, lease_seconds=lease_seconds, show_error=False
        )
        try:
            compaction = compact_batch(claimed, root)
        except (InvalidRequestError, LeaseLostError):
            continue
        except Exception as error:
            # if the data folder itself cannot be used, the next is_current raises
            _log.exception("Batch %d could not be compacted", batch_id)
            failed.append(f"{batch_id} ({error})")
            continue
        if compaction.datasets:
            done.append(batch_id)
            _log.info("Batch %d is compacted", batch_id)
    if failed:
        raise SttError(
            f"{len(failed)} batches could not be compacted; {len(done)} others were. The batches: {'; '.join(failed)}"
        )
    return done
