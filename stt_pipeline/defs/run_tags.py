"""The tags that tie a Dagster run to the batch that it works on, and to the dispatch that asked for it."""

from collections.abc import Iterable

import dagster as dg
from dagster._core.storage.tags import RUN_KEY_TAG

from stt_pipeline.batches.keys import batch_id_of

BATCH_TAG = "stt/batch"


def token_of(run: dg.DagsterRun) -> str | None:
    """Return the token of the dispatch that asked for a run, or None for a run that a person started.

    The dispatcher makes the token the run key, or its first part. Who re-executes a run copies its tags, and is a person.
    """
    run_key = None if run.parent_run_id else run.tags.get(RUN_KEY_TAG)
    return run_key.partition(":")[0] if run_key else None


def tag_batch(instance: dg.DagsterInstance, run: dg.DagsterRun, keys: Iterable[str]) -> None:
    """Tag a run with the batch of its partitions, so that it ends and goes with it.

    A run over several batches gets no tag: the end of one of them must not end the work on the others.
    """
    try:
        batch_ids = {str(batch_id_of(key)) for key in keys}
    except ValueError:  # a partition that a person made up
        return
    if len(batch_ids) == 1 and run.tags.get(BATCH_TAG) not in batch_ids:
        instance.add_run_tags(run.run_id, {BATCH_TAG: batch_ids.pop()})
