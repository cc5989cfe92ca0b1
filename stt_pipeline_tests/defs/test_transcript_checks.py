"""The checks of transcripts warn of doubtful text, speech without text and other languages, each by its own evaluation."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import dagster as dg
import pytest

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.ingest import scan
from stt_pipeline.batches.queries.review import (
    Doubt,
    ToReview,
    in_other_languages,
    low_quality,
    untranscribed,
)
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.defs.transcript_checks import TRANSCRIPT_CHECKS, transcript_checks
from stt_pipeline.errors import UnreadableError
from stt_pipeline.speech.quality import Figures
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store.results.review import FileQuality
from stt_pipeline_tests.batches.recordings import write_tone
from stt_pipeline_tests.defs.conftest import Product

GOOD: dict[str, Any] = {}
DOUBTFUL = {"quality": 0.3}
WITH_A_GAP = {"speech_seconds": 60.0, "untranscribed_speech_seconds": 12.0}
ENGLISH = {"language": "en"}

WARN = dg.AssetCheckSeverity.WARN
Evaluations = Mapping[tuple[str, str], dg.AssetCheckEvaluation]


def transcribed(
    product: Product,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    changes: list[dict[str, Any]],
    **options: Any,
) -> dg.ExecuteInProcessResult:
    """Transcribe a batch with one recording for each of ``changes`` to a good transcript, whose length tells which it is."""
    hear = product.transcriber.hear

    def changed(recording: Recording, sound: Sound) -> Transcript:
        transcript = hear(recording, sound)
        return replace(transcript, **changes[round(transcript.duration * 10) - 1])

    monkeypatch.setattr(product.transcriber, "hear", changed)
    for number in range(len(changes)):
        write_tone(folder / f"{number}.wav", (number + 1) / 10)
    create_batch(product.database, BatchRequest(source_path=str(folder), options=BatchOptions(**options)))
    return product.run_until("transcribe_audio")


def evaluations(done: dg.ExecuteInProcessResult) -> Evaluations:
    """Return the evaluations of the checks that only warn, by check and partition."""
    return {
        (one.check_name, str(one.partition)): one
        for one in done.get_asset_check_evaluations()
        if one.check_name in TRANSCRIPT_CHECKS
    }


@pytest.mark.slow
def test_each_fault_fails_its_own_check_with_a_warning_that_names_the_file(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_LANGUAGE", "ko")
    changes = [GOOD, DOUBTFUL, WITH_A_GAP, ENGLISH]
    done = transcribed(product, tmp_path / "in", monkeypatch, changes, multilingual=True)
    assert done.success
    found = evaluations(done)
    keys = product.partitions("audio")
    assert set(found) == {(check, key) for check in TRANSCRIPT_CHECKS for key in keys}
    expected = {
        ("quality", keys[1]): "1.wav: low confidence (0.30 of 1)",
        ("untranscribed_speech", keys[2]): "2.wav: 12 s of 60 s of speech without text",
        ("expected_language", keys[3]): "3.wav: en instead of ko",
    }
    assert {which: one.description for which, one in found.items() if not one.passed} == expected
    # the graph shows the severity of the newest evaluation, also if it passed, and these never are red
    assert {one.severity for one in found.values()} == {WARN}
    assert all(one.target_materialization_data for one in found.values())
    gap = found["untranscribed_speech", keys[2]].metadata
    assert (gap["speech seconds"].value, gap["untranscribed speech seconds"].value) == (60.0, 12.0)
    assert gap["review"].value == (
        "| file | reason |\n|---|---|\n| 2.wav | 12 s of 60 s of speech without text |"
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("setting", "options", "passed", "description"),
    [
        ("", {}, True, "No language is expected: neither the batch nor STT_LANGUAGE names one."),
        ("ko", {"languages": ["en", "ja"]}, True, "1 of 1 transcripts passed."),
        ("en", {"languages": ["ko", "ja"]}, False, "0.wav: en instead of ko or ja"),
        ("", {"language": "en"}, True, "In 1 of them no language was detected: too little speech, "),
    ],
)
def test_the_options_of_a_batch_decide_which_language_is_expected(
    product: Product,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    options: dict[str, Any],
    passed: bool,
    description: str,
) -> None:
    monkeypatch.setenv("STT_LANGUAGE", setting)
    done = transcribed(product, tmp_path / "in", monkeypatch, [ENGLISH], **options)
    ((_, evaluation),) = [
        (which, one) for which, one in evaluations(done).items() if which[0] == "expected_language"
    ]
    assert evaluation.passed is passed
    assert description in str(evaluation.description)


@pytest.mark.slow
def test_a_recording_that_failed_does_not_fail_the_checks_of_its_text(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    product.transcriber.failures = [UnreadableError("it is broken")]
    done = transcribed(product, tmp_path / "in", monkeypatch, [GOOD])
    assert not done.success
    assert [(one.passed, str(one.description)[:22]) for one in evaluations(done).values()] == [
        (True, "There is no transcript")
    ] * 3


@pytest.mark.slow
def test_a_large_shard_names_the_worst_file_first(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "ONE_FILE_SHARDS", 1)
    changes = [DOUBTFUL, GOOD, {"quality": 0.1}]
    done = transcribed(product, tmp_path / "in", monkeypatch, changes)
    (key,) = product.partitions("audio")
    quality = evaluations(done)["quality", key]
    assert str(quality.description).startswith("2.wav: low confidence (0.10 of 1); 0.wav: ")
    assert quality.metadata["transcripts"].value == 3
    assert quality.metadata["transcripts to review"].value == 2


def _transcript(path: str, figures: Figures) -> ToReview:
    return ToReview(path, FileQuality(1, 1, f"file:///in/{path}", 600.0, figures))


def test_the_worst_transcripts_come_first_and_good_ones_not_at_all() -> None:
    found = [
        _transcript("good", Figures(0.9, 600.0, 30.0, 0, "ko", "ko", 0.99)),
        _transcript("silent", Figures(None, 0.0, 0.0, 0, "")),
        _transcript("looped", Figures(0.7, 600.0, 31.0, 2, "ko")),
        _transcript("unsure", Figures(0.5, 600.0, 90.0, 0, "ja", "ja", 0.6)),
    ]
    assert low_quality(found) == [
        Doubt("unsure", "low confidence (0.50 of 1)"),
        Doubt("looped", "2 segments that may be hallucinated"),
    ]
    assert [one.path for one in untranscribed(found)] == ["unsure", "looped"]
    assert in_other_languages(found, ("ko", "en")) == [Doubt("unsure", "ja instead of ko or en")]


@pytest.mark.parametrize(
    ("detected", "probability", "speech_seconds", "expected", "reason"),
    [
        ("en", 0.97, 60.0, ("ko",), "en was detected (0.97 of 1) instead of ko"),
        ("ja", 0.97, 60.0, ("ko", "en"), "ja was detected (0.97 of 1) instead of ko or en"),
        ("en", 0.97, 60.0, ("ko", "en"), ""),
        ("ko", 0.97, 60.0, ("ko",), ""),
        ("en", 0.49, 60.0, ("ko",), ""),
        ("en", 0.97, 4.9, ("ko",), ""),
        (None, None, 60.0, ("ko",), ""),
    ],
)
def test_only_a_clearly_detected_language_of_much_speech_is_a_doubt(
    detected: str | None,
    probability: float | None,
    speech_seconds: float,
    expected: tuple[str, ...],
    reason: str,
) -> None:
    found = _transcript("a", Figures(0.9, speech_seconds, 0.0, 0, "ko", detected, probability))
    assert in_other_languages([found], expected) == ([Doubt("a", reason)] if reason else [])


def test_the_transcripts_of_a_shard_are_read_once_for_all_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[int] = []

    def read(database: object, shard_id: int, source: str) -> list[ToReview]:
        reads.append(shard_id)
        return []

    monkeypatch.setattr("stt_pipeline.defs.transcript_checks.transcripts_of_shard", read)
    checks = transcript_checks(Mock(), "ko")
    for shard_id in (1, 2):
        shard = Mock(options=BatchOptions(), **{"shard.id": shard_id})
        assert all(evaluate(shard).passed for evaluate in checks.values())
    assert len(checks) == 3
    assert reads == [1, 2]
