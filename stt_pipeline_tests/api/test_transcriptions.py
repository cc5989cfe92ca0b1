"""Transcripts, minutes and exports over HTTP."""

import io
import json
import re
import zipfile
from pathlib import Path
from urllib.parse import unquote

import docx
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from stt_pipeline.backends import FORMATS
from stt_pipeline.batches.queries.export import ExportedRecording, recordings
from stt_pipeline.minutes.exports import export_format
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.exported_batches import HOSTILE, processed_batch
from stt_pipeline_tests.rows import Rows

BASE = "/api/v1/admin/transcriptions"


@pytest.fixture
def recording(database: Database, tmp_path: Path) -> ExportedRecording:
    """A processed recording with a hostile name."""
    (one,) = recordings(database, processed_batch(database, tmp_path / "in", [HOSTILE]).id)
    return one


def test_a_transcript_with_its_words_and_turns(client: TestClient, recording: ExportedRecording) -> None:
    stored = recording.stored
    answer = client.get(f"{BASE}/{stored.id}")
    assert answer.status_code == 200
    page = answer.json()
    of_every_word = {"speaker": "SPEAKER_00", "overlap": False, "low_confidence": False, "suggestion": ""}
    assert page == {
        "id": stored.id,
        "batch_id": recording.file.batch_id,
        "audio_file_id": recording.file.id,
        "uri": recording.file.uri,
        "file_name": HOSTILE.replace("\n", "�"),
        "status": "completed",
        "language": "ko",
        "detected_language": None,
        "duration": 1.0,
        "model": "counting",
        "notes": [],
        "speech_seconds": 1.0,
        "untranscribed_speech_seconds": 0.25,
        "untranscribed_parts": [],
        "quality_notes": [],
        "created_at": page["created_at"],
        "text": "네, 알겠습니다.",
        "segments": [
            {
                "start": 0.0,
                "end": 1.0,
                "text": " 네, 알겠습니다.",
                "words": [
                    {"start": 0.0, "end": 0.5, "text": " 네,", "probability": 0.9, **of_every_word},
                    {"start": 0.5, "end": 1.0, "text": " 알겠습니다.", "probability": 0.9, **of_every_word},
                ],
                "speaker": "SPEAKER_00",
                "avg_logprob": 0.0,
                "no_speech_prob": 0.0,
                "compression_ratio": 0.0,
                "language": "",
                "hallucination_reasons": [],
                "raw_text": "",
                "channel": None,
            }
        ],
        "speaker_turns": [{"start": 0.0, "end": 1.0, "speaker": "SPEAKER_00", "channel": None}],
    }


def test_minutes_or_the_reason_why_there_are_none(
    client: TestClient, database: Database, recording: ExportedRecording
) -> None:
    assert recording.minutes
    page = client.get(f"{BASE}/{recording.stored.id}/minutes").json()
    assert (page["title"], page["transcription_id"]) == (recording.minutes.title, recording.stored.id)
    assert page["notes"] == []
    Rows(database).change(
        tables.transcriptions, notes=["A note."], speech_seconds=60, untranscribed_speech_seconds=7
    )
    page = client.get(f"{BASE}/{recording.stored.id}/minutes").json()
    assert page["notes"] == ["A note.", "7 s of speech without text."]
    parts = [{"start": 1.0, "end": 8.0}]
    Rows(database).change(tables.transcriptions, untranscribed_parts=parts)
    page = client.get(f"{BASE}/{recording.stored.id}/minutes").json()
    assert page["notes"] == ["A note.", "7 s of speech without text: 0:01-0:08"]
    assert client.get(f"{BASE}/{recording.stored.id}").json()["untranscribed_parts"] == parts
    Rows(database).delete(tables.summaries)
    answer = client.get(f"{BASE}/{recording.stored.id}/minutes")
    assert answer.status_code == 404
    assert "has no minutes yet" in answer.json()["detail"]


