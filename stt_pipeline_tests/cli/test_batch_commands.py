"""`stt batch create` and `stt export` on a real database; the stages run in this process, without Dagster."""

import getpass
import json
from pathlib import Path

import boto3
import pytest

from stt_pipeline.backends import FORMATS
from stt_pipeline.batches.execution.dispatch import HEARTBEAT
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches, heartbeats
from stt_pipeline_tests.batches.recordings import scanned, write_tone
from stt_pipeline_tests.cli.conftest import STALE_DISPATCHER, Stt, plain
from stt_pipeline_tests.rows import Rows


def test_create_writes_the_request(stt_on_database: Stt, database: Database, tmp_path: Path) -> None:
    (tmp_path / "[녹음]").mkdir()
    ended = stt_on_database(
        *("batch", "create", "[녹음]", "--pattern", "**/*.wav,*.mp3", "--priority", "high"),
        *("--notify", "kim@example.com", "--notify", "lee@example.com", "--notify", "kim@example.com"),
        *("--option", "model=demo", "--option", "max_speakers=4", "--option", "mail=each", "--again"),
        *("--option", "hotwords=a=b", "--json"),
    )
    assert (ended.code, ended.err) == (0, STALE_DISPATCHER)
    printed = json.loads(ended.out)
    assert printed["status"] == "pending"
    with database.begin() as connection:
        batch = batches.get(connection, printed["id"])
    assert batch.source_path == printed["source"] == (tmp_path / "[녹음]").as_uri()
    assert (batch.name, batch.file_pattern, batch.priority) == ("[녹음]", "**/*.wav,*.mp3", "high")
    assert batch.notify_emails == ("kim@example.com", "lee@example.com")
    assert batch.options == {
        "model": "demo",
        "max_speakers": 4,
        "mail": "each",
        "mail_again": True,
        "hotwords": "a=b",
    }
    assert batch.created_by == f"{getpass.getuser()} (stt batch create)"


def test_estimate_shows_hours_of_the_gpu_and_of_the_clock(stt_on_database: Stt, tmp_path: Path) -> None:
    folder = write_tone(tmp_path / "in" / "a.wav", 36.0).parent
    figures = json.loads(stt_on_database("batch", "estimate", folder, "--json").out)
    assert (figures["files"], figures["is_complete"]) == (1, True)
    assert figures["gpu_hours"] == pytest.approx(0.01 * 0.05 + 4 / 3600, rel=0.05)
    assert figures["wall_hours"] > figures["gpu_hours"]
    shown = stt_on_database("batch", "estimate", folder).shown
    for fact in ("files 1", "audio 0.01 h", "GPU work 0.00 h", "wall clock 22 s", "0 of 1 sampled files"):
        assert fact in shown
    assert stt_on_database("batch", "list", "--json").out.strip() == ""


@pytest.mark.parametrize(
    ("option", "meant"),
    [
        ("languages=ko, en", {"languages": ["ko", "en"]}),
        ('languages=["ko"]', {"languages": ["ko"]}),
        ("languages=", {}),
        ("attendees=김 과장,이 대리", {"attendees": ["김 과장", "이 대리"]}),
        ('attendees=["Kim, Min"]', {"attendees": ["Kim, Min"]}),
        ('terms={"API": ["에이피아이"]}', {"terms": {"API": ["에이피아이"]}}),
        ("hotwords=[a]", {"hotwords": "[a]"}),
    ],
)
def test_options_that_are_lists_or_dictionaries(
    stt_on_database: Stt, database: Database, option: str, meant: dict[str, object]
) -> None:
    ended = stt_on_database("batch", "create", ".", "--option", option, "--json")
    assert ended.code == 0, ended.err
    with database.begin() as connection:
        assert batches.get(connection, json.loads(ended.out)["id"]).options == meant


