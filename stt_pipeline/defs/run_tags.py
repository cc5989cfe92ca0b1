"""The tags that link a Dagster run to its batch, and to the order of the dispatcher that started it."""

from collections.abc import Iterable

import dagster as dg

from stt_pipeline.batches.keys import parse_key
from stt_pipeline.defs.dagster_private import RUN_KEY_TAG

BATCH_TAG = "stt/batch"

FAILED_RECORDINGS_TAG = "stt/failed_recordings"
"""On a run that did all its work and ends as failed only because recordings failed for good; its value is their number."""


def token_of(run: dg.DagsterRun) -> str | None:
    """Return the token of the order that started a run, or None for a run that a user started.

    The run key is the token, or begins with it. A re-execution copies the tags, and is a run that a user started.
    """
    run_key = None if run.parent_run_id else run.tags.get(RUN_KEY_TAG)
    return run_key.partition(":")[0] if run_key else None


def tag_batch(instance: dg.DagsterInstance, run: dg.DagsterRun, keys: Iterable[str]) -> None:
    """Tag a run with the batch of its partitions, so that it is cancelled and deleted together with the batch.

    A run over several batches gets no tag: the end of one batch must not end the run for the others.
    """
    try:
        batch_ids = {str(parse_key(key).batch_id) for key in keys}
    except ValueError:  # a user added this partition in the Dagster UI
        return
    if len(batch_ids) == 1 and run.tags.get(BATCH_TAG) not in batch_ids:
        instance.add_run_tags(run.run_id, {BATCH_TAG: batch_ids.pop()})