def test_every_export_has_its_media_type_and_a_safe_file_name(
    client: TestClient, recording: ExportedRecording
) -> None:
    for format in FORMATS:
        answer = client.get(f"{BASE}/{recording.stored.id}/export", params={"format": format})
        assert answer.status_code == 200, format
        assert answer.headers["content-type"].partition(";")[0] == export_format(format).media_type
        found = re.fullmatch(
            r"attachment; filename=\"([A-Za-z0-9._-]+)\"; filename\*=UTF-8''([A-Za-z0-9._%~-]+)",
            answer.headers["content-disposition"],
        )
        assert found, format
        assert found[1] == f"HoeUi_1Wol_filename_x.exe.wav.{format}"
        assert unquote(found[2]) == f"회의_1월_filename_x.exe.wav.{format}"
        if format == "docx":
            assert docx.Document(io.BytesIO(answer.content)).paragraphs
        elif format == "json":
            assert json.loads(answer.content)["segments"]
        else:
            assert ("SPEAKER_00" if format == "rttm" else "화자 1") in answer.text, format


def test_unknown_transcriptions_and_formats(client: TestClient, recording: ExportedRecording) -> None:
    for path in ("", "/minutes", "/export?format=txt"):
        answer = client.get(f"{BASE}/{recording.stored.id + 1}{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    for wrong in ("?format=pdf", "?format=parquet", ""):
        assert client.get(f"{BASE}/{recording.stored.id}/export{wrong}").status_code == 422
    for wrong in ("0", "-1", "x", str(1 << 63)):
        assert client.get(f"{BASE}/{wrong}").status_code == 422


def test_subtitles_have_options(client: TestClient, recording: ExportedRecording) -> None:
    address = f"{BASE}/{recording.stored.id}/export?format=srt"
    assert "화자 1: 네, 알겠습니다." in client.get(address).text
    narrow = client.get(f"{address}&max_line_width=8&max_line_count=3&speaker_labels=false").text
    assert narrow.splitlines()[2:] == ["네, 알겠습니다."]
    one_line = client.get(f"{address}&max_line_width=8&max_line_count=1&max_cue_seconds=2.5").text
    assert "네, 알겠습니다." not in one_line
    zipped = client.get(
        f"/api/v1/admin/stt-batches/{recording.file.batch_id}/export?format=srt&speaker_labels=0"
    )
    (member,) = (archive := zipfile.ZipFile(io.BytesIO(zipped.content))).namelist()
    assert "화자" not in archive.read(member).decode()


@pytest.mark.parametrize(
    "wrong",
    [
        "max_line_width=7",
        "max_line_width=x",
        "max_line_count=0",
        "max_cue_seconds=nan",
        "speaker_labels=some",
    ],
)
def test_options_of_subtitles_out_of_range_are_named(
    client: TestClient, recording: ExportedRecording, wrong: str
) -> None:
    answer = client.get(f"{BASE}/{recording.stored.id}/export?format=srt&{wrong}")
    assert answer.status_code == 422
    assert wrong.partition("=")[0] in answer.text


def test_speaker_turns_before_diarization_are_a_conflict(
    client: TestClient, database: Database, recording: ExportedRecording
) -> None:
    Rows(database).change(tables.transcriptions, status="transcribed", speaker_labels=None)
    assert client.get(f"{BASE}/{recording.stored.id}/export?format=rttm").status_code == 409
    assert client.get(f"{BASE}/{recording.stored.id}").json()["status"] == "transcribed"


def test_openapi_lists_the_media_types(app: FastAPI) -> None:
    paths = app.openapi()["paths"]
    found = paths[f"{BASE}/{{transcription_id}}/export"]["get"]["responses"]["200"]["content"]
    assert set(found) == {export_format(name).media_type for name in FORMATS}
    formats = next(
        p for p in paths[f"{BASE}/{{transcription_id}}/export"]["get"]["parameters"] if p["name"] == "format"
    )
    assert formats["schema"]["enum"] == list(FORMATS)
    batch = paths["/api/v1/admin/stt-batches/{batch_id}/export"]["get"]["responses"]["200"]["content"]
    assert set(batch) == {"application/zip", "application/vnd.apache.parquet"}
