"""What a step tells its caller while it works: a call for each file and each shard that ends.

Dagster's events and log lines are made from these calls, in ``defs``.
"""

from collections.abc import Sequence
from typing import Any

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done, FileFailure


class StepListener:
    """Receives the calls of one step, all in the step's own thread and outside of transactions. This one ignores them."""

    def file_done(self, shard: ClaimedShard, done: Done[Any]) -> None:
        """Receive a file whose result is written."""

    def file_failed(self, shard: ClaimedShard, failure: FileFailure) -> None:
        """Receive a file that failed, for good or until its next attempt."""

    def shards_finished(self, shards: Sequence[ClaimedShard]) -> None:
        """Receive shards after their last files, before they are released: about once a second, and at the end."""
