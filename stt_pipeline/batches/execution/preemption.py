"""Preemption: a run of a lower priority gives its place to one of a higher priority that waits for it.

The dispatcher marks the shards of the run. The run learns it with its next heartbeat or written result, hands its shards
back between two model batches, and ends.
"""

from collections.abc import Sequence

from sqlalchemy import Connection

from stt_pipeline.store.queue import runs
from stt_pipeline.store.queue.batches import PRIORITIES
from stt_pipeline.store.queue.runs import RunInFlight

MOST_PREEMPTIONS = 3
"""Of a shard in one stage. After that its run goes on to the end, so a long recording is not started again forever."""


def preempt(connection: Connection, slots: int) -> None:
    """Mark the transcribe runs whose place runs of a higher priority wait for.

    Args:
        slots: how many runs of the transcribe stage can run at the same time.
    """
    in_flight = [run for run in runs.in_flight(connection) if run.stage == "transcribe"]
    for run_id in runs_to_preempt(in_flight, slots):
        runs.preempt(connection, run_id)


def runs_to_preempt(in_flight: Sequence[RunInFlight], slots: int) -> list[str]:
    """Return the ids of the runs to preempt. Runs of equal priority never preempt each other.

    Args:
        in_flight: all transcribe runs in flight; those without an id wait for a slot, in the order of their priority.
        slots: how many can run at the same time.
    """
    claimed = [run for run in in_flight if run.run_id is not None]
    # places that are free, or will be when a preempted run has ended
    places = slots - len(claimed) + sum(run.preempted for run in claimed)
    candidates = sorted(
        (
            run
            for run in claimed
            if run.dispatched_at is not None and not run.preempted and run.preemptions < MOST_PREEMPTIONS
        ),
        # the lowest priority first; of equals the youngest, which has done the least
        key=lambda run: (_rank(run), run.dispatched_at),
    )
    found = []
    for waiting in sorted((run for run in in_flight if run.run_id is None), key=_rank):
        if places > 0:
            places -= 1
        elif candidates and _rank(candidates[-1]) > _rank(waiting):
            found.append(str(candidates.pop().run_id))
        else:
            break
    return found


def _rank(run: RunInFlight) -> int:
    return PRIORITIES.index(run.priority)
