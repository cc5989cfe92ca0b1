"""The engine with many recordings at once: samples, languages, silence, and notes of the demo model."""

import re
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.sound import SoundFile, SoundInMemory
from stt_pipeline.errors import ConfigurationError, NoAudioError, UnreadableError
from stt_pipeline.speech.engine import DEMO_NOTE, Engine
from stt_pipeline.speech.engine.decoding import (
    ChooseLanguages,
    Decoded,
    Decoder,
    LanguageProbabilities,
    Row,
)
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Recording, TranscriptionOptions
from stt_pipeline.speech.transcriber import transcribe_one
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline_tests.conftest import REAL, SAMPLES, needs_real_speech
from stt_pipeline_tests.speech.engine.sounds import (
    KO,
    NOISE,
    RATE,
    InBlocks,
    check,
    opened,
    recording,
    results,
    silence,
    transcribe,
)
from stt_pipeline_tests.speech.sample_meetings import Meeting, all_meetings


@pytest.fixture(scope="module")
def transcribed() -> dict[object, tuple[Meeting, Transcript]]:
    """All samples, in one stream."""
    engine = WithPostprocessing(Engine(load_model("demo", "cpu"), batch_size=8))
    meetings = {meeting.path: meeting for meeting in all_meetings()}
    found = results(engine, [Recording(path, lambda path=path: opened(SoundFile(path))) for path in meetings])  # type: ignore[misc]
    return {path.name: (meeting, found[path]) for path, meeting in meetings.items()}


class TestSilence:
    @pytest.mark.parametrize(
        "samples",
        [silence(0), silence(0.1), silence(5), NOISE, NOISE[:1600]],
        ids=["nothing", "0.1 s", "silence", "white noise", "0.1 s of noise"],
    )
    @pytest.mark.parametrize("language", ["", "ko"])
    def test_without_speech_there_are_no_words(
        self, samples: np.ndarray, language: str, demo: Engine
    ) -> None:
        transcript = transcribe(demo, samples, TranscriptionOptions(language=language))
        check(transcript, len(samples) / RATE)
        assert transcript.segments == ()
        assert transcript.language == language

    @pytest.mark.slow
    def test_it_can_be_stopped_in_the_middle_of_hours_of_silence(
        self, demo: Engine, beginning: np.ndarray
    ) -> None:
        class Endless(SoundInMemory):
            def blocks(self) -> Iterator[np.ndarray]:
                while True:
                    yield silence(1)

        endless = Recording("endless", lambda: opened(Endless(beginning)), KO)
        outcomes = demo.transcribe([endless, recording("short", beginning[: 4 * RATE], KO)])
        assert next(outcomes).recording.key == "short"
        outcomes.close()


class TestManyTogether:
    @pytest.mark.slow
    def test_the_samples_are_transcribed(self, transcribed: dict[str, tuple[Meeting, Transcript]]) -> None:
        total, sentences, exact = ErrorRate(), 0, 0
        for name, (meeting, transcript) in transcribed.items():
            check(transcript, transcript.duration)
            assert (transcript.language, transcript.model) == (meeting.language, "demo")
            errors = character_error_rate(meeting.text, transcript.text)
            assert errors.rate < (0.5 if meeting.telephone else 0.1), name
            if not meeting.telephone:
                total += errors
                sentences += len(meeting.segments)
                exact += sum(
                    abs(found.start - said.start) < 0.25 and abs(found.end - said.end) < 0.25
                    for said in meeting.segments
                    for found in transcript.segments
                    if found.text == said.text
                )
        assert total.rate < 0.03
        assert exact > 0.9 * sentences, "sentences with the right words at the right time"

    @pytest.mark.slow
    def test_every_container_of_the_samples_is_among_them(
        self, transcribed: dict[str, tuple[Meeting, Transcript]]
    ) -> None:
        assert {name.rsplit(".", 1)[1] for name in transcribed} == {
            "flac",
            "ogg",
            "mp3",
            "opus",
            "wav",
            "m4a",
        }

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [1, 3])
    def test_other_recordings_in_the_batch_make_no_difference(
        self, size: int, transcribed: dict[str, tuple[Meeting, Transcript]]
    ) -> None:
        name = "주간 회의.m4a"
        alone = transcribe_one(
            WithPostprocessing(Engine(load_model("demo", "cpu"), batch_size=size)), SoundFile(SAMPLES / name)
        )
        _, together = transcribed[name]
        assert alone.text == together.text
        assert [(s.start, s.end) for s in alone.segments] == [(s.start, s.end) for s in together.segments]
        assert [(w.start, w.end, w.text) for s in alone.segments for w in s.words] == [
            (w.start, w.end, w.text) for s in together.segments for w in s.words
        ]

    @pytest.mark.slow
    def test_the_size_of_the_blocks_changes_neither_words_nor_times(
        self, demo: Engine, transcribed: dict[str, tuple[Meeting, Transcript]]
    ) -> None:
        """The blocks of a file depend on its container; here they end every three seconds, in speech too."""
        meeting, as_a_file = transcribed["weekly-budget.wav"]
        in_blocks = transcribe_one(WithPostprocessing(demo), InBlocks(decode(meeting.path), 50_000))
        assert in_blocks.segments == as_a_file.segments

    @pytest.mark.slow
    def test_short_ones_overtake_long_ones(self, beginning: np.ndarray) -> None:
        demo = Engine(load_model("demo", "cpu"), batch_size=1)
        long = np.concatenate([beginning] * 3)
        asked = [recording("long", long, KO), *(recording(n, beginning[: 4 * RATE], KO) for n in range(2))]
        assert [outcome.recording.key for outcome in demo.transcribe(asked)][-1] == "long"

    @pytest.mark.slow
    def test_time_is_counted_for_each(self, demo: Engine, beginning: np.ndarray) -> None:
        asked = [recording("talk", beginning, KO), recording("silence", silence(1), KO)]
        seconds = {outcome.recording.key: outcome.seconds for outcome in demo.transcribe(asked)}
        assert seconds["talk"] > seconds["silence"] > 0


