"""`stt evaluate`: scores of known results and of the demo model, and messages about missing files."""

import json
import shutil
import tempfile
from pathlib import Path

import pytest

from stt_pipeline_tests.cli.conftest import Stt
from stt_pipeline_tests.conftest import SAMPLES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two recordings with references in `reference/`."""
    folder = tmp_path / "in"
    (folder / "reference").mkdir(parents=True)
    for name in ("hiring-plan.flac", "year-end.mp3"):
        shutil.copy(SAMPLES / name, folder)
        for kind in ("json", "rttm"):
            shutil.copy(SAMPLES / "reference" / f"{name.split('.')[0]}.{kind}", folder / "reference")
    return folder


def results_of(folder: Path) -> Path:
    """Write results: one without errors, one with a wrong digit."""
    results = folder.parent / "results"
    shutil.copytree(folder / "reference", results)
    page = json.loads((results / "year-end.json").read_text(encoding="utf-8"))
    (row, *_) = [row for row in page["segments"] if "30%" in row["text"]]
    row["text"] = row["text"].replace("30%", "40%", 1)
    (results / "year-end.json").write_text(json.dumps(page), encoding="utf-8")
    return results


def test_existing_results(stt: Stt, folder: Path) -> None:
    ended = stt("evaluate", folder, "--hypotheses", results_of(folder))
    assert (ended.code, ended.err) == (0, "")
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["hiring-plan.flac", *["0.0"] * 6, "2", "of", "2", "-"] in rows
    (year_end,) = [row for row in rows if row[:1] == ["year-end.mp3"]]
    assert rows.index(year_end) < rows.index(["hiring-plan.flac", *["0.0"] * 6, "2", "of", "2", "-"])
    assert all(len(line) <= 80 for line in ended.out.splitlines())

    ended = stt("evaluate", folder, "--hypotheses", folder.parent / "results", "--json")
    page = json.loads(ended.out)
    worst = page["per_file"][0]
    assert (worst["name"], worst["cer_errors"], worst["numbers_errors"], worst["der"]) == (
        "year-end.mp3",
        1,
        1,
        0,
    )
    lengths = sum(row["cer_length"] for row in page["per_file"])
    assert page["cer"] == round(1 / lengths, 4)
    assert page["numbers"] == round(1 / sum(row["numbers_length"] for row in page["per_file"]), 4)
    assert (page["speakers_correct"], page["rtf"], worst["rtf"]) == (2, None, None)


def test_missing_files_are_reported(stt: Stt, folder: Path) -> None:
    results = results_of(folder)
    (results / "year-end.json").unlink()
    (results / "year-end.rttm").unlink()
    (results / "year-end.txt").write_text("[0:00] SPEAKER_00: for people", encoding="utf-8")
    shutil.copy(SAMPLES / "weekly-budget.wav", folder / "[red]lone.wav")
    (folder / "nobody.txt").write_text("네", encoding="utf-8")
    ended = stt("evaluate", folder, "--hypotheses", results, "--json")
    assert ended.code == 1
    assert f"year-end.mp3: there is no year-end.json in {results}; it counts" in ended.err
    assert "[red]lone.wav: no reference, not scored." in ended.err
    assert "nobody.txt: this reference has no recording." in ended.err
    page = json.loads(ended.out)
    assert (page["files"], page["failed"]) == (2, 1)
    assert (page["without_reference"], page["without_recording"]) == (["[red]lone.wav"], ["nobody.txt"])
    assert page["per_file"][0]["cer"] == page["per_file"][0]["der"] == 1.0


def test_speaker_turns_without_a_transcript(stt: Stt, folder: Path) -> None:
    results = results_of(folder)
    (results / "year-end.json").unlink()
    ended = stt("evaluate", folder, "--hypotheses", results, "--json")
    assert ended.code == 1
    assert f"year-end.mp3: there is no year-end.json in {results}; it counts" in ended.err
    worst = json.loads(ended.out)["per_file"][0]
    assert (worst["name"], worst["cer"], worst["der"]) == ("year-end.mp3", 1.0, 0.0)


def test_invalid_arguments(stt: Stt, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    shutil.copy(folder / "year-end.mp3", tmp_path / "bare")
    for arguments, message in (
        ([tmp_path / "bare"], "No recording in"),
        ([tmp_path / "none"], "is not a folder"),
        ([folder, "--hypotheses", tmp_path / "none"], "is not a folder: give one with results"),
        ([folder, "--language", "kr"], "Invalid --option: language: 'kr' is not a language code"),
        ([folder, "--option", "modle=demo"], "Invalid --option: modle: there is no such option"),
    ):
        ended = stt("evaluate", *arguments)
        assert (ended.code, ended.out) == (2, "")
        assert message in ended.err


@pytest.mark.slow
def test_recordings_are_transcribed_and_timed(
    stt: Stt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_CPU_THREADS", "1")
    corpus = tmp_path / "in"
    corpus.mkdir()
    shutil.copy(SAMPLES / "server-migration.opus", corpus)
    for kind in ("json", "rttm"):
        shutil.copy(SAMPLES / "reference" / f"server-migration.{kind}", corpus)
    (corpus / "broken.wav").write_text("this is text")
    (corpus / "broken.txt").write_text("네, 확인했습니다.", encoding="utf-8")
    ended = stt("evaluate", corpus, "--model", "demo", "--language", "KO", "--json")
    assert ended.code == 1
    assert "broken.wav cannot be decoded" in ended.err
    page = json.loads(ended.out)
    broken, sample = page["per_file"]
    assert (broken["name"], broken["cer"], broken["der"], broken["rtf"]) == ("broken.wav", 1.0, None, None)
    assert sample["cer"] < 0.03 and sample["der"] < 0.06 and sample["language"] == "ko"
    assert 0 < sample["rtf"] == page["rtf"]
    assert sample["speakers_found"] > 1
    assert sample["work_seconds"] == pytest.approx(sample["rtf"] * sample["audio_seconds"], rel=0.01)
    terms = 'terms={"SERVER": ["서버"]}'  # no reference has this spelling
    ended = stt(
        "evaluate",
        corpus,
        "--option",
        "model=demo",
        "--option",
        "max_speakers=1",
        "--option",
        terms,
        "--json",
    )
    (other,) = [row for row in json.loads(ended.out)["per_file"] if row["name"] == sample["name"]]
    assert other["speakers_found"] == 1
    assert other["cer"] > sample["cer"]


@pytest.mark.slow
def test_after_failed_diarization_the_text_is_scored(
    stt: Stt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = tmp_path / "in"
    corpus.mkdir()
    shutil.copy(SAMPLES / "server-migration.opus", corpus)
    for kind in ("json", "rttm"):
        shutil.copy(SAMPLES / "reference" / f"server-migration.{kind}", corpus)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))  # the diarizer keeps its audio there
    ended = stt("evaluate", corpus, "--model", "demo", "--json")
    assert ended.code == 1
    assert "set TMPDIR to a folder with more" in ended.err
    assert "; it is scored without speakers." in ended.err
    (row,) = json.loads(ended.out)["per_file"]
    assert row["cer"] < 0.03 and row["der"] == 1.0


def test_the_model_can_be_given_as_an_option(stt: Stt, folder: Path) -> None:
    ended = stt("evaluate", folder, "--option", "model=no-such-model")
    assert ended.code == 2
    assert "no-such-model" in ended.err