def test_create_prints_the_next_step(stt_on_database: Stt, database: Database, tmp_path: Path) -> None:
    with database.begin() as connection:
        heartbeats.beat(connection, HEARTBEAT)
    ended = stt_on_database("batch", "create", tmp_path)
    assert (ended.code, ended.err) == (0, "")
    first, second = ended.out.splitlines()
    number = first.split()[1]
    assert first == f"Batch {number} is created: {tmp_path}"
    assert second == f"Follow it with: stt batch progress {number} --watch"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/folder"], "The folder /no/such/folder does not exist: check the path."),
        (["gs://bucket/prefix/"], "gs:// is not a known kind of source"),
        ([".", "--option", "model"], "--option needs NAME=VALUE, not 'model'."),
        (
            [".", "--option", "modle=demo"],
            "Invalid request: options.modle: there is no such option (the options are model, language, hotwords, languages, "
            "multilingual, audio_track, attendees, terms, remove_fillers, align, transcriber, diarizer, summarizer, min_speakers, "
            "max_speakers, output_language, place, mail, mail_again).",
        ),
        ([".", "--option", "max_speakers=many"], "max_speakers: "),
        ([".", "--option", "languages=[ko]"], '--option languages needs JSON, as in languages=["ko", "en"]'),
        ([".", "--option", "terms=API"], '--option terms needs JSON, as in terms={"API": ["에이피아이"]}'),
        (
            [".", "--option", "min_speakers=3", "--option", "max_speakers=2"],
            "min_speakers 3 is more than max_speakers 2",
        ),
        ([".", "--notify", "kim"], "An email address must have an @-sign"),
        ([".", "--priority", "urgent"], "'urgent' is not one of 'high', 'normal', 'low'."),
        ([".", "--name", "x" * 201], "name: String should have at most 200 characters"),
        ([".", "--name", "  "], "name: a name has printable characters: change it, or leave it out"),
    ],
)
def test_create_refuses_what_cannot_work(
    stt_on_database: Stt, database: Database, arguments: list[str], said: str
) -> None:
    ended = stt_on_database("batch", "create", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in plain(ended.err)
    assert "Traceback" not in ended.err
    with database.begin() as connection:
        assert batches.latest(connection, 10) == []


@pytest.mark.parametrize(
    "command",
    [
        *(
            ("batch", command, "77")
            for command in ("show", "progress", "failures", "pause", "resume", "retry")
        ),
        ("batch", "cancel", "77"),
        ("batch", "delete", "77", "--yes"),
        ("export", "77"),
    ],
    ids=" ".join,
)
def test_a_batch_that_does_not_exist(stt_on_database: Stt, tmp_path: Path, command: tuple[str, ...]) -> None:
    ended = stt_on_database(*command)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "Batch 77 does not exist. `stt batch list` shows the batches.\n"
    assert not (tmp_path / ".stt" / "data").exists()


@pytest.mark.parametrize(
    "command", [("show",), ("list", "--before"), ("failures", "1", "--after")], ids=" ".join
)
def test_a_number_too_large_for_an_id(stt_on_database: Stt, command: tuple[str, ...]) -> None:
    number = "9" * 30
    ended = stt_on_database("batch", *command, f"download:{number}" if "--after" in command else number)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


def test_export_replaces_an_earlier_export(stt_on_database: Stt, ended_batch: int, tmp_path: Path) -> None:
    for _ in range(2):
        ended = stt_on_database(
            "export", ended_batch, "--output-dir", tmp_path / "[out]", "--format", "md,json,srt"
        )
        assert (ended.code, ended.out) == (0, "")
        assert ended.err == f"2 of 4 recordings written to {tmp_path}/[out]; the others have no transcript\n"
    written = sorted((tmp_path / "[out]").iterdir())
    assert [path.name.partition("-")[2] for path in written] == [
        f"회의_1_.wav.{kind}" for kind in ("json", "md", "srt")
    ] * 2
    page = json.loads(written[0].read_text())
    assert (page["file"], page["duration"]) == ("회의 [1].wav", pytest.approx(2.0))
    assert page["segments"][0]["speaker"] == "SPEAKER_00"
    assert page["minutes"]["model"] == "extractive"
    assert "화자 1: 네, 알겠습니다." in written[1].read_text()
    assert "-->" in written[2].read_text()


def test_export_skips_outdated_transcripts(
    stt_on_database: Stt, database: Database, ended_batch: int
) -> None:
    Rows(database).change(tables.transcriptions, tables.transcriptions.c.duration < 2.5, status="outdated")
    assert stt_on_database("export", ended_batch).err.startswith("1 of 4 recordings written to ")


@pytest.mark.slow
def test_export_writes_to_the_data_folder_by_default(
    stt_on_database: Stt, ended_batch: int, tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = f"exports/batch={ended_batch:06d}"
    ended = stt_on_database("export", ended_batch)
    place = f"{tmp_path.resolve()}/.stt/data/{folder}"
    assert ended.err == f"2 of 4 recordings written to {place}; the others have no transcript\n"
    names = sorted(path.name for path in Path(place).iterdir())
    assert len(names) == 2

    def keys(prefix: str) -> list[str]:
        return [
            found["Key"].removeprefix(prefix)
            for found in boto3.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        ]

    monkeypatch.setenv("STT_DATA_URI", f"s3://{bucket}/data")
    ended = stt_on_database("export", ended_batch)
    assert ended.err.startswith(f"2 of 4 recordings written to s3://{bucket}/data/{folder}; ")
    assert keys(f"data/{folder}/") == names
    ended = stt_on_database("export", ended_batch, "--output-dir", f"s3://{bucket}/회의/")
    assert ended.err.startswith(f"2 of 4 recordings written to s3://{bucket}/회의; ")
    assert keys("회의/") == names
    ended = stt_on_database("export", ended_batch, "--output-dir", "s3://no-such-bucket/x")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(
        "The bucket 'no-such-bucket' does not exist. Create it or use another address,"
    )


def test_export_of_a_batch_without_transcripts(
    stt_on_database: Stt, database: Database, tmp_path: Path
) -> None:
    batch, _, _ = scanned(database, write_tone(tmp_path / "in" / "a.wav").parent)
    ended = stt_on_database("export", batch.id)
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith(f"Nothing was written: no recording of batch {batch.id} has a transcript. ")
    assert not (tmp_path / ".stt" / "data").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--format", "pdf"),
            f"--format knows {', '.join(FORMATS)}, separated by commas, not pdf.\n",
        ),
        (("--output-dir", "file/out"), "The folder file/out cannot be written: Not a directory. "),
    ],
)
def test_export_refuses_what_cannot_work(
    stt_on_database: Stt, ended_batch: int, tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    (tmp_path / "file").touch()
    ended = stt_on_database("export", ended_batch, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err
