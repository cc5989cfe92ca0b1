"""The jobs that no asset shows: a batch from the launchpad, its deletion, and the daily maintenance."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from stt_pipeline.backends import DIARIZERS
from stt_pipeline.batches.execution.dispatch import runs_ended
from stt_pipeline.batches.keys import clean_name
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.retry import retry
from stt_pipeline.definitions import defs
from stt_pipeline.settings import Settings
from stt_pipeline.store import tables
from stt_pipeline.store.queue import batches
from stt_pipeline_tests.batches.recordings import MAX_BYTES, scanned, write_tone
from stt_pipeline_tests.defs.conftest import Product
from stt_pipeline_tests.rows import Rows

BY_BATCH = {
    "files": "SELECT count(*) FROM stt_audio_files WHERE batch_id = :id",
    "shards": "SELECT count(*) FROM stt_shards WHERE batch_id = :id",
    "transcriptions": "SELECT count(*) FROM stt_transcriptions WHERE batch_id = :id",
    "summaries": "SELECT count(*) FROM stt_summaries JOIN stt_transcriptions t ON t.id = transcription_id "
    "WHERE batch_id = :id",
    "mails": "SELECT count(*) FROM stt_email_logs WHERE batch_id = :id",
    "minutes of work": "SELECT count(*) FROM stt_throughput WHERE batch_id = :id",
    "partitions": "SELECT count(*) FROM dynamic_partitions WHERE partition LIKE :key || '%'",
    "runs": "SELECT count(*) FROM run_tags WHERE key = 'stt/batch' AND value = CAST(:id AS text)",
    "check results": "SELECT count(*) FROM asset_check_executions WHERE partition LIKE :key || '%'",
    "materializations": "SELECT count(*) FROM event_logs WHERE partition LIKE :key || '%'",
}


def _traces(product: Product, batch_id: int) -> dict[str, int]:
    """Return how much is left of a batch, by kind."""
    values = {"id": batch_id, "key": f"{batch_id:06d}"}
    with product.database.begin() as connection:
        found = {kind: connection.scalar(text(query), values) for kind, query in BY_BATCH.items()}
    folder = Path(Settings().data_root)
    found["parquet"] = len(list(folder.glob(f"*/batch={batch_id:06d}/*.parquet")))
    return found


def _completed(product: Product, folder: Path) -> int:
    """Make a batch of a good file and a bad one, do all its runs, and return its id."""
    write_tone(folder / "good.wav", 0.2)
    (folder / "bad.wav").write_text("this is text")
    batch = create_batch(
        product.database, BatchRequest(source_path=str(folder), notify_emails=["kim@example.com"])
    )
    product.run_until("report_batch")
    return batch.id


def _cancelled(product: Product, folder: Path) -> int:
    """Make a batch, scan it and cancel it, and return its id."""
    batch, _, keys = scanned(product.database, folder)
    product.instance.add_dynamic_partitions("audio", keys)
    lifecycle.cancel(product.database, batch.id)
    runs_ended(product.database, batch.id)
    return batch.id


def _execute(product: Product, statement: str) -> None:
    with product.database.begin() as connection:
        connection.execute(text(statement))


@pytest.mark.slow
def test_a_deleted_batch_leaves_no_trace_and_another_one_stays_as_it_is(
    product: Product, tmp_path: Path
) -> None:
    deleted = _completed(product, tmp_path / "deleted")
    other = _completed(product, tmp_path / "other")
    assert all(_traces(product, deleted).values())
    assert not product.run(dg.RunRequest(partition_key=f"{other:06d}:other", job_name="delete_batch")).success
    before = _traces(product, other)
    assert all(before.values()), before
    events = "SELECT count(*) FROM event_logs WHERE run_id NOT IN (SELECT run_id FROM runs)"

    lifecycle.delete(product.database, deleted)
    done = product.run_until("delete_batch")
    assert _traces(product, other) == before
    # the record of the deletion itself stays
    assert {kind: count for kind, count in _traces(product, deleted).items() if count} == {"runs": 1}
    assert product.instance.get_run_by_id(done.run_id)
    with product.database.begin() as connection:
        assert [batch.id for batch in batches.latest(connection, 10)] == [other]
        assert connection.scalar(text(events)) == 0
    (output,) = done.get_step_success_events()
    assert output.step_key == "delete_batch_data"


@pytest.mark.slow
def test_a_deletion_ends_the_runs_of_its_batch(product: Product, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    batch = create_batch(product.database, BatchRequest(source_path=str(tmp_path / "in")))
    queued = product.queue(dg.RunRequest(job_name="scan_source", tags={"stt/batch": str(batch.id)}))
    lifecycle.cancel(product.database, batch.id)
    lifecycle.delete(product.database, batch.id)
    product.run_until("delete_batch")
    assert product.instance.get_run_by_id(queued) is None
    with product.database.begin() as connection:
        assert batches.latest(connection, 1) == []


@pytest.mark.slow
def test_maintenance_retires_what_ended_long_ago_and_a_retry_brings_it_back(
    product: Product, tmp_path: Path
) -> None:
    old = _completed(product, tmp_path / "old")
    recent, busy = (_cancelled(product, tmp_path / "old") for _ in range(2))
    for batch_id, days in ((old, 91), (recent, 89), (busy, 91)):
        ended = datetime.now(UTC) - timedelta(days=days)
        Rows(product.database).change(tables.batches, tables.batches.c.id == batch_id, completed_at=ended)
    product.queue(dg.RunRequest(job_name="scan_source", tags={"stt/batch": str(busy)}))
    month = f"stt_transcriptions_{datetime.now(UTC) + timedelta(days=31):%Y_%m}"
    _execute(product, f"ALTER TABLE stt_transcriptions DETACH PARTITION {month}")
    _execute(product, f"DROP TABLE {month}")
    before = {batch_id: _traces(product, batch_id) for batch_id in (old, recent, busy)}

    done = product.run(dg.RunRequest(job_name="maintenance"))
    assert done.success
    gone = {"partitions": 0, "runs": 0, "check results": 0, "materializations": 0}
    assert _traces(product, old) == before[old] | gone
    assert _traces(product, recent) == before[recent]
    assert _traces(product, busy) == before[busy]  # a run works on it: it is retired on another day
    with product.database.begin() as connection:
        retired = {batch.id for batch in batches.latest(connection, 10) if batch.retired_at}
        assert connection.scalar(text(f"SELECT to_regclass('{month}')::text")) == month
    assert retired == {old}

    write_tone(tmp_path / "old" / "bad.wav", 0.2)
    assert retry(product.database, old, max_file_bytes=MAX_BYTES) == 1
    product.run_until("transcribe_audio")
    assert [key for key in product.partitions("audio") if key.startswith(f"{old:06d}")] == [
        f"{old:06d}-000000:bad.wav"
    ]
    figures = progress(product.database, old)
    assert (figures.status, figures.completed, figures.failed) == ("processing", 1, 0)
    with product.database.begin() as connection:
        assert batches.get(connection, old).retired_at is None


@pytest.mark.slow
def test_a_partition_that_a_user_added_fails_with_words_and_is_removed_again(
    product: Product, tmp_path: Path
) -> None:
    batch, _, keys = scanned(product.database, write_tone(tmp_path / "in" / "a.wav", 0.2).parent)
    product.instance.add_dynamic_partitions("audio", ["board meeting", *keys])
    product.instance.add_dynamic_partitions("batch", ["board meeting", f"{batch.id:06d}"])
    for job in ("transcribe_audio", "scan_source"):
        done = product.run(dg.RunRequest(job_name=job, partition_key="board meeting"))
        (step, *_) = [event for event in done.all_events if event.is_step_failure]
        failure = step.step_failure_data.user_failure_data
        assert failure is not None
        assert "the daily maintenance removes" in str(failure.description)
    assert product.run(dg.RunRequest(job_name="maintenance")).success
    assert (product.partitions("audio"), product.partitions("batch")) == (keys, [f"{batch.id:06d}"])


def _launch(product: Product, **config: Any) -> dg.ExecuteInProcessResult:
    job = product.definitions.resolve_job_def("create_batch")
    return job.execute_in_process(
        instance=product.instance,
        run_config={"ops": {"write_batch_row": {"config": config}}},
        raise_on_error=False,
    )


@pytest.mark.slow
def test_the_launchpad_makes_a_batch_with_typed_options(product: Product, tmp_path: Path) -> None:
    options = {"language": "ko", "min_speakers": 2, "diarizer": "none", "mail": "report"}
    done = _launch(product, source_path=str(tmp_path), priority="high", options=options)
    assert done.success
    with product.database.begin() as connection:
        (batch,) = batches.latest(connection, 10)
    assert (batch.priority, batch.options) == ("high", options)
    run = product.instance.get_run_by_id(done.run_id)
    assert run is not None
    assert run.tags["stt/batch"] == str(batch.id)
    assert product.partitions("batch") == [f"{batch.id:06d}:{clean_name(tmp_path.name)}"]


@pytest.mark.slow
def test_the_launchpad_refuses_a_batch_whose_mails_cannot_be_sent(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STT_SMTP_URL", "mail.example.com")
    refused = _launch(product, source_path=str(tmp_path), notify_emails=["kim@example.com"])
    (failure,) = refused.get_step_failure_events()
    assert failure.step_failure_data.error is not None
    assert "STT_SMTP_URL must look like" in failure.step_failure_data.error.to_string()
    with product.database.begin() as connection:
        assert batches.latest(connection, 10) == []


@pytest.mark.slow
def test_allowed_sources_hold_for_the_launchpad_and_for_every_run(
    product: Product, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tone(tmp_path / "in" / "2026" / "a.wav", 0.2)
    scanned_elsewhere, _, keys = scanned(product.database, tmp_path / "in" / "2026")
    monkeypatch.setenv("STT_ALLOWED_SOURCES", str(tmp_path / "in" / "2025"))
    refused = _launch(product, source_path=str(tmp_path / "in" / "2026"))
    assert not refused.success
    with product.database.begin() as connection:
        assert [batch.id for batch in batches.latest(connection, 10)] == [scanned_elsewhere.id]
    product.instance.add_dynamic_partitions("batch", [f"{scanned_elsewhere.id:06d}:2026"])
    product.instance.add_dynamic_partitions("audio", keys)
    for job, key in (("scan_source", f"{scanned_elsewhere.id:06d}:2026"), ("transcribe_audio", keys[0])):
        done = product.run(dg.RunRequest(job_name=job, partition_key=key))
        assert not done.success
        (step, *_) = [event for event in done.all_events if event.is_step_failure]
        assert step.step_failure_data.error is not None
        assert "in none of the allowed places" in step.step_failure_data.error.to_string()


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        ({"options": {"speakers": 2}}, "speakers"),
        ({"options": {"min_speakers": "two"}}, "min_speakers"),
        (
            {"options": {"diarizer": "magic"}},
            f"Literal[{', '.join(map(repr, ['', *DIARIZERS]))}]",
        ),
        ({"priority": "urgent"}, "Literal['high', 'normal', 'low']"),
    ],
)
def test_the_launchpad_refuses_what_it_does_not_know(config: dict[str, Any], reason: str) -> None:
    config = {"source_path": "/data", **config}
    with pytest.raises(dg.DagsterInvalidConfigError) as raised:
        dg.validate_run_config(
            defs.resolve_job_def("create_batch"), {"ops": {"write_batch_row": {"config": config}}}
        )
    assert reason in str(raised.value)


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (
            {"options": {"min_speakers": 3, "max_speakers": 2}},
            "Invalid request: options: min_speakers 3 is more than max_speakers 2.",
        ),
        (
            {"name": "  "},
            "Invalid request: name: a name has printable characters: change it, or leave it out.",
        ),
        ({"notify_emails": ["kim"]}, "Invalid request: notify_emails.0: 'kim' is "),
        ({"source_path": "/nowhere/at/all"}, "The folder /nowhere/at/all does not exist: check the path."),
    ],
)
def test_an_invalid_request_fails_the_run_with_one_sentence_and_writes_nothing(
    product: Product, tmp_path: Path, config: dict[str, Any], reason: str
) -> None:
    done = _launch(product, **{"source_path": str(tmp_path), **config})
    (step,) = [event for event in done.all_events if event.is_step_failure]
    failure = step.step_failure_data.user_failure_data
    assert failure is not None
    assert str(failure.description).startswith(reason)
    with product.database.begin() as connection:
        assert batches.latest(connection, 1) == []


@pytest.mark.slow
@pytest.mark.parametrize("partition_name", ["Board_March", ""], ids=["named", "of an older version"])
def test_a_renamed_batch_keeps_its_partition_until_it_is_deleted(
    product: Product, tmp_path: Path, partition_name: str
) -> None:
    write_tone(tmp_path / "in" / "a.wav", 0.2)
    request = BatchRequest(source_path=str(tmp_path / "in"), name="Board: March")
    batch = create_batch(product.database, request)
    Rows(product.database).change(tables.batches, partition_name=partition_name)
    key = f"{batch.id:06d}:{partition_name}".rstrip(":")
    product.run_until("scan_source")
    with product.database.begin() as connection:
        batches.change(connection, batch.id, {"name": "Council"})
    product.run_until("report_batch")
    assert product.partitions("batch") == [key]
    neighbour = f"{batch.id:06d}0:x"  # a batch whose number begins with the same digits
    product.instance.add_dynamic_partitions("batch", [neighbour])
    lifecycle.delete(product.database, batch.id)
    product.run_until("delete_batch")
    assert product.partitions("batch") == [neighbour]
