"""What follows the end of a chunk's text is decoded again, and may be in another language."""

from dataclasses import replace

import numpy as np
import pytest

from stt_pipeline.speech.engine.chunk_review import ChunkReviewer
from stt_pipeline.speech.engine.decoding import Decoded, DecodeOptions, Decoder, LanguageProbabilities, Row
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.engine.recording_state import RecordingState
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcript import Segment
from stt_pipeline_tests.speech.engine.sounds import RATE, recording

SECONDS = 8.192  # 256 frames


@pytest.fixture(scope="module")
def decoder() -> Decoder:
    return Decoder(load_model("demo", "cpu"))


@pytest.fixture(scope="module")
def row(decoder: Decoder) -> Row:
    """Noise that counts as speech from its start to its end."""
    samples = np.random.default_rng(0).normal(0, 0.1, round(SECONDS * RATE)).astype(np.float32)
    return decoder.row(Chunk.of(0, 0, samples, np.ones(256, np.float32)), DecodeOptions(), language="en")


def decoded(*spans: tuple[float, float], seek: float | None = None) -> Decoded:
    segments = tuple(
        Segment(start, end, "The deadline of this project is Wednesday.", avg_logprob=-0.2, language="en")
        for start, end in spans
    )
    return Decoded("en", None, segments, seek, hit_token_limit=False)


@pytest.mark.parametrize(
    ("spans", "seek", "rest"),
    [
        ([(0.0, 4.0)], None, 4.0),  # the model ended its text although speech goes on
        ([(0.0, 4.0)], 4.0, 4.0),  # it stopped within a sentence
        ([(0.0, 7.0)], None, None),  # a second behind the text is no sentence
        ([(0.0, SECONDS)], None, None),
        ([], None, None),  # would give the same again
    ],
)
def test_speech_behind_the_text_is_decoded_again(
    decoder: Decoder, row: Row, spans: list[tuple[float, float]], seek: float | None, rest: float | None
) -> None:
    review = ChunkReviewer(decoder, lambda: True).review(row, decoded(*spans, seek=seek), ())
    assert review.result is not None
    if rest is None:
        assert review.parts == ()
        return
    (part,) = review.parts
    assert review.may_change_language
    assert part.pieces[0].start / RATE == pytest.approx(rest, abs=0.033)
    assert part.end == SECONDS
    assert review.result.speech_seconds + part.speech_seconds == pytest.approx(SECONDS, abs=0.07)


@pytest.mark.parametrize(
    ("seconds", "probabilities", "expected"),
    [
        (8.0, {"de": 0.9, "en": 0.1}, "de"),
        (8.0, {"de": 0.4, "en": 0.3, "nl": 0.3}, "en"),
        (3.5, {"de": 0.9, "en": 0.1}, "en"),
    ],
)
def test_a_part_changes_the_language_if_it_is_sure(
    row: Row, seconds: float, probabilities: LanguageProbabilities, expected: str
) -> None:
    state = RecordingState(recording("a", np.zeros(0, np.float32)), DecodeOptions(), 1)
    assert state.choose_language(replace(row, language=""), {"en": 0.99, "de": 0.01}) == "en"
    part = replace(row, language="", chunk=row.chunk.part(0.0, seconds))
    assert state.choose_language(part, probabilities, part_of="en") == expected


def test_a_part_keeps_to_the_allowed_languages(row: Row) -> None:
    options = TranscriptionOptions(languages=("en", "ko"))
    state = RecordingState(recording("a", np.zeros(0, np.float32), options), DecodeOptions(), 1)
    part = replace(row, language="")
    assert state.choose_language(part, {"de": 0.9, "ko": 0.08, "en": 0.02}, part_of="en") == "ko"
