"""One recording while it is transcribed: the results of its chunks so far, and the transcript at the end.

Not thread-safe: the scheduler calls it under its lock. No model here.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from stt_pipeline.speech.engine.decoding import DecodeOptions, LanguageProbabilities, Row
from stt_pipeline.speech.engine.languages import (
    MIN_SAMPLE_SECONDS,
    LanguageSamples,
    LanguageVote,
    is_clear,
    limited_to,
)
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.engine.turn_taking import in_turns
from stt_pipeline.speech.hallucination import Candidate, finalize
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Segment, TimeSpan, Transcript


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The result of a chunk or of a part of it; times are seconds of the recording."""

    candidates: tuple[Candidate, ...]
    speech_seconds: float
    untranscribed_speech_seconds: float
    untranscribed_parts: tuple[TimeSpan, ...]


@dataclass(slots=True)
class RecordingState:
    """A recording, its chunks and their results.

    Attributes:
        options: how its chunks are decoded at first.
        max_batch_size: the largest model batch that its chunks may be part of.
        notes: of the transcript.
        work_seconds: of threads that worked on it.
        finished: whether it has an outcome.
        duration: seconds; known when all of it was read.
    """

    recording: Recording
    options: DecodeOptions
    max_batch_size: int
    notes: tuple[str, ...] = ()
    work_seconds: float = 0.0
    finished: bool = False
    duration: float = 0.0
    _vote: LanguageVote = field(default_factory=LanguageVote)  # among the languages that the options allow
    _detected: LanguageVote = field(default_factory=LanguageVote)  # among all
    _samples: LanguageSamples = field(default_factory=LanguageSamples)
    _language: str = ""
    _second_pass: frozenset[int] | None = None
    _unclear: set[int] = field(default_factory=set)
    _decoded_in: dict[int, str] = field(default_factory=dict)
    _results: dict[int, list[ChunkResult]] = field(default_factory=dict)
    _pending: int = 0
    _is_read: bool = False
    _unread: set[int] = field(default_factory=set)  # chunks that the second pass has not read

    def __post_init__(self) -> None:
        self._language = self.recording.options.language

    @property
    def language(self) -> str:
        """The language in which chunks are decoded; empty while it is detected."""
        return self._language

    def needs(self, chunk: Chunk) -> bool:
        """Return whether ``chunk`` must be decoded; in the second pass most need not."""
        return self._second_pass is None or chunk.index in self._second_pass

    @property
    def needs_no_more_audio(self) -> bool:
        """Whether reading can stop: it is finished, or the second pass has read all chunks that it needs."""
        return self.finished or (self._second_pass is not None and not self._unread)

    def detects_language(self, chunk: Chunk) -> bool:
        """Return whether to detect the language of the next ``chunk``: of some of them if the language is given."""
        if self.recording.options.language:
            return self._samples.takes(chunk.speech_seconds)
        return not self._language  # the second pass knows it

    def add_pending(self, chunk: Chunk) -> None:
        """Count a chunk that is going to be decoded."""
        self._pending += 1
        self._unread.discard(chunk.index)

    def choose_language(
        self, row: Row, probabilities: LanguageProbabilities | None, part_of: str = ""
    ) -> str:
        """Return the language in which to decode ``row``, given the detected probabilities.

        ``part_of`` is the language in which a chunk was decoded that ``row`` is a part of. The part changes it only if it
        has enough speech to be sure.

        An unclear chunk takes the language of the chunks so far. If that is wrong, :meth:`start_second_pass` corrects it
        at the end, so the result does not depend on which chunk came first.
        """
        chunk = row.chunk
        if probabilities and len(probabilities) > 1:  # a model of one language detects nothing
            self._detected.add(chunk.index, chunk.speech_seconds, probabilities)
        if row.language or not probabilities:
            return row.language
        probabilities = limited_to(self.recording.options.languages, probabilities)
        if part_of:
            is_sure = chunk.speech_seconds >= MIN_SAMPLE_SECONDS and is_clear(
                chunk.speech_seconds, probabilities
            )
            return _most_probable(probabilities) if is_sure else part_of
        self._vote.add(chunk.index, chunk.speech_seconds, probabilities)
        if self.recording.options.multilingual:
            if is_clear(chunk.speech_seconds, probabilities):
                return _most_probable(probabilities)
            self._unclear.add(chunk.index)
        return self._vote.leading() or _most_probable(probabilities)

    def add_result(
        self, chunk: Chunk, language: str, result: ChunkResult | None, *, more_parts: int = 0
    ) -> None:
        """Add the result of a decoded chunk, ``more_parts`` of which are still to be decoded.

        The language of its first part counts as its own: later ones may change it.
        """
        self._decoded_in.setdefault(chunk.index, language)
        if result:
            self._results.setdefault(chunk.index, []).append(result)
        self._pending += more_parts - 1

    def finish_reading(self, duration: float) -> None:
        """Note that all chunks were cut, of a recording of ``duration`` seconds."""
        self._is_read = True
        if self._second_pass is None:
            self.duration = duration

    def is_complete(self) -> bool:
        """Return whether this pass has nothing left to decode."""
        return self._is_read and self._pending == 0 and not self.finished

    def start_second_pass(self) -> bool:
        """Prepare to read the recording again if chunks were decoded in another language than its own; return whether so."""
        if self._language or not self._decoded_in:
            return False
        language, _ = self._vote.result()
        wrong = frozenset(
            index
            for index, code in self._decoded_in.items()
            if code != language and (index in self._unclear or not self.recording.options.multilingual)
        )
        if not wrong:
            return False
        self._language, self._second_pass = language, wrong
        self._is_read, self._unread = False, set(wrong)
        for index in wrong:
            self._results.pop(index, None)
            self._decoded_in.pop(index)
        return True

    def transcript(self, model: str, notes: Sequence[str]) -> Transcript:
        """Return the transcript of the recording, without speakers."""
        requested = self.recording.options.language
        language, share = (requested, 1.0) if requested else self._vote.result()
        detected, probability = self._detected.result()
        results = [result for _, of_chunk in sorted(self._results.items()) for result in of_chunk]
        candidates = [one for result in results for one in result.candidates]
        return Transcript(
            language=language,
            language_probability=share,
            duration=self.duration,
            model=model,
            segments=_final_segments(candidates, self.duration),
            notes=(*notes, *self.notes),
            speech_seconds=round(sum(one.speech_seconds for one in results), 3),
            untranscribed_speech_seconds=round(sum(one.untranscribed_speech_seconds for one in results), 3),
            untranscribed_parts=_joined(part for result in results for part in result.untranscribed_parts),
            detected_language=detected or None,
            detected_language_probability=probability if detected else None,
        )


