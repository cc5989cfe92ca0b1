"""The threads of one call of the engine: readers cut recordings into chunks, workers decode them in model batches.

Everything that is shared is behind one lock; queues are bounded, so that readers wait for workers. What is decoded how
is for `decoding` and `judging`, which chunks go together for `waiting`, what becomes of one recording for `state`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue

from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.engine.chunk_queue import ChunkJob, ChunkQueue
from stt_pipeline.speech.engine.chunks import Cutter
from stt_pipeline.speech.engine.decoding import Decoded, Decoder, Languages
from stt_pipeline.speech.engine.failures import explained, is_out_of_memory
from stt_pipeline.speech.engine.judging import Judge, Verdict
from stt_pipeline.speech.engine.postprocess import finished
from stt_pipeline.speech.engine.recording_state import RecordingState
from stt_pipeline.speech.recordings import Outcome, Progress
from stt_pipeline.speech.transcript import Transcript

_log = logging.getLogger(__name__)

_BATCHES_AHEAD = 2  # model batches a worker that readers may be ahead
_FILL_UP = 0.1  # seconds that a GPU waits for more chunks while readers are at work: half a batch takes it as long as a whole


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is done side by side."""

    readers: int
    workers: int
    batch_size: int
    fill_up: bool

    @property
    def most_ready(self) -> int:
        """Chunks that may wait for a worker."""
        return _BATCHES_AHEAD * self.workers * self.batch_size

    @property
    def most_recordings(self) -> int:
        """Recordings in hand: enough for full batches where each is one chunk."""
        return self.readers + self.most_ready


