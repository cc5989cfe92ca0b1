"""What the assets and jobs over a batch share: from a partition key to a claimed batch. The work itself is in ``batches``."""

from contextlib import AbstractContextManager

import dagster as dg

from stt_pipeline.batches.execution.batch_claim import BatchClaim, claimed_batch
from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.defs.run_tags import tag_batch, token_of
from stt_pipeline.defs.worker_process import tag_process
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


def claimed_partition(
    context: dg.AssetExecutionContext | dg.OpExecutionContext,
    database: Database,
    settings: Settings,
    *,
    to_delete: bool = False,
    is_ordered: bool = True,
    show_error: bool = True,
) -> AbstractContextManager[BatchClaim]:
    """Claim the batch of this run's partition while the block runs (see ``batch_claim.claimed_batch``).

    Args:
        to_delete: claim a batch with the status ``deleting``, and no other.
        is_ordered: False for a step that is not what the dispatcher's order was for.
        show_error: show an error that ends the block on the batch.
    """
    tag_batch(context.instance, context.run, [context.partition_key])
    tag_process(context.instance, context.run)
    try:
        batch_id = BatchKey.parse(context.partition_key).batch_id
    except ValueError as error:  # a user added this partition in the Dagster UI
        raise dg.Failure(
            f"{error} Create a batch with the job create_batch; the daily maintenance removes this partition.",
            allow_retries=False,
        ) from error
    return claimed_batch(
        database,
        batch_id,
        run_id=context.run.run_id,
        token=token_of(context.run) if is_ordered else None,
        lease_seconds=settings.lease_seconds,
        to_delete=to_delete,
        show_error=show_error,
    )
