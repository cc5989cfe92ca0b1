"""What every transcriber promises, and how well the demo model hears the samples. A new one joins `transcriber`."""

import json
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.errors import ConfigurationError, FileError, ModelError, OutOfMemoryError
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.transcriber import DEMO_NOTE, Transcriber, WhisperTranscriber
from stt_pipeline.speech.transcript import Transcript, segments_to_json
from stt_pipeline_tests.conftest import SHARED
from stt_pipeline_tests.speech.sample_meetings import Meeting, all_meetings, load_meeting

REAL = SHARED / "audio"
NOISE = np.random.default_rng(0).normal(0, 0.3, 160_000).astype(np.float32)

needs_real_speech = pytest.mark.skipif(not REAL.is_dir(), reason=f"no recordings at {REAL}")


@pytest.fixture(scope="module")
def demo() -> WhisperTranscriber:
    return WhisperTranscriber(load_model("demo", "cpu"))


@pytest.fixture(params=["whisper"])
def transcriber(request: pytest.FixtureRequest, demo: WhisperTranscriber) -> Transcriber:
    return {"whisper": demo}[request.param]


@pytest.fixture(scope="module")
def meeting() -> Meeting:
    return load_meeting("weekly-budget.wav")


@pytest.fixture(scope="module")
def beginning(meeting: Meeting) -> np.ndarray:
    """The first 15 s of a sample."""
    return decode(meeting.path)[: 15 * 16_000]


def check(transcript: Transcript, samples: np.ndarray) -> None:
    assert transcript.duration == len(samples) / 16_000
    assert 0 <= transcript.language_probability <= 1
    json.dumps(segments_to_json(transcript.segments))
    assert all(type(word.end) is float for segment in transcript.segments for word in segment.words)
    last = 0.0
    for segment in transcript.segments:
        assert last <= segment.start < segment.end <= transcript.duration
        assert segment.text == segment.text.strip() != ""
        assert "".join(word.text for word in segment.words).strip() == segment.text
        for word in segment.words:
            assert segment.start <= word.start <= word.end <= segment.end
            assert 0 <= word.probability <= 1
        starts = [word.start for word in segment.words]
        assert starts == sorted(starts)
        assert segment.speaker is None
        last = segment.end


