"""Records as failed the runs of a code server that is gone: ``python -m stt_pipeline.cli.abandoned_runs SOCKET``.

A process of its own, because it reads the Dagster instance of its environment. Runs of other code servers are not touched.
"""

import json
import sys

import dagster as dg
from dagster._core.storage.tags import GRPC_INFO_TAG


def give_up(instance: dg.DagsterInstance, code_server: str) -> int:
    """End, in Dagster's books, every unfinished run that was launched on the socket ``code_server``; return how many.

    The files of such runs are not lost: their leases run out, and they are dispatched again.
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
        give_up(shared, sys.argv[1])
