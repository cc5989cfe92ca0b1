"""One recording while it is worked on: what is known of its chunks so far, and what comes of them in the end.

Not made for several threads at once: `session` asks under its lock. No model here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stt_pipeline.speech.engine.chunks import Chunk
from stt_pipeline.speech.engine.decoding import DecodeOptions, Languages, Row
from stt_pipeline.speech.engine.languages import LanguageVote, clear
from stt_pipeline.speech.hallucination import Candidate, finalize
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Segment, Transcript


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """What became of a chunk or of a part of it; times of the segments are the recording's, in seconds."""

    judged: tuple[Candidate, ...]
    speech_seconds: float
    untranscribed_speech_seconds: float


@dataclass(slots=True)
class RecordingState:
    """A recording, the chunks that were cut out of it, and what was heard in them.

    Attributes:
        options: how its chunks are decoded at first.
        limit: at most so many chunks are decoded beside one of it.
        seconds: of work that were spent on it.
        over: whether it has an outcome.
    """

    recording: Recording
    options: DecodeOptions
    limit: int
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    over: bool = False
    duration: float = 0.0
    _vote: LanguageVote = field(default_factory=LanguageVote)
    _language: str = ""
    _again: frozenset[int] | None = None
    _unclear: set[int] = field(default_factory=set)
    _decoded_in: dict[int, str] = field(default_factory=dict)
    _heard: dict[int, list[ChunkResult]] = field(default_factory=dict)
    _waiting: int = 0
    _read: bool = False
    _last_read: int = -1

    def __post_init__(self) -> None:
        self._language = self.recording.options.language

    @property
    def language(self) -> str:
        """The language in which chunks are decoded now; empty while it has to be told."""
        return self._language

    def wants(self, chunk: Chunk) -> bool:
        """Tell whether ``chunk`` is to be decoded: when a recording is read again, most are not."""
        return self._again is None or chunk.index in self._again

    @property
    def has_all(self) -> bool:
        """Whether nothing more need be read: it is over, or read again as far as the last chunk that is wanted."""
        return self.over or (self._again is not None and self._last_read >= max(self._again))

    def expect(self, chunk: Chunk) -> None:
        """Count a chunk that is going to be decoded."""
        self._waiting += 1
        self._last_read = chunk.index

    def choose(self, row: Row, languages: Languages | None) -> str:
        """Return the language in which to decode ``row``, given what the model says of it.

        What is not clear from the chunk alone is taken from the chunks so far. That may turn out wrong, and is made
        good at the end (:meth:`to_do_again`), so that the result does not depend on which came first.
        """
        if languages is None:
            return row.language
        chunk = row.chunk
        self._vote.add(chunk.index, chunk.speech_seconds, languages)
        if self.recording.options.multilingual:
            if clear(chunk.speech_seconds, languages):
                return max(sorted(languages), key=lambda code: languages[code])
            self._unclear.add(chunk.index)
        return self._vote.leading() or max(sorted(languages), key=lambda code: languages[code])

    def hear(self, chunk: Chunk, language: str, heard: ChunkResult | None, *, more: int = 0) -> None:
        """Take what became of ``chunk``, of which ``more`` parts are still going to be decoded."""
        self._decoded_in[chunk.index] = language
        if heard:
            self._heard.setdefault(chunk.index, []).append(heard)
        self._waiting += more - 1

    def end_reading(self, duration: float) -> None:
        """Note that all chunks have been cut, of a recording that plays for ``duration`` seconds."""
        self._read = True
        if self._again is None:
            self.duration = duration

    def is_done(self) -> bool:
        """Tell whether nothing is left to be decoded, for now."""
        return self._read and self._waiting == 0 and not self.over

    def to_do_again(self) -> bool:
        """Tell whether the recording has to be read again, for chunks that were decoded in another language than its own."""
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
        self._language, self._again, self._read, self._last_read = language, wrong, False, -1
        for index in wrong:
            self._heard.pop(index, None)
        return True

    def transcript(self, model: str, notes: Sequence[str]) -> Transcript:
        """Return what was said in the recording, without speakers."""
        asked = self.recording.options.language
        language, share = (asked, 1.0) if asked else self._vote.result()
        parts = [part for _, parts in sorted(self._heard.items()) for part in parts]
        judged = sorted(
            (one for part in parts for one in part.judged),
            key=lambda one: (one.segment.start, one.segment.end),
        )
        return Transcript(
            language=language,
            language_probability=share,
            duration=self.duration,
            model=model,
            segments=_in_order(finalize(judged), self.duration),
            notes=(*notes, *self.notes),
            speech_seconds=round(sum(part.speech_seconds for part in parts), 3),
            untranscribed_speech_seconds=round(sum(part.untranscribed_speech_seconds for part in parts), 3),
        )


def _in_order(segments: Sequence[Segment], duration: float) -> tuple[Segment, ...]:
    """Return ``segments`` without overlaps and within the recording: the padding of chunks may touch by some ms."""
    ordered: list[Segment] = []
    for segment in segments:
        after = ordered[-1].end if ordered else 0.0
        held = _held(segment, after, duration)
        if held.start < held.end:
            ordered.append(held)
    return tuple(ordered)


def _held(segment: Segment, earliest: float, latest: float) -> Segment:
    def held(time: float) -> float:
        return round(min(max(time, earliest), latest), 3)

    words = tuple(replace(word, start=held(word.start), end=held(word.end)) for word in segment.words)
    return replace(segment, start=held(segment.start), end=held(segment.end), words=words)
