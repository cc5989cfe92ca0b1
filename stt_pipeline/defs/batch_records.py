"""Dagster's records of a batch, its runs and its partitions: how runs are ended and records deleted.

When that happens is decided in ``batches``.
"""

import time
from collections.abc import Collection, Sequence
from contextlib import suppress

import dagster as dg

from stt_pipeline.batches.keys import BatchKey
from stt_pipeline.batches.maintenance.retention import unknown_batches, unknown_shards
from stt_pipeline.defs.assets import ASSETS
from stt_pipeline.defs.dagster_private import (
    FINISHED_STATUSES,
    DagsterUserCodeUnreachableError,
    delete_check_evaluations,
    delete_partitions_with_prefix,
    delete_run,
)
from stt_pipeline.defs.partitions import audio_partitions, batch_partitions
from stt_pipeline.defs.run_tags import BATCH_TAG, token_of
from stt_pipeline.store.database import Database

_RUNS_AT_A_TIME = 20  # to end or delete a run takes about 0.1 s, and a sensor tick may take 60 s
# run monitoring (dagster.yaml) marks a run that does not stop as ended after this time; it checks every 10 s
_END_SECONDS = 100.0

_UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED_STATUSES]
_NOT_CANCELING = [status for status in _UNFINISHED if status != dg.DagsterRunStatus.CANCELING]


def end_runs(instance: dg.DagsterInstance, batch_id: int, *, exclude_run_id: str = "") -> bool:
    """Cancel some unfinished runs of a batch, and return whether there was none left to cancel.

    Args:
        exclude_run_id: a run that continues: the run that calls this.
    """
    runs = [run for run in _runs(instance, [batch_id], _NOT_CANCELING) if run.run_id != exclude_run_id]
    for run in runs:
        _cancel(instance, run)
    return not runs


def unqueue_runs(instance: dg.DagsterInstance, batch_ids: Collection[int], jobs: Collection[str]) -> None:
    """Cancel some dispatched runs of batches that still wait in the run queue: they would find nothing to do.

    Args:
        jobs: only runs of these jobs. Runs that a user started stay in the queue.
    """
    if not batch_ids:
        return
    for run in _runs(instance, batch_ids, [dg.DagsterRunStatus.QUEUED]):
        if run.job_name in jobs and token_of(run):
            _cancel(instance, run)


def end_runs_and_delete_records(instance: dg.DagsterInstance, batch_id: int, *, exclude_run_id: str) -> bool:
    """Cancel a batch's runs, wait up to 100 seconds for their end, and delete its records; return whether it worked."""
    deadline = time.monotonic() + _END_SECONDS
    while not (
        end_runs(instance, batch_id, exclude_run_id=exclude_run_id)
        and delete_records(instance, batch_id, exclude_run_id=exclude_run_id)
    ):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def delete_records(instance: dg.DagsterInstance, batch_id: int, *, exclude_run_id: str = "") -> bool:
    """Delete a batch's finished runs and, if no other run is left, its partitions; return whether none was left.

    It may be interrupted and called again.

    Args:
        exclude_run_id: a run that stays: the run that calls this.
    """
    while runs := _runs(instance, [batch_id], FINISHED_STATUSES):
        delete_check_evaluations(instance, [check for asset in ASSETS for check in asset.check_specs], runs)
        for run in runs:
            delete_run(instance, run)
    if any(run.run_id != exclude_run_id for run in _runs(instance, [batch_id], _UNFINISHED)):
        return False
    key = BatchKey(batch_id)
    delete_partitions_with_prefix(instance, audio_partitions, key.shard_prefix)
    # with and without a name: batches of older versions have none, and a user can add such a key
    instance.delete_dynamic_partition(str(batch_partitions.name), key.stem)
    delete_partitions_with_prefix(instance, batch_partitions, f"{key.stem}:")
    return True


def remove_unknown_partitions(instance: dg.DagsterInstance, database: Database) -> list[str]:
    """Remove the partitions that have no shard and no batch, such as those that a user added in the UI; return their keys."""
    removed: list[str] = []
    for partitions, unknown in ((audio_partitions, unknown_shards), (batch_partitions, unknown_batches)):
        name = str(partitions.name)
        for key in unknown(database, instance.get_dynamic_partitions(name)):
            instance.delete_dynamic_partition(name, key)
            removed.append(key)
    return removed


def _runs(
    instance: dg.DagsterInstance, batch_ids: Collection[int], statuses: Sequence[dg.DagsterRunStatus]
) -> Sequence[dg.DagsterRun]:
    tags = {BATCH_TAG: [str(batch_id) for batch_id in batch_ids]}
    return instance.get_runs(dg.RunsFilter(tags=tags, statuses=statuses), limit=_RUNS_AT_A_TIME)


def _cancel(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    if run.status == dg.DagsterRunStatus.NOT_STARTED:
        # a daemon created the run and died before it queued it: no process would receive a cancellation
        instance.report_run_canceled(run)
    # a run that is starting cannot be cancelled yet; the next call does it
    elif run.is_cancelable and instance.run_coordinator:
        # its worker is gone: run monitoring ends the run
        with suppress(DagsterUserCodeUnreachableError):
            instance.run_coordinator.cancel_run(run.run_id)
