"""References in files, and the scores of recordings with few enough errors to count by hand."""

import json
from pathlib import Path

import pytest

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.evaluation.references import Annotation, read_annotation, read_corpus
from stt_pipeline.speech.evaluation.scores import RATES, Score, as_table, rates_of, speakers_of, totals
from stt_pipeline.speech.transcript import SpeakerTurn
from stt_pipeline_tests.conftest import SAMPLES

TURNS = (SpeakerTurn(0.0, 10.0, "A"), SpeakerTurn(10.0, 20.0, "B"))


def corpus(folder: Path, *names: str, **references: str) -> Path:
    for name in names:
        (folder / name).write_bytes(b"")
    for name, content in references.items():
        path = folder / name.replace("__", "/").replace("_", ".")
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def test_references_are_beside_recordings_or_in_a_subfolder(tmp_path: Path) -> None:
    page = json.dumps(
        {
            "segments": [
                {"start": 0, "end": 1, "text": "네,", "speaker": "A"},
                {"start": 1, "end": 2, "text": "네."},
            ]
        }
    )
    rttm = "SPEAKER a 1 0.5 1.0 <NA> <NA> B <NA> <NA>\n"
    folder = corpus(
        tmp_path, "a.wav", "b.MP3", "c.flac", "d.ogg", "notes.md",
        a_json=page, reference__a_rttm=rttm, b_txt="\ufeff네.", reference__c_json=page, x_rttm=rttm,
    )  # fmt: skip
    found = read_corpus(folder)
    assert {path.name: known for path, known in found.references.items()} == {
        "a.wav": Annotation("네, 네.", (SpeakerTurn(0.5, 1.5, "B"),)),
        "b.MP3": Annotation("네.", None),
        "c.flac": Annotation("네, 네.", (SpeakerTurn(0.0, 1.0, "A"),)),
    }
    assert [path.name for path in found.without_reference] == ["d.ogg"]
    assert [path.name for path in found.without_recording] == ["x.rttm"]
    assert read_annotation((folder,), "b", plain_text=False) is None


def test_the_samples_are_a_corpus() -> None:
    found = read_corpus(SAMPLES)
    assert len(found.references) == 8
    assert not found.without_reference and not found.without_recording
    assert all(known.text and known.turns for known in found.references.values())


@pytest.mark.parametrize(
    ("names", "references", "message"),
    [
        ((), {}, "has no recordings"),
        (("a.wav", "a.mp3"), {}, "several recordings named a"),
        (("a.wav",), {"a_json": "{"}, "a.json cannot be scored"),
        (("a.wav",), {"a_json": '{"text": "네"}'}, "a.json cannot be scored"),
        (("a.wav",), {"a_json": '{"segments": [{"text": 3}]}'}, "a.json cannot be scored"),
        (("a.wav",), {"a_rttm": "SPEAKER a"}, "line 1, is not RTTM"),
    ],
)
def test_an_unreadable_reference_is_named(
    tmp_path: Path, names: tuple[str, ...], references: dict[str, str], message: str
) -> None:
    with pytest.raises(InvalidRequestError, match=message):
        read_corpus(corpus(tmp_path, *names, **references))


def test_a_missing_folder_and_text_that_is_not_utf8(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequestError, match="is not a folder"):
        read_corpus(tmp_path / "none")
    corpus(tmp_path, "a.wav")
    (tmp_path / "a.txt").write_bytes("네".encode("cp949"))
    with pytest.raises(InvalidRequestError, match=r"a\.txt cannot be read"):
        read_corpus(tmp_path)


def test_rates_need_a_reference() -> None:
    both = rates_of(Annotation("3시에 봅시다", TURNS), Annotation("삼시에 봅니다", TURNS[:1]))
    assert (both["cer"].errors, both["cer"].length) == (2, 6)
    assert (both["wer"].errors, both["wer"].length) == (2, 2)
    assert (both["numbers"].errors, both["numbers"].length) == (1, 1)
    assert (both["der"].errors, both["der"].length) == (pytest.approx(10), pytest.approx(20))
    assert (both["der_collar"].errors, both["der_collar"].length) == (pytest.approx(9.5), pytest.approx(19))
    text_only = rates_of(Annotation("네"), Annotation("네", TURNS))
    assert text_only["der"] is None and text_only["cer"].errors == 0
    assert rates_of(Annotation(turns=TURNS), Annotation("네"))["cer"] is None
    assert speakers_of(Annotation("네", TURNS), Annotation("네", TURNS[:1])) == (1, 2)
    assert speakers_of(Annotation("네"), Annotation("네", TURNS)) is None


def test_the_worst_come_first_and_totals_are_sums_of_counts() -> None:
    def score(name: str, reference: Annotation, result: Annotation, **more: object) -> Score:
        return Score(name, rates_of(reference, result), speakers_of(reference, result), **more)  # type: ignore[arg-type]

    scores = [
        score(
            "good",
            Annotation("가나다라마바사아자차"),
            Annotation("가나다라마바사아자차"),
            audio_seconds=90.0,
            work_seconds=9.0,
        ),
        score(
            "turns",
            Annotation(turns=TURNS),
            Annotation(turns=(SpeakerTurn(0, 20, "x"),)),
            audio_seconds=20.0,
        ),
        score(
            "bad",
            Annotation("가나", TURNS),
            Annotation("가", TURNS),
            audio_seconds=10.0,
            work_seconds=6.0,
        ),
        score("broken", Annotation("가나다라"), Annotation(), error="cannot be decoded"),
    ]
    table = as_table(scores)
    assert list(table["name"]) == ["broken", "bad", "good", "turns"]
    assert list(table["cer"][:3]) == [1.0, 0.5, 0.0]
    assert list(table["rtf"].round(2)[1:3]) == [0.6, 0.1]
    assert totals(scores) == {
        "files": 4,
        "failed": 1,
        "audio_seconds": 120.0,
        "cer": round(5 / 16, 4),
        "cer_numbers_alike": round(5 / 16, 4),
        "wer": round(2 / 3, 4),
        "numbers": 0.0,
        "der": 0.25,
        "der_collar": 0.25,
        "rtf": 0.15,
        "speakers_correct": 1,
        "speakers_scored": 2,
    }


def test_unknown_rates_are_empty() -> None:
    scores = [Score("a", rates_of(Annotation("네"), Annotation("네")), None)]
    table, whole = as_table(scores), totals(scores)
    assert (whole["cer"], whole["der"], whole["rtf"], whole["speakers_scored"]) == (0.0, None, None, 0)
    assert table["der"].isna().all()
    assert set(RATES) <= set(table.columns)
