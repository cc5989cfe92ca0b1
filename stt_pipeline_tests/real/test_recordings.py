"""Real talks and a meeting: the engine makes at most as many errors as faster-whisper's own loop with the same model."""

import pytest

from benchmarks.compared_engines import errors_of, loop, native_text, transcripts_of
from benchmarks.spliced_speech import ReferenceRecording
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.evaluation.references import read_corpus
from stt_pipeline.speech.models import load_model
from stt_pipeline_tests.real_speech import REAL_SPEECH, WHISPER_BASE

pytestmark = pytest.mark.real

MISSING_SHARE = 0.02
"""Of the speech; these recordings are clear, so more than this without text was lost."""


MARGIN = 2
"""Errors: sums of 8-bit products differ a little from one kind of processor to another."""

SUBSET = {"talks": ("2B1iXo1c1Tk", "9j_HEK5nfyw"), "meetings": ("two_quick",)}


@pytest.mark.parametrize("kind", SUBSET)
def test_the_engine_makes_at_most_the_errors_of_faster_whisper(kind: str, engine: Engine) -> None:
    references = read_corpus(REAL_SPEECH / kind).references
    some = [
        ReferenceRecording(path, 0.0, found.text or "")
        for path, found in references.items()
        if path.stem in SUBSET[kind]
    ]
    assert len(some) == len(SUBSET[kind])
    found = transcripts_of(engine, some, "")
    theirs = loop(load_model(str(WHISPER_BASE), "cpu").whisper, 1, native_text)(some, "")
    texts = {path: transcript.text for path, transcript in found.items()}
    assert errors_of(some, texts).errors <= errors_of(some, theirs).errors + MARGIN
    missing = sum(transcript.untranscribed_speech_seconds for transcript in found.values())
    assert missing <= MISSING_SHARE * sum(transcript.speech_seconds for transcript in found.values())
