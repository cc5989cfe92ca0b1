"""Chunks that wait for a worker, and which of them make the next model batch. Asked under the session's lock only."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from stt_pipeline.speech.engine.decoding import Row
from stt_pipeline.speech.engine.hearing import Hearing


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """A chunk to be decoded, the recording that it is of, and how many may be decoded with it at most."""

    hearing: Hearing
    row: Row
    most: int

    @property
    def key(self) -> tuple[object, ...]:
        """What jobs of one model batch have in common."""
        return (self.most, *self.row.key)


class Waiting:
    """The jobs in order; those of recordings that are over are never among them."""

    def __init__(self) -> None:
        """Nothing waits."""
        self._jobs = deque[Job]()

    def __len__(self) -> int:
        return len(self._jobs)

    def append(self, job: Job) -> None:
        """Put a job at the end."""
        if not job.hearing.over:
            self._jobs.append(job)

    def put_first(self, jobs: Iterable[Job]) -> None:
        """Put jobs before all others: their recordings may be waiting for these alone."""
        self._jobs.extendleft(reversed([job for job in jobs if not job.hearing.over]))

    def drop(self, hearing: Hearing) -> None:
        """Forget the jobs of a recording that is over."""
        self._jobs = deque(job for job in self._jobs if job.hearing is not hearing)

    def take(self, most: int) -> list[Job]:
        """Take the first job out, and up to ``most`` in all that can be decoded with it."""
        key, most = self._jobs[0].key, min(most, self._jobs[0].most)
        taken: list[Job] = []
        others: list[Job] = []
        while self._jobs and len(taken) < most:
            job = self._jobs.popleft()
            (taken if job.key == key else others).append(job)
        self._jobs.extendleft(reversed(others))
        return taken