class Scheduler:
    """One stream of recordings through one model.

    Attributes:
        batch_size: as many chunks are decoded together; it shrinks when the device's memory is too small for them.
    """

    def __init__(
        self, decoder: Decoder, model: str, plan: Plan, notes: Sequence[str], progress: Progress | None
    ):
        """Prepare; threads start with :meth:`run`."""
        self.batch_size = plan.batch_size
        self._decoder = decoder
        self._judge = Judge(decoder, lambda: self._stopped)
        self._model = model
        self._plan = plan
        self._notes = notes
        self._progress = progress
        self._changed = threading.Condition()
        self._to_read = deque[RecordingState]()
        self._waiting = ChunkQueue()
        self._reading = 0
        self._stopped = False
        self._outcomes = SimpleQueue[Outcome | BaseException]()

    def run(self, states: Iterable[RecordingState]) -> Iterator[Outcome]:
        """Yield the outcome of each recording, as it gets done."""
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__.strip("_"), daemon=True)
            for work in [self._read] * self._plan.readers + [self._work] * self._plan.workers
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._feed(iter(states))
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            for thread in threads:
                thread.join()

    def _feed(self, states: Iterator[RecordingState]) -> Iterator[Outcome]:
        in_hand, more = 0, True
        while True:
            if more and in_hand < self._plan.most_recordings:
                state = next(states, None)
                if state:
                    in_hand += 1
                    with self._changed:
                        self._to_read.append(state)
                        self._changed.notify_all()
                more = state is not None
                if more and self._outcomes.empty():
                    continue
            if not in_hand:
                return
            outcome = self._outcomes.get()
            if isinstance(outcome, BaseException):
                raise outcome
            in_hand -= 1
            yield outcome

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # nobody else would see it, and the caller would wait for ever
            self._outcomes.put(error)

    # readers

    def _read(self) -> None:
        while True:
            with self._changed:
                while not self._to_read and not self._stopped:
                    self._changed.wait()
                if self._stopped:
                    return
                state = self._to_read.popleft()
                self._reading += 1
            try:
                self._read_one(state)
            except ConfigurationError:
                raise
            except Exception as error:
                self._fail(state, error)
            finally:
                with self._changed:
                    self._reading -= 1
                    self._changed.notify_all()

    def _read_one(self, state: RecordingState) -> None:
        cutter = Cutter(self._decoder.longest)
        options = state.recording.options
        began, waited = time.monotonic(), 0.0
        with state.recording.open() as sound:
            for chunk in cutter.cut(_Abridged(sound, lambda: self._stopped or state.has_all)):
                if self._stopped or state.over:
                    return
                if state.wants(chunk):
                    row = self._decoder.row(
                        chunk, state.options, language=state.language, languages=options.languages
                    )
                    waited += self._offer(ChunkJob(state, row, state.limit))
        with self._changed:
            if self._stopped or state.over:
                return
            state.end_reading(cutter.seconds)
            state.seconds += time.monotonic() - began - waited
        self._finish_if_done(state)

    def _offer(self, job: ChunkJob) -> float:
        """Hand a job to the workers; return the seconds waited for them."""
        began = time.monotonic()
        with self._changed:
            while len(self._waiting) >= self._plan.most_ready and not (self._stopped or job.state.over):
                self._changed.wait()
            job.state.expect(job.row.chunk)
            self._waiting.append(job)
            self._changed.notify_all()
        return time.monotonic() - began

    # workers

    def _work(self) -> None:
        while jobs := self._take():
            began = time.monotonic()
            try:
                decoded = self._decoded(jobs)
            except ConfigurationError:
                raise
            except Exception as error:
                self._recover(jobs, error)
                continue
            share = (time.monotonic() - began) / len(jobs)
            for job, what in zip(jobs, decoded, strict=True):
                if self._stopped:
                    return
                if not job.state.over:
                    self._digest(job, what, share)

    def _decoded(self, jobs: Sequence[ChunkJob]) -> list[Decoded]:
        def choose(told: Sequence[Languages | None]) -> list[str]:
            with self._changed:
                return [job.state.choose(job.row, likely) for job, likely in zip(jobs, told, strict=True)]

        return self._decoder.decode([job.row for job in jobs], choose)

    def _take(self) -> list[ChunkJob]:
        """Return the next model batch, waiting for it; none when the session is over."""
        with self._changed:
            patient_until = 0.0
            while not self._stopped:
                if not len(self._waiting):
                    patient_until = 0.0
                    self._changed.wait()
                    continue
                now = time.monotonic()
                patient_until = patient_until or now + _FILL_UP
                may_fill_up = len(self._waiting) < self.batch_size and (self._reading or self._to_read)
                if self._plan.fill_up and may_fill_up and now < patient_until:
                    self._changed.wait(patient_until - now)
                    continue
                most = self.batch_size
                if not self._plan.fill_up:  # the other workers shall have something to do
                    most = min(most, -(-len(self._waiting) // self._plan.workers))
                jobs = self._waiting.take(most)
                self._changed.notify_all()
                return jobs
            return []

    def _digest(self, job: ChunkJob, decoded: Decoded, seconds: float) -> None:
        """Judge what was decoded in ``seconds``, and have decoded what is missing."""
        began = time.monotonic()
        state, chunk = job.state, job.row.chunk
        try:
            verdict = self._judge.judge(job.row, decoded, state.recording.options.hotwords)
            more = self._jobs(job, verdict, decoded.language)
        except Exception as error:
            self._fail(state, explained(error, self._model))
            return
        with self._changed:
            state.hear(chunk, decoded.language, verdict.heard, more=len(more))
            state.seconds += seconds + time.monotonic() - began
            self._waiting.put_first(more)
            self._changed.notify_all()
        if self._progress and not more:
            self._progress(state.recording, chunk.offset + chunk.seconds)
        self._finish_if_done(state)

    def _jobs(self, job: ChunkJob, verdict: Verdict, language: str) -> list[ChunkJob]:
        return [
            replace(job, row=self._decoder.row(part, job.row.options, language=language))
            for part in verdict.parts
        ]

    def _recover(self, jobs: Sequence[ChunkJob], error: Exception) -> None:
        """Try again with less side by side; what fails alone fails its recording."""
        if len(jobs) == 1:
            self._fail(jobs[0].state, explained(error, self._model))
            return
        with self._changed:
            if is_out_of_memory(error):
                self.batch_size = max(1, min(self.batch_size, len(jobs) // 2))
                _log.warning(
                    "Not enough memory for %d chunks side by side; going on with %d.",
                    len(jobs),
                    self.batch_size,
                )
                again = list(jobs)
            else:
                again = [replace(job, most=1) for job in jobs]
            self._waiting.put_first(again)
            self._changed.notify_all()

    # ends

    def _finish_if_done(self, state: RecordingState) -> None:
        with self._changed:
            if not state.is_done():
                return
            if state.to_do_again():
                self._to_read.appendleft(state)
                self._changed.notify_all()
                return
            state.over = True
        result: Transcript | Exception
        try:
            result = finished(state.transcript(self._model, self._notes), state.recording.options)
        except Exception as error:
            result = error
        self._outcomes.put(Outcome(state.recording, result, state.seconds))

    def _fail(self, state: RecordingState, error: Exception) -> None:
        with self._changed:
            if state.over:
                return
            state.over = True
            self._waiting.drop(state)  # before others are told, so that readers see the room that it leaves
            self._changed.notify_all()
        self._outcomes.put(Outcome(state.recording, error, state.seconds))


class _Abridged:
    """A sound that ends where nobody wants to hear more of it: silence of hours is not read to its end in vain."""

    def __init__(self, sound: Sound, is_enough: Callable[[], bool]) -> None:
        self._sound = sound
        self._is_enough = is_enough

    def blocks(self) -> Iterator[Samples]:
        for block in self._sound.blocks():
            if self._is_enough():
                return
            yield block

    def stereo_blocks(self) -> Iterator[Samples]:
        return self._sound.stereo_blocks()
