"""The whisperx extra for real, offline: its bundled model on real speech, its pipeline and its alignment with tiny models."""

import os
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest

from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.sound import Samples, SoundFile, SoundInMemory
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech import alignment
from stt_pipeline.speech.alignment import align
from stt_pipeline.speech.diarization import (
    PyannoteDiarizer,
    SegmentationDiarizer,
    SpeakerCount,
    load_diarizer,
    pyannote,
    segmentation_model,
)
from stt_pipeline.speech.diarization.segmentation_model import SegmentationModel
from stt_pipeline.speech.evaluation import ErrorRate, diarization_error_rate, read_rttm
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.speech.transcript import Segment, Transcript, Word
from stt_pipeline.speech.whisperx_extra import one_torch_thread
from stt_pipeline_tests.conftest import SAMPLES, SHARED
from stt_pipeline_tests.speech.whisperx_extra import build_pipeline, build_wav2vec2, needs_whisperx

pytestmark = needs_whisperx

Result = TypeVar("Result")

REAL = SHARED / "audio"
needs_real_speech = pytest.mark.skipif(not REAL.is_dir(), reason=f"no real recordings at {REAL}")


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_pipeline(tmp_path_factory.mktemp("models") / "pipeline")


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(build_wav2vec2(tmp_path_factory.mktemp("models") / "wav2vec2"))


@pytest.fixture(scope="module")
def meeting() -> Samples:
    return decode(SAMPLES / "weekly-budget.wav")[: 20 * SAMPLE_RATE]


class TestSegmentation:
    def test_it_is_what_auto_means_where_the_extra_is_installed(self) -> None:
        assert isinstance(load_diarizer("auto"), SegmentationDiarizer)

    @needs_real_speech
    def test_real_meetings_with_their_overlaps(self) -> None:
        total = ErrorRate()
        overlaps = 0.0
        for path in sorted((REAL / "meetings").glob("*.wav")):
            turns = SegmentationDiarizer().diarize(SoundFile(path))
            total += diarization_error_rate(read_rttm(path.with_suffix(".rttm")), turns)
            overlaps += sum(
                max(0.0, min(one.end, other.end) - other.start)
                for index, one in enumerate(turns)
                for other in turns[index + 1 :]
                if other.speaker != one.speaker
            )
        assert total.rate <= 0.35  # measured: 0.324
        assert overlaps >= 10  # seconds; 35 of 198 are in the reference

    @needs_real_speech
    def test_a_real_telephone_call(self) -> None:
        turns = SegmentationDiarizer().diarize(SoundFile(REAL / "two_speakers_phone.wav"))
        reference = read_rttm(REAL / "two_speakers_phone.rttm")
        assert len({turn.speaker for turn in turns}) == 2
        assert diarization_error_rate(reference, turns).rate <= 0.09  # measured: 0.069

    def test_speakers_of_the_samples_are_counted_right(self) -> None:
        for stem, count in (("product-launch", 3), ("server-migration", 2), ("year-end", 2)):
            path = next(path for path in SAMPLES.iterdir() if path.stem == stem)
            turns = SegmentationDiarizer().diarize(SoundFile(path))
            assert len({turn.speaker for turn in turns}) == count, stem

    @pytest.mark.parametrize(
        ("speaker_count", "found"), [(SpeakerCount(max_speakers=1), 1), (SpeakerCount(3, 3), 3)]
    )
    def test_limits_are_kept(self, meeting: Samples, speaker_count: SpeakerCount, found: int) -> None:
        turns = SegmentationDiarizer().diarize(SoundInMemory(meeting), speaker_count)
        assert len({turn.speaker for turn in turns}) == found

    def test_threads_share_one_model(self) -> None:
        segmentation_model._loaded.cache_clear()
        assert len(of_threads(lambda: id(SegmentationModel()._model))) == 1

    def test_torch_has_its_threads_again_when_all_who_asked_for_one_are_done(self) -> None:
        import torch

        usual = torch.get_num_threads()
        torch.set_num_threads(3)
        first, second = one_torch_thread(), one_torch_thread()
        both = threading.Barrier(2)

        def ask_after_the_first() -> int:
            with second:
                both.wait()  # both are in
                both.wait()  # the first is out
                return torch.get_num_threads()

        try:
            with ThreadPoolExecutor(1) as pool:
                with first:
                    asked = pool.submit(ask_after_the_first)
                    both.wait()
                both.wait()
                assert asked.result() == 1
            with ThreadPoolExecutor(1) as pool:
                assert pool.submit(torch.get_num_threads).result() == 3
            assert torch.get_num_threads() == 3
        finally:
            torch.set_num_threads(usual)


