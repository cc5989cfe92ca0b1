"""What the assets and jobs over a batch share: from a partition key to a claimed batch. The work itself is in ``batches``."""

from contextlib import AbstractContextManager

import dagster as dg

from stt_pipeline.batches.execution.batch_claim import BatchClaim, claimed_batch
from stt_pipeline.batches.keys import batch_id_of
from stt_pipeline.defs.run_tags import tag_batch, token_of
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


def claimed_partition(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    database: Database,
    settings: Settings,
    *,
    to_delete: bool = False,
    ordered: bool = True,
) -> AbstractContextManager[BatchClaim]:
    """Claim the batch of this run's partition for the length of the block (see ``batch_work.claimed_batch``).

    Args:
        ordered: this step is what the dispatcher started the run for, if it did.
    """
    tag_batch(context.instance, context.run, [context.partition_key])
    return claimed_batch(
        database,
        batch_id_of(context.partition_key),
        run_id=context.run.run_id,
        token=token_of(context.run) if ordered else None,
        lease_seconds=settings.lease_seconds,
        to_delete=to_delete,
    )
