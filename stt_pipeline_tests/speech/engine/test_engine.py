"""What every transcriber promises, and what the engine does with many recordings at once. A new one joins `transcriber`."""

import json
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.sound import Sound, SoundFile, SoundInMemory
from stt_pipeline.errors import (
    ConfigurationError,
    DownloadError,
    FileError,
    ModelError,
    NoAudioError,
    OutOfMemoryError,
    UnreadableError,
)
from stt_pipeline.speech.engine import DEMO_NOTE, Engine
from stt_pipeline.speech.engine.chunk_queue import ChunkQueue
from stt_pipeline.speech.engine.decoding import Decoded, Decoder
from stt_pipeline.speech.engine.judging import Judge
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate
from stt_pipeline.speech.hallucination import Attempt, examine
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.recordings import (
    Outcome,
    Recording,
    Transcriber,
    TranscriptionOptions,
    transcribe_one,
)
from stt_pipeline.speech.transcript import Transcript, segments_to_json
from stt_pipeline_tests.conftest import SAMPLES, SHARED
from stt_pipeline_tests.speech.engine.sounds import RATE, InBlocks, lent, recording, results, silence
from stt_pipeline_tests.speech.sample_meetings import Meeting, all_meetings, load_meeting
from tools.demo_model.corpus import draw_corpus
from tools.demo_model.synthesis import TRAINING_VARIANTS, Voice, speak

REAL = SHARED / "audio"
NOISE = np.random.default_rng(0).normal(0, 0.3, 160_000).astype(np.float32)
KO, EN = TranscriptionOptions(language="ko"), TranscriptionOptions(language="en")

needs_real_speech = pytest.mark.skipif(not REAL.is_dir(), reason=f"no recordings at {REAL}")


@pytest.fixture(scope="module")
def demo() -> Engine:
    return Engine(load_model("demo", "cpu"), batch_size=8)


@pytest.fixture(params=["whisper"])
def transcriber(request: pytest.FixtureRequest, demo: Engine) -> Transcriber:
    return {"whisper": demo}[request.param]


@pytest.fixture(scope="module")
def beginning() -> np.ndarray:
    """The first 15 s of a sample."""
    return decode(load_meeting("weekly-budget.wav").path)[: 15 * RATE]


