"""The shards of a run: claiming them, keeping the leases alive, and letting a file fail alone.

How their files go through a step is in ``steps``; what is done with them in ``transcribing`` and ``publishing``.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import TracebackType

from sqlalchemy import Connection

from stt_pipeline.audio.address import display_name
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.sources import OpenSource
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, FileFailure
from stt_pipeline.batches.execution.heartbeat import Heartbeat
from stt_pipeline.batches.requests.create import checked_options
from stt_pipeline.errors import (
    ConfigurationError,
    FileError,
    InvalidRequestError,
    LeaseLostError,
    OutOfMemoryError,
    SourceUnavailableError,
    SttError,
    error_class_of,
)
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import batch_stats, batches, crashes, leases, shards, transitions
from stt_pipeline.store.queue.leases import Lease
from stt_pipeline.store.queue.shards import Shard, Stage
from stt_pipeline.store.tables import shards as shards_table

log = logging.getLogger(__name__)

_FIRST_RETRY_SECONDS = 30.0
_LONGEST_RETRY_SECONDS = 600.0
# a person's backfill brings the next stage along itself; the dispatcher steps in when it does not
_LEAVE_TO_PERSON_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """Who asks for shards, and how.

    Attributes:
        keys: the partition keys of the run.
        stage: the stage that the step belongs to.
        run_id: Dagster's id of the run.
        token: what the dispatch wrote on its shards; None for a run that a person started.
        first_step: whether no earlier step of this run worked on these shards; there, a person's run gives failed
            files a new start.
        last_step: whether no later step of this run works on the same stage, so that the leases end with this one.
        reprocess: start all files over, those that succeeded too.
    """

    keys: Sequence[str]
    stage: Stage
    run_id: str
    token: str | None = None
    first_step: bool = True
    last_step: bool = True
    reprocess: bool = False


class ShardClaims:
    """The shards that a run may work on in one step: a context manager that claims them and gives them back.

    After entering, ``shards`` are ours and ``refused`` says of each other key why it is not.

    Attributes:
        is_careful: another death may be the last of a shard, so that files are taken in hand, one at a time. It holds for
            all shards of the run: a process that dies with several files in hand could have died of any.
    """

    def __init__(
        self,
        database: Database,
        claim: ClaimRequest,
        *,
        lease_seconds: int,
        max_attempts: int,
        open_source: OpenSource = open_source,
    ) -> None:
        """Prepare; nothing is claimed before the block is entered."""
        self._open_source = open_source
        self.database = database
        self.shards: list[ClaimedShard] = []
        self.refused: dict[str, str] = {}
        self.reprocess = claim.reprocess
        self.is_careful = False
        self._claim = claim
        self._lease_seconds = lease_seconds
        self._max_attempts = max_attempts
        self._put_off_batches: set[int] = set()  # they show why
        self._blamed: ConfigurationError | None = None  # likewise
        self._heartbeat = Heartbeat(
            database, shards_table, lambda: [work.lease for work in self.shards], lease_seconds
        )

    def __enter__(self) -> "ShardClaims":
        """Claim what may be claimed."""
        with self.database.begin() as connection:
            batches.lock_of_shards(connection, self._claim.keys)
            found = shards.lock(connection, self._claim.keys)
            known = {
                batch_id: batches.get(connection, batch_id)
                for batch_id in sorted({shard.batch_id for shard, _ in found})
            }
            for shard, state in found:
                batch = known[shard.batch_id]
                refusal = leases.claim_conflict(state, run_id=self._claim.run_id, token=self._claim.token)
                is_over = batch.status in ("cancelled", "deleting")
                if is_over or (refusal and batch.status == "paused"):
                    refusal = f"batch {batch.id} is {batch.status}"
                if refusal:
                    self.refused[shard.key] = refusal
                    continue
                lease = leases.claim(
                    connection,
                    shards_table,
                    shard.id,
                    state,
                    run_id=self._claim.run_id,
                    seconds=self._lease_seconds,
                )
                try:
                    options = checked_options(batch.options)
                except InvalidRequestError as error:  # an older version took them
                    self._put_off(connection, shard, lease, str(error))
                    self.refused[shard.key] = str(error)
                    continue
                if self._claim.token is None and self._claim.first_step:
                    self._reopen(connection, shard)
                self.shards.append(ClaimedShard(shard, lease, batch, options, open_source=self._open_source))
            missing = set(self._claim.keys) - {shard.key for shard, _ in found}
        self.is_careful = any(
            is_last_chance(shard.shard.crashes, self._max_attempts) for shard in self.shards
        )
        self.refused |= dict.fromkeys(missing, "the store has no such shard; its batch may have been deleted")
        self._heartbeat.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Give the shards back: after the last step of the stage, or when the run cannot go on."""
        self._heartbeat.__exit__(kind, error, trace)
        if error is None and not self._claim.last_step:
            return
        with self.database.begin() as connection:
            batches.lock_of_shards(connection, [work.key for work in self.shards])
            for work in self.shards:
                self._give_back(connection, work.shard, work.lease, advance=error is None)
            if isinstance(error, InvalidRequestError):
                return  # a person's mistake, and no news about the batch
            if error is not None and error is self._blamed:
                return
            for batch_id in {work.batch.id for work in self.shards} - self._put_off_batches:
                batches.set_error(connection, batch_id, self._note(error))

    def _note(self, error: BaseException | None) -> str | None:
        """Return what the batch shows of a run that could not go on; None takes an older note away."""
        if error is None:
            return None
        if isinstance(error, SttError):
            return str(error)
        return f"Run {self._claim.run_id} ended early; its log in the Dagster UI says why."

    def holds(self, shard: ClaimedShard) -> bool:
        """Say whether a shard of this run has not been lost or given back."""
        return shard.key not in self.refused

    @contextmanager
    def unless_lost(self, shard: ClaimedShard) -> Iterator[None]:
        """Leave the shard where it is, and report it as refused, when it turns out in the block that it cannot be worked on.

        Its lease is lost; or its source is away, and then it is given back, to be tried again.

        Raises:
            ConfigurationError: no file can succeed; the shard's batch will show it, and no other one.
        """
        try:
            yield
        except LeaseLostError as lost:
            self._let_go(shard, str(lost))
        except SourceUnavailableError as away:
            if self.holds(shard):
                with self.database.begin() as connection:
                    batches.lock_of_shards(connection, [shard.key])
                    self._put_off(connection, shard.shard, shard.lease, str(away))
                self._let_go(shard, str(away))
        except ConfigurationError as error:
            self.blame([shard], error)
            raise

    def blame(self, shards: Sequence[ClaimedShard], error: ConfigurationError) -> None:
        """Show why the run cannot go on, on the batches of these shards alone; who says so of an error first is right."""
        concerned = {shard.batch.id for shard in shards if self.holds(shard)}
        if error is self._blamed or not concerned:
            return
        with self.database.begin() as connection:
            for batch_id in sorted(concerned):
                batches.set_error(connection, batch_id, str(error))
        self._blamed = error

    def begin(self, shard: ClaimedShard) -> list[AudioFile]:
        """Return the files of a shard, in order; none if it was given back, because somebody paused its batch.

        A person's own run goes on then, and so does what was begun in an earlier step.

        Raises:
            LeaseLostError: the shard is another run's.
        """
        may_be_put_off = self._claim.token is not None and not self._claim.last_step
        with self.database.begin() as connection:
            if not (may_be_put_off and batches.get(connection, shard.batch.id).status == "paused"):
                shard.verify(connection)
                return files.of_shard(connection, shard.shard.id)
            leases.release(connection, shards_table, shard.lease, not_before=None)
        self._let_go(shard, f"batch {shard.batch.id} is paused")
        return []

    def end(self, shard: ClaimedShard, busy_seconds: float) -> None:
        """Bring the counters of a shard in line with its files, and note the work that this step was.

        Raises:
            LeaseLostError: the shard is another run's.
        """
        shard.busy_seconds = busy_seconds
        with self.database.begin() as connection:
            shard.verify(connection)
            shards.count_files(connection, [shard.shard.id])
            shards.add_busy_seconds(connection, shard.shard.id, busy_seconds)
            if self.is_careful:
                crashes.clear_active_file(connection, [shard.shard.id])

    def mark_active_file(self, shard: ClaimedShard, file: AudioFile) -> None:
        """Note the file that is worked on in a careful run: if the process dies now, that is the one to fail.

        Raises:
            LeaseLostError: the shard is another run's.
        """
        if self.is_careful and file.status in ("pending", "transcribed"):
            with self.database.begin() as connection:
                crashes.mark_active_file(connection, shard.lease, file.id)

    def record(self, work: ClaimedShard, file: AudioFile, error: Exception) -> None:
        """Record that ``file`` failed, unless the error is not about it.

        Raises:
            LeaseLostError: the shard is another run's.
            SourceUnavailableError: no file of the shard can be had at the moment.
            ConfigurationError: no file can succeed.
        """
        if isinstance(error, (LeaseLostError, SourceUnavailableError, ConfigurationError)):
            raise error
        if isinstance(error, MemoryError):
            error = OutOfMemoryError(f"There was not enough memory for this file: {error}")
        error_class = error_class_of(error)
        message = str(error) if isinstance(error, FileError) else f"{type(error).__name__}: {error}"
        may_pass = error.transient if isinstance(error, FileError) else True
        if not isinstance(error, FileError):
            log.error("Unexpected error in %s", file.uri, exc_info=error)
        with self.database.begin() as connection:
            work.verify(connection)
            status = files.record_failure(
                connection,
                file.id,
                error_class=error_class,
                error=message,
                retry_below=self._max_attempts if may_pass else 0,
            )
            shards.count_files(connection, [work.shard.id])
            if status == "failed":
                batch_stats.add_throughput(connection, work.batch.id, files=1, audio_seconds=0.0)
        work.failures.append(
            FileFailure(display_name(file.uri), error_class, message, final=status == "failed")
        )

    def _let_go(self, shard: ClaimedShard, reason: str) -> None:
        if self.holds(shard):
            self.shards.remove(shard)
            self.refused[shard.key] = reason

    def _put_off(self, connection: Connection, shard: Shard, lease: Lease, reason: str) -> None:
        """Give a shard back that cannot be worked on now, and show why on its batch."""
        self._put_off_batches.add(shard.batch_id)
        batches.set_error(connection, shard.batch_id, reason)
        self._give_back(connection, shard, lease, advance=False)

    def _give_back(self, connection: Connection, shard: Shard, lease: Lease, *, advance: bool) -> None:
        shards.give_back(
            connection,
            lease,
            advance=advance,
            retry_seconds=min(_LONGEST_RETRY_SECONDS, _FIRST_RETRY_SECONDS * 2 ** max(0, shard.tries - 1)),
            next_stage_seconds=_LEAVE_TO_PERSON_SECONDS if self._claim.token is None else 0.0,
        )

    def _reopen(self, connection: Connection, shard: Shard) -> None:
        again = files.reopen(
            connection,
            [shard.id],
            every_file=self._claim.reprocess,
            from_speech=self._claim.stage == "transcribe",
        )
        if again:
            shards.open_again(connection, [shard.id])
            transitions.reopen(connection, shard.batch_id)


def is_last_chance(crashes: int, max_attempts: int) -> bool:
    """Say whether a shard whose runs died so often is given up after the next death; a first one is never enough."""
    return crashes + 1 >= max(max_attempts, 2)
