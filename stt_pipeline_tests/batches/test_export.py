"""A batch as one file: other tools read it, it is never in memory as a whole, and it never ends early without an error."""

import io
import tracemalloc
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import docx
import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from sqlalchemy import text

from stt_pipeline.backends import FORMATS
from stt_pipeline.batches.queries.export import (
    ReadLimits,
    export_batch,
    export_transcription,
    recordings,
    with_transcript,
)
from stt_pipeline.batches.queries.zip_stream import zipped
from stt_pipeline.errors import ConflictError, NotFoundError
from stt_pipeline.minutes.exports import export_format
from stt_pipeline.parquet import datasets
from stt_pipeline.parquet.datasets import Dataset
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.exported_batches import HOSTILE, processed_batch
from stt_pipeline_tests.batches.recordings import scanned, write_tone
from stt_pipeline_tests.rows import Rows

NAMES = ["a/회의.wav", "b/회의.wav", HOSTILE]


def opened(database: Database, batch_id: int, format: str) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(b"".join(export_batch(database, batch_id, format).chunks)))
    assert archive.testzip() is None
    return archive


def open_transactions(database: Database) -> int:
    """Return the number of connections in a transaction, without the one of this query."""
    with database.scratch() as connection:
        found = connection.scalar(
            text("""
                SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND pid <> pg_backend_pid() AND xact_start IS NOT NULL
            """)
        )
    return int(found or 0)


@pytest.mark.slow
def test_a_zip_has_a_file_for_each_recording_that_has_a_transcript(
    database: Database, tmp_path: Path
) -> None:
    batch = processed_batch(database, tmp_path / "in", NAMES)
    for format in FORMATS:
        archive = opened(database, batch.id, format)
        names = archive.namelist()
        assert [name.partition("-")[2] for name in names] == [
            f"회의.wav.{format}",
            f"회의.wav.{format}",
            f"회의_1월_filename_x.exe.wav.{format}",
        ]
        for name, recording in zip(names, recordings(database, batch.id), strict=True):
            content = archive.read(name)
            if format == "docx":
                last = docx.Document(io.BytesIO(content)).paragraphs[-1].text
                assert last == "[0:00] 화자 1: 네, 알겠습니다."
            else:
                assert content == export_format(format).write(recording.content)
                assert ("SPEAKER" if format in ("json", "rttm") else "화자 1").encode() in content


@pytest.mark.slow
@pytest.mark.parametrize("dataset", get_args(Dataset))
def test_parquet_is_what_pandas_and_duckdb_read(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: Dataset
) -> None:
    batch = processed_batch(database, tmp_path / "in", NAMES, files_per_shard=2)
    monkeypatch.setattr(datasets, "ROW_GROUP_BYTES", 1)
    exported = export_batch(database, batch.id, "parquet", dataset, limits=ReadLimits(files=2))
    assert exported.name == f"batch-{batch.id:06d}-{dataset}.parquet"
    path = tmp_path / exported.name
    path.write_bytes(b"".join(exported.chunks))
    file = pq.ParquetFile(path)
    assert file.num_row_groups == 2
    assert file.schema_arrow.equals(datasets.schema(dataset))
    frame = pd.read_parquet(path)
    assert list(frame["uri"]) == [recording.file.uri for recording in recordings(database, batch.id)]
    column = {"transcripts": "len(segments[1].words)", "minutes": "model"}[dataset]
    found = duckdb.sql(f"SELECT DISTINCT batch_id, {column} FROM '{path}'").fetchall()
    assert found == [(batch.id, {"transcripts": 2, "minutes": "extractive"}[dataset])]


@pytest.mark.slow
def test_unfinished_recordings_are_skipped(database: Database, tmp_path: Path) -> None:
    batch = processed_batch(database, tmp_path / "in", NAMES)
    first, second, _ = recordings(database, batch.id)
    for status, recording in (("outdated", first), ("transcribed", second)):
        its = tables.transcriptions.c.id == recording.stored.id
        Rows(database).change(tables.transcriptions, its, status=status)
    assert len(opened(database, batch.id, "txt").namelist()) == 2
    # without speaker turns it would mean no speech
    assert len(opened(database, batch.id, "rttm").namelist()) == 1
    with pytest.raises(ConflictError, match="has no speaker turns yet"):
        export_transcription(database, second.stored.id, "rttm")
    assert export_transcription(database, second.stored.id, "txt").content


