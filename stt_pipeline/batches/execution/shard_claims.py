"""The shards that a run has claimed: their claim, heartbeat and release.

``file_loop`` and ``transcription_stream`` take their files through a step; ``stages`` defines the steps.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from sqlalchemy import Connection

from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.sources import OpenSource
from stt_pipeline.batches.execution.batch_errors import BatchErrors
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, PreemptedError
from stt_pipeline.batches.execution.crash_guard import CrashGuard
from stt_pipeline.batches.execution.failures import FailureRecorder
from stt_pipeline.batches.execution.finished_shards import FinishedShards
from stt_pipeline.batches.execution.heartbeat import Heartbeat
from stt_pipeline.batches.execution.listener import StepListener
from stt_pipeline.batches.execution.release import release, release_if_passed
from stt_pipeline.batches.execution.reopening import reopen_files
from stt_pipeline.batches.execution.watchdog import Watchdog
from stt_pipeline.batches.requests.fingerprint import fingerprints
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.errors import (
    ConfigurationError,
    InvalidRequestError,
    LeaseLostError,
    SourceUnavailableError,
)
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batches, leases, runs, shards
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.queue.leases import Lease, LeaseState
from stt_pipeline.store.queue.shards import Shard, Stage
from stt_pipeline.store.tables import shards as shards_table


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """The claim of some shards by a run.

    Attributes:
        keys: the partition keys of the run.
        stage: the stage of the step.
        run_id: Dagster's id of the run.
        token: the token of the order that started the run; None for a run that a user started.
        first_step: no earlier step of this run processes these shards. There, a run that a user started reopens failed
            files.
        first_of_stage: no earlier step of this run is in the same stage. There, a run that a user started reopens files
            with stale results of the stage.
        last_step: no later step of this run is in the same stage, so the leases end with this step.
        runs_next_stage: a later step of this run is in the next stage. Then the leases end together, with the last step.
        reprocess: reopen all files, also those that succeeded.
    """

    keys: Sequence[str]
    stage: Stage
    run_id: str
    token: str | None = None
    first_step: bool = True
    first_of_stage: bool = True
    last_step: bool = True
    runs_next_stage: bool = False
    reprocess: bool = False


class ShardClaims:
    """The shards that a run may process in one step: a context manager that claims and releases them.

    Attributes:
        shards: the claimed shards. The list is replaced, and never changed in place: other threads iterate over it.
        refused: the reason for each other key, also of shards that were lost or handed back during the step.
        reprocess: as requested.
        failures: records failures of files.
        crash_guard: marks the active file of a careful run.
        listener: is called for each file that ends, and for finished shards.
        finished: the shards that have passed the step.
        watchdog: ends the heartbeats if the work makes no progress.
    """

    def __init__(
        self,
        database: Database,
        request: ClaimRequest,
        *,
        lease_seconds: int,
        max_attempts: int,
        open_source: OpenSource = open_source,
        settings: Settings | None = None,
        listener: StepListener | None = None,
    ) -> None:
        """Nothing is claimed before the block is entered.

        Args:
            settings: those that the fingerprints of options are made from; None reads the environment.
        """
        self.database = database
        self.shards: list[ClaimedShard] = []
        self.refused: dict[str, str] = {}
        self.reprocess = request.reprocess
        self.listener = listener or StepListener()
        self.failures = FailureRecorder(database, max_attempts=max_attempts, listener=self.listener)
        self.crash_guard = CrashGuard(database, max_attempts=max_attempts)
        releases_each = request.last_step and not request.runs_next_stage
        self.finished = FinishedShards(
            self.listener, self._release_passed if releases_each else None, at_once=request.token is None
        )
        self.watchdog = Watchdog()
        self.heartbeat = Heartbeat(
            database,
            shards_table,
            lambda: [shard.lease for shard in self._held()],
            lease_seconds,
            after_beat=self._read_preemption,
            hang=self.watchdog.hang,
        )
        self._request = request
        self._lease_seconds = lease_seconds
        self._open_source = open_source
        self._settings = settings or Settings()
        self._was_preempted = False
        self._counted_until = time.monotonic()
        self._errors = BatchErrors(database, run_id=request.run_id)

    @property
    def is_careful(self) -> bool:
        """Whether the run processes one file at a time; see :class:`CrashGuard`."""
        return self.crash_guard.is_careful

    @property
    def is_dispatched(self) -> bool:
        """Whether the dispatcher started the run. Only then shards may be handed back; a user's run works on all."""
        return self._request.token is not None

    @property
    def is_preempted(self) -> bool:
        """Whether the run is to hand its shards back, because one of a higher priority waits for its place."""
        if any(shard.preempted for shard in self.shards):
            self._was_preempted = True  # also after that shard is handed back
        return self.is_dispatched and self._was_preempted

    def __enter__(self) -> "ShardClaims":
        """Claim the shards that may be claimed."""
        with self.database.begin() as connection:
            batches.lock_of_shards(connection, self._request.keys)
            found = shards.lock(connection, self._request.keys)
            batch_of = {
                batch_id: batches.get(connection, batch_id)
                for batch_id in sorted({shard.batch_id for shard, _ in found})
            }
            claimed = [
                self._claim(connection, shard, state, batch_of[shard.batch_id]) for shard, state in found
            ]
            self.shards = [shard for shard in claimed if shard is not None]
            self._read_preemption(connection)
        self.crash_guard.check(self.shards)
        missing = set(self._request.keys) - {shard.key for shard, _ in found}
        self.refused |= dict.fromkeys(
            missing,
            "no such shard: its batch is deleted, or a user added the partition, and the daily maintenance removes it",
        )
        self.heartbeat.__enter__()
        return self

    def _claim(
        self, connection: Connection, shard: Shard, state: LeaseState, batch: Batch
    ) -> ClaimedShard | None:
        request = self._request
        refusal = leases.claim_conflict(state, run_id=request.run_id, token=request.token)
        is_over = batch.status in ("cancelled", "deleting")
        if is_over or (refusal and batch.status == "paused"):
            refusal = f"batch {batch.id} is {batch.status}"
        if refusal:
            self.refused[shard.key] = refusal
            return None
        lease = leases.claim(
            connection, shards_table, shard.id, state, run_id=request.run_id, seconds=self._lease_seconds
        )
        try:
            options = validated(BatchOptions, batch.options)
        except InvalidRequestError as error:  # an older version accepted them
            self._postpone(connection, shard, lease, str(error))
            self.refused[shard.key] = str(error)
            return None
        claimed = ClaimedShard(
            shard, lease, batch, options, fingerprints(self._settings, options), open_source=self._open_source
        )
        if request.token is None:
            reopen_files(
                connection,
                claimed,
                request.stage,
                failed=request.first_step,
                stale=request.first_of_stage,
                every_file=request.reprocess,
            )
        return claimed

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Release what is not released yet, after the last step of the stage or if the run cannot continue."""
        self.heartbeat.stop()
        if error is None and not self._request.last_step:
            return
        held = self._held()
        with self.database.begin() as connection:
            batches.lock_of_shards(connection, [shard.key for shard in self.shards])
            for shard in held:
                self._release(connection, shard.shard, shard.lease, advance=error is None)
            about = self.shards if error is None else held
            self._errors.finish(connection, {shard.batch.id for shard in about}, error)

    def holds(self, shard: ClaimedShard) -> bool:
        """Return whether a shard of this run has not been lost or released."""
        return not shard.released and shard.key not in self.refused

    def _held(self) -> list[ClaimedShard]:
        return [shard for shard in self.shards if not shard.released]

    @contextmanager
    def working_on(self, shard: ClaimedShard) -> Iterator[None]:
        """Drop the shard, with the reason in ``refused``, if the block finds that the run cannot process it.

        Either another run has the lease; or the source is unavailable, and then the shard is released to be tried later.

        Raises:
            ConfigurationError: no file can succeed; only the shard's batch shows the error.
        """
        try:
            yield
        except LeaseLostError as error:
            self._drop(shard, str(error))
        except PreemptedError as error:
            self.hand_back(shard, str(error))
        except SourceUnavailableError as error:
            if self.holds(shard):
                with self.database.begin() as connection:
                    batches.lock_of_shards(connection, [shard.key])
                    self._postpone(connection, shard.shard, shard.lease, str(error))
                self._drop(shard, str(error))
        except ConfigurationError as error:
            self.show_error([shard], error)
            raise

    def show_error(self, shards: Sequence[ClaimedShard], error: ConfigurationError) -> None:
        """Show the error that ends the run on the batches of these shards, and on no others."""
        batch_ids = {shard.batch.id for shard in shards if self.holds(shard)}
        self._errors.show_configuration_error(batch_ids, error)

    def files_of(self, shard: ClaimedShard) -> list[AudioFile]:
        """Return the files of a shard, in order; none if the shard was released: it is preempted, or its batch is paused.

        A run that a user started continues on a paused batch, and so does a stage that has begun.

        Raises:
            LeaseLostError: another run has the shard.
        """
        if self.is_preempted:
            self.hand_back(shard, str(PreemptedError()))
            return []
        may_release = self.is_dispatched and not self._request.last_step
        with self.database.begin() as connection:
            if not (may_release and batches.get(connection, shard.batch.id).status == "paused"):
                shard.verify(connection)
                return files.of_shard(connection, shard.shard.id)
            leases.release(connection, shards_table, shard.lease, not_before=None)
        self._drop(shard, f"batch {shard.batch.id} is paused")
        return []

    def finish(self, shard: ClaimedShard, busy_seconds: float) -> None:
        """Update the counters of a shard after its last file, and add the time that the step took.

        Raises:
            LeaseLostError: another run has the shard.
        """
        shard.busy_seconds = busy_seconds
        with self.database.begin() as connection:
            shard.verify(connection)
            shards.count_files(connection, [shard.shard.id])
            self._add_seconds(connection, shard, busy_seconds)
            self.crash_guard.clear_active_file(connection, shard)
        self.finished.add(shard)

    def _release_passed(self, shards: Sequence[ClaimedShard], round_ends: float) -> None:
        """Release shards that have passed the stage, while the run goes on with the others."""
        by_user = not self.is_dispatched
        with self.database.begin() as connection:
            batches.lock_of_shards(connection, [shard.key for shard in shards])
            passed = [
                shard
                for shard in shards
                if release_if_passed(connection, shard.lease, by_user=by_user, round_ends=round_ends)
            ]
        for shard in passed:
            shard.released = True

    def hand_back(self, shard: ClaimedShard, reason: str, busy_seconds: float = 0.0) -> None:
        """Release a shard to be dispatched again at once. Its results are kept, and it counts as no attempt.

        Args:
            busy_seconds: the time that this step worked on it.
        """
        if not self.holds(shard):
            return
        with self.database.begin() as connection:
            batches.lock_of_shards(connection, [shard.key])
            self._add_seconds(connection, shard, busy_seconds)
            runs.hand_back(connection, shard.lease, preempted=self.is_preempted)
        self._drop(shard, reason)

    def _add_seconds(self, connection: Connection, shard: ClaimedShard, busy_seconds: float) -> None:
        """Add the time since the last call, so that the shards together have the time of the whole step."""
        now = time.monotonic()
        held, self._counted_until = now - self._counted_until, now
        transcribe = held if self._request.stage == "transcribe" else 0.0
        shards.add_seconds(connection, shard.shard.id, busy=busy_seconds, transcribe=transcribe)

    def _read_preemption(self, connection: Connection) -> None:
        held = self._held()
        preempted = runs.preempted(connection, [shard.lease for shard in held]) if held else ()
        for shard in held:
            shard.preempted = shard.shard.id in preempted

    def _drop(self, shard: ClaimedShard, reason: str) -> None:
        if self.holds(shard):
            self.shards = [other for other in self.shards if other is not shard]
            self.refused[shard.key] = reason

    def _postpone(self, connection: Connection, shard: Shard, lease: Lease, reason: str) -> None:
        """Release a shard that cannot be processed now, and show the reason on its batch."""
        self._errors.show(connection, shard.batch_id, reason)
        self._release(connection, shard, lease, advance=False)

    def _release(self, connection: Connection, shard: Shard, lease: Lease, *, advance: bool) -> None:
        release(connection, shard, lease, advance=advance, by_user=not self.is_dispatched)
