"""Test audio, and shortcuts for tests of transcribers."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial

import numpy as np
import pytest

from stt_pipeline.audio.sound import Sound, SoundInMemory
from stt_pipeline.speech.recordings import Recording, TranscriptionOptions
from stt_pipeline.speech.transcriber import Transcriber, transcribe_one
from stt_pipeline.speech.transcript import Transcript, segments_to_json
from tools.demo_model.corpus import draw_corpus
from tools.demo_model.synthesis import TRAINING_VARIANTS, Voice, speak

RATE = 16_000
NOISE = np.random.default_rng(0).normal(0, 0.3, 160_000).astype(np.float32)
KO, EN = TranscriptionOptions(language="ko"), TranscriptionOptions(language="en")


class InBlocks(SoundInMemory):
    """Samples that come in blocks of one length."""

    def __init__(self, samples: np.ndarray, length: int) -> None:
        super().__init__(samples)
        self.samples, self.length = samples, length

    def blocks(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self.samples), self.length):
            yield self.samples[first : first + self.length]


def silence(seconds: float) -> np.ndarray:
    """Return digital silence."""
    return np.zeros(round(seconds * RATE), np.float32)


def english_speech() -> np.ndarray:
    """Return fourteen seconds of English in a voice of the demo model's training; skip the test without espeak-ng."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng: apt-get install espeak-ng")
    voice = Voice(TRAINING_VARIANTS[0], 50, 160)
    sentences = draw_corpus(korean=50, english=50).held_out["en"][:6]
    return np.concatenate(
        [part for sentence in sentences for part in (speak(sentence.spoken, "en", voice), silence(0.5))]
    )


def opened(sound: Sound) -> AbstractContextManager[Sound]:
    """Return ``sound`` as `Recording.open` returns it."""
    return nullcontext(sound)


def recording(key: object, samples: np.ndarray, options: TranscriptionOptions | None = None) -> Recording:
    """Return ``samples`` as a recording."""
    return Recording(key, partial(opened, SoundInMemory(samples)), options or TranscriptionOptions())


def transcribe(
    transcriber: Transcriber, samples: np.ndarray, options: TranscriptionOptions | None = None
) -> Transcript:
    """Return the transcript of ``samples``."""
    return transcribe_one(transcriber, SoundInMemory(samples), options)


def results(transcriber: Transcriber, recordings: Sequence[Recording]) -> dict[object, Transcript]:
    """Return the transcript of each recording by its key; none may fail."""
    found = {}
    for outcome in transcriber.transcribe(recordings):
        assert isinstance(outcome.result, Transcript), outcome.result
        found[outcome.recording.key] = outcome.result
    assert len(found) == len(recordings)
    return found


def check(transcript: Transcript, seconds: float) -> None:
    """Check what holds for every raw transcript of a recording of that length."""
    assert transcript.duration == pytest.approx(seconds)
    assert 0 <= transcript.language_probability <= 1
    json.dumps(segments_to_json(transcript.segments))
    assert all(type(word.end) is float for segment in transcript.segments for word in segment.words)
    channels = {segment.channel for segment in transcript.segments}
    most_speech = (seconds + 0.1) * max(len(channels), 1)
    assert 0 <= transcript.untranscribed_speech_seconds <= transcript.speech_seconds <= most_speech
    starts = [segment.start for segment in transcript.segments]
    assert starts == sorted(starts)
    last = dict.fromkeys(channels, 0.0)
    for segment in transcript.segments:
        assert last[segment.channel] <= segment.start < segment.end <= transcript.duration
        assert segment.text == segment.text.strip() != ""
        assert "".join(word.text for word in segment.words).strip() == segment.text
        for word in segment.words:
            assert segment.start <= word.start <= word.end <= segment.end
            assert 0 <= word.probability <= 1
        starts = [word.start for word in segment.words]
        assert starts == sorted(starts)
        assert segment.speaker is None
        last[segment.channel] = segment.end