class TestContract:
    def test_speech(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        transcript = transcriber.transcribe(beginning)
        check(transcript, beginning)
        assert transcript.segments
        assert transcript.language == "ko"
        assert transcript.model == transcriber.model

    @pytest.mark.parametrize(
        "samples",
        [
            np.zeros(0, np.float32),
            np.zeros(1600, np.float32),
            np.zeros(80_000, np.float32),
            NOISE,
            NOISE[:1600],
        ],
        ids=["nothing", "0.1 s", "silence", "white noise", "0.1 s of noise"],
    )
    @pytest.mark.parametrize("language", [None, "ko"])
    def test_where_nobody_talks_there_are_no_words(
        self, samples: np.ndarray, language: str | None, transcriber: Transcriber
    ) -> None:
        transcript = transcriber.transcribe(samples, language=language)
        check(transcript, samples)
        assert transcript.segments == ()
        assert transcript.language == (language or "")

    def test_twice_is_the_same(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        assert transcriber.transcribe(beginning) == transcriber.transcribe(beginning)

    def test_the_samples_are_left_alone(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        before = beginning.copy()
        transcriber.transcribe(beginning)
        assert np.array_equal(beginning, before)

    def test_an_asked_language_is_taken(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        transcript = transcriber.transcribe(beginning, language="en")
        assert (transcript.language, transcript.language_probability) == ("en", 1.0)

    def test_an_unknown_language_blames_no_recording(
        self, transcriber: Transcriber, beginning: np.ndarray
    ) -> None:
        with pytest.raises(ConfigurationError, match="does not know the language 'tlh'"):
            transcriber.transcribe(beginning, language="tlh")

    def test_hotwords(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        transcript = transcriber.transcribe(beginning, hotwords="이 대리, 예산")
        check(transcript, beginning)
        assert transcript.segments

    def test_less_side_by_side_is_heard_as_well(
        self, transcriber: Transcriber, beginning: np.ndarray
    ) -> None:
        transcript = transcriber.transcribe(beginning, halvings=3)
        check(transcript, beginning)
        assert transcript.segments

    def test_threads_share_it(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(transcriber.transcribe, [beginning, beginning]))
        assert both[0] == both[1] == transcriber.transcribe(beginning)


class TestDemo:
    def test_it_says_what_it_is(self, demo: WhisperTranscriber, beginning: np.ndarray) -> None:
        assert demo.model == "demo"
        assert demo.transcribe(beginning).notes == (DEMO_NOTE,)

    def test_it_knows_two_languages(self, demo: WhisperTranscriber, beginning: np.ndarray) -> None:
        with pytest.raises(
            ConfigurationError, match=r"model demo does not know the language 'ja'. It knows en, ko;"
        ):
            demo.transcribe(beginning, language="ja")

    def test_each_halving_halves_the_beam(self, demo: WhisperTranscriber, beginning: np.ndarray) -> None:
        loaded = load_model("demo", "cpu")
        beams: list[int] = []

        def transcribe(*args: Any, **wishes: Any) -> Any:
            beams.append(wishes["beam_size"])
            return loaded.whisper.transcribe(*args, **wishes)

        whisper = SimpleNamespace(feature_extractor=loaded.whisper.feature_extractor, transcribe=transcribe)
        transcriber = WhisperTranscriber(replace(loaded, whisper=whisper))  # type: ignore[arg-type]
        for halvings in range(4):
            transcriber.transcribe(beginning, language="ko", halvings=halvings)
        assert list(dict.fromkeys(beams)) == [5, 2, 1]

    def test_the_samples_are_heard(self, demo: WhisperTranscriber) -> None:
        total, sentences, exact = ErrorRate(), 0, 0
        for meeting in all_meetings():
            samples = decode(meeting.path)
            transcript = demo.transcribe(samples)
            check(transcript, samples)
            assert (transcript.language, transcript.model) == (meeting.language, "demo")
            errors = character_error_rate(meeting.text, transcript.text)
            assert errors.rate < (0.5 if meeting.telephone else 0.1), meeting.path.name
            if not meeting.telephone:
                total += errors
                sentences += len(meeting.segments)
                exact += sum(
                    abs(heard.start - said.start) < 0.25 and abs(heard.end - said.end) < 0.25
                    for said in meeting.segments
                    for heard in transcript.segments
                    if heard.text == said.text
                )
        assert total.rate < 0.03
        assert exact > 0.9 * sentences, "sentences with the right words at the right time"

    @needs_real_speech
    def test_real_speech_is_survived(self, demo: WhisperTranscriber) -> None:
        for name in ("jfk.flac", "multilingual.mp3", "two_speakers_phone.wav", "stereo_two_channels.wav"):
            samples = decode(REAL / name)
            check(demo.transcribe(samples), samples)

    @needs_real_speech
    def test_a_single_click_has_no_words(self, demo: WhisperTranscriber) -> None:
        assert demo.transcribe(decode(REAL / "one_second.wav")).segments == ()


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (RuntimeError("CUDA failed with error out of memory"), OutOfMemoryError),
        (RuntimeError("cuBLAS failed with status CUBLAS_STATUS_ALLOC_FAILED"), OutOfMemoryError),
        (MemoryError("std::bad_alloc"), OutOfMemoryError),
        (RuntimeError("CUDA failed with error an illegal memory access was encountered"), ModelError),
        (ValueError("Invalid input features shape"), ModelError),
    ],
)
def test_a_model_that_fails(
    raised: Exception, expected: type[FileError], demo: WhisperTranscriber, beginning: np.ndarray
) -> None:
    def fail(*args: Any, **kwargs: Any) -> None:
        raise raised

    loaded = load_model("demo", "cpu")
    broken = SimpleNamespace(
        feature_extractor=loaded.whisper.feature_extractor, detect_language=fail, transcribe=fail
    )
    transcriber = WhisperTranscriber(replace(loaded, whisper=broken))  # type: ignore[arg-type]
    for language in (None, "ko"):
        with pytest.raises(expected, match=re.escape(str(raised))) as caught:
            transcriber.transcribe(beginning, language=language)
        assert type(caught.value) is expected
        assert caught.value.transient
