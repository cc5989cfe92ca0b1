"""Post-processing around any transcriber: what it adds, and that its bugs fail one recording only."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stt_pipeline.speech.postprocess import WithPostprocessing, postprocess
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcriber import FixedTranscriber
from stt_pipeline.speech.transcript import Segment, Transcript, Word
from stt_pipeline_tests.speech.engine.sounds import recording, silence

RAW = Transcript(
    "ko",
    1.0,
    10.0,
    "fixed",
    (
        Segment(
            0,
            4,
            "김민숙 부장님이 에이피아이 문서를 보냈습니다",
            tuple(
                Word(i, i + 0.8, f" {text}", probability)
                for i, (text, probability) in enumerate(
                    [
                        ("김민숙", 0.6),
                        ("부장님이", 0.9),
                        ("에이피아이", 0.9),
                        ("문서를", 0.9),
                        ("보냈습니다", 0.9),
                    ]
                )
            ),
            language="ko",
        ),
    ),
)
OPTIONS = TranscriptionOptions(hotwords=("김민석",), terms=(("API", ("에이피아이",)),))


def test_text_names_confidence_and_quality() -> None:
    transcript = postprocess(RAW, OPTIONS)
    (segment,) = transcript.segments
    assert "API" in segment.text
    assert segment.raw_text == RAW.segments[0].text
    assert segment.words[0].suggestion == "김민석"
    assert [word.low_confidence for word in segment.words][:2] == [True, False]
    assert transcript.quality == pytest.approx(0.84, abs=0.01)


def test_a_quality_of_the_transcriber_is_kept() -> None:
    assert postprocess(replace(RAW, quality=0.3), OPTIONS).quality == 0.3


def test_without_speech_there_is_nothing_to_add() -> None:
    empty = replace(RAW, segments=())
    assert postprocess(empty, OPTIONS) == empty


def test_a_bug_fails_one_recording() -> None:
    broken: Any = [None]  # not a segment

    class Broken(FixedTranscriber):
        def transcript(self, recording: Any, sound: Any) -> Transcript:
            found = super().transcript(recording, sound)
            return replace(found, segments=tuple(broken)) if recording.key == "broken" else found

    transcriber = WithPostprocessing(Broken("네."))
    samples: np.ndarray = silence(1)
    outcomes = {
        outcome.recording.key: outcome.result
        for outcome in transcriber.transcribe([recording("broken", samples), recording("fine", samples)])
    }
    assert isinstance(outcomes["broken"], AttributeError)
    assert isinstance(outcomes["fine"], Transcript)
