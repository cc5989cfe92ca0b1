"""Scans: every file is added once, in order, at every repetition, and an unusable source has a clear error."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from stt_pipeline.audio.sources import SourceObject
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.ingest.scan import files_per_shard
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.validation import validated
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.queue import batches, shards, transitions
from stt_pipeline_tests.batches.recordings import Bucket, scan, scanned, write_tone
from stt_pipeline_tests.rows import Rows


def _touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not read by the scan")


def test_small_batches_get_a_shard_for_each_file(database: Database, tmp_path: Path) -> None:
    _touch(tmp_path / "in", "b.wav", "a.mp3", "주간 회의.m4a", "deep/er/c.ogg", "notes.pdf")
    batch, result, keys = scanned(database, tmp_path / "in")
    assert (result.total_files, result.new_files, result.new_shards) == (4, 4, 4)
    prefix = f"{batch.id:06d}"
    assert keys == [
        f"{prefix}-000000:a.mp3",
        f"{prefix}-000001:b.wav",
        f"{prefix}-000002:c.ogg",
        f"{prefix}-000003:주간_회의.m4a",
    ]
    with database.begin() as connection:
        assert batches.get(connection, batch.id).status == "processing"
    figures = progress(database, batch.id)
    assert (figures.total_files, figures.completed, figures.failed, figures.pending) == (4, 0, 0, 4)


def test_a_second_scan_adds_only_what_is_new_or_changed(database: Database, tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.wav", "b.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    _touch(tmp_path / "in", "c.wav")
    (tmp_path / "in" / "a.wav").write_bytes(b"another content")
    again = scan(database, batch, keys)
    assert (again.total_files, again.new_files) == (4, 2)
    assert len(keys) == len(set(keys)) == 4
    same = scan(database, batch, keys)
    assert (same.new_files, same.new_shards, len(keys)) == (0, 0, 4)


def test_a_scan_that_died_before_its_partitions_is_completed_by_the_next(
    database: Database, tmp_path: Path
) -> None:
    _touch(tmp_path / "in", *(f"{number:03d}.wav" for number in range(30)))
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path / "in")))

    class Failing(list[str]):
        def extend(self, keys: object) -> None:
            raise ConnectionError("Dagster's storage does not answer")

    with pytest.raises(ConnectionError):
        scan(database, batch, Failing())
    keys: list[str] = []
    result = scan(database, batch, keys)
    assert (result.total_files, len(keys)) == (30, 30)
    assert keys == sorted(keys)
    with database.begin() as connection:
        assert len({file.shard_id for file in files.of_batch(connection, batch.id)}) == 30


@pytest.mark.slow
def test_large_batches_share_shards(database: Database, tmp_path: Path) -> None:
    _touch(tmp_path / "in", *(f"{number:05d}.wav" for number in range(1_050)))
    batch, result, keys = scanned(database, tmp_path / "in")
    assert (result.total_files, result.new_shards) == (1_050, 11)
    assert keys[0] == f"{batch.id:06d}-000000"
    with database.begin() as connection:
        assert [shard.total for shard, _ in shards.lock(connection, keys)] == [100] * 10 + [50]
    # the size of shards is fixed at the first scan; files found later form new ones
    _touch(tmp_path / "in", "z.wav")
    again = scan(database, batch, keys)
    assert (again.new_files, again.new_shards) == (1, 1)


@pytest.mark.parametrize(
    ("total", "each"), [(1, 1), (1_000, 1), (1_001, 100), (1_000_000, 100), (5_000_000, 500)]
)
def test_shards_stay_within_ten_thousand(total: int, each: int) -> None:
    assert files_per_shard(total) == each


def test_a_source_without_matching_files_fails_the_batch_with_a_reason(
    database: Database, tmp_path: Path
) -> None:
    _touch(tmp_path / "in", "readme.txt")
    batch, result, keys = scanned(database, tmp_path / "in", file_pattern="*.wav")
    assert keys == []
    assert result.error is not None
    assert "no file that matches *.wav" in result.error
    figures = progress(database, batch.id)
    assert (figures.status, figures.error, figures.is_over) == ("failed", result.error, True)


def test_a_removed_folder_fails_the_batch_with_a_reason(database: Database, tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.wav")
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path / "in")))
    (tmp_path / "in" / "a.wav").unlink()
    (tmp_path / "in").rmdir()
    result = scan(database, batch, [])
    assert result.error is not None
    assert "does not exist" in result.error


@pytest.mark.slow
def test_files_over_the_limit_are_recorded_and_never_processed(database: Database, tmp_path: Path) -> None:
    write_tone(tmp_path / "in" / "big.wav")
    _touch(tmp_path / "in", "small.wav")
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path / "in")))
    scan(database, batch, [], max_bytes=1_000)
    figures = progress(database, batch.id)
    assert figures.failures_by_class == {"too_large": 1}
    assert (figures.completed, figures.failed, figures.pending) == (0, 1, 1)
    with database.begin() as connection:
        (big,) = files.failed(connection, batch.id, 10)
    assert big.error is not None
    assert "STT_MAX_FILE_BYTES" in big.error
    # a new scan with a higher limit retries the file
    scan(database, batch, [])
    assert progress(database, batch.id).failures_by_class == {}


def test_a_scan_that_dies_is_dispatched_again_and_a_paused_batch_stays_paused(
    database: Database, tmp_path: Path
) -> None:
    _touch(tmp_path / "in", "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    with (
        pytest.raises(KeyboardInterrupt),
        claimed_batch(database, batch.id, run_id="killed", token=None, lease_seconds=60),
    ):
        with database.begin() as connection:
            transitions.start_scan(connection, batch.id)
        raise KeyboardInterrupt
    with database.begin() as connection:
        assert batches.get(connection, batch.id).status == "scanning"
    Rows(database).change(tables.batches, not_before=None)
    with database.begin() as connection:
        assert batches.ready(connection) == [batch.id]
    Rows(database).change(tables.batches, status="paused")
    scan(database, batch, keys)
    assert progress(database, batch.id).status == "paused"


def test_an_unavailable_source_does_not_end_a_batch_with_files(database: Database, tmp_path: Path) -> None:
    _touch(tmp_path / "in", "a.wav")
    batch, _, keys = scanned(database, tmp_path / "in")
    (tmp_path / "in").rename(tmp_path / "moved")
    result = scan(database, batch, keys)
    assert "does not exist" in (result.error or "")
    figures = progress(database, batch.id)
    assert (figures.status, figures.pending, figures.error) == ("processing", 1, result.error)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"source_path": "/no/such/folder"}, "does not exist"),
        ({"source_path": ""}, "source_path: it is empty"),
        ({"source_path": "gs://bucket/prefix"}, "not a known kind of source"),
        ({"priority": "urgent"}, "'high', 'normal' or 'low'"),
        ({"notify_emails": ["not an address"]}, "is not an email address"),
        ({"notify_emails": ["a@example.com\r\nBcc: b@example.com"]}, "is not an email address"),
        ({"options": {"modle": "demo"}}, "modle"),
        ({"options": {"min_speakers": 4, "max_speakers": 2}}, "min_speakers 4 is more than"),
        ({"options": {"max_speakers": 51}}, "max_speakers.*50"),
        ({"options": {"hotwords": "a\0b"}}, "hotwords.*cannot be shown"),
        ({"options": {"hotwords": "가" * 2_001}}, "hotwords.*2000"),
        ({"options": {"language": "k" * 21}}, "language.*20"),
        ({"options": {"model": "\x1b[2J"}}, "model.*cannot be shown"),
        ({"file_pattern": "a\0b"}, "control characters"),
        ({"name": "x" * 300}, "name: .*at most 200 characters"),
        ({"name": " \n"}, "name: a name has printable characters"),
        ({"name": "a\0b"}, "name: a name has printable characters"),
    ],
)
def test_an_invalid_request_is_refused_and_writes_nothing(
    database: Database, tmp_path: Path, values: dict[str, object], reason: str
) -> None:
    with pytest.raises(InvalidRequestError, match=reason):
        create_batch(database, validated(BatchRequest, {"source_path": str(tmp_path), **values}))
    with database.begin() as connection:
        assert batches.latest(connection, 10) == []


def test_shards_are_also_cut_by_bytes(database: Database, tmp_path: Path) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path)))
    keys: list[str] = []
    result = scan(database, batch, keys, source=Bucket(1_100, size=1 << 27), max_bytes=1 << 28)
    with database.begin() as connection:
        cut = shards.of_batch(connection, batch.id, -1, 1_000)
    assert [shard.total for shard in cut] == [32] * 34 + [12]  # 32 times 128 MiB are 4 GiB
    assert max(shard.bytes for shard in cut) == 4 << 30
    assert result.new_shards == len(keys) == 35


def test_a_file_larger_than_a_shard_may_be_has_one_of_its_own(database: Database, tmp_path: Path) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path)))
    scan(database, batch, [], source=Bucket(1_001, size=5 << 30), max_bytes=6 << 30)
    with database.begin() as connection:
        assert {shard.total for shard in shards.of_batch(connection, batch.id, -1, 2_000)} == {1}


def test_an_object_that_a_source_lists_twice_is_one_file(database: Database, tmp_path: Path) -> None:
    class Repeating(Bucket):
        def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
            for found in super().list_objects():
                yield from (found, found)

    batch = create_batch(database, BatchRequest(source_path=str(tmp_path)))
    result = scan(database, batch, [], source=Repeating(1_500))
    figures = progress(database, batch.id)
    assert (result.total_files, figures.total_files, figures.pending) == (1_500, 1_500, 1_500)


@pytest.mark.slow
def test_a_small_batch_that_grows_by_thousands_does_not_get_a_shard_for_each(
    database: Database, tmp_path: Path
) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path)))
    keys: list[str] = []
    scan(database, batch, keys, source=Bucket(10))
    with database.begin() as connection:
        batch = batches.get(connection, batch.id)
    again = scan(database, batch, keys, source=Bucket(5_010))
    assert (again.new_files, again.new_shards, len(keys)) == (5_000, 50, 60)


@pytest.mark.slow
def test_the_progress_of_a_batch_stays_correct_during_a_second_scan(
    database: Database, tmp_path: Path
) -> None:
    batch = create_batch(database, BatchRequest(source_path=str(tmp_path)))
    scan(database, batch, [], source=Bucket(2_000))

    def check(number: int) -> None:
        if number % 500 == 0:
            figures = progress(database, batch.id)
            assert (figures.status, figures.total_files, figures.pending) == ("scanning", 2_000, 2_000)

    assert scan(database, batch, [], source=Bucket(3_000, at_object=check)).new_files == 1_000
    assert progress(database, batch.id).total_files == 3_000
