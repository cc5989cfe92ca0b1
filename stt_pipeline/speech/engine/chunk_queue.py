"""Chunks that wait for a worker, and the choice of the next model batch. Used under the scheduler's lock only."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from stt_pipeline.speech.engine.decoding import Row
from stt_pipeline.speech.engine.recording_state import RecordingState


@dataclass(frozen=True, slots=True, eq=False)
class ChunkJob:
    """A chunk to be decoded.

    Attributes:
        state: of its recording.
        row: of the model batch.
        max_batch_size: of the largest model batch that it may be part of.
        part_of: language of the chunk that it is a part of; empty for a whole chunk.
    """

    state: RecordingState
    row: Row
    max_batch_size: int
    part_of: str = ""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for all jobs of one model batch."""
        return (self.max_batch_size, *self.row.key)


class ChunkQueue:
    """The jobs in order; those of finished recordings are never among them."""

    def __init__(self) -> None:
        """Make an empty queue."""
        self._jobs = deque[ChunkJob]()

    def __len__(self) -> int:
        return len(self._jobs)

    def append(self, job: ChunkJob) -> None:
        """Put a job at the end."""
        if not job.state.finished:
            self._jobs.append(job)

    def prepend(self, jobs: Iterable[ChunkJob]) -> None:
        """Put jobs at the start: their recordings may wait for nothing else."""
        self._jobs.extendleft(reversed([job for job in jobs if not job.state.finished]))

    def discard(self, state: RecordingState) -> None:
        """Remove the jobs of a finished recording."""
        self._jobs = deque(job for job in self._jobs if job.state is not state)

    def take(self, max_size: int) -> list[ChunkJob]:
        """Remove and return the first job, and up to ``max_size`` in all that can be decoded with it."""
        key, max_size = self._jobs[0].key, min(max_size, self._jobs[0].max_batch_size)
        taken: list[ChunkJob] = []
        others: list[ChunkJob] = []
        while self._jobs and len(taken) < max_size:
            job = self._jobs.popleft()
            (taken if job.key == key else others).append(job)
        self._jobs.extendleft(reversed(others))
        return taken
