"""The release of a shard at the end of a stage, or of a run that cannot continue: when it is dispatched next.

What a run hands back before it has finished it is released by ``store.queue.runs.hand_back``.
"""

from sqlalchemy import Connection

from stt_pipeline.store.queue import shards
from stt_pipeline.store.queue.leases import Lease
from stt_pipeline.store.queue.shards import Shard

_FIRST_RETRY_SECONDS = 10.0
_LONGEST_RETRY_SECONDS = 600.0
# a backfill of a user starts the next stage itself; the dispatcher does it after this time
_LEAVE_TO_USER_SECONDS = 60.0


def release(connection: Connection, shard: Shard, lease: Lease, *, advance: bool, by_user: bool) -> None:
    """Release a shard; does nothing if its lease was lost.

    Args:
        advance: the run has ended without an error. Otherwise the shard stays in its stage.
        by_user: a user started the run, and may start the next stage, too.
    """
    shards.give_back(
        connection,
        lease,
        advance=advance,
        retry_seconds=min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** max(0, shard.tries - 1)),
        next_stage_seconds=_LEAVE_TO_USER_SECONDS if by_user else 0.0,
    )


def release_if_passed(connection: Connection, lease: Lease, *, by_user: bool, round_ends: float) -> bool:
    """Release a shard that has passed its stage while its run goes on with others, and return whether it is released.

    A shard with files that wait for another attempt is released at the end of the run.

    Args:
        by_user: as for :func:`release`.
        round_ends: seconds. What the run of a user releases within this time becomes ready together, so that the
            dispatcher does not start a run for each shard.
    """
    return shards.give_back(
        connection,
        lease,
        advance=True,
        retry_seconds=None,
        next_stage_seconds=_LEAVE_TO_USER_SECONDS + round_ends if by_user else 0.0,
    )
