"""What was decoded of a chunk, judged by the guard, which may want parts of it decoded again. No threads and no queues."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.speech.engine.chunks import Chunk
from stt_pipeline.speech.engine.decoding import Decoded, DecodeOptions, Decoder, Row
from stt_pipeline.speech.engine.failures import is_out_of_memory
from stt_pipeline.speech.engine.recording_state import ChunkResult
from stt_pipeline.speech.hallucination import Attempt, AudioEvidence, examine, untranscribed_speech
from stt_pipeline.speech.transcript import Segment, shifted

_LEAST_SPEECH = 0.1  # seconds; with less, nothing was said after the last timestamp
_SHORTEST_HALF = 2.0  # seconds; a chunk that is full of text is cut down to this, and then believed


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was heard in a chunk, if it is believed, and the parts of it that are to be decoded (again)."""

    heard: ChunkResult | None
    parts: tuple[Chunk, ...] = ()


class Judge:
    """Judges what one decoder made of chunks; many threads may share it."""

    def __init__(self, decoder: Decoder, is_stopped: Callable[[], bool]) -> None:
        """Have parts decoded again by ``decoder``, as long as it is not too late."""
        self._decoder = decoder
        self._is_stopped = is_stopped

    def judge(self, row: Row, decoded: Decoded, hotwords: Sequence[str]) -> Verdict:
        """Return what is to be kept of ``decoded``, with times of the recording, and what is missing."""
        chunk = row.chunk
        if decoded.full and chunk.seconds >= 2 * _SHORTEST_HALF:
            at = AudioEvidence.of(chunk.samples, chunk.probabilities).quietest(0.0, chunk.seconds)
            return Verdict(None, (chunk.part(0.0, at), chunk.part(at, chunk.seconds)))
        if decoded.rest is not None:
            rest = chunk.part(decoded.rest, chunk.seconds)
            if rest.speech_seconds >= _LEAST_SPEECH:
                return Verdict(self._examined(row, chunk.part(0.0, decoded.rest), decoded, hotwords), (rest,))
        return Verdict(self._examined(row, chunk, decoded, hotwords))

    def _examined(self, row: Row, chunk: Chunk, decoded: Decoded, hotwords: Sequence[str]) -> ChunkResult:
        evidence = AudioEvidence.of(chunk.samples, chunk.probabilities)

        def decode(attempt: Attempt) -> Sequence[Segment]:
            try:
                return self._decode_alone(row, chunk, attempt, decoded.language)
            except Exception as error:
                if is_out_of_memory(error):
                    return ()  # a second look did not fit; what was written stays, with its signs
                raise

        judged = examine(decoded.segments, evidence, decode, hotwords=hotwords)
        speech, without = untranscribed_speech(evidence, [one.segment for one in judged])
        kept = tuple(replace(one, segment=shifted(one.segment, chunk.offset)) for one in judged)
        return ChunkResult(kept, speech, without)

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
        while part and part.speech_seconds >= _LEAST_SPEECH and not self._is_stopped():
            (decoded,) = self._decoder.decode(
                [self._decoder.row(part, options, language=language)], lambda _: [language]
            )
            by = (part.start - chunk.start) / SAMPLE_RATE
            segments += [shifted(segment, by) for segment in decoded.segments]
            part = part.part(decoded.rest, part.seconds) if decoded.rest is not None else None
        return segments