def _most_probable(probabilities: LanguageProbabilities) -> str:
    return max(sorted(probabilities), key=lambda code: probabilities[code])


def _final_segments(candidates: Sequence[Candidate], duration: float) -> tuple[Segment, ...]:
    """Return the segments in order of time; only those of different channels may overlap."""
    segments: list[Segment] = []
    for channel in {one.segment.channel for one in candidates}:
        ordered = sorted(
            (one for one in candidates if one.segment.channel == channel),
            key=lambda one: (one.segment.start, one.segment.end),
        )
        segments += _without_overlaps(finalize(ordered), duration)
    return in_turns(segments)


def _joined(parts: Iterable[TimeSpan]) -> tuple[TimeSpan, ...]:
    """Return the parts in order of time, to milliseconds, with those that touch each other as one."""
    found: list[TimeSpan] = []
    for part in sorted(parts, key=lambda one: one.start):
        start, end = round(part.start, 3), round(part.end, 3)
        if found and start <= found[-1].end:
            found[-1] = TimeSpan(found[-1].start, max(found[-1].end, end))
        else:
            found.append(TimeSpan(start, end))
    return tuple(found)


def _without_overlaps(segments: Sequence[Segment], duration: float) -> tuple[Segment, ...]:
    """Return ``segments`` without overlaps and within the recording: the padding of chunks may overlap by some ms."""
    ordered: list[Segment] = []
    for segment in segments:
        earliest = ordered[-1].end if ordered else 0.0
        clamped = _clamped(segment, earliest, duration)
        if clamped.start < clamped.end:
            ordered.append(clamped)
    return tuple(ordered)


def _clamped(segment: Segment, earliest: float, latest: float) -> Segment:
    def clamp(time: float) -> float:
        return round(min(max(time, earliest), latest), 3)

    words = tuple(replace(word, start=clamp(word.start), end=clamp(word.end)) for word in segment.words)
    return replace(segment, start=clamp(segment.start), end=clamp(segment.end), words=words)
