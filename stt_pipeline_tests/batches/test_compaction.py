"""Compaction and the life of a batch: only what is over is compacted, by one at a time, and a failure is no matter of the batch."""

import os
import shutil
import time
import uuid
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import text
from upath import UPath

from stt_pipeline.batches.execution.batch_claim import BatchClaim, claimed_batch
from stt_pipeline.batches.maintenance.compaction import compact_batch, compact_missing
from stt_pipeline.batches.maintenance.deletion import delete_batch
from stt_pipeline.batches.requests import lifecycle
from stt_pipeline.errors import (
    ConfigurationError,
    InvalidRequestError,
    LeaseLostError,
    SourceUnavailableError,
    SttError,
)
from stt_pipeline.parquet import datasets
from stt_pipeline.parquet import files as parquet_files
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batches
from stt_pipeline_tests.rows import Rows


def claimed(
    database: Database, batch_id: int, *, to_delete: bool = False
) -> AbstractContextManager[BatchClaim]:
    return claimed_batch(
        database,
        batch_id,
        run_id=str(uuid.uuid4()),
        token=None,
        lease_seconds=60,
        to_delete=to_delete,
        show_error=False,
    )


@pytest.fixture
def root(tmp_path: Path) -> UPath:
    return UPath(tmp_path / "data")


@pytest.fixture
def batch_id(database: Database, root: UPath) -> int:
    """A completed batch with the files of two shards."""
    return made_batch(database, root)


def made_batch(database: Database, root: UPath) -> int:
    batch_id = Rows(database).batch(
        status="completed", stage="done", total_files=2, completed_at=datetime.now(UTC)
    )
    for dataset in ("transcripts", "minutes"):
        for shard in range(2):
            path = datasets.shard_path(root, dataset, f"{batch_id:06d}", f"{batch_id:06d}-{shard:06d}")  # type: ignore[arg-type]
            datasets.write(path, dataset, [{"batch_id": batch_id, "audio_file_id": shard}])  # type: ignore[arg-type]
    return batch_id


def row(database: Database, batch_id: int) -> tuple[object, ...]:
    """Return the batch's row with its lease."""
    columns = "status, stage, error, token, not_before, tries, crashes"
    with database.begin() as connection:
        found = connection.execute(
            text(f"SELECT {columns} FROM stt_batches WHERE id = :id"), {"id": batch_id}
        )
        return tuple(found.one())


def large_files(root: UPath) -> list[str]:
    return sorted(str(path.relative_to(root)) for path in Path(root).glob("compacted/**/*.*"))


def test_a_finished_batch_is_compacted_and_its_row_stays_the_same(
    database: Database, root: UPath, batch_id: int
) -> None:
    before = row(database, batch_id)
    for _ in range(2):
        done = compact_batch(claimed(database, batch_id), root)
        assert {dataset: (its.shards, its.files, its.rows) for dataset, its in done.datasets.items()} == {
            "transcripts": (2, 1, 2),
            "minutes": (2, 1, 2),
        }
        assert row(database, batch_id) == before
    assert large_files(root) == [
        f"compacted/{dataset}/batch={batch_id:06d}/part-00000.parquet"
        for dataset in ("minutes", "transcripts")
    ]


@pytest.mark.parametrize("stage", ["scan", "shards", "report"])
def test_an_unfinished_batch_is_skipped(database: Database, root: UPath, batch_id: int, stage: str) -> None:
    Rows(database).change(tables.batches, status="processing", stage=stage)
    done = compact_batch(claimed(database, batch_id), root)
    assert (done.datasets, done.batch.status, large_files(root)) == ({}, "processing", [])


def test_a_failure_is_not_shown_on_the_batch(database: Database, root: UPath, batch_id: int) -> None:
    before = row(database, batch_id)
    Path(root / "compacted").write_text("a file where a folder should be")
    with pytest.raises(ConfigurationError, match="compacted"):
        compact_batch(claimed(database, batch_id), root)
    assert row(database, batch_id) == before


def test_one_at_a_time(database: Database, root: UPath, batch_id: int) -> None:
    with claimed(database, batch_id), pytest.raises(InvalidRequestError, match="being worked by run"):
        compact_batch(claimed(database, batch_id), root)
    assert large_files(root) == []


