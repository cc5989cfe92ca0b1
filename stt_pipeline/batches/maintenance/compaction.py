"""A finished batch's Parquet as a few large files, beside those of its shards. How they are written is in ``store.parquet_compaction``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from stt_pipeline.batches.execution.batch_claim import BatchClaim, claimed_batch
from stt_pipeline.batches.keys import batch_key
from stt_pipeline.errors import InvalidRequestError, LeaseLostError, SttError
from stt_pipeline.parquet.compaction import FILE_BYTES, Compacted, compact, is_current
from stt_pipeline.parquet.datasets import Dataset
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches
from stt_pipeline.store.queue.batches import Batch, Filter, Status

if TYPE_CHECKING:
    from upath import UPath

_log = logging.getLogger(__name__)

_OVER: tuple[Status, ...] = ("completed", "failed")
_LOOKED_AT = (
    100  # batches of each status: what fails is seen in days, and an old batch can be compacted by hand
)


@dataclass(frozen=True, slots=True)
class Compaction:
    """What became of a batch's datasets; none if the batch is not over and so was left alone."""

    batch: Batch
    datasets: Mapping[Dataset, Compacted]


def compact_batch(
    claimed: AbstractContextManager[BatchClaim], root: UPath, *, file_bytes: int = FILE_BYTES
) -> Compaction:
    """Compact the datasets of a batch that is over; leave one alone that still has shards to do.

    The batch stays what it is when this fails: its row says nothing of it, the run does. It can be done again at any
    time, and after shards were done again it has to be.

    Args:
        claimed: the claim of the batch, to be entered: two compactions at once, or a deletion beside one, would leave
            files that nobody meant.
        root: the data folder.
        file_bytes: at about which size a file ends.

    Raises:
        InvalidRequestError: there is no such batch, or another run works on it.
        LeaseLostError: another run took it over meanwhile.
        ConfigurationError: the data folder cannot be used.
        SourceUnavailableError: it does not answer at the moment, or a shard's file was deleted meanwhile.
        SttError: a shard's file is broken.
    """
    failure: BaseException | None = None
    datasets: dict[Dataset, Compacted] = {}
    with claimed as work:

        def verify() -> None:
            with work.database.begin() as connection:
                work.verify(connection)

        try:
            if work.batch.stage == "done":
                for dataset in get_args(Dataset):
                    key = batch_key(work.batch.id)
                    datasets[dataset] = compact(root, dataset, key, file_bytes=file_bytes, verify=verify)
        except BaseException as error:
            failure = error
    if failure is not None:
        raise failure
    return Compaction(work.batch, datasets)


def compact_missing(database: Database, root: UPath, *, run_id: str, lease_seconds: int) -> list[int]:
    """Compact those of the newest batches whose large files are missing or older than a shard, and return which.

    A batch that somebody works on just now is left for the next time. One that cannot be compacted holds up no other.

    Raises:
        ConfigurationError: the data folder cannot be listed.
        SourceUnavailableError: it does not answer at the moment.
        SttError: some batches could not be compacted; the others were.
    """
    with database.begin() as connection:
        over = [
            batch.id
            for status in _OVER
            for batch in batches.latest(connection, _LOOKED_AT, filters=Filter(status=status))
        ]
    done = []
    failed = []
    for batch_id in over:
        if all(is_current(root, dataset, batch_key(batch_id)) for dataset in get_args(Dataset)):
            continue
        claimed = claimed_batch(database, batch_id, run_id=run_id, token=None, lease_seconds=lease_seconds)
        try:
            compaction = compact_batch(claimed, root)
        except (InvalidRequestError, LeaseLostError):
            continue
        except Exception as error:
            # the next look at the data folder ends this if it is the folder that cannot be used
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
