"""Scores of a batch with fixed transcripts, so that every figure can be counted by hand."""

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stt_pipeline.audio.sound import Sound, all_samples
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.queries.scores import FileScore, score_batch, totals
from stt_pipeline.cli.demo import score_table
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.diarization import ANY_NUMBER, SpeakerCount
from stt_pipeline.speech.evaluation import ErrorRate, read_rttm
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Transcript
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import OneByOne, scanned
from stt_pipeline_tests.cli.processed_batches import process
from stt_pipeline_tests.conftest import SAMPLES

_MEETINGS = ("hiring-plan.flac", "telephone-support.wav", "year-end.mp3")


class Script(OneByOne):
    """Transcriber and diarizer that return the references with known errors, in order of file name."""

    model = name = "script"

    def __init__(self) -> None:
        self._texts, self._turns = self._heard(), self._seen()

    def _heard(self) -> Iterator[str]:
        yield _text("hiring-plan").replace("김 과장님", "김 차장님", 1)  # one wrong syllable
        yield "잘 안 들립니다."
        yield _text("year-end")

    def _seen(self) -> Iterator[tuple[SpeakerTurn, ...]]:
        yield read_rttm(SAMPLES / "reference" / "hiring-plan.rttm")
        yield (SpeakerTurn(0.0, 50.0, "SPEAKER_00"),)
        turns = read_rttm(SAMPLES / "reference" / "year-end.rttm")
        yield tuple(
            SpeakerTurn(turn.start, turn.end, "SPEAKER_00") for turn in turns
        )  # all speakers confused

    def hear(self, recording: Recording, sound: Sound) -> Transcript:
        length = len(all_samples(sound)) / 16_000
        return Transcript("ko", 1.0, length, self.model, (Segment(0.0, length, next(self._texts)),))

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        return next(self._turns)


def _reference(stem: str) -> dict[str, Any]:
    known: dict[str, Any] = json.loads((SAMPLES / "reference" / f"{stem}.json").read_text(encoding="utf-8"))
    return known


def _text(stem: str) -> str:
    return " ".join(segment["text"] for segment in _reference(stem)["segments"])


def rate(score: FileScore, name: str) -> ErrorRate:
    found = score.speech.rates[name]
    assert found is not None
    return found


@pytest.fixture
def meetings(tmp_path: Path) -> Path:
    """Three samples, one of them a telephone call, and a broken file."""
    folder = tmp_path / "in"
    folder.mkdir()
    for name in _MEETINGS:
        shutil.copy(SAMPLES / name, folder)
    (folder / "weekly-budget.wav").write_text("broken")
    return folder


@pytest.mark.slow
def test_scores_add_up_with_the_telephone_kept_apart(
    database: Database, meetings: Path, tmp_path: Path
) -> None:
    batch, _, keys = scanned(database, meetings, notify_emails=["team@example.com"])
    script = Script()
    process(database, batch.id, keys, script, script, tmp_path / "outbox")
    scores = score_batch(database, batch.id, SAMPLES / "reference")
    assert [score.speech.name for score in scores] == [*_MEETINGS[:2], "weekly-budget.wav", _MEETINGS[2]]
    hiring, telephone, broken, year_end = scores
    assert (rate(hiring, "cer").errors, rate(hiring, "der").errors) == (1, pytest.approx(0, abs=0.01))
    assert (rate(year_end, "cer").errors, year_end.speech.speakers) == (0, (1, 2))
    assert rate(year_end, "der").rate > 0.1
    assert [score.telephone for score in scores] == [False, True, False, False]
    assert rate(telephone, "cer").rate > 0.8
    assert (broken.status, rate(broken, "cer").rate, rate(broken, "der").rate) == ("failed", 1.0, 1.0)
    assert broken.speech.error.startswith("weekly-budget.wav cannot be decoded")
    assert (broken.speech.language, broken.speech.audio_seconds, broken.action_items[0]) == ("", 0.0, 0)

    figures = progress(database, batch.id)
    result = totals(scores, figures, emails_sent=4)
    assert (result.files, result.succeeded, result.failed, result.scored) == (4, 3, 1, 3)
    kept: list[FileScore] = [hiring, year_end, broken]
    length = sum(rate(score, "cer").length for score in kept)
    assert result.cer == pytest.approx((1 + rate(broken, "cer").length) / length)
    assert result.telephone_cer == rate(telephone, "cer").rate
    assert result.der == pytest.approx(
        sum(rate(score, "der").errors for score in kept) / sum(rate(score, "der").length for score in kept)
    )
    assert result.speakers_correct == 1
    expected = [len(_reference(score.speech.name.rpartition(".")[0])["action_items"]) for score in kept]
    assert (result.action_items_expected, result.action_items_found) == (sum(expected), sum(expected[:2]))
    assert result.emails == 4
    assert result.audio_seconds == pytest.approx(59.3 + 58.9 + 64.7, abs=1.5)
    assert figures.completed_at is not None
    assert result.wall_seconds == (figures.completed_at - figures.created_at).total_seconds() > 0

    terminal = Console(width=80, record=True, markup=False, file=io.StringIO())
    terminal.print(score_table(scores, result))
    table = terminal.export_text()
    lines = [line.split() for line in table.splitlines()]
    assert "…" not in table
    assert [
        "weekly-budget.wav",
        "failed",
        "0",
        "s",
        "0",
        "of",
        "2",
        "100.0",
        "100.0",
        "0",
        "of",
        "2",
    ] in lines
    rows = [line[0] for line in lines if line and line[0] in {score.speech.name for score in scores}]
    assert rows == [score.speech.name for score in (hiring, broken, year_end, telephone)]
    assert ["total", "3", "of", "4"] in [line[:4] for line in lines]

    printed = result.as_json()
    assert set(printed) >= {
        *("files", "succeeded", "failed", "audio_seconds", "wall_seconds", "rtfx", "cer", "der"),
        *("speakers_correct", "action_items_found", "action_items_expected", "emails"),
    }
    assert printed["rtfx"] == pytest.approx(result.audio_seconds / result.wall_seconds, abs=0.01)
    assert json.loads(json.dumps(printed)) == printed


def test_a_recording_without_a_reference_is_named(database: Database, meetings: Path) -> None:
    (meetings / "another.wav").write_text("broken")
    batch, _, _ = scanned(database, meetings)
    with pytest.raises(InvalidRequestError, match=r"another cannot be scored: .*another\.json is missing"):
        score_batch(database, batch.id, SAMPLES / "reference")
