"""Marks the unfinished runs of a dead code server as failed: ``python -m stt_pipeline.defs.abandoned_runs SOCKET``.

It runs as a process of its own, because it reads the Dagster instance of its environment. Runs of other code servers
stay as they are.
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
    runs = [
        run
        for run in instance.get_runs(dg.RunsFilter(statuses=statuses))
        if json.loads(run.tags.get(GRPC_INFO_TAG, "{}")).get("socket") == code_server
    ]
    for run in runs:
        instance.report_run_failed(run, "The code server of this run was killed.")
    return len(runs)


if __name__ == "__main__":
    with dg.DagsterInstance.get() as shared:
        fail_runs_of(shared, sys.argv[1])
