"""Chunks that wait for a worker, and which of them make the next model batch. Asked under the session's lock only."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from stt_pipeline.speech.engine.decoding import Row
from stt_pipeline.speech.engine.recording_state import RecordingState


@dataclass(frozen=True, slots=True, eq=False)
class ChunkJob:
    """A chunk to be decoded, the recording that it is of, and how many may be decoded with it at most."""

    state: RecordingState
    row: Row
    most: int

    @property
    def key(self) -> tuple[object, ...]:
        """What jobs of one model batch have in common."""
        return (self.most, *self.row.key)


class ChunkQueue:
    """The jobs in order; those of recordings that are over are never among them."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._jobs = deque[ChunkJob]()

    def __len__(self) -> int:
        return len(self._jobs)

    def append(self, job: ChunkJob) -> None:
        """Put a job at the end."""
        if not job.state.over:
            self._jobs.append(job)

    def put_first(self, jobs: Iterable[ChunkJob]) -> None:
        """Put jobs before all others: their recordings may be waiting for these alone."""
        self._jobs.extendleft(reversed([job for job in jobs if not job.state.over]))

    def drop(self, state: RecordingState) -> None:
        """Forget the jobs of a recording that is over."""
        self._jobs = deque(job for job in self._jobs if job.state is not state)

    def take(self, most: int) -> list[ChunkJob]:
        """Take the first job out, and up to ``most`` in all that can be decoded with it."""
        key, most = self._jobs[0].key, min(most, self._jobs[0].most)
        taken: list[ChunkJob] = []
        others: list[ChunkJob] = []
        while self._jobs and len(taken) < most:
            job = self._jobs.popleft()
            (taken if job.key == key else others).append(job)
        self._jobs.extendleft(reversed(others))
        return taken
