"""Error rates against values computed by hand, and RTTM written and read."""

from pathlib import Path

import pytest

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.evaluation import (
    ErrorRate,
    character_error_rate,
    diarization_error_rate,
    normalize,
    read_rttm,
    word_error_rate,
    write_rttm,
)
from stt_pipeline.speech.transcript import SpeakerTurn

REFERENCE = (SpeakerTurn(0.0, 10.0, "A"), SpeakerTurn(10.0, 20.0, "B"))


@pytest.mark.parametrize(
    ("text", "scored"),
    [
        ("네, 알겠습니다.", "네 알겠습니다"),
        ("  다음\n회의는  3시! ", "다음 회의는 3시"),
        ("\u1112\u116c\u110b\u1174", "회의"),  # decomposed jamo, as macOS writes them
        ("Let's GO", "let s go"),
        ("매출이 30% 늘었습니다", "매출이 30% 늘었습니다"),
        ("…?!", ""),
    ],
)
def test_normalize(text: str, scored: str) -> None:
    assert normalize(text) == scored


def test_character_errors_ignore_spaces_and_punctuation() -> None:
    assert character_error_rate("예산안을 제출합니다.", "예산안을제출 합니다") == ErrorRate(0, 9)
    # one substituted (안 -> 만), one deleted (을), one inserted (다)
    assert character_error_rate("예산안을 제출합니다", "예산만 제출합니다다") == ErrorRate(3, 9)


def test_word_errors_count_spaces() -> None:
    assert word_error_rate("다음 회의는 내일입니다", "다음회의는 내일입니다") == ErrorRate(2, 3)
    assert word_error_rate("네, 알겠습니다.", "네 알겠습니다") == ErrorRate(0, 2)


@pytest.mark.parametrize("rate", [character_error_rate, word_error_rate])
def test_empty_texts(rate) -> None:
    assert rate("", "").rate == 0.0
    assert rate("", "네").rate == 1.0
    assert rate("네", "").rate == 1.0


def test_the_rate_of_a_corpus_weights_files_by_length() -> None:
    total = sum([ErrorRate(1, 10), ErrorRate(30, 90)], ErrorRate())
    assert total == ErrorRate(31, 100)
    assert total.rate == pytest.approx(0.31)


@pytest.mark.parametrize(
    ("hypothesis", "seconds"),
    [
        ([SpeakerTurn(0, 10, "x"), SpeakerTurn(10, 20, "y")], 0.0),  # labels do not matter
        ([SpeakerTurn(0, 20, "x")], 10.0),  # all of B is confused
        ([SpeakerTurn(0, 12, "x"), SpeakerTurn(12, 20, "y")], 2.0),
        ([SpeakerTurn(0, 10, "x")], 10.0),  # all of B is missed
        ([SpeakerTurn(0, 10, "x"), SpeakerTurn(10, 25, "y")], 5.0),  # a false alarm
        (
            [SpeakerTurn(0, 10, "x"), SpeakerTurn(10, 20, "y"), SpeakerTurn(4, 6, "y")],
            2.0,
        ),  # an invented overlap
        ([], 20.0),
    ],
)
def test_diarization_errors_computed_by_hand(hypothesis: list[SpeakerTurn], seconds: float) -> None:
    found = diarization_error_rate(REFERENCE, hypothesis)
    assert found.errors == pytest.approx(seconds)
    assert found.length == pytest.approx(20.0)


def test_overlapping_speech_counts_once_for_each_speaker() -> None:
    reference = [SpeakerTurn(0, 10, "A"), SpeakerTurn(5, 10, "B")]
    found = diarization_error_rate(reference, [SpeakerTurn(0, 10, "x")])
    assert (found.errors, found.length) == (pytest.approx(5.0), pytest.approx(15.0))


def test_a_collar_ignores_both_sides_of_a_boundary() -> None:
    late = [SpeakerTurn(0.2, 10.2, "x"), SpeakerTurn(10.2, 20.2, "y")]
    assert diarization_error_rate(REFERENCE, late).errors == pytest.approx(0.2 + 0.2 + 0.2)
    forgiven = diarization_error_rate(REFERENCE, late, collar=0.25)
    # 0.25 s after 0, on both sides of 10, and before 20 are not scored
    assert (forgiven.errors, forgiven.length) == (pytest.approx(0.0), pytest.approx(19.0))


def test_there_is_no_speech() -> None:
    assert diarization_error_rate([], []).rate == 0.0
    assert diarization_error_rate([], REFERENCE).rate == 1.0
    assert diarization_error_rate(REFERENCE, []).rate == 1.0


def test_rttm_is_read_as_written(tmp_path: Path) -> None:
    turns = (SpeakerTurn(0.5, 2.25, "SPEAKER_00"), SpeakerTurn(2.0, 3.125, "SPEAKER_01"))
    text = write_rttm(turns, "주간 회의")
    assert text.splitlines()[0] == "SPEAKER 주간_회의 1 0.500 1.750 <NA> <NA> SPEAKER_00 <NA> <NA>"
    path = tmp_path / "reference.rttm"
    path.write_text(
        f";; a comment\nSPKR-INFO x 1 <NA> <NA> <NA> adult SPEAKER_00 <NA>\n{text}", encoding="utf-8"
    )
    assert read_rttm(path) == turns


def test_pyannote_reads_our_rttm(tmp_path: Path) -> None:
    from pyannote.database.util import load_rttm

    path = tmp_path / "x.rttm"
    path.write_text(write_rttm(REFERENCE, "x"), encoding="utf-8")
    read = load_rttm(path)["x"]
    assert [(s.start, s.end, label) for s, _, label in read.itertracks(yield_label=True)] == [
        (turn.start, turn.end, turn.speaker) for turn in REFERENCE
    ]


@pytest.mark.parametrize("line", ["SPEAKER x 1 0.5", "SPEAKER x 1 soon 1.0 <NA> <NA> A <NA> <NA>"])
def test_broken_rttm_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "x.rttm"
    path.write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(InvalidRequestError, match="line 1, is not RTTM"):
        read_rttm(path)
