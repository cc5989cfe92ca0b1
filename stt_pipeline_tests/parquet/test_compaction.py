"""Compacted files: all rows in order, readable as one table, deterministic, and written in bounded memory."""

import io
import os
from pathlib import Path
from typing import Any, get_args

import duckdb
import pandas as pd
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
import pytest
from upath import UPath

from stt_pipeline.errors import LeaseLostError, SourceUnavailableError, SttError
from stt_pipeline.parquet import compaction, datasets, files
from stt_pipeline.parquet.compaction import Compacted
from stt_pipeline.parquet.datasets import Dataset
from stt_pipeline.parquet.files import data_folder
from stt_pipeline.settings import Settings


@pytest.fixture(params=["disk", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path) -> UPath:
    """A data folder of each kind."""
    if request.param == "disk":
        return data_folder(Settings(), str(tmp_path / "data"))
    return data_folder(Settings(), f"s3://{request.getfixturevalue('bucket')}/data")


SMALL = compaction.CompactionLimits(files=3, decoded_bytes=5_000)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reduce the size of row groups, so that little data has many of them. `SMALL` does the same for reads."""
    monkeypatch.setattr(datasets, "ROW_GROUP_BYTES", 20_000)


def row(batch: int, file: int) -> dict[str, Any]:
    """A row with the fields of both datasets, including all nested ones."""
    word = {"start": 0.5, "end": 1.0, "speaker": "SPEAKER_00", "text": f" 네{file}", "probability": 0.5}
    return {
        "batch_id": batch,
        "audio_file_id": file,
        "uri": f"file:///{file}.wav",
        "text": f"{file} " * 500,
        "duration": 60.5,
        "notes": ["a", "b"],
        "segments": [{"start": 0.5, "end": 2.0, "text": "네", "words": [word] * (file % 3)}],
        "speaker_turns": [{"start": 0.5, "end": 2.0, "speaker": "SPEAKER_00"}],
        "title": f"{file} " * 500,
        "topics": ["예산"],
        "action_items": [{"task": "예산안", "owner": None, "due": "금요일", "start": 3.0}],
        "tokens_used": 7,
    }


def write_shards(root: UPath, batch: int, shards: int, *, rows: int = 10) -> None:
    """Write the files of ``shards`` shards; every fourth one has no rows, as if all its audio files failed."""
    for dataset in get_args(Dataset):
        columns = set(datasets.schema(dataset).names)
        for shard in range(shards):
            found = [row(batch, shard * rows + n) for n in range(rows if shard % 4 != 3 else 0)]
            path = datasets.shard_path(root, dataset, f"{batch:06d}", f"{batch:06d}-{shard:06d}")
            datasets.write(path, dataset, [{k: v for k, v in one.items() if k in columns} for one in found])


def parts(root: UPath, dataset: Dataset = "transcripts", batch: str = "000012") -> dict[str, bytes]:
    """The contents of the compacted files of a batch, by name."""
    found = files.sizes(datasets.compacted_folder(root, dataset, batch))
    return {path.name: files.read(path) for path in found}


def files_of(shards: int, rows: int = 10) -> list[int]:
    return [shard * rows + n for shard in range(shards) if shard % 4 != 3 for n in range(rows)]


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("dataset", get_args(Dataset))
def test_compacted_files_have_all_rows_in_order_and_are_deterministic(root: UPath, dataset: Dataset) -> None:
    write_shards(root, 12, 10)
    before = files.sizes(datasets.shards_folder(root, dataset, "000012"))
    done = compaction.compact(root, dataset, "000012", file_bytes=3_000, limits=SMALL)
    found = parts(root, dataset)
    assert done == Compacted(
        str(root / "compacted" / dataset / "batch=000012"),
        shards=10,
        files=len(found),
        rows=80,
        size=sum(map(len, found.values())),
    )
    assert list(found) == [f"part-{number:05d}.parquet" for number in range(len(found))]
    assert len(found) > 3
    tables = [pq.read_table(io.BytesIO(content)) for content in found.values()]
    assert all(table.schema.equals(datasets.schema(dataset)) for table in tables)
    assert pa.concat_tables(tables)["audio_file_id"].to_pylist() == files_of(10)
    # all but the last one have the requested size, or slightly more
    assert all(3_000 <= len(content) < 25_000 for content in list(found.values())[:-1])
    assert compaction.compact(root, dataset, "000012", file_bytes=3_000, limits=SMALL) == done
    assert parts(root, dataset) == found
    assert files.sizes(datasets.shards_folder(root, dataset, "000012")) == before

    assert compaction.compact(root, dataset, "000012", limits=SMALL).files == 1
    (content,) = parts(root, dataset).values()
    assert pq.read_table(io.BytesIO(content))["audio_file_id"].to_pylist() == files_of(10)


def test_files_of_shards_and_compacted_files_are_read_as_one_table(tmp_path: Path) -> None:
    root = UPath(tmp_path)
    for batch in (12, 1_000_001):
        write_shards(root, batch, 5)
        for dataset in get_args(Dataset):
            compaction.compact(root, dataset, f"{batch:06d}", file_bytes=1)
    for folder, partitions in (("transcripts", 2), ("compacted/transcripts", 2)):
        rows = duckdb.sql(
            f"""
            SELECT batch::BIGINT, batch_id, count(*), sum(len(segments[1].words)), sum(duration),
                   any_value(segments[1].words[1].text)
            FROM read_parquet('{tmp_path}/{folder}/**/*.parquet', hive_partitioning = true) GROUP BY ALL ORDER BY ALL
            """
        ).fetchall()
        assert [found[:5] for found in rows] == [(n, n, 40, 40, 2420.0) for n in (12, 1_000_001)]
        assert all(found[5].startswith(" 네") for found in rows)
        assert len(rows) == partitions
        frame = pd.read_parquet(tmp_path / folder)
        assert frame.groupby("batch_id").size().to_dict() == {12: 40, 1_000_001: 40}
        assert frame["segments"].iloc[1][0]["words"][0]["probability"] == 0.5
        assert frame["duration"].dtype == "float64"
    minutes = duckdb.sql(
        f"SELECT item.task, item.due, count(*) FROM "
        f"(SELECT unnest(action_items) AS item FROM '{tmp_path}/compacted/minutes/**/*.parquet') GROUP BY ALL"
    ).fetchall()
    assert minutes == [("예산안", "금요일", 80)]
    types = dict(
        duckdb.sql(f"SELECT column_name, column_type FROM (DESCRIBE FROM '{tmp_path}/compacted/minutes/**/*.parquet')")
        .fetchall()
    )  # fmt: skip
    assert types["action_items"] == 'STRUCT(task VARCHAR, "owner" VARCHAR, due VARCHAR, "start" DOUBLE)[]'
    assert (types["tokens_used"], types["topics"]) == ("INTEGER", "VARCHAR[]")


@pytest.mark.slow
def test_compacted_files_in_s3_are_read_as_one_table(aws: str, bucket: str) -> None:
    root = data_folder(Settings(), f"s3://{bucket}/data")
    for batch in (12, 13):
        write_shards(root, batch, 2)
        compaction.compact(root, "transcripts", f"{batch:06d}", file_bytes=1)
    frame = pd.read_parquet(
        f"s3://{bucket}/data/compacted/transcripts", storage_options={"endpoint_url": aws}
    )
    assert frame.groupby("batch_id").size().to_dict() == {12: 20, 13: 20}
    assert frame["segments"].iloc[1][0]["words"][0]["text"] == " 네1"
    found = pa.dataset.dataset(
        f"{bucket}/data/compacted/transcripts", format="parquet", partitioning="hive", filesystem=root.fs
    )
    assert found.count_rows(filter=pa.dataset.field("batch") == 13) == 20


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
def test_a_shard_that_ran_again_is_in_the_next_compaction_once(root: UPath) -> None:
    write_shards(root, 12, 6)
    first = compaction.compact(root, "transcripts", "000012", file_bytes=3_000, limits=SMALL)
    again = datasets.shard_path(root, "transcripts", "000012", "000012-000001")
    datasets.write(again, "transcripts", [{"batch_id": 12, "audio_file_id": 10, "text": "다시"}])
    for shard in (4, 5):
        files.delete(datasets.shard_path(root, "transcripts", "000012", f"000012-{shard:06d}"))
    second = compaction.compact(root, "transcripts", "000012", file_bytes=3_000, limits=SMALL)
    assert second.files < first.files
    found = parts(root)
    assert len(found) == second.files
    table = pa.concat_tables([pq.read_table(io.BytesIO(content)) for content in found.values()])
    assert table["audio_file_id"].to_pylist() == [*range(11), *range(20, 30)]
    assert table["text"].to_pylist()[10] == "다시"


def test_a_batch_without_rows_has_an_empty_file_and_one_without_shards_none(root: UPath) -> None:
    datasets.write(datasets.shard_path(root, "minutes", "000012", "000012-000000"), "minutes", [])
    assert compaction.compact(root, "minutes", "000012").rows == 0
    (content,) = parts(root, "minutes").values()
    assert pq.read_schema(io.BytesIO(content)).equals(datasets.schema("minutes"))
    files.delete_folder(datasets.shards_folder(root, "minutes", "000012"))
    done = compaction.compact(root, "minutes", "000012")
    assert (done.shards, done.files, parts(root, "minutes")) == (0, 0, {})


@pytest.mark.slow
@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("shard", [0, 8])
def test_a_shard_file_that_is_deleted_or_broken_is_named(
    root: UPath, shard: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shards(root, 12, 10)
    path = datasets.shard_path(root, "transcripts", "000012", f"000012-{shard:06d}")
    files.write(path, files.read(path)[:-100])
    with pytest.raises(
        SttError, match=f"000012-{shard:06d}.parquet is broken: .*Materialize its shard again"
    ):
        compaction.compact(root, "transcripts", "000012", limits=SMALL)
    sizes = files.sizes

    def then_deleted(folder: UPath) -> dict[UPath, int]:
        found = sizes(folder)
        files.delete(path)
        return found

    monkeypatch.setattr(files, "sizes", then_deleted)
    with pytest.raises(SourceUnavailableError, match=f"000012-{shard:06d}.parquet was deleted"):
        compaction.compact(root, "transcripts", "000012", limits=SMALL)


def test_a_shard_written_in_the_same_second_needs_another_compaction(tmp_path: Path) -> None:
    root = UPath(tmp_path)
    write_shards(root, 12, 2)
    compaction.compact(root, "transcripts", "000012")
    for path in tmp_path.rglob("*.parquet"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    assert not compaction.is_current(root, "transcripts", "000012")
    compaction.compact(root, "transcripts", "000012")
    assert compaction.is_current(root, "transcripts", "000012")


def test_a_run_that_lost_its_lease_changes_nothing(root: UPath) -> None:
    def verify() -> None:
        raise LeaseLostError("another run works on it")

    write_shards(root, 12, 2)
    with pytest.raises(LeaseLostError):
        compaction.compact(root, "transcripts", "000012", verify=verify)
    assert parts(root) == {}
    compaction.compact(root, "transcripts", "000012", file_bytes=1)
    before = parts(root)
    files.delete_folder(datasets.shards_folder(root, "transcripts", "000012"))
    with pytest.raises(LeaseLostError):
        compaction.compact(root, "transcripts", "000012", verify=verify)
    assert parts(root) == before


@pytest.mark.slow
def test_memory_does_not_grow_with_the_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "ROW_GROUP_BYTES", 500_000)
    limits = compaction.CompactionLimits(read_bytes=100_000, decoded_bytes=50_000)
    root = UPath(tmp_path)
    for shard in range(12):
        rows = [{"audio_file_id": n, "text": os.urandom(10_000).hex()} for n in range(100)]
        datasets.write(
            datasets.shard_path(root, "transcripts", "000012", f"000012-{shard:06d}"), "transcripts", rows
        )
    held: list[int] = []
    before = pa.total_allocated_bytes()
    grouped = datasets.grouped

    def watched(batches: Any) -> Any:
        for group in grouped(batches):
            held.append(pa.total_allocated_bytes() - before)
            yield group

    monkeypatch.setattr(datasets, "grouped", watched)
    assert compaction.compact(root, "transcripts", "000012", file_bytes=10_000, limits=limits).rows == 1_200
    assert len(held) > 40
    assert max(held) < 8_000_000  # of 24 MB in total; a shard file has 1 MB


def test_files_of_an_older_version_are_read_and_compacted(tmp_path: Path) -> None:
    root = UPath(tmp_path)
    write_shards(root, 1, 1)
    (new,) = files.sizes(datasets.shards_folder(root, "transcripts", "000001"))
    today = pq.read_table(str(new))
    fields = pa.struct(
        [field for field in today.schema.field("segments").type.value_type if field.name != "raw_text"]
    )
    later = ["quality", "detected_language", "detected_language_probability", "untranscribed_parts"]
    rows = today.drop_columns(later).to_pylist()
    for segment in (segment for row in rows for segment in row["segments"]):
        del segment["raw_text"]
    columns = [field for field in today.schema if field.name not in (*later, "segments")]
    older = pa.schema([*columns, pa.field("segments", pa.list_(fields))])
    pq.write_table(pa.Table.from_pylist(rows, schema=older), str(new.with_name("000001-000001.parquet")))
    both = list(files.sizes(datasets.shards_folder(root, "transcripts", "000001")))
    read = datasets.read(both, "transcripts")
    assert len(read) == 2 * len(rows)
    assert read["detected_language"].isna().all()
    assert compaction.compact(root, "transcripts", "000001").rows == 2 * len(rows)


def test_columns_of_schema_1_get_their_current_names(tmp_path: Path) -> None:
    current = datasets.schema("transcripts")
    word = pa.struct([("start", pa.float64()), ("text", pa.string()), ("unsure", pa.bool_())])
    segment = pa.struct(
        [
            ("text", pa.string()),
            ("suspect", pa.list_(pa.string())),
            ("heard", pa.string()),
            ("words", pa.list_(word)),
        ]
    )
    older = pa.schema(
        [current.field("uri"), ("speech_seconds_without_text", pa.float64()), ("segments", pa.list_(segment))]
    )
    row = {
        "uri": "file:///a.wav",
        "speech_seconds_without_text": 1.5,
        "segments": [
            {
                "text": "네.",
                "suspect": ["speed"],
                "heard": "네",
                "words": [{"start": 0.0, "text": "네.", "unsure": True}],
            }
        ],
    }
    table = datasets.in_current_schema(pa.Table.from_pylist([row], schema=older), "transcripts")
    (read,) = table.to_pylist()
    assert read["untranscribed_speech_seconds"] == 1.5
    (found,) = read["segments"]
    assert (found["hallucination_reasons"], found["raw_text"]) == (["speed"], "네")
    assert found["words"][0]["low_confidence"] is True