@pytest.fixture(scope="module")
def english() -> np.ndarray:
    """Fourteen seconds of English as the demo model learnt it."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("needs espeak-ng: apt-get install espeak-ng")
    voice = Voice(TRAINING_VARIANTS[0], 50, 160)
    sentences = draw_corpus(korean=50, english=50).held_out["en"][:6]
    return np.concatenate(
        [part for sentence in sentences for part in (speak(sentence.spoken, "en", voice), silence(0.5))]
    )


@pytest.fixture(scope="module")
def heard(demo: Engine) -> dict[object, tuple[Meeting, Transcript]]:
    """All samples, in one stream."""
    meetings = {meeting.path: meeting for meeting in all_meetings()}
    found = results(demo, [Recording(path, lambda path=path: lent(SoundFile(path))) for path in meetings])  # type: ignore[misc]
    return {path.name: (meeting, found[path]) for path, meeting in meetings.items()}


def hear(
    transcriber: Transcriber, samples: np.ndarray, options: TranscriptionOptions | None = None
) -> Transcript:
    return transcribe_one(transcriber, SoundInMemory(samples), options)


def check(transcript: Transcript, seconds: float) -> None:
    assert transcript.duration == pytest.approx(seconds)
    assert 0 <= transcript.language_probability <= 1
    json.dumps(segments_to_json(transcript.segments))
    assert all(type(word.end) is float for segment in transcript.segments for word in segment.words)
    assert 0 <= transcript.untranscribed_speech_seconds <= transcript.speech_seconds <= seconds + 0.1
    assert (transcript.quality is None) == (
        not transcript.segments and not transcript.untranscribed_speech_seconds
    )
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
        transcript = hear(transcriber, beginning)
        check(transcript, 15)
        assert transcript.segments
        assert transcript.language == "ko"
        assert transcript.model == transcriber.model
        assert transcript.quality is not None and transcript.quality > 0.5

    @pytest.mark.parametrize(
        "samples",
        [silence(0), silence(0.1), silence(5), NOISE, NOISE[:1600]],
        ids=["nothing", "0.1 s", "silence", "white noise", "0.1 s of noise"],
    )
    @pytest.mark.parametrize("language", ["", "ko"])
    def test_where_nobody_talks_there_are_no_words(
        self, samples: np.ndarray, language: str, transcriber: Transcriber
    ) -> None:
        transcript = hear(transcriber, samples, TranscriptionOptions(language=language))
        check(transcript, len(samples) / RATE)
        assert transcript.segments == ()
        assert transcript.language == language

    def test_no_recordings(self, transcriber: Transcriber) -> None:
        assert list(transcriber.transcribe([])) == []

    def test_twice_is_the_same(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        assert hear(transcriber, beginning) == hear(transcriber, beginning)

    def test_the_samples_are_left_alone(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        before = beginning.copy()
        hear(transcriber, beginning)
        assert np.array_equal(beginning, before)

    def test_an_asked_language_is_taken(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        transcript = hear(transcriber, beginning, EN)
        assert (transcript.language, transcript.language_probability) == ("en", 1.0)

    @pytest.mark.parametrize(
        "options", [TranscriptionOptions(language="tlh"), TranscriptionOptions(languages=("ko", "tlh"))]
    )
    def test_an_unknown_language_blames_no_recording(
        self, options: TranscriptionOptions, transcriber: Transcriber, beginning: np.ndarray
    ) -> None:
        with pytest.raises(ConfigurationError, match="does not know the language 'tlh'"):
            hear(transcriber, beginning, options)

    def test_hotwords(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        transcript = hear(transcriber, beginning, TranscriptionOptions(hotwords=("이 대리", "예산")))
        check(transcript, 15)
        assert transcript.segments

    def test_less_side_by_side_is_heard_as_well(
        self, transcriber: Transcriber, beginning: np.ndarray
    ) -> None:
        transcript = transcribe_one(transcriber, SoundInMemory(beginning), halvings=9)
        check(transcript, 15)
        assert transcript.segments

    def test_a_recording_that_cannot_be_had_fails_alone(
        self, transcriber: Transcriber, beginning: np.ndarray
    ) -> None:
        @contextmanager
        def away() -> Iterator[Sound]:
            raise DownloadError("gone")
            yield

        @contextmanager
        def torn() -> Iterator[Sound]:
            class Torn(SoundInMemory):
                def blocks(self) -> Iterator[np.ndarray]:
                    yield beginning
                    raise UnreadableError("torn")

            yield Torn(beginning)

        asked = [Recording("away", away), recording("fine", beginning), Recording("torn", torn)]
        found = {outcome.recording.key: outcome.result for outcome in transcriber.transcribe(asked)}
        assert isinstance(found["away"], DownloadError)
        assert isinstance(found["torn"], UnreadableError)
        assert found["fine"] == hear(transcriber, beginning)

    def test_a_wrong_setting_of_a_source_blames_no_recording(self, transcriber: Transcriber) -> None:
        @contextmanager
        def wrong() -> Iterator[Sound]:
            raise ConfigurationError("no such profile")
            yield

        with pytest.raises(ConfigurationError, match="no such profile"):
            list(transcriber.transcribe([Recording("a", wrong)]))

    def test_what_is_done_is_handed_out_while_recordings_come_slowly(
        self, transcriber: Transcriber, beginning: np.ndarray
    ) -> None:
        is_out = threading.Event()

        def slowly() -> Iterator[Recording]:
            yield recording("first", silence(0.5), KO)
            for number in range(100):
                if is_out.wait(0.1):
                    return
                yield recording(number, silence(0.1), KO)
            pytest.fail("nothing was handed out")

        for outcome in transcriber.transcribe(slowly()):
            assert isinstance(outcome.result, Transcript)
            is_out.set()

    def test_it_can_be_stopped_in_the_middle_of_hours_of_silence(
        self, transcriber: Transcriber, beginning: np.ndarray
    ) -> None:
        class Endless(SoundInMemory):
            def blocks(self) -> Iterator[np.ndarray]:
                while True:
                    yield silence(1)

        endless = Recording("endless", lambda: lent(Endless(beginning)), KO)
        outcomes = transcriber.transcribe([endless, recording("short", beginning[: 4 * RATE], KO)])
        assert next(outcomes).recording.key == "short"
        outcomes.close()  # type: ignore[attr-defined]

    def test_streams_side_by_side_share_it(self, transcriber: Transcriber, beginning: np.ndarray) -> None:
        alone = hear(transcriber, beginning)
        found: list[Transcript] = []
        threads = [
            threading.Thread(target=lambda: found.append(hear(transcriber, beginning))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [alone, alone]

    def test_it_asks_for_more_only_as_it_goes_in_the_callers_thread(
        self, transcriber: Transcriber, beginning: np.ndarray
    ) -> None:
        asked: list[str] = []

        def endless() -> Iterator[Recording]:
            while True:
                asked.append(threading.current_thread().name)
                yield recording(len(asked), beginning[: 3 * RATE], KO)

        outcomes = transcriber.transcribe(endless())
        for _ in range(5):
            next(outcomes)
        assert set(asked) == {threading.current_thread().name}
        assert len(asked) < 100
        outcomes.close()  # type: ignore[attr-defined]
        assert not [thread for thread in threading.enumerate() if thread.name in ("read", "work")]


class TestManyTogether:
    def test_the_samples_are_heard(self, heard: dict[str, tuple[Meeting, Transcript]]) -> None:
        total, sentences, exact = ErrorRate(), 0, 0
        for name, (meeting, transcript) in heard.items():
            check(transcript, transcript.duration)
            assert (transcript.language, transcript.model) == (meeting.language, "demo")
            errors = character_error_rate(meeting.text, transcript.text)
            assert errors.rate < (0.5 if meeting.telephone else 0.1), name
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

    def test_every_container_of_the_samples_is_among_them(
        self, heard: dict[str, tuple[Meeting, Transcript]]
    ) -> None:
        assert {name.rsplit(".", 1)[1] for name in heard} == {"flac", "ogg", "mp3", "opus", "wav", "m4a"}

    @pytest.mark.parametrize("size", [1, 3])
    def test_it_makes_no_difference_what_is_decoded_beside_a_recording(
        self, size: int, heard: dict[str, tuple[Meeting, Transcript]]
    ) -> None:
        name = "주간 회의.m4a"
        alone = transcribe_one(Engine(load_model("demo", "cpu"), batch_size=size), SoundFile(SAMPLES / name))
        _, together = heard[name]
        assert alone.text == together.text
        assert [(s.start, s.end) for s in alone.segments] == [(s.start, s.end) for s in together.segments]
        assert [(w.start, w.end, w.text) for s in alone.segments for w in s.words] == [
            (w.start, w.end, w.text) for s in together.segments for w in s.words
        ]

    def test_seams_of_blocks_change_neither_words_nor_times(
        self, demo: Engine, heard: dict[str, tuple[Meeting, Transcript]]
    ) -> None:
        """A file is decoded in blocks of its container's making; here they end every three seconds, in speech too."""
        meeting, as_a_file = heard["weekly-budget.wav"]
        in_blocks = transcribe_one(demo, InBlocks(decode(meeting.path), 50_000))
        assert in_blocks.segments == as_a_file.segments

    def test_short_ones_overtake_long_ones(self, beginning: np.ndarray) -> None:
        demo = Engine(load_model("demo", "cpu"), batch_size=1)
        long = np.concatenate([beginning] * 3)
        asked = [recording("long", long, KO), *(recording(n, beginning[: 4 * RATE], KO) for n in range(2))]
        assert [outcome.recording.key for outcome in demo.transcribe(asked)][-1] == "long"

    def test_progress_is_told(self, demo: Engine, beginning: np.ndarray) -> None:
        told: list[float] = []
        list(
            demo.transcribe([recording("a", beginning, KO)], progress=lambda _, seconds: told.append(seconds))
        )
        assert told and 13 < max(told) <= 15

    def test_time_is_counted_for_each(self, demo: Engine, beginning: np.ndarray) -> None:
        asked = [recording("talk", beginning, KO), recording("silence", silence(1), KO)]
        seconds = {outcome.recording.key: outcome.seconds for outcome in demo.transcribe(asked)}
        assert seconds["talk"] > seconds["silence"] > 0


