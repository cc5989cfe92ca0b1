"""Decides what is kept of a decoded chunk, and which parts of it must be decoded again. No threads and no queues."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.speech.engine.chunks import Chunk
from stt_pipeline.speech.engine.decoding import Decoded, DecodeOptions, Decoder, Row
from stt_pipeline.speech.engine.failures import is_out_of_memory
from stt_pipeline.speech.engine.recording_state import ChunkResult
from stt_pipeline.speech.hallucination import Attempt, AudioEvidence, examine, untranscribed_speech
from stt_pipeline.speech.transcript import Segment, shifted

_MIN_SPEECH = 0.1  # seconds; less speech behind the last timestamp has no word
_MIN_HALF = 2.0  # seconds; shorter chunks that reach the token limit are not cut, and their text is accepted


@dataclass(frozen=True, slots=True)
class ChunkReview:
    """The accepted result of a chunk, if there is one, and the parts of it that must be decoded (again)."""

    result: ChunkResult | None
    parts: tuple[Chunk, ...] = ()


class ChunkReviewer:
    """Reviews the results of one decoder; many threads may share it."""

    def __init__(self, decoder: Decoder, is_stopped: Callable[[], bool]) -> None:
        """Decode again with ``decoder``, until ``is_stopped`` returns true."""
        self._decoder = decoder
        self._is_stopped = is_stopped

    def review(self, row: Row, decoded: Decoded, hotwords: Sequence[str]) -> ChunkReview:
        """Return what is kept of ``decoded``, with times of the recording, and what is missing."""
        chunk = row.chunk
        if decoded.hit_token_limit and chunk.seconds >= 2 * _MIN_HALF:
            cut = AudioEvidence.of(chunk.samples, chunk.probabilities).quietest_time(0.0, chunk.seconds)
            return ChunkReview(None, (chunk.part(0.0, cut), chunk.part(cut, chunk.seconds)))
        if decoded.seek is not None:
            rest = chunk.part(decoded.seek, chunk.seconds)
            if rest.speech_seconds >= _MIN_SPEECH:
                done = chunk.part(0.0, decoded.seek)
                return ChunkReview(self._examine(row, done, decoded, hotwords), (rest,))
        return ChunkReview(self._examine(row, chunk, decoded, hotwords))

    def _examine(self, row: Row, chunk: Chunk, decoded: Decoded, hotwords: Sequence[str]) -> ChunkResult:
        evidence = AudioEvidence.of(chunk.samples, chunk.probabilities)

        def decode(attempt: Attempt) -> Sequence[Segment]:
            try:
                return self._decode_alone(row, chunk, attempt, decoded.language)
            except Exception as error:
                if is_out_of_memory(error):
                    return ()  # the first text is kept, with its reasons
                raise

        candidates = examine(decoded.segments, evidence, decode, hotwords=hotwords)
        speech, untranscribed = untranscribed_speech(evidence, [one.segment for one in candidates])
        kept = tuple(replace(one, segment=shifted(one.segment, chunk.offset)) for one in candidates)
        return ChunkResult(kept, speech, untranscribed)

    def _decode_alone(self, row: Row, chunk: Chunk, attempt: Attempt, language: str) -> list[Segment]:
        """Decode a part of ``chunk`` alone, to its end; times are seconds from the chunk's start."""
        options = DecodeOptions(
            row.options.hotwords if attempt.hotwords else "",
            row.options.beam_size,
            attempt.no_repeat_ngram_size,
            attempt.temperature,
        )
        end = chunk.seconds if attempt.end is None else attempt.end
        part: Chunk | None = chunk.part(attempt.start, end)
        segments: list[Segment] = []
        while part and part.speech_seconds >= _MIN_SPEECH and not self._is_stopped():
            (decoded,) = self._decoder.decode(
                [self._decoder.row(part, options, language=language)], lambda _: [language]
            )
            offset = (part.start - chunk.start) / SAMPLE_RATE
            segments += [shifted(segment, offset) for segment in decoded.segments]
            part = part.part(decoded.seek, part.seconds) if decoded.seek is not None else None
        return segments