class TestPyannote:
    def test_threads_share_one_pipeline_which_hears_one_recording_at_a_time(
        self, pipeline: Path, meeting: Samples
    ) -> None:
        pyannote._loaded.cache_clear()
        assert len(of_threads(lambda: id(PyannoteDiarizer(str(pipeline), "cpu")._pipeline))) == 1

        diarizer = PyannoteDiarizer(str(pipeline), "cpu")
        real, hearing, max_speakers = diarizer._pipeline, [], []

        def watched(samples: Samples, **limits: int | None) -> Any:
            hearing.append(samples)
            max_speakers.append(len(hearing))
            time.sleep(0.05)
            found = real(samples, **limits)
            hearing.pop()
            return found

        diarizer._pipeline = watched
        sound = SoundInMemory(meeting[: 6 * SAMPLE_RATE])
        filters = list(warnings.filters)
        assert of_threads(lambda: diarizer.diarize(sound)) == {diarizer.diarize(sound)}
        assert max_speakers == [1, 1, 1, 1]
        assert warnings.filters == filters

    def test_a_local_pipeline_finds_turns(self, pipeline: Path, meeting: Samples) -> None:
        turns = load_diarizer("pyannote", pyannote_pipeline=str(pipeline), device="cpu").diarize(
            SoundInMemory(meeting), SpeakerCount(max_speakers=2)
        )
        assert turns
        assert {turn.speaker for turn in turns} <= {"SPEAKER_00", "SPEAKER_01"}
        assert all(0 <= turn.start < turn.end <= 20.1 for turn in turns)

    def test_silence_has_no_turns(self, pipeline: Path) -> None:
        silence = SoundInMemory(np.zeros(3 * SAMPLE_RATE, np.float32))
        assert PyannoteDiarizer(str(pipeline), "cpu").diarize(silence) == ()

    def test_nothing_is_reported_to_anybody(self, pipeline: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("PYANNOTE_METRICS_ENABLED", raising=False)
        PyannoteDiarizer(str(pipeline), "cpu")
        assert os.environ["PYANNOTE_METRICS_ENABLED"] == "0"

    def test_what_is_missing_is_said(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HF_TOKEN", raising=False)
        with pytest.raises(ConfigurationError, match=r"set HF_TOKEN, or set STT_PYANNOTE_PIPELINE"):
            load_diarizer("pyannote")
        with pytest.raises(ConfigurationError, match="There is no folder /nowhere"):
            load_diarizer("pyannote", pyannote_pipeline="/nowhere")
        with pytest.raises(ConfigurationError, match="cannot be loaded"):
            load_diarizer("pyannote", pyannote_pipeline=str(tmp_path), device="cpu")

    def test_its_overlaps_reach_the_words(self, pipeline: Path, meeting: Samples) -> None:
        import pandas as pd
        import whisperx

        turns = PyannoteDiarizer(str(pipeline), "cpu").diarize(SoundInMemory(meeting))
        word = Word(5.0, 5.4, " 네,", 0.9)
        transcript = Transcript("ko", 1.0, 20.0, "demo", (Segment(5.0, 5.4, "네,", (word,)),))
        ours = assign_speakers(transcript, turns).segments[0].words[0].speaker
        table = pd.DataFrame(
            [(turn.start, turn.end, turn.speaker) for turn in turns], columns=["start", "end", "speaker"]
        )
        said = {
            "segments": [
                {
                    "start": 5.0,
                    "end": 5.4,
                    "text": "네,",
                    "words": [{"word": "네,", "start": 5.0, "end": 5.4}],
                }
            ]
        }
        theirs = whisperx.assign_word_speakers(table, said, fill_nearest=True)["segments"][0]["words"][0][
            "speaker"
        ]
        talking = {turn.speaker for turn in turns if turn.start <= 5.0 and turn.end >= 5.4}
        assert ours == theirs or {ours, theirs} <= talking  # whoever talks all the time is right


class TestAlignment:
    @staticmethod
    def transcript(language: str, *segments: tuple[float, float, str]) -> Transcript:
        return Transcript(
            language,
            1.0,
            20.0,
            "demo",
            tuple(
                Segment(start, end, text, tuple(_words(start, end, text)), language=language)
                for start, end, text in segments
            ),
        )

    @pytest.mark.parametrize(
        ("language", "text"),
        [("ko", "네, 알겠습니다. 3월 다시"), ("en", "and so my fellow"), ("ja", "가나다라")],
    )
    def test_words_get_other_times_and_keep_their_order(
        self, wav2vec2: str, meeting: Samples, language: str, text: str
    ) -> None:
        given = self.transcript(language, (1.0, 4.0, text), (10.0, 14.0, text))
        result = align(given, SoundInMemory(meeting), "cpu", model=wav2vec2)
        before = [word for segment in given.segments for word in segment.words]
        after = [word for segment in result.segments for word in segment.words]
        assert [word.text for word in after] == [word.text for word in before]
        assert [word.probability for word in after] == [word.probability for word in before]
        assert [word.start for word in after] != [word.start for word in before]
        edges = [edge for word in after for edge in (word.start, word.end)]
        assert edges == sorted(edges)
        for was, segment in zip(given.segments, result.segments, strict=True):
            assert was.start - 0.21 <= segment.start <= segment.end <= was.end + 0.21
            assert (segment.start, segment.end) == (segment.words[0].start, segment.words[-1].end)

    def test_the_sound_is_heard_once_and_no_further_than_needed(
        self, wav2vec2: str, meeting: Samples
    ) -> None:
        heard: list[int] = []

        class Counted(SoundInMemory):
            def blocks(self) -> Iterator[Samples]:
                for first in range(0, len(meeting), SAMPLE_RATE):
                    heard.append(first // SAMPLE_RATE)
                    yield meeting[first : first + SAMPLE_RATE]

        align(
            self.transcript("ko", (1.0, 3.0, "네, 알겠습니다."), (2.5, 5.0, "가나 다라")),
            Counted(meeting),
            "cpu",
            model=wav2vec2,
        )
        assert heard == list(range(6))

    def test_words_stay_behind_those_of_the_segment_before(self, wav2vec2: str, meeting: Samples) -> None:
        """The first segment's words fill all that is heard around it, which reaches into the second."""
        text = " ".join(["가나다라"] * 11)
        given = self.transcript("ko", (1.0, 2.0, text), (2.0, 3.0, text))
        result = align(given, SoundInMemory(meeting), "cpu", model=wav2vec2)
        for was, segment in zip(given.segments, result.segments, strict=True):
            assert [word.start for word in segment.words] != [word.start for word in was.words]
        edges = [
            edge for segment in result.segments for word in segment.words for edge in (word.start, word.end)
        ]
        assert edges == sorted(edges)

    def test_a_language_without_an_aligner_keeps_whispers_times_and_says_so(
        self, wav2vec2: str, meeting: Samples, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(whisperx_alignment().DEFAULT_ALIGN_MODELS_HF, "ko", wav2vec2)
        latin = self.transcript("la", (1.0, 3.0, "gallia est omnis"), (7.0, 9.0, "divisa in partes"))
        korean = self.transcript("ko", (4.0, 6.0, "네, 알겠습니다."))
        given = replace(latin, segments=(*latin.segments, *korean.segments), notes=("Made by hand.",))
        result = align(given, SoundInMemory(meeting), "cpu")
        assert result.segments[:2] == latin.segments
        assert result.segments[2] != korean.segments[0]
        assert result.notes == (
            "Made by hand.",
            "Words in language 'la' keep Whisper's own times: whisperx has no aligner for it.",
        )
        assert align(result, SoundInMemory(meeting), "cpu").notes == result.notes

    def test_threads_share_one_aligner(
        self, wav2vec2: str, meeting: Samples, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        alignment._model.cache_clear()
        loads = []
        load = whisperx_alignment().load_align_model
        monkeypatch.setattr(
            "whisperx.load_align_model", lambda *a, **kw: (loads.append(a), load(*a, **kw))[1]
        )
        given = self.transcript("ko", (1.0, 3.0, "네, 알겠습니다."), (4.0, 6.0, "가나 다라"))
        sound = SoundInMemory(meeting)
        found = of_threads(lambda: align(given, sound, "cpu", model=wav2vec2))
        assert found == {align(given, sound, "cpu", model=wav2vec2)}
        assert len(loads) == 1

    def test_nothing_is_left_in_the_temporary_folder(self, wav2vec2: str, tmp_path: Path) -> None:
        code = f"from stt_pipeline.speech import alignment; alignment._model('ko', {wav2vec2!r}, 'cpu')"
        done = subprocess.run(
            [
                sys.executable,
                "-W",
                "ignore",
                "-c",
                code + "; import tempfile, os; print(os.listdir(tempfile.gettempdir()))",
            ],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        assert "stt-punkt-" in done.stdout
        assert not list(tmp_path.glob("stt-punkt-*"))

    def test_an_alignment_that_cannot_be_had_is_said(self, meeting: Samples, tmp_path: Path) -> None:
        with pytest.raises(ConfigurationError, match="Words of language 'ko' cannot be aligned"):
            align(self.transcript("ko", (1.0, 3.0, "네")), SoundInMemory(meeting), "cpu", model=str(tmp_path))


def of_threads(task: Callable[[], Result], threads: int = 3) -> set[Result]:
    """Return the different results of a task that several threads begin at once."""
    together = threading.Barrier(threads)

    def begin(_: int) -> Result:
        together.wait()
        return task()

    with ThreadPoolExecutor(threads) as pool:
        return set(pool.map(begin, range(threads)))


def whisperx_alignment() -> Any:
    import whisperx.alignment

    return whisperx.alignment


def _words(start: float, end: float, text: str) -> Iterator[Word]:
    texts = text.split()
    each = (end - start) / len(texts)
    for index, one in enumerate(texts):
        yield Word(start + index * each, start + (index + 1) * each, f" {one}", 0.9)
