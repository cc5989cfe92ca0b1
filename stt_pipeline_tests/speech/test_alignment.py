"""Alignment of words with whisperx, offline, with a tiny model."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.sound import Samples, SoundInMemory
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.speech import alignment
from stt_pipeline.speech.alignment import align
from stt_pipeline.speech.transcript import Segment, Transcript, Word
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.speech.whisperx_extra import build_wav2vec2, needs_whisperx, of_threads

pytestmark = needs_whisperx


@pytest.fixture(scope="module")
def wav2vec2(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(build_wav2vec2(tmp_path_factory.mktemp("models") / "wav2vec2"))


@pytest.fixture(scope="module")
def meeting() -> Samples:
    return decode(SAMPLES / "weekly-budget.wav")[: 20 * SAMPLE_RATE]


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
    wav2vec2: str, meeting: Samples, language: str, text: str
) -> None:
    given = transcript(language, (1.0, 4.0, text), (10.0, 14.0, text))
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


def test_the_sound_is_read_once_and_no_further_than_needed(wav2vec2: str, meeting: Samples) -> None:
    read: list[int] = []

    class Counted(SoundInMemory):
        def blocks(self) -> Iterator[Samples]:
            for first in range(0, len(meeting), SAMPLE_RATE):
                read.append(first // SAMPLE_RATE)
                yield meeting[first : first + SAMPLE_RATE]

    align(
        transcript("ko", (1.0, 3.0, "네, 알겠습니다."), (2.5, 5.0, "가나 다라")),
        Counted(meeting),
        "cpu",
        model=wav2vec2,
    )
    assert read == list(range(6))


def test_words_stay_behind_those_of_the_segment_before(wav2vec2: str, meeting: Samples) -> None:
    """The words of the first segment fill its margin too, which reaches into the second segment."""
    text = " ".join(["가나다라"] * 11)
    given = transcript("ko", (1.0, 2.0, text), (2.0, 3.0, text))
    result = align(given, SoundInMemory(meeting), "cpu", model=wav2vec2)
    for was, segment in zip(given.segments, result.segments, strict=True):
        assert [word.start for word in segment.words] != [word.start for word in was.words]
    edges = [edge for segment in result.segments for word in segment.words for edge in (word.start, word.end)]
    assert edges == sorted(edges)


def test_a_language_without_an_aligner_keeps_whispers_times_and_adds_a_note(
    wav2vec2: str, meeting: Samples, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(whisperx_alignment().DEFAULT_ALIGN_MODELS_HF, "ko", wav2vec2)
    latin = transcript("la", (1.0, 3.0, "gallia est omnis"), (7.0, 9.0, "divisa in partes"))
    korean = transcript("ko", (4.0, 6.0, "네, 알겠습니다."))
    given = replace(latin, segments=(*latin.segments, *korean.segments), notes=("Made by hand.",))
    result = align(given, SoundInMemory(meeting), "cpu")
    assert result.segments[:2] == latin.segments
    assert result.segments[2] != korean.segments[0]
    assert result.notes == (
        "Made by hand.",
        "Words in language 'la' keep Whisper's own times: whisperx has no aligner for it.",
    )
    assert align(result, SoundInMemory(meeting), "cpu").notes == result.notes


def test_threads_share_one_aligner(wav2vec2: str, meeting: Samples, monkeypatch: pytest.MonkeyPatch) -> None:
    alignment.load_aligner.cache_clear()
    loads = []
    load = whisperx_alignment().load_align_model
    monkeypatch.setattr("whisperx.load_align_model", lambda *a, **kw: (loads.append(a), load(*a, **kw))[1])
    given = transcript("ko", (1.0, 3.0, "네, 알겠습니다."), (4.0, 6.0, "가나 다라"))
    sound = SoundInMemory(meeting)
    found = of_threads(lambda: align(given, sound, "cpu", model=wav2vec2))
    assert found == {align(given, sound, "cpu", model=wav2vec2)}
    assert len(loads) == 1


def test_nothing_is_left_in_the_temporary_folder(wav2vec2: str, tmp_path: Path) -> None:
    code = f"from stt_pipeline.speech import alignment; alignment.load_aligner('ko', {wav2vec2!r}, 'cpu')"
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


def test_a_model_that_cannot_be_loaded_is_reported(meeting: Samples, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Words of language 'ko' cannot be aligned"):
        align(transcript("ko", (1.0, 3.0, "네")), SoundInMemory(meeting), "cpu", model=str(tmp_path))


def whisperx_alignment() -> Any:
    import whisperx.alignment

    return whisperx.alignment


def _words(start: float, end: float, text: str) -> Iterator[Word]:
    texts = text.split()
    each = (end - start) / len(texts)
    for index, one in enumerate(texts):
        yield Word(start + index * each, start + (index + 1) * each, f" {one}", 0.9)