def test_a_deletion_waits_for_it_and_takes_its_files(database: Database, root: UPath, batch_id: int) -> None:
    with claimed(database, batch_id):
        lifecycle.delete(database, batch_id)
        with pytest.raises(InvalidRequestError, match="being worked by run"):
            claimed(database, batch_id, to_delete=True).__enter__()
    with pytest.raises(InvalidRequestError, match="is deleting"):
        compact_batch(claimed(database, batch_id), root)
    for folder in ("compacted/minutes", "compacted/transcripts", "exports"):
        (root / folder / f"batch={batch_id:06d}").mkdir(parents=True)
        (root / folder / f"batch={batch_id:06d}" / "x").touch()
        (root / folder / f"batch={batch_id:06d}0").mkdir(parents=True)
    with claimed(database, batch_id, to_delete=True) as work:
        delete_batch(work, delete_records=lambda batch_id: True, data_root=root)
    assert {path.name for path in Path(root).glob("**/batch=*")} == {f"batch={batch_id:06d}0"}


def test_a_run_that_lost_its_lease_writes_nothing(
    database: Database, root: UPath, batch_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its lease expires and the batch is deleted while it reads."""
    read = parquet_files.read_each

    def stolen(paths: list[UPath]) -> object:
        found = list(read(paths))
        Rows(database).change(tables.batches, token=None, run_id=None, lease_until=None)
        with database.begin() as connection:
            batches.delete(connection, batch_id)
        shutil.rmtree(root)
        return iter(found)

    monkeypatch.setattr(parquet_files, "read_each", stolen)
    with pytest.raises(LeaseLostError):
        compact_batch(claimed(database, batch_id), root)
    assert large_files(root) == []


def test_missing_and_old_files_are_compacted_again(database: Database, root: UPath, batch_id: int) -> None:
    def compact() -> list[int]:
        return compact_missing(database, root, run_id=str(uuid.uuid4()), lease_seconds=60)

    with claimed(database, batch_id):
        assert compact() == []
    assert compact() == [batch_id]
    assert compact() == []
    shutil.rmtree(root / "compacted" / "minutes")
    assert compact() == [batch_id]
    path = datasets.shard_path(root, "minutes", f"{batch_id:06d}", f"{batch_id:06d}-000001")
    datasets.write(path, "minutes", [{"batch_id": batch_id, "audio_file_id": 1, "title": "다시"}])
    os.utime(path, (later := time.time() + 5, later))
    assert compact() == [batch_id]
    (large,) = Path(root).glob("compacted/minutes/*/*")
    assert pd.read_parquet(large)["title"].to_list()[1] == "다시"
    Rows(database).change(tables.batches, status="processing", stage="shards")
    assert compact() == []


@pytest.mark.slow
def test_a_batch_that_fails_does_not_stop_the_others(
    database: Database, root: UPath, batch_id: int, caplog: pytest.LogCaptureFixture
) -> None:
    later = made_batch(database, root)
    for broken in (batch_id, later):
        path = datasets.shard_path(root, "minutes", f"{broken:06d}", f"{broken:06d}-000001")
        whole = path.read_bytes()
        path.write_bytes(whole[:-4])
        with pytest.raises(
            SttError, match=rf"^1 batches .*; 1 others were.*: {broken} \(.*-000001.parquet is broken"
        ):
            compact_missing(database, root, run_id=str(uuid.uuid4()), lease_seconds=60)
        assert f"Batch {broken} could not be compacted" in caplog.text
        path.write_bytes(whole)
        shutil.rmtree(root / "compacted")


def test_a_data_folder_that_cannot_be_listed_ends_it(
    database: Database, root: UPath, batch_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_batch(database, root)
    listed = []

    def times(folder: UPath) -> list[float]:
        listed.append(folder)
        raise SourceUnavailableError("S3 does not answer.")

    monkeypatch.setattr(parquet_files, "times", times)
    with pytest.raises(SourceUnavailableError):
        compact_missing(database, root, run_id=str(uuid.uuid4()), lease_seconds=60)
    assert len(listed) == 1
