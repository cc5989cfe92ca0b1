"""Ends runs whose process hangs or is gone, so that they free their slots and their shards are dispatched again.

Dagster's run monitoring cannot do it: the default run launcher does not know whether a worker is alive.
"""

from contextlib import suppress

import dagster as dg

from stt_pipeline.batches.execution.dispatch import expire_leases, lease_holders
from stt_pipeline.defs.dagster_private import FINISHED_STATUSES, GRPC_INFO_TAG
from stt_pipeline.defs.worker_process import process_of
from stt_pipeline.store.database import Database

_STARTED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]


def end_lost_run(instance: dg.DagsterInstance, run_id: str, reason: str) -> None:
    """Mark a run as failed, and kill its process if that is on this machine.

    Args:
        reason: shown as the run's failure.
    """
    run = instance.get_run_by_id(run_id)
    if run is None:
        return
    if not run.is_finished:
        # a launcher on other machines, such as Kubernetes, removes the worker. A code server must not: it would wait
        # forever, with its lock, for a worker that hangs (multiprocessing.Event)
        if GRPC_INFO_TAG not in run.tags:
            with suppress(Exception):
                instance.run_launcher.terminate(run_id)
        run = instance.get_run_by_id(run_id) or run
        if not run.is_finished:
            instance.report_run_failed(run, f"{reason} Its files are processed again.")
    _kill(run)


def _kill(run: dg.DagsterRun) -> None:
    if process := process_of(run):
        process.kill()


def end_lost_runs(instance: dg.DagsterInstance, database: Database) -> None:
    """End the started runs whose process is gone, and let the leases of ended runs expire at once.

    The code server notices the end of the processes that it started itself, while Postgres answers; this notices the
    others. A run that has ended may still have leases, because its process was killed or could not release them, or a
    process, because a user marked the run as ended.
    """
    for run in instance.get_runs(dg.RunsFilter(statuses=_STARTED)):
        process = process_of(run)
        if process and process.is_gone():
            end_lost_run(instance, run.run_id, "Its process was killed or crashed.")
    holders = sorted(lease_holders(database))
    if holders:
        for run in instance.get_runs(dg.RunsFilter(run_ids=holders, statuses=[*FINISHED_STATUSES])):
            _kill(run)
            expire_leases(database, run.run_id)