def test_a_batch_without_transcripts_and_an_unknown_batch_are_refused_before_anything_is_sent(
    database: Database, tmp_path: Path
) -> None:
    batch, _, _ = scanned(database, write_tone(tmp_path / "in" / "a.wav").parent)
    with pytest.raises(ConflictError, match=f"No recording of batch {batch.id} has a transcript yet"):
        export_batch(database, batch.id, "txt")
    with pytest.raises(NotFoundError):
        export_batch(database, 77, "txt")


@pytest.mark.slow
def test_no_transaction_is_open_between_chunks_and_after_the_last(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = processed_batch(database, tmp_path / "in", NAMES)
    monkeypatch.setattr(datasets, "ROW_GROUP_BYTES", 1)
    limits = ReadLimits(files=1, block_bytes=1)
    for format in ("txt", "parquet"):
        chunks: Any = export_batch(database, batch.id, format, limits=limits).chunks
        for _ in range(2):
            assert next(chunks)
            assert open_transactions(database) == 0
        chunks.close()
        assert open_transactions(database) == 0
        assert next(chunks, None) is None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "is_gone", "reason"),
    [("txt", False, "is being deleted"), ("parquet", True, "Batch .* does not exist")],
)
def test_a_batch_that_is_deleted_meanwhile_does_not_look_complete(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    format: str,
    is_gone: bool,
    reason: str,
) -> None:
    batch = processed_batch(database, tmp_path / "in", NAMES)
    monkeypatch.setattr(datasets, "ROW_GROUP_BYTES", 1)
    chunks = export_batch(database, batch.id, format, limits=ReadLimits(page=1, block_bytes=1)).chunks
    sent = next(chunks)
    Rows(database).delete(tables.email_logs)
    if is_gone:
        Rows(database).delete(tables.batches)
    else:
        Rows(database).change(tables.batches, status="deleting")
    with pytest.raises((ConflictError, NotFoundError), match=reason):
        for chunk in chunks:
            sent += chunk
    reader: Any = zipfile.ZipFile if format == "txt" else pq.ParquetFile
    with pytest.raises(Exception, match=r"not a zip|Parquet"):
        reader(io.BytesIO(sent))


@pytest.mark.slow
def test_long_recordings_are_read_in_smaller_groups(database: Database, tmp_path: Path) -> None:
    batch = processed_batch(database, tmp_path / "in", NAMES)
    groups = with_transcript(database, batch.id, ReadLimits(seconds=2.05))
    assert [len(some) for some in groups] == [2, 1]


def peak_of_zip(files: int) -> int:
    """Return the peak of memory, in bytes, while a zip of this number of files is created."""
    tracemalloc.start()
    try:
        members = ((f"{number:08d}-회의.wav.txt", b"0" * 500) for number in range(files))
        for _ in zipped(members, memory_bytes=1 << 16):
            pass
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.slow
def test_a_zip_of_many_files_needs_no_more_memory() -> None:
    peak_of_zip(10)
    # an entry of zipfile has about 600 bytes
    assert peak_of_zip(4_000) - peak_of_zip(500) < 100_000


@pytest.mark.slow
def test_a_zip_of_more_files_than_the_old_format_counts() -> None:
    files = ((str(number), b"") for number in range(66_000))
    archive = zipfile.ZipFile(io.BytesIO(b"".join(zipped(files, compress=False))))
    assert len(archive.namelist()) == 66_000
    assert archive.read("65999") == b""


def test_parquet_of_many_rows_holds_one_page_and_one_group(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa

    held: list[int] = []

    def pages(count: int) -> Iterator[list[dict[str, Any]]]:
        for number in range(count):
            held.append(pa.total_allocated_bytes())
            yield [{"batch_id": 1, "audio_file_id": number, "text": "가" * 50_000}]

    monkeypatch.setattr(datasets, "ROW_GROUP_BYTES", 1 << 20)
    before = pa.total_allocated_bytes()
    sent = b"".join(datasets.stream("transcripts", pages(200)))
    assert max(held) - before < 4 << 20
    assert pq.ParquetFile(io.BytesIO(sent)).metadata.num_rows == 200
