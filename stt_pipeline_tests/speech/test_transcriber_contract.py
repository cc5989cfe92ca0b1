"""The contract of all transcribers: every entry of `backends.TRANSCRIBERS`, and the fake.

A new entry is tested without a change here, unless it needs settings of its own.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from stt_pipeline.audio.sound import Sound, SoundInMemory
from stt_pipeline.backends import TRANSCRIBERS
from stt_pipeline.errors import ConfigurationError, DownloadError, UnreadableError
from stt_pipeline.settings import Settings
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Recording, TranscriptionOptions
from stt_pipeline.speech.transcriber import FixedTranscriber, Transcriber, transcribe_one
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline_tests.speech.engine.sounds import (
    EN,
    KO,
    NOISE,
    RATE,
    check,
    recording,
    silence,
    transcribe,
)

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "local": {"model": "demo", "device": "cpu", "model_batch_size": 8},
}
"""Settings of an entry for these tests, where the defaults will not do."""


@pytest.fixture(params=[*TRANSCRIBERS, "the fake"])
def transcriber(request: pytest.FixtureRequest) -> Transcriber:
    if request.param == "the fake":
        return FixedTranscriber("예산 안건부터 논의하겠습니다. 네, 알겠습니다.")
    settings = Settings(_env_file=None, **SETTINGS.get(request.param, {}))  # type: ignore[call-arg]
    found: Transcriber = TRANSCRIBERS.create(request.param, settings)
    return found


@pytest.mark.slow
def test_speech(transcriber: Transcriber, beginning: np.ndarray) -> None:
    transcript = transcribe(transcriber, beginning)
    check(transcript, 15)
    assert transcript.segments
    assert transcript.language == "ko"
    assert transcript.model == transcriber.model
    assert {segment.language for segment in transcript.segments} == {"ko"}
    assert transcript.quality is None, "transcripts are raw"
    assert not any(segment.raw_text for segment in transcript.segments)


@pytest.mark.slow
def test_post_processing_can_be_added(transcriber: Transcriber, beginning: np.ndarray) -> None:
    wrapped = WithPostprocessing(transcriber)
    transcript = transcribe(wrapped, beginning)
    check(transcript, 15)
    assert wrapped.model == transcriber.model == transcript.model
    assert transcript.quality is not None and transcript.quality > 0.5


@pytest.mark.parametrize(
    "samples",
    [silence(0), silence(0.1), silence(5), NOISE, NOISE[:1600]],
    ids=["nothing", "0.1 s", "silence", "white noise", "0.1 s of noise"],
)
@pytest.mark.parametrize("language", ["", "ko"])
def test_silence_and_noise_do_not_fail(samples: np.ndarray, language: str, transcriber: Transcriber) -> None:
    transcript = transcribe(transcriber, samples, TranscriptionOptions(language=language))
    check(transcript, len(samples) / RATE)
    if not transcript.segments:
        assert transcript.language == language


def test_no_recordings(transcriber: Transcriber) -> None:
    assert list(transcriber.transcribe([])) == []


@pytest.mark.slow
def test_twice_is_the_same(transcriber: Transcriber, beginning: np.ndarray) -> None:
    assert transcribe(transcriber, beginning) == transcribe(transcriber, beginning)


@pytest.mark.slow
def test_the_samples_are_not_changed(transcriber: Transcriber, beginning: np.ndarray) -> None:
    samples = beginning.copy()
    transcribe(transcriber, samples)
    assert np.array_equal(samples, beginning)


@pytest.mark.slow
def test_a_given_language_is_taken(transcriber: Transcriber, beginning: np.ndarray) -> None:
    transcript = transcribe(transcriber, beginning, EN)
    assert (transcript.language, transcript.language_probability) == ("en", 1.0)
    assert transcript.detected_language in ("ko", None)


@pytest.mark.slow
def test_a_detected_language_is_taken(transcriber: Transcriber, beginning: np.ndarray) -> None:
    transcript = transcribe(transcriber, beginning)
    assert transcript.language == transcript.detected_language == "ko"
    assert transcript.detected_language_probability == pytest.approx(transcript.language_probability)


@pytest.mark.parametrize(
    "options", [TranscriptionOptions(language="tlh"), TranscriptionOptions(languages=("ko", "tlh"))]
)
def test_an_unknown_language_blames_no_recording(
    options: TranscriptionOptions, transcriber: Transcriber, beginning: np.ndarray
) -> None:
    with pytest.raises(ConfigurationError, match="does not know the language 'tlh'"):
        transcribe(transcriber, beginning, options)


@pytest.mark.slow
def test_hotwords(transcriber: Transcriber, beginning: np.ndarray) -> None:
    transcript = transcribe(transcriber, beginning, TranscriptionOptions(hotwords=("이 대리", "예산")))
    check(transcript, 15)
    assert transcript.segments


@pytest.mark.slow
def test_smaller_model_batches_give_text_as_well(transcriber: Transcriber, beginning: np.ndarray) -> None:
    transcript = transcribe_one(transcriber, SoundInMemory(beginning), halvings=9)
    check(transcript, 15)
    assert transcript.segments


@pytest.mark.slow
def test_a_recording_that_cannot_be_read_fails_alone(transcriber: Transcriber, beginning: np.ndarray) -> None:
    @contextmanager
    def unavailable() -> Iterator[Sound]:
        raise DownloadError("gone")
        yield

    @contextmanager
    def damaged() -> Iterator[Sound]:
        class Damaged(SoundInMemory):
            def blocks(self) -> Iterator[np.ndarray]:
                yield beginning
                raise UnreadableError("damaged")

        yield Damaged(beginning)

    recordings = [
        Recording("unavailable", unavailable),
        recording("fine", beginning),
        Recording("damaged", damaged),
    ]
    found = {outcome.recording.key: outcome.result for outcome in transcriber.transcribe(recordings)}
    assert isinstance(found["unavailable"], DownloadError)
    assert isinstance(found["damaged"], UnreadableError)
    assert found["fine"] == transcribe(transcriber, beginning)


def test_a_wrong_setting_of_a_source_blames_no_recording(transcriber: Transcriber) -> None:
    @contextmanager
    def wrong() -> Iterator[Sound]:
        raise ConfigurationError("no such profile")
        yield

    with pytest.raises(ConfigurationError, match="no such profile"):
        list(transcriber.transcribe([Recording("a", wrong)]))


def test_outcomes_come_while_recordings_come_slowly(transcriber: Transcriber) -> None:
    is_out = threading.Event()

    def slowly() -> Iterator[Recording]:
        yield recording("first", silence(0.5), KO)
        for number in range(100):
            if is_out.wait(0.1):
                return
            yield recording(number, silence(0.1), KO)
        pytest.fail("no outcome came")

    for outcome in transcriber.transcribe(slowly()):
        assert isinstance(outcome.result, Transcript)
        is_out.set()


@pytest.mark.slow
def test_streams_in_parallel_share_it(transcriber: Transcriber, beginning: np.ndarray) -> None:
    alone = transcribe(transcriber, beginning)
    found: list[Transcript] = []
    threads = [
        threading.Thread(target=lambda: found.append(transcribe(transcriber, beginning))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone, alone]


@pytest.mark.slow
def test_recordings_are_requested_when_needed_in_the_callers_thread(
    transcriber: Transcriber, beginning: np.ndarray
) -> None:
    before = set(threading.enumerate())
    requested: list[str] = []

    def endless() -> Iterator[Recording]:
        while True:
            requested.append(threading.current_thread().name)
            yield recording(len(requested), beginning[: 3 * RATE], KO)

    outcomes = transcriber.transcribe(endless())
    for _ in range(5):
        next(outcomes)
    assert set(requested) == {threading.current_thread().name}
    assert len(requested) < 100
    outcomes.close()
    assert set(threading.enumerate()) <= before


@pytest.mark.slow
def test_closing_ends_the_work_of_a_wrapped_transcriber(
    transcriber: Transcriber, beginning: np.ndarray
) -> None:
    before = set(threading.enumerate())

    def endless() -> Iterator[Recording]:
        number = 0
        while True:
            yield recording(number := number + 1, beginning[: 3 * RATE], KO)

    outcomes = WithPostprocessing(transcriber).transcribe(endless())
    next(outcomes)
    outcomes.close()
    assert set(threading.enumerate()) <= before


@pytest.mark.slow
def test_progress_is_reported(transcriber: Transcriber, beginning: np.ndarray) -> None:
    seconds: list[float] = []
    list(
        transcriber.transcribe(
            [recording("a", beginning, KO)], progress=lambda _, until: seconds.append(until)
        )
    )
    assert seconds and 13 < max(seconds) <= 15


@pytest.mark.slow
def test_an_error_of_the_progress_callback_reaches_the_caller(
    transcriber: Transcriber, beginning: np.ndarray
) -> None:
    def broken(*_: Any) -> None:
        raise OSError("terminal gone")

    with pytest.raises(OSError, match="terminal gone"):
        list(transcriber.transcribe([recording("a", beginning[: 4 * RATE], KO)], progress=broken))


def test_a_recording_is_a_file_where_a_backend_needs_one(beginning: np.ndarray) -> None:
    """What a transcriber over HTTP does: it uploads the path of `Sound.as_file`."""

    class Uploading(FixedTranscriber):
        def transcript(self, recording: Recording, sound: Sound) -> Transcript:
            with sound.as_file() as path:
                assert path.read_bytes()[:4] == b"RIFF"
            return super().transcript(recording, sound)

    check(transcribe(Uploading("네."), beginning), 15)
