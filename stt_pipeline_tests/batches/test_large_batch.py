"""A batch of 100,000 files, from its scan to the last page of its lists."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.ingest.scan import scan_batch
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.queue import shards
from stt_pipeline_tests.batches.recordings import MAX_BYTES, Bucket, scan
from stt_pipeline_tests.rows import Rows

_FILES = 100_000
_CLASSES = ("download", "model", "unreadable")


@pytest.fixture
def instance(database_url: str, tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance in the same database."""
    url = database_url.replace("+psycopg:", "+psycopg2:")
    (tmp_path / "dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{url}'}}}}")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@pytest.mark.slow
def test_every_file_is_on_one_page_and_in_order(
    database: Database, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    before, batch, after = (create_batch(database, BatchRequest(source_path=str(tmp_path))) for _ in range(3))
    scan(database, before, [], source=Bucket(1_500))
    with claimed_batch(database, batch.id, run_id="scan", token=None, lease_seconds=60) as work:
        result = scan_batch(
            work,
            add_partitions=lambda keys: instance.add_dynamic_partitions("audio", list(keys)),
            max_file_bytes=MAX_BYTES,
            open_source=lambda path, pattern: Bucket(_FILES),
        )
    scan(database, after, [], source=Bucket(1_500))
    assert (result.total_files, result.new_files, result.new_shards) == (_FILES, _FILES, 1_000)
    with database.begin() as connection:
        cut = shards.of_batch(connection, batch.id, -1, _FILES)
    pages = list(_pages(database, batch.id))
    assert list(instance.get_dynamic_partitions("audio")) == [shard.key for shard in cut]
    assert {len(page) for page in pages} == {1_000}
    found = [file for page in pages for file in page]
    assert [file.uri for file in found] == [each.uri for each in Bucket(_FILES).list_objects()]
    assert {file.batch_id for file in found} == {batch.id}
    # in order of shards, and within these in order of the listing
    assert [file.shard_id for file in found] == [shard.id for shard in cut for _ in range(shard.total)]

    file_id = tables.audio_files.c.id
    for number, name in enumerate(_CLASSES):
        Rows(database).fail(file_id % 25 == 0, file_id // 25 % 3 == number, error_class=name)
    expected = [file.id for file in found if file.id % 25 == 0]
    of_class = {name: [id for id in expected if _CLASSES[id // 25 % 3] == name] for name in _CLASSES}
    for name in _CLASSES:
        assert [file.id for file in _failures(database, batch.id, name)] == of_class[name]
    assert [file.id for file in _failures(database, batch.id)] == [
        id for ids in of_class.values() for id in ids
    ]
    figures = progress(database, batch.id)
    assert figures.failures_by_class == {name: len(ids) for name, ids in of_class.items()}
    assert (figures.failed, figures.pending) == (4_000, 96_000)


def _pages(database: Database, batch_id: int) -> Iterator[list[AudioFile]]:
    last = 0
    with database.begin() as connection:
        while page := files.page(connection, batch_id, after=last):
            yield page
            last = page[-1].id


def _failures(database: Database, batch_id: int, error_class: str | None = None) -> Iterator[AudioFile]:
    last = None
    with database.begin() as connection:
        while page := files.failed(connection, batch_id, 300, error_class=error_class, after=last):
            yield from page
            last = (str(page[-1].error_class), page[-1].id)
