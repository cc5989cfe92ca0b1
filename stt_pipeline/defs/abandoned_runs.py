"""Marks the runs of a killed code server as failed: ``python -m stt_pipeline.defs.abandoned_runs SOCKET [BEFORE]``.

It runs as a process of its own, because it reads the Dagster instance of its environment. Runs of other code servers
stay as they are. With the time BEFORE, in seconds since 1970, a new code server has the socket since then.
"""

import json
import sys

import dagster as dg

from stt_pipeline.defs.dagster_private import GRPC_INFO_TAG


def fail_runs_of(instance: dg.DagsterInstance, code_server: str) -> int:
    """Mark every unfinished run that was launched on the socket ``code_server`` as failed, and return their number.

    The files of these runs are not lost: their leases expire, and the dispatcher dispatches them again.
    """
    statuses = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    runs = [run for run in instance.get_runs(dg.RunsFilter(statuses=statuses)) if _is_of(run, code_server)]
    for run in runs:
        instance.report_run_failed(run, "The code server of this run was killed.")
    return len(runs)


def fail_starting_runs_of(instance: dg.DagsterInstance, code_server: str, *, before: float) -> int:
    """Mark the runs that a code server was starting when it was killed as failed, and return their number.

    A worker that was started nevertheless finds its run failed, and ends. A run that had begun is not changed: its process
    may be alive, and otherwise the dispatcher ends it (``lost_runs``).

    Args:
        before: seconds since 1970; later runs are those of the code server that has the socket now.
    """
    records = instance.get_run_records(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTING]))
    runs = [
        record.dagster_run
        for record in records
        if _is_of(record.dagster_run, code_server) and record.update_timestamp.timestamp() < before
    ]
    for run in runs:
        instance.report_run_failed(run, "The code server was killed while it started this run.")
    return len(runs)


def _is_of(run: dg.DagsterRun, code_server: str) -> bool:
    return bool(json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket") == code_server)


if __name__ == "__main__":
    _socket, *_before = sys.argv[1:]
    with dg.DagsterInstance.get() as shared:
        if _before:
            fail_starting_runs_of(shared, _socket, before=float(_before[0]))
        else:
            fail_runs_of(shared, _socket)
