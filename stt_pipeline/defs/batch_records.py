"""What Dagster keeps of a batch, its runs and its partitions: how they are ended and forgotten.

When that is to happen is decided in ``batches``. What Dagster has no call for is done on its own tables, here only.
"""

import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, cast

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.storage.dagster_run import FINISHED_STATUSES

from stt_pipeline.batches.keys import batch_key
from stt_pipeline.defs.assets import ASSETS
from stt_pipeline.defs.partitions import audio_partitions, batch_partitions
from stt_pipeline.defs.run_tags import BATCH_TAG, token_of

if TYPE_CHECKING:
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

_RUNS_AT_A_TIME = 20  # ending or deleting one takes about 0.1 s, and a sensor's tick has 60 s
# Dagster calls a run ended that has not stopped by then (dagster.yaml: run_monitoring), and looks every 30 s
_END_SECONDS = 100.0

_UNFINISHED = [status for status in dg.DagsterRunStatus if status not in FINISHED_STATUSES]
_NOT_ASKED = [status for status in _UNFINISHED if status != dg.DagsterRunStatus.CANCELING]


def end_runs(instance: dg.DagsterInstance, batch_id: int, *, exclude_run_id: str = "") -> bool:
    """Ask some unfinished runs of a batch to end, and return whether all have been asked before.

    Args:
        but: a run that goes on: the one that asks.
    """
    runs = [run for run in _runs(instance, [batch_id], _NOT_ASKED) if run.run_id != exclude_run_id]
    for run in runs:
        _end(instance, run)
    return not runs


def unqueue_runs(instance: dg.DagsterInstance, batch_ids: Collection[int], jobs: Collection[str]) -> None:
    """Take some dispatched runs of batches out of Dagster's queue, where they would wait to find nothing to do.

    Args:
        jobs: only runs of these; what a person has started stays, too.
    """
    if not batch_ids:
        return
    for run in _runs(instance, batch_ids, [dg.DagsterRunStatus.QUEUED]):
        if run.job_name in jobs and token_of(run):
            _end(instance, run)


def end_and_forget(instance: dg.DagsterInstance, batch_id: int, *, exclude_run_id: str) -> bool:
    """End a batch's runs, wait for them for a while, and forget it; return whether that could be done."""
    deadline = time.monotonic() + _END_SECONDS
    while not (
        end_runs(instance, batch_id, exclude_run_id=exclude_run_id)
        and forget(instance, batch_id, exclude_run_id=exclude_run_id)
    ):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def forget(instance: dg.DagsterInstance, batch_id: int, *, exclude_run_id: str = "") -> bool:
    """Remove a batch's finished runs and, if no other is left, its partitions; return whether that was so.

    It may die half way and be called again.

    Args:
        but: a run that stays: the one that asks.
    """
    from dagster._core.storage.event_log.schema import DynamicPartitionsTable

    while runs := _runs(instance, [batch_id], FINISHED_STATUSES):
        _delete_runs(instance, runs)
    if any(run.run_id != exclude_run_id for run in _runs(instance, [batch_id], _UNFINISHED)):
        return False
    # delete_dynamic_partition takes a key a call and 14 ms: over two minutes for the 10,000 shards of a large batch
    table, key = DynamicPartitionsTable.c, batch_key(batch_id)
    of_batch = (table.partitions_def_name == batch_partitions.name) & (table.partition == key)
    of_shards = (table.partitions_def_name == audio_partitions.name) & table.partition.startswith(f"{key}-")
    with _event_log(instance).index_connection() as connection:
        connection.execute(DynamicPartitionsTable.delete().where(of_batch | of_shards))
    return True


def _runs(
    instance: dg.DagsterInstance, batch_ids: Collection[int], statuses: Sequence[dg.DagsterRunStatus]
) -> Sequence[dg.DagsterRun]:
    """Return some runs of batches that have one of these statuses."""
    tags = {BATCH_TAG: [str(batch_id) for batch_id in batch_ids]}
    return instance.get_runs(dg.RunsFilter(tags=tags, statuses=statuses), limit=_RUNS_AT_A_TIME)


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    if run.status == dg.DagsterRunStatus.NOT_STARTED:
        # made by a daemon that died before it queued it, so nobody would hear a request
        instance.report_run_canceled(run)
    # one that is starting cannot be reached yet, and is asked the next time
    elif run.is_cancelable and instance.run_coordinator:
        with suppress(
            DagsterUserCodeUnreachableError
        ):  # its worker is gone: Dagster's run monitoring ends it
            instance.run_coordinator.cancel_run(run.run_id)


def _delete_runs(instance: dg.DagsterInstance, runs: Sequence[dg.DagsterRun]) -> None:
    """Delete runs with all that was logged about them. A run's own row goes last: by it, the rest is found again."""
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

    checks = [check for asset in ASSETS for check in asset.check_specs]
    table = AssetCheckExecutionsTable.c
    with _event_log(instance).index_connection() as connection:
        connection.execute(
            AssetCheckExecutionsTable.delete().where(
                # asset and check are known from the run; with them, the index is of use
                table.asset_key.in_({check.asset_key.to_string() for check in checks}),
                table.check_name.in_({check.name for check in checks}),
                table.run_id.in_([run.run_id for run in runs]),
            )
        )
    for run in runs:
        instance.compute_log_manager.delete_logs(prefix=[run.run_id])
        instance.event_log_storage.delete_events(run.run_id)
        instance.run_storage.delete_run(run.run_id)


def _event_log(instance: dg.DagsterInstance) -> "SqlEventLogStorage":
    return cast("SqlEventLogStorage", instance.event_log_storage)
