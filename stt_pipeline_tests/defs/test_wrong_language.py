"""A recording in another language than its batch gives: real speech models detect it, and check and Parquet say so."""

import shutil
import wave
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from stt_pipeline.audio.sound import Sound
from stt_pipeline.batches.ingest import scan
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.transcriber import transcribe_one
from stt_pipeline.speech.transcript import Transcript
from stt_pipeline.store.results import transcriptions
from stt_pipeline_tests.conftest import SAMPLES
from stt_pipeline_tests.defs.conftest import Product
from stt_pipeline_tests.real_speech import REAL_SPEECH, SPEECH_CASES, WHISPER_BASE
from stt_pipeline_tests.speech.engine.sounds import RATE, english_speech


def synthetic_speech(folder: Path) -> None:
    """Write a Korean and an English recording that the demo model understands."""
    folder.mkdir()
    shutil.copy(SAMPLES / "weekly-budget.wav", folder / "korean.wav")
    with wave.open(str(folder / "english.wav"), "wb") as file:
        file.setparams((1, 2, RATE, 0, "NONE", ""))
        file.writeframes((english_speech() * 32_767).astype(np.int16).tobytes())


def real_speech(folder: Path) -> None:
    """Copy a Korean talk, and English of 22 seconds."""
    folder.mkdir()
    shutil.copy(REAL_SPEECH / "talks" / "2B1iXo1c1Tk.flac", folder / "korean.flac")
    shutil.copy(SPEECH_CASES / "one_voice_twice.mp3", folder / "english.mp3")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "write"),
    [
        ("demo", synthetic_speech),
        pytest.param(str(WHISPER_BASE), real_speech, marks=pytest.mark.real, id="whisper base"),
    ],
)
def test_the_check_names_an_english_recording_of_a_korean_batch(
    model: str,
    write: Callable[[Path], None],
    product: Product,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = WithPostprocessing(Engine(load_model(model, "cpu")))

    def transcribed(recording: Recording, sound: Sound) -> Transcript:
        return transcribe_one(engine, sound, recording.options)

    monkeypatch.setattr(product.transcriber, "hear", transcribed)
    monkeypatch.setattr(scan, "ONE_FILE_SHARDS", 1)  # one shard for both
    write(tmp_path / "in")
    request = BatchRequest(source_path=str(tmp_path / "in"), options=BatchOptions(language="ko"))
    create_batch(product.database, request)
    done = product.run_until("transcribe_audio")
    (check,) = (one for one in done.get_asset_check_evaluations() if one.check_name == "expected_language")
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert str(check.description).partition(": en was detected (")[0] in ("english.wav", "english.mp3")
    assert "korean" not in str(check.description)
    assert check.metadata["transcripts to review"].value == 1
    assert check.metadata["transcripts without a detected language"].value == 0
    with product.database.begin() as connection:
        rows = transcriptions.rows_of_shard(connection, 1)
    found = {str(row["uri"]).rsplit("/")[-1].partition(".")[0]: row for row in rows}
    assert {name: (row["language"], row["detected_language"]) for name, row in found.items()} == {
        "korean": ("ko", "ko"),
        "english": ("ko", "en"),
    }
    assert all(row["language_probability"] == 1 for row in rows)
    assert all(0.8 < row["detected_language_probability"] <= 1 for row in rows)
