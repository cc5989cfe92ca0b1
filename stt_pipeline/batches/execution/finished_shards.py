"""The shards that have passed a step while the run goes on with others: their events, and their release.

After the last step of a stage the dispatcher can start the next stage of a shard that is released.
"""

import time
from collections.abc import Callable, Sequence

from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.listener import StepListener

EVENTS_SECONDS = 1.0
"""Events are written after this time, so that those of several short recordings share their queries."""

RELEASE_SECONDS = 60.0
"""A run of the dispatcher releases its finished shards together after this time: each run of the next stage needs about 3 s
of processor time for its start (docs/benchmarks.md), which is 5 % of a core."""

Release = Callable[[Sequence[ClaimedShard], float], object]
"""Releases those shards that have passed their stage, given the seconds until the next ones will be released."""


class FinishedShards:
    """Collects the finished shards of one step. All calls are made in the step's own thread, outside of transactions."""

    def __init__(
        self,
        listener: StepListener,
        release: Release | None,
        *,
        at_once: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing has finished yet.

        Args:
            listener: writes the events.
            release: None if the leases go on after this step.
            at_once: release shards as soon as their events are written, not after ``RELEASE_SECONDS``. It is for runs of
                users: a backfill starts the next stage of a partition when it sees its materialization.
        """
        self._listener = listener
        self._release = release
        self._at_once = at_once
        self._clock = clock
        self._without_events: list[ClaimedShard] = []
        self._unreleased: list[ClaimedShard] = []
        self._events_at = self._round_at = clock()

    def add(self, shard: ClaimedShard) -> None:
        """Add a shard that has passed the step."""
        self._without_events.append(shard)
        self.flush_if_due()

    def flush_if_due(self) -> None:
        """Write events and release shards, if that was not done for a while."""
        if self._clock() - self._events_at > EVENTS_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write the events of all finished shards, and release them if it is time for it."""
        finished, self._without_events = self._without_events, []
        if finished:
            self._listener.shards_finished(finished)
            self._unreleased += finished
        self._events_at = self._clock()
        self._release_if_due()

    def _release_if_due(self) -> None:
        round_ends = self._round_at + RELEASE_SECONDS - self._clock()
        if round_ends <= 0:
            self._round_at = self._clock()
        if self._release and self._unreleased and (self._at_once or round_ends <= 0):
            unreleased, self._unreleased = self._unreleased, []
            self._release(unreleased, max(0.0, round_ends))
