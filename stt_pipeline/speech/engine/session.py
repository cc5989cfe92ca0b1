"""The threads of one call of the engine: readers cut recordings into chunks, workers decode them in model batches.

Everything that is shared is behind one lock; queues are bounded, so that readers wait for workers. What is decoded how
is for `decoding`, what becomes of one recording for `hearing`.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from queue import SimpleQueue

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech.engine.chunks import Chunk, Cutter
from stt_pipeline.speech.engine.decoding import Decoded, DecodeOptions, Decoder, Languages, Row
from stt_pipeline.speech.engine.failures import explained, is_out_of_memory
from stt_pipeline.speech.engine.finishing import finished
from stt_pipeline.speech.engine.hearing import Heard, Hearing
from stt_pipeline.speech.guard import Attempt, Evidence, Judged, examine, speech_without_text
from stt_pipeline.speech.recordings import Outcome, Progress
from stt_pipeline.speech.transcript import Segment, Transcript

_log = logging.getLogger(__name__)

_BATCHES_AHEAD = 2  # model batches a worker that readers may be ahead
_LEAST_SPEECH = 0.1  # seconds; with less, nothing was said after the last timestamp
_SHORTEST_HALF = 2.0  # seconds; a chunk that is full of text is cut down to this, and then believed
_FILL_UP = 0.1  # seconds that a GPU waits for more chunks while readers are at work: half a batch takes it as long as a whole


@dataclass(frozen=True, slots=True)
class Job:
    """A chunk to be decoded, and the recording that it is of."""

    hearing: Hearing
    row: Row


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


class Session:
    """One stream of recordings through one model."""

    def __init__(
        self, decoder: Decoder, model: str, plan: Plan, notes: Sequence[str], progress: Progress | None
    ):
        """Prepare; threads start with :meth:`run`."""
        self._decoder = decoder
        self._model = model
        self._plan = plan
        self._notes = notes
        self._progress = progress
        self._batch_size = plan.batch_size
        self._changed = threading.Condition()
        self._to_read = deque[Hearing]()
        self._ready = deque[Job]()
        self._reading = 0
        self._stopped = False
        self._outcomes = SimpleQueue[Outcome | BaseException]()

    def run(self, hearings: Iterable[Hearing]) -> Iterator[Outcome]:
        """Yield the outcome of each recording, as it gets done."""
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=work.__name__.strip("_"), daemon=True)
            for work in [self._read] * self._plan.readers + [self._work] * self._plan.workers
        ]
        for thread in threads:
            thread.start()
        try:
            yield from self._feed(iter(hearings))
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            for thread in threads:
                thread.join()

    def _feed(self, hearings: Iterator[Hearing]) -> Iterator[Outcome]:
        in_hand, more = 0, True
        while True:
            while more and in_hand < self._plan.most_recordings:
                hearing = next(hearings, None)
                if hearing is None:
                    more = False
                    break
                in_hand += 1
                with self._changed:
                    self._to_read.append(hearing)
                    self._changed.notify_all()
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
                hearing = self._to_read.popleft()
                self._reading += 1
            try:
                self._read_one(hearing)
            except ConfigurationError as error:
                self._outcomes.put(error)
            except Exception as error:
                self._fail(hearing, error)
            finally:
                with self._changed:
                    self._reading -= 1
                    self._changed.notify_all()

    def _read_one(self, hearing: Hearing) -> None:
        cutter = Cutter(self._decoder.longest)
        options = hearing.recording.options
        began, waited = time.monotonic(), 0.0
        with hearing.recording.open() as sound:
            for chunk in cutter.cut(sound):
                if not hearing.wants(chunk):
                    continue
                row = self._decoder.row(
                    chunk, hearing.options, language=hearing.language, languages=options.languages
                )
                waited += self._offer(Job(hearing, row))
                if self._stopped or hearing.over:
                    return
        with self._changed:
            hearing.end_reading(cutter.seconds)
            hearing.seconds += time.monotonic() - began - waited
        self._finish_if_done(hearing)

    def _offer(self, job: Job) -> float:
        """Hand a job to the workers; return the seconds waited for them."""
        began = time.monotonic()
        with self._changed:
            while len(self._ready) >= self._plan.most_ready and not self._stopped:
                self._changed.wait()
            job.hearing.expect(1)
            self._ready.append(job)
            self._changed.notify_all()
        return time.monotonic() - began

    # workers

    def _work(self) -> None:
        while jobs := self._take():
            began = time.monotonic()
            try:
                decoded = self._decoder.decode(
                    [job.row for job in jobs], lambda told: self._choose(jobs, told)
                )
            except ConfigurationError:
                raise
            except Exception as error:
                self._recover(jobs, error)
                continue
            share = (time.monotonic() - began) / len(jobs)
            for job, what in zip(jobs, decoded, strict=True):
                began = time.monotonic()
                try:
                    self._digest(job, what)
                except Exception as error:
                    self._fail(job.hearing, error)
                with self._changed:
                    job.hearing.seconds += share + time.monotonic() - began
                self._finish_if_done(job.hearing)

    def _take(self) -> list[Job]:
        """Return the next model batch, waiting for it; none when the session is over."""
        with self._changed:
            patient_until = 0.0
            while not self._stopped:
                while self._ready and self._ready[0].hearing.over:
                    self._ready.popleft()
                if self._ready:
                    now = time.monotonic()
                    patient_until = patient_until or now + _FILL_UP
                    is_short = len(self._ready) < self._batch_size and (self._reading or self._to_read)
                    if not (self._plan.fill_up and is_short and now < patient_until):
                        return self._next_batch()
                    self._changed.wait(patient_until - now)
                else:
                    self._changed.wait()
            return []

    def _next_batch(self) -> list[Job]:
        first = self._ready[0]
        key, limit = self._key(first), min(self._batch_size, first.hearing.limit)
        if not self._plan.fill_up:  # the other workers shall have something to do
            limit = max(1, min(limit, -(-len(self._ready) // self._plan.workers)))
        jobs: list[Job] = []
        others: list[Job] = []
        while self._ready and len(jobs) < limit:
            job = self._ready.popleft()
            if self._key(job) == key and not job.hearing.over:
                jobs.append(job)
            elif not job.hearing.over:
                others.append(job)
        self._ready.extendleft(reversed(others))
        self._changed.notify_all()
        return jobs

    def _key(self, job: Job) -> tuple[object, ...]:
        return (job.hearing.limit, *self._decoder.key(job.row.options))

    def _choose(self, jobs: Sequence[Job], told: Sequence[Languages | None]) -> list[str]:
        with self._changed:
            return [job.hearing.choose(job.row, likely) for job, likely in zip(jobs, told, strict=True)]

    def _digest(self, job: Job, decoded: Decoded) -> None:
        """Judge what was decoded, and have decoded what is missing."""
        chunk = job.row.chunk
        if decoded.full and chunk.seconds >= 2 * _SHORTEST_HALF:
            at = chunk.quietest()
            self._go_on(job, decoded, None, [chunk.part(0.0, at), chunk.part(at, chunk.seconds)])
            return
        rests = []
        if decoded.rest is not None:
            rest = chunk.part(decoded.rest, chunk.seconds)
            rests = [rest] if rest.speech_seconds >= _LEAST_SPEECH else []
            chunk = chunk.part(0.0, decoded.rest) if rests else chunk
        self._go_on(job, decoded, self._judged(job, chunk, decoded), rests)

    def _go_on(self, job: Job, decoded: Decoded, heard: Heard | None, parts: Sequence[Chunk]) -> None:
        more = [
            Job(job.hearing, self._decoder.row(part, job.row.options, language=decoded.language))
            for part in parts
        ]
        with self._changed:
            job.hearing.hear(job.row.chunk, decoded.language, heard, more=len(more))
            self._ready.extendleft(
                reversed(more)
            )  # before others: the recording may be waiting for these alone
            self._changed.notify_all()
        if self._progress and not more:
            self._progress(job.hearing.recording, job.row.chunk.offset + job.row.chunk.seconds)

    def _judged(self, job: Job, chunk: Chunk, decoded: Decoded) -> Heard:
        evidence = Evidence.of(chunk.samples, chunk.probabilities)

        def decode(attempt: Attempt) -> Sequence[Segment]:
            return self._decode_alone(job.row, chunk, attempt, decoded.language)

        judged = examine(decoded.segments, evidence, decode, hotwords=job.hearing.recording.options.hotwords)
        speech, without = speech_without_text(evidence, [one.segment for one in judged])
        return Heard(tuple(_at(chunk.offset, one) for one in judged), speech, without)

    def _decode_alone(self, row: Row, chunk: Chunk, attempt: Attempt, language: str) -> list[Segment]:
        """Decode a part of ``chunk`` alone, to its end; times are seconds from the chunk's start."""
        options = DecodeOptions(
            row.options.hotwords if attempt.hotwords else "",
            row.options.beam,
            attempt.no_repeat_ngram_size,
            attempt.temperature,
        )
        end = chunk.seconds if attempt.end is None else attempt.end
        part: Chunk | None = chunk.part(attempt.start, end)
        segments: list[Segment] = []
        while part and part.speech_seconds >= _LEAST_SPEECH:
            (decoded,) = self._decoder.decode(
                [self._decoder.row(part, options, language=language)], lambda _: [language]
            )
            shift = (part.start - chunk.start) / SAMPLE_RATE
            segments += [_shifted(segment, shift) for segment in decoded.segments]
            part = part.part(decoded.rest, part.seconds) if decoded.rest is not None else None
        return segments

    def _recover(self, jobs: Sequence[Job], error: Exception) -> None:
        """Try again with less side by side; what fails alone fails its recording."""
        if len(jobs) == 1:
            self._fail(jobs[0].hearing, error)
            return
        size = 1
        if is_out_of_memory(error):
            size = len(jobs) // 2
            _log.warning("Not enough memory for %d chunks side by side; going on with %d.", len(jobs), size)
        with self._changed:
            for job in jobs:
                job.hearing.limit = min(job.hearing.limit, size)
            if is_out_of_memory(error):
                self._batch_size = min(self._batch_size, size)
            self._ready.extendleft(reversed(jobs))
            self._changed.notify_all()

    # ends

    def _finish_if_done(self, hearing: Hearing) -> None:
        with self._changed:
            if not hearing.is_done():
                return
            if hearing.to_do_again():
                self._to_read.appendleft(hearing)
                self._changed.notify_all()
                return
            hearing.over = True
        result: Transcript | Exception
        try:
            result = finished(hearing.transcript(self._model, self._notes), hearing.recording.options)
        except Exception as error:
            result = error
        self._outcomes.put(Outcome(hearing.recording, result, hearing.seconds))

    def _fail(self, hearing: Hearing, error: Exception) -> None:
        with self._changed:
            if hearing.over:
                return
            hearing.over = True
            self._changed.notify_all()
        self._outcomes.put(Outcome(hearing.recording, explained(error, self._model), hearing.seconds))


def _at(offset: float, judged: Judged) -> Judged:
    return replace(judged, segment=_shifted(judged.segment, offset))


def _shifted(segment: Segment, by: float) -> Segment:
    words = tuple(replace(word, start=word.start + by, end=word.end + by) for word in segment.words)
    return replace(segment, start=segment.start + by, end=segment.end + by, words=words)