class TestReading:
    def test_a_recording_is_read_again_only_as_far_as_it_must(
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
        assert again[-1] < 60

    def test_a_recording_that_breaks_while_others_wait_for_room_holds_nobody_up(
        self, beginning: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its chunks leave the queue when it fails, and those who wait for room must hear of it."""
        is_full = threading.Event()

        class Breaks(SoundInMemory):
            def blocks(self) -> Iterator[np.ndarray]:
                yield np.concatenate([beginning] * 3)
                is_full.wait(20)
                raise UnreadableError("broken in the middle")

        def slow(self: Decoder, rows: Any, choose: Any) -> list[Decoded]:
            is_full.wait(20)
            return decode_(self, rows, choose)

        def full(self: ChunkQueue) -> int:
            if len(self._jobs) >= 2:
                is_full.set()
            return len(self._jobs)

        decode_ = Decoder.decode
        monkeypatch.setattr(Decoder, "decode", slow)
        monkeypatch.setattr(ChunkQueue, "__len__", full)
        engine = Engine(replace(load_model("demo", "cpu"), workers=1), batch_size=1)
        broken = Recording("broken", lambda: lent(Breaks(beginning)), KO)
        others = [recording(n, beginning[: 3 * RATE], KO) for n in range(3)]
        found = {outcome.recording.key: outcome.result for outcome in engine.transcribe([broken, *others])}
        assert isinstance(found.pop("broken"), UnreadableError)
        assert all(isinstance(transcript, Transcript) for transcript in found.values())


class TestLanguages:
    """The demo model takes Korean for Korean and English for English with certainty, so that chunks can be mixed."""

    def test_chunks_of_one_language_within_another_follow_the_recording(
        self, demo: Engine, beginning: np.ndarray, english: np.ndarray
    ) -> None:
        pause = silence(2)
        mixed = np.concatenate([english, pause, beginning, pause, beginning])
        transcript = hear(demo, mixed)
        assert transcript.language == "ko"
        assert {segment.language for segment in transcript.segments} == {"ko"}
        # what comes first must not lead what comes after, and is decoded again in the recording's language
        asked = hear(demo, mixed, KO)
        assert [s.text for s in transcript.segments] == [s.text for s in asked.segments]

    def test_multilingual_recordings_keep_both(
        self, demo: Engine, beginning: np.ndarray, english: np.ndarray
    ) -> None:
        mixed = np.concatenate([english, silence(2), beginning, silence(2), beginning])
        transcript = hear(demo, mixed, TranscriptionOptions(multilingual=True))
        assert transcript.language == "ko"
        border = len(english) / RATE
        first = [segment for segment in transcript.segments if segment.start < border]
        assert {segment.language for segment in first} == {"en"}
        assert "The deadline is Wednesday." in " ".join(segment.text for segment in first)
        assert {segment.language for segment in transcript.segments if segment.start > border} == {"ko"}

    def test_only_allowed_languages(self, demo: Engine, beginning: np.ndarray, english: np.ndarray) -> None:
        assert hear(demo, english).language == "en"
        assert hear(demo, english, TranscriptionOptions(languages=("ko",))).language == "ko"


class TestDemo:
    def test_it_says_what_it_is(self, demo: Engine, beginning: np.ndarray) -> None:
        assert demo.model == "demo"
        assert hear(demo, beginning).notes == (DEMO_NOTE,)

    def test_it_knows_two_languages(self, demo: Engine, beginning: np.ndarray) -> None:
        with pytest.raises(
            ConfigurationError, match=r"model demo does not know the language 'ja'. It knows en, ko;"
        ):
            hear(demo, beginning, TranscriptionOptions(language="ja"))

    def test_hotwords_for_which_there_is_no_room_are_told(self, demo: Engine, beginning: np.ndarray) -> None:
        names = tuple(f"이름 {number} 부장" for number in range(100))
        notes = hear(demo, beginning, TranscriptionOptions(language="ko", hotwords=names)).notes
        assert re.search(r"\d+ of 100 hotwords were not shown to the model.*이름 99 부장", " ".join(notes))

    @needs_real_speech
    def test_real_speech_is_survived(self, demo: Engine) -> None:
        names = ("jfk.flac", "multilingual.mp3", "two_speakers_phone.wav", "stereo_two_channels.wav")
        found = results(
            demo, [Recording(name, lambda name=name: lent(SoundFile(REAL / name))) for name in names]
        )  # type: ignore[misc]
        for name, transcript in found.items():
            check(transcript, len(decode(REAL / str(name))) / RATE)

    @needs_real_speech
    def test_a_single_click_has_no_words(self, demo: Engine) -> None:
        assert hear(demo, decode(REAL / "one_second.wav")).segments == ()


class TestFailures:
    """The model itself fails, as CTranslate2 words it."""

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
    def test_a_recording_that_fails_alone(
        self,
        raised: Exception,
        expected: type[FileError],
        beginning: np.ndarray,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: Any) -> None:
            raise raised

        monkeypatch.setattr(Decoder, "decode", fail)
        with pytest.raises(expected, match=re.escape(str(raised))) as caught:
            hear(Engine(load_model("demo", "cpu")), beginning)
        assert type(caught.value) is expected
        assert caught.value.transient

    def test_one_chunk_that_the_model_cannot_take_fails_its_recording_only(
        self, beginning: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        poison = beginning[: 5 * RATE] * np.float32(0.5)

        def poisoned(self: Decoder, rows: Any, choose: Any) -> list[Decoded]:
            if any(
                np.array_equal(row.chunk.samples, poison[row.chunk.start :][: len(row.chunk.samples)])
                for row in rows
            ):
                raise RuntimeError("a bad row")
            return decode_(self, rows, choose)

        decode_ = Decoder.decode
        monkeypatch.setattr(Decoder, "decode", poisoned)
        asked = [recording(n, beginning[: 5 * RATE], KO) for n in range(6)] + [
            recording("poison", poison, KO)
        ]
        found = {
            o.recording.key: o.result
            for o in Engine(load_model("demo", "cpu"), batch_size=8).transcribe(asked)
        }
        assert isinstance(found.pop("poison"), ModelError)
        assert len({repr(transcript) for transcript in found.values()}) == 1
        assert all(isinstance(transcript, Transcript) for transcript in found.values())

    def test_without_memory_for_all_it_goes_on_with_less(
        self, beginning: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[int] = []

        def small(self: Decoder, rows: Any, choose: Any) -> list[Decoded]:
            sizes.append(len(rows))
            if len(rows) > 2:
                raise RuntimeError("CUDA failed with error out of memory")
            return decode_(self, rows, choose)

        decode_ = Decoder.decode
        monkeypatch.setattr(Decoder, "decode", small)
        loaded = replace(load_model("demo", "cpu"), workers=1)
        asked = [recording(n, beginning[: 3 * RATE], KO) for n in range(12)]
        outcomes = list(Engine(loaded, batch_size=8).transcribe(asked))
        assert all(isinstance(outcome.result, Transcript) for outcome in outcomes)
        assert max(sizes) > 2, "it was full once"
        too_many = [size for size in sizes if size > 2]
        assert len(too_many) <= 3, "and does not try again and again"

    def test_what_did_not_fit_is_not_tried_again_by_the_next_stream(
        self, beginning: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        sizes: list[int] = []

        def small(self: Decoder, rows: Any, choose: Any) -> list[Decoded]:
            sizes.append(len(rows))
            if len(rows) > 1:
                raise RuntimeError("CUDA failed with error out of memory")
            return decode_(self, rows, choose)

        decode_ = Decoder.decode
        monkeypatch.setattr(Decoder, "decode", small)
        engine = Engine(replace(load_model("demo", "cpu"), workers=1), batch_size=2)
        for _ in range(2):
            list(engine.transcribe([recording(n, beginning[: 3 * RATE], KO) for n in range(6)]))
        assert sizes.count(2) == 1

    def test_a_second_look_that_does_not_fit_leaves_the_first_text(
        self, beginning: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def doubted(segments: Any, evidence: Any, decode: Any, *, hotwords: Any) -> Any:
            assert decode(Attempt(hotwords=False)) == ()
            return examine(segments, evidence, decode, hotwords=hotwords)

        def small(self: Decoder, rows: Any, choose: Any) -> list[Decoded]:
            if threading.current_thread() in doubting:
                raise RuntimeError("CUDA failed with error out of memory")
            return decode_(self, rows, choose)

        def judge(self: Judge, *given: Any) -> Any:
            doubting.add(threading.current_thread())
            try:
                return judge_(self, *given)
            finally:
                doubting.discard(threading.current_thread())

        doubting: set[threading.Thread] = set()
        decode_, judge_ = Decoder.decode, Judge.judge
        monkeypatch.setattr(Decoder, "decode", small)
        monkeypatch.setattr(Judge, "judge", judge)
        monkeypatch.setattr("stt_pipeline.speech.engine.judging.examine", doubted)
        transcript = hear(Engine(load_model("demo", "cpu")), beginning, KO)
        assert transcript.segments

    def test_a_progress_that_cannot_be_shown_is_told_to_the_caller(
        self, demo: Engine, beginning: np.ndarray
    ) -> None:
        def gone(*_: Any) -> None:
            raise OSError("terminal gone")

        with pytest.raises(OSError, match="terminal gone"):
            list(demo.transcribe([recording("a", beginning[: 4 * RATE], KO)], progress=gone))

    def test_what_fails_while_reading_is_no_fault_of_the_model(self, demo: Engine) -> None:
        def busy() -> Any:
            raise RuntimeError("can't start new thread")

        (outcome,) = demo.transcribe([Recording("a", busy)])
        assert type(outcome.result) is RuntimeError

    def test_a_bug_is_no_fault_of_the_model(
        self, beginning: np.ndarray, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*_: Any) -> None:
            raise KeyError("a bug")

        monkeypatch.setattr("stt_pipeline.speech.engine.scheduler.finished", fail)
        (outcome,) = Engine(load_model("demo", "cpu")).transcribe([recording("a", beginning, KO)])
        assert isinstance(outcome, Outcome)
        assert isinstance(outcome.result, KeyError)


class TestFiles:
    def test_what_is_no_audio_fails_alone(self, demo: Engine, tmp_path: Any, beginning: np.ndarray) -> None:
        (tmp_path / "empty.wav").write_bytes(b"")
        (tmp_path / "text.mp3").write_text("no sound in here " * 500)
        names = ["empty.wav", "text.mp3"]
        asked = [Recording(name, lambda name=name: lent(SoundFile(tmp_path / name))) for name in names]  # type: ignore[misc]
        found = {o.recording.key: o.result for o in demo.transcribe([*asked, recording("fine", beginning)])}
        assert isinstance(found["empty.wav"], UnreadableError)
        assert isinstance(found["text.mp3"], (UnreadableError, NoAudioError))
        assert isinstance(found["fine"], Transcript)