class TestReading:
    @pytest.mark.slow
    def test_a_recording_is_read_again_only_as_far_as_needed(
        self, demo: Engine, beginning: np.ndarray, english: np.ndarray
    ) -> None:
        read: list[float] = []

        class Counted(SoundInMemory):
            def blocks(self) -> Iterator[np.ndarray]:
                for first in range(0, len(mixed), RATE):
                    read.append(first / RATE)
                    yield mixed[first : first + RATE]

        mixed = np.concatenate([english, silence(2), beginning, silence(2), beginning, silence(120)])
        transcript = transcribe_one(demo, Counted(mixed))
        assert transcript.language == "ko"
        assert transcript.duration == pytest.approx(len(mixed) / RATE)
        again = read[read.index(0.0, 1) :]
        assert again[-1] < 120, "a chunk ends a minute behind its speech"

    def test_a_recording_is_drawn_only_when_a_reader_will_need_it_soon(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is drawn has begun: a run that is to stop finishes it."""
        readers, count = 2, 30
        monkeypatch.setattr("stt_pipeline.speech.engine.engine.usable_cores", lambda: readers)
        begun: list[int] = []
        some_wait = threading.Event()

        class Long(SoundInMemory):
            def blocks(self) -> Iterator[np.ndarray]:
                begun.append(1)
                some_wait.wait(20)
                yield from super().blocks()

        def drawn() -> Iterator[Recording]:
            for number in range(count):
                # one is being drawn, some wait for a reader, and the readers have others that they are about to open
                assert number - len(begun) <= 2 * readers
                if number == 2 * readers - 1:
                    some_wait.set()
                yield Recording(number, lambda: opened(Long(silence(1.0))), KO)

        engine = Engine(load_model("demo", "cpu"), batch_size=readers)
        outcomes = list(engine.transcribe(drawn()))
        assert {outcome.recording.key for outcome in outcomes} == set(range(count))


class TestLanguages:
    """The demo model is certain about Korean and English, so chunks of both can be mixed."""

    @pytest.mark.slow
    def test_chunks_of_one_language_within_another_follow_the_recording(
        self, demo: Engine, beginning: np.ndarray, english: np.ndarray
    ) -> None:
        pause = silence(2)
        mixed = np.concatenate([english, pause, beginning, pause, beginning])
        transcript = transcribe(demo, mixed)
        assert transcript.language == "ko"
        assert {segment.language for segment in transcript.segments} == {"ko"}
        # the first chunks are decoded again in the language of the recording
        asked = transcribe(demo, mixed, KO)
        assert [s.text for s in transcript.segments] == [s.text for s in asked.segments]

    @pytest.mark.slow
    def test_a_chunk_that_is_detected_wrong_is_decoded_again(self, beginning: np.ndarray) -> None:
        class WrongAtFirst(Decoder):
            """Detects English in the first chunk of a recording."""

            decoded: list[tuple[int, str]] = []  # noqa: RUF012  # one instance

            def decode(self, rows: Sequence[Row], choose_languages: ChooseLanguages) -> list[Decoded]:
                def choose(detected: Sequence[LanguageProbabilities | None]) -> Sequence[str]:
                    english = {"en": 0.9, "ko": 0.1}
                    return choose_languages(
                        [
                            english if likely and row.chunk.index == 0 else likely
                            for row, likely in zip(rows, detected, strict=True)
                        ]
                    )

                found = super().decode(rows, choose)
                self.decoded += [
                    (row.chunk.index, one.language) for row, one in zip(rows, found, strict=True)
                ]
                return found

        loaded = replace(load_model("demo", "cpu"), workers=1)
        decoder = WrongAtFirst(loaded)
        samples = np.concatenate([beginning, silence(2), beginning])
        transcript = transcribe(Engine(loaded, batch_size=1, decoder=decoder), samples)
        assert transcript.language == "ko"
        assert [code for index, code in decoder.decoded if index == 0][:2] == ["en", "ko"]
        in_korean = transcribe(Engine(loaded), samples, KO)
        assert [segment.text for segment in transcript.segments] == [
            segment.text for segment in in_korean.segments
        ]

    @pytest.mark.slow
    def test_multilingual_recordings_keep_both(
        self, demo: Engine, beginning: np.ndarray, english: np.ndarray
    ) -> None:
        mixed = np.concatenate([english, silence(2), beginning, silence(2), beginning])
        transcript = transcribe(demo, mixed, TranscriptionOptions(multilingual=True))
        assert transcript.language == "ko"
        border = len(english) / RATE
        first = [segment for segment in transcript.segments if segment.start < border]
        assert {segment.language for segment in first} == {"en"}
        assert "The deadline is Wednesday." in " ".join(segment.text for segment in first)
        assert {segment.language for segment in transcript.segments if segment.start > border} == {"ko"}

    @pytest.mark.slow
    def test_only_allowed_languages(self, demo: Engine, beginning: np.ndarray, english: np.ndarray) -> None:
        assert transcribe(demo, english).language == "en"
        transcript = transcribe(demo, english, TranscriptionOptions(languages=("ko",)))
        assert (transcript.language, transcript.detected_language) == ("ko", "en")


class TestDemo:
    @pytest.mark.slow
    def test_its_note(self, demo: Engine, beginning: np.ndarray) -> None:
        assert demo.model == "demo"
        assert transcribe(demo, beginning).notes == (DEMO_NOTE,)

    def test_it_knows_two_languages(self, demo: Engine, beginning: np.ndarray) -> None:
        with pytest.raises(
            ConfigurationError, match=r"model demo does not know the language 'ja'. It knows en, ko;"
        ):
            transcribe(demo, beginning, TranscriptionOptions(language="ja"))

    @pytest.mark.slow
    def test_hotwords_that_do_not_fit_are_in_the_notes(self, demo: Engine, beginning: np.ndarray) -> None:
        names = tuple(f"이름 {number} 부장" for number in range(100))
        notes = transcribe(demo, beginning, TranscriptionOptions(language="ko", hotwords=names)).notes
        assert re.search(r"\d+ of 100 hotwords were not given to the model.*이름 99 부장", " ".join(notes))

    @pytest.mark.slow
    @needs_real_speech
    def test_real_speech_does_not_fail(self, demo: Engine) -> None:
        names = ("jfk.flac", "multilingual.mp3", "two_speakers_phone.wav", "stereo_two_channels.wav")
        found = results(
            demo, [Recording(name, lambda name=name: opened(SoundFile(REAL / name))) for name in names]
        )  # type: ignore[misc]
        for name, transcript in found.items():
            check(transcript, len(decode(REAL / str(name))) / RATE)

    @needs_real_speech
    def test_a_single_click_has_no_words(self, demo: Engine) -> None:
        assert transcribe(demo, decode(REAL / "one_second.wav")).segments == ()


class TestFiles:
    @pytest.mark.slow
    def test_a_file_without_audio_fails_alone(
        self, demo: Engine, tmp_path: Path, beginning: np.ndarray
    ) -> None:
        (tmp_path / "empty.wav").write_bytes(b"")
        (tmp_path / "text.mp3").write_text("no sound in here " * 500)
        names = ["empty.wav", "text.mp3"]
        asked = [Recording(name, lambda name=name: opened(SoundFile(tmp_path / name))) for name in names]  # type: ignore[misc]
        found = {o.recording.key: o.result for o in demo.transcribe([*asked, recording("fine", beginning)])}
        assert isinstance(found["empty.wav"], UnreadableError)
        assert isinstance(found["text.mp3"], (UnreadableError, NoAudioError))
        assert isinstance(found["fine"], Transcript)
