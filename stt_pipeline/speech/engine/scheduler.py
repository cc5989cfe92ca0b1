"""The threads of one call of the engine: readers cut recordings into chunks, workers decode them in model batches.

All shared state is behind one lock. Queues are bounded, so readers wait for workers. The model is `decoding`, the checks
are `chunk_review`, the choice of a model batch is `chunk_queue`, and the results of one recording are `recording_state`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue

from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.engine.chunk_queue import ChunkJob, ChunkQueue
from stt_pipeline.speech.engine.chunk_review import ChunkReview, ChunkReviewer
from stt_pipeline.speech.engine.decoding import Decoded, Decoder, LanguageProbabilities
from stt_pipeline.speech.engine.failures import as_file_error, is_out_of_memory
from stt_pipeline.speech.engine.recording_cutter import RecordingCutter
from stt_pipeline.speech.engine.recording_state import RecordingState
from stt_pipeline.speech.recordings import Outcome, Progress
from stt_pipeline.speech.transcript import Transcript

_log = logging.getLogger(__name__)

_QUEUED_BATCHES_PER_WORKER = 2
# Seconds that a GPU waits for more chunks while readers work: half a batch takes it as long as a full one
_FULL_BATCH_WAIT = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """How much runs in parallel."""

    readers: int
    workers: int
    batch_size: int
    wait_for_full_batch: bool

    @property
    def max_queued_chunks(self) -> int:
        """Chunks that may wait for a worker."""
        return _QUEUED_BATCHES_PER_WORKER * self.workers * self.batch_size

    @property
    def max_active_recordings(self) -> int:
        """Recordings in progress: enough for full batches if each is one chunk."""
        return self.readers + self.max_queued_chunks


class _ReadingBegun:
    """A reader has begun a recording, so that another one may wait for it."""


class Scheduler:
    """One stream of recordings through one model.

    Attributes:
        batch_size: chunks in a model batch; it shrinks when the device runs out of memory.
    """

    def __init__(
        self, decoder: Decoder, model: str, plan: Plan, notes: Sequence[str], progress: Progress | None
    ):
        """Prepare; :meth:`run` starts the threads."""
        self.batch_size = plan.batch_size
        self._decoder = decoder
        self._reviewer = ChunkReviewer(decoder, lambda: self._stopped)
        self._model = model
        self._plan = plan
        self._notes = notes
        self._progress = progress
        self._changed = threading.Condition()
        self._to_read = deque[RecordingState]()
        self._queue = ChunkQueue()
        self._reading = 0
        self._recordings_read = self._chunks_read = 0
        self._stopped = False
        self._outcomes = SimpleQueue[Outcome | BaseException | _ReadingBegun]()

    def run(self, states: Iterable[RecordingState]) -> Generator[Outcome, None, None]:
        """Yield the outcome of each recording, in the order in which they finish."""
        threads = [
            threading.Thread(target=self._run_thread, args=(loop,), name=f"stt-{name}", daemon=True)
            for name, loop, count in (
                ("reader", self._read_loop, self._plan.readers),
                ("worker", self._work_loop, self._plan.workers),
            )
            for _ in range(count)
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._exchange(iter(states))
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            for thread in threads:
                thread.join()

    def _exchange(self, states: Iterator[RecordingState]) -> Iterator[Outcome]:
        """Pass recordings to the readers and yield outcomes, in the caller's thread."""
        active, more = 0, True
        while True:
            if more and active < self._plan.max_active_recordings and self._may_wait_for_reader():
                state = next(states, None)
                if state:
                    active += 1
                    with self._changed:
                        self._to_read.append(state)
                        self._changed.notify_all()
                more = state is not None
                if more and self._outcomes.empty():
                    continue
            if not active:
                return
            outcome = self._outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            if isinstance(outcome, _ReadingBegun):
                continue
            active -= 1
            yield outcome

    def _may_wait_for_reader(self) -> bool:
        """Return whether another recording is requested: enough wait for a model batch, and as many as there are readers.

        A recording that is requested has begun: what is to stop, or to go on, waits for it. So of long ones few are.
        """
        with self._changed:
            of_a_batch = self.batch_size * self._recordings_read // max(self._chunks_read, 1)
            return len(self._to_read) < max(self._plan.readers, min(of_a_batch, self.batch_size))

    def _run_thread(self, loop: Callable[[], None]) -> None:
        try:
            loop()
        except BaseException as error:  # raised in the caller's thread, which would otherwise wait forever
            self._outcomes.put(error)

    # readers

    def _read_loop(self) -> None:
        while True:
            with self._changed:
                while not self._to_read and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                state = self._to_read.popleft()
                self._reading += 1
            self._outcomes.put(_ReadingBegun())
            try:
                self._read(state)
            except ConfigurationError:
                raise
            except Exception as error:
                self._fail(state, error)
            finally:
                with self._changed:
                    self._reading -= 1
                    self._changed.notify_all()

    def _read(self, state: RecordingState) -> None:
        options = state.recording.options
        cutter = RecordingCutter(
            self._decoder.max_chunk_seconds,
            separate_languages=options.multilingual and not options.language,
        )
        started, waited = time.monotonic(), 0.0
        with state.recording.open() as sound:
            # hours of silence are not read to their end if nothing more is needed
            for chunk in cutter.cut(sound, lambda: not (self._stopped or state.needs_no_more_audio)):
                if self._stopped or state.finished:
                    return
                if state.needs(chunk):
                    row = self._decoder.row(
                        chunk, state.options, language=state.language, detect=state.detects_language(chunk)
                    )
                    waited += self._enqueue(ChunkJob(state, row, state.max_batch_size))
        with self._changed:
            if self._stopped or state.finished:
                return
            self._recordings_read += 1
            state.finish_reading(cutter.seconds)
            state.work_seconds += time.monotonic() - started - waited
        self._finish_if_complete(state)

    def _enqueue(self, job: ChunkJob) -> float:
        """Queue a job, waiting for room; return the seconds waited."""
        started = time.monotonic()
        with self._changed:
            while len(self._queue) >= self._plan.max_queued_chunks and not (
                self._stopped or job.state.finished
            ):
                self._changed.wait()
            self._chunks_read += 1
            job.state.add_pending(job.row.chunk)
            self._queue.append(job)
            self._changed.notify_all()
        return time.monotonic() - started

    # workers

    def _work_loop(self) -> None:
        while jobs := self._next_batch():
            started = time.monotonic()
            try:
                results = self._decode(jobs)
            except ConfigurationError:
                raise
            except Exception as error:
                self._retry_smaller(jobs, error)
                continue
            share = (time.monotonic() - started) / len(jobs)
            for job, decoded in zip(jobs, results, strict=True):
                if self._stopped:
                    return
                if not job.state.finished:
                    self._accept(job, decoded, share)

    def _decode(self, jobs: Sequence[ChunkJob]) -> list[Decoded]:
        def choose_languages(detected: Sequence[LanguageProbabilities | None]) -> list[str]:
            with self._changed:
                return [
                    job.state.choose_language(job.row, probabilities, job.part_of)
                    for job, probabilities in zip(jobs, detected, strict=True)
                ]

        return self._decoder.decode([job.row for job in jobs], choose_languages)

    def _next_batch(self) -> list[ChunkJob]:
        """Return the next model batch, waiting for it; an empty one when the stream has ended."""
        with self._changed:
            wait_until = 0.0
            while not self._stopped:
                if not len(self._queue):
                    wait_until = 0.0
                    self._changed.wait()
                    continue
                now = time.monotonic()
                wait_until = wait_until or now + _FULL_BATCH_WAIT
                may_grow = len(self._queue) < self.batch_size and (self._reading or self._to_read)
                if self._plan.wait_for_full_batch and may_grow and now < wait_until:
                    self._changed.wait(wait_until - now)
                    continue
                size = self.batch_size
                if not self._plan.wait_for_full_batch:  # leave some for the other workers
                    size = min(size, -(-len(self._queue) // self._plan.workers))
                jobs = self._queue.take(size)
                self._changed.notify_all()
                return jobs
            return []

    def _accept(self, job: ChunkJob, decoded: Decoded, seconds: float) -> None:
        """Review a result that took ``seconds``, and queue the parts that must be decoded again."""
        started = time.monotonic()
        state, chunk = job.state, job.row.chunk
        try:
            review = self._reviewer.review(job.row, decoded, state.recording.options.hotwords)
            more = self._jobs_of_parts(job, review, decoded.language)
        except Exception as error:
            self._fail(state, as_file_error(error, self._model))
            return
        with self._changed:
            state.add_result(chunk, decoded.language, review.result, more_parts=len(more))
            state.work_seconds += seconds + time.monotonic() - started
            self._queue.prepend(more)
            self._changed.notify_all()
        if self._progress and not more:
            self._progress(state.recording, chunk.end)
        self._finish_if_complete(state)

    def _jobs_of_parts(self, job: ChunkJob, review: ChunkReview, language: str) -> list[ChunkJob]:
        detects = review.may_change_language and not job.state.language
        return [
            replace(
                job,
                row=self._decoder.row(part, job.row.options, language="" if detects else language),
                part_of=language,
            )
            for part in review.parts
        ]

    def _retry_smaller(self, jobs: Sequence[ChunkJob], error: Exception) -> None:
        """Queue the jobs of a failed model batch in smaller batches; a job that fails alone fails its recording."""
        if len(jobs) == 1:
            self._fail(jobs[0].state, as_file_error(error, self._model))
            return
        with self._changed:
            if is_out_of_memory(error):
                self.batch_size = max(1, min(self.batch_size, len(jobs) // 2))
                _log.warning(
                    "Not enough memory for a model batch of %d chunks; continuing with %d.",
                    len(jobs),
                    self.batch_size,
                )
                again = list(jobs)
            else:
                again = [replace(job, max_batch_size=1) for job in jobs]
            self._queue.prepend(again)
            self._changed.notify_all()

    # outcomes

    def _finish_if_complete(self, state: RecordingState) -> None:
        with self._changed:
            if not state.is_complete():
                return
            if state.start_second_pass():
                self._to_read.appendleft(state)
                self._changed.notify_all()
                return
            state.finished = True
        result: Transcript | Exception
        try:
            result = state.transcript(self._model, self._notes)
        except Exception as error:
            result = error
        self._outcomes.put(Outcome(state.recording, result, state.work_seconds))

    def _fail(self, state: RecordingState, error: Exception) -> None:
        with self._changed:
            if state.finished:
                return
            state.finished = True
            self._queue.discard(state)  # before notifying, so that waiting readers see the room in the queue
            self._changed.notify_all()
        self._outcomes.put(Outcome(state.recording, error, state.work_seconds))
