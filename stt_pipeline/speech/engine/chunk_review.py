"""Decides what is kept of a decoded chunk, and which parts of it must be decoded again. No threads and no queues."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stt_pipeline.speech.engine.decoding import Decoded, DecodeOptions, Decoder, Row
from stt_pipeline.speech.engine.failures import is_out_of_memory
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.engine.recording_state import ChunkResult
from stt_pipeline.speech.hallucination import (
    Attempt,
    AudioEvidence,
    examine,
    untranscribed_parts,
    untranscribed_speech,
)
from stt_pipeline.speech.transcript import Segment, shifted
from stt_pipeline.speech.voice_activity import FRAME_SECONDS

_MIN_SPEECH = 0.1  # seconds; less speech behind the last timestamp has no word
_MIN_UNDECODED = 1.5  # seconds of speech behind the end of the text; less may be breath or noise
_MIN_TEXT = 0.5  # seconds up to the end of the text: decoding again from an earlier time gives the same text
_MIN_HALF = 2.0  # seconds; shorter chunks that reach the token limit are not cut, and their text is accepted


@dataclass(frozen=True, slots=True)
class ChunkReview:
    """The accepted result of a chunk, if there is one, and the parts of it that must be decoded (again).

    Attributes:
        may_change_language: whether the parts may be in another language than the chunk: Whisper often stops there.
    """

    result: ChunkResult | None
    parts: tuple[Chunk, ...] = ()
    may_change_language: bool = False


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
        end, min_speech = decoded.seek, _MIN_SPEECH
        if end is None and decoded.segments and decoded.segments[-1].end >= _MIN_TEXT:
            end, min_speech = decoded.segments[-1].end, _MIN_UNDECODED
        if end is not None:
            rest = chunk.part(end, chunk.seconds)
            if rest.speech_seconds >= min_speech:
                done = chunk.part(0.0, end)
                return ChunkReview(
                    self._examine(row, done, decoded, hotwords), (rest,), may_change_language=True
                )
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
        segments = [one.segment for one in candidates]
        speech, untranscribed = untranscribed_speech(evidence, segments)
        missing = [
            part for span in untranscribed_parts(evidence, segments) for part in chunk.placed_span(span)
        ]
        kept = tuple(replace(one, segment=chunk.placed(one.segment)) for one in candidates)
        return ChunkResult(kept, speech, untranscribed, tuple(missing))

    def _decode_alone(self, row: Row, chunk: Chunk, attempt: Attempt, language: str) -> list[Segment]:
        """Decode a part of ``chunk`` alone, to its end; times are seconds from the chunk's start."""
        options = DecodeOptions(
            row.options.hotwords if attempt.hotwords else "",
            row.options.beam_size,
            attempt.no_repeat_ngram_size,
            attempt.temperature,
        )
        end = chunk.seconds if attempt.end is None else attempt.end
        start = int(attempt.start / FRAME_SECONDS) * FRAME_SECONDS
        part = chunk.part(attempt.start, end)
        segments: list[Segment] = []
        while part.speech_seconds >= _MIN_SPEECH and not self._is_stopped():
            (decoded,) = self._decoder.decode(
                [self._decoder.row(part, options, language=language)], lambda _: [language]
            )
            segments += [shifted(segment, start) for segment in decoded.segments]
            if decoded.seek is None:
                break
            start += int(decoded.seek / FRAME_SECONDS) * FRAME_SECONDS
            part = part.part(decoded.seek, part.seconds)
        return segments
