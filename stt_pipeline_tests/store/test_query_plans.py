"""No query scans a large table: plans at 200,000 files, in large and small batches, after ANALYZE."""

import inspect
import re
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
from sqlalchemy import Inspector, text

from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import file_search, files, repeats, staging, watches
from stt_pipeline.store.queue import (
    batch_stats,
    batches,
    crashes,
    heartbeats,
    leases,
    locks,
    partitions,
    runs,
    shards,
    transitions,
)
from stt_pipeline.store.results import digests, emails, review, search, summaries, transcriptions
from stt_pipeline.store.tables import metadata
from stt_pipeline_tests.rows import Rows
from stt_pipeline_tests.store import large_store
from stt_pipeline_tests.store.every_query import run_every_query
from stt_pipeline_tests.store.large_store import LARGE_TABLES
from tools.query_plans import Scan, Statement, recorded, statements_by_index, wasteful_scans

STORE = (
    batches,
    batch_stats,
    crashes,
    digests,
    emails,
    file_search,
    files,
    heartbeats,
    leases,
    locks,
    partitions,
    repeats,
    staging,
    transitions,
    review,
    runs,
    search,
    shards,
    summaries,
    transcriptions,
    watches,
)

pytestmark = pytest.mark.slow


def queries_of(module: ModuleType) -> set[str]:
    """Return the names of the public functions of a module of the store that take a connection."""
    return {
        f"{module.__name__.removeprefix('stt_pipeline.store.')}.{name}"
        for name, found in inspect.getmembers(module, inspect.isfunction)
        if found.__module__ == module.__name__
        and not name.startswith("_")
        and "connection" in inspect.signature(found).parameters
    }


def test_every_query_uses_an_index_and_needs_it(database: Database, tmp_path: Path) -> None:
    with database.begin() as connection:
        request = WatchRequest(source_path="s3://recordings", name="calls")
        watch = watches.create(connection, request.row(request.source_path), created_by="")
        old = large_store.add_batches(connection, 50, files=20, files_per_shard=1)
        (large,) = large_store.add_batches(connection, 1, files=169_000, files_per_shard=100)
        small = large_store.add_batches(connection, 100, files=300, files_per_shard=1, watch_id=watch.id)
        large_store.do_half(connection, [*old, large, *small], transcripts=60_000)
        large_store.end(connection, old[:-1], days_ago=100)
        large_store.end(connection, small[:90], days_ago=1)
        connection.execute(text("ANALYZE"))
    with recorded() as statements:
        run_every_query(database, at_work=(large, small[-1], old[-1]), ended=old[0], folder=tmp_path)
    queried = {name for statement in statements for name in statement.functions}
    not_queried = set().union(*map(queries_of, STORE)) - queried
    # a COPY has no plan; the other reads all of an index, which has only the few mails that are not sent
    without_plan = {"manifest.staging.add", "results.emails.count_unsent"}
    assert not_queried == without_plan, "add them to every_query.py"

    def scans(tables: tuple[str, ...], some: Sequence[Statement], *, without: str = "") -> list[Scan]:
        with database.connect() as connection:
            staging.begin(connection)
            if without:
                connection.execute(text(f"DROP INDEX {without}"))
            found = wasteful_scans(connection, some, tables)
            connection.rollback()
        return found

    assert [*map(str, scans(LARGE_TABLES, statements))] == []
    assert [str(scan) for scan in scans(("stt_shards",), statements) if scan.how == "Seq Scan"] == []
    with database.connect() as connection:
        staging.begin(connection)
        users = statements_by_index(connection, statements, LARGE_TABLES)
    for index in (
        "stt_audio_files_batch",
        "stt_audio_files_content",
        "stt_audio_files_failed",
        "stt_audio_files_shard",
        "stt_email_logs_batch",
        "stt_email_logs_content",
        "stt_email_logs_minutes_once",
        "stt_search_batch",
        "stt_search_tsv",
        "stt_transcriptions_quality",
    ):
        # plans that do not use the index do not change without it
        assert scans(LARGE_TABLES, users[index], without=index) != [], index


@pytest.mark.parametrize(
    ("table", "column"),
    [("stt_batches", "status"), ("stt_transcriptions", "batch_id"), ("stt_transcriptions", "status")],
)
def test_the_indexes_that_the_product_names_exist(schema: Inspector, table: str, column: str) -> None:
    assert [column] in [index["column_names"] for index in schema.get_indexes(table)]


@pytest.mark.parametrize("table", metadata.tables)
def test_every_foreign_key_has_an_index(schema: Inspector, table: str) -> None:
    indexed = [index["column_names"] for index in schema.get_indexes(table)]
    indexed.append(schema.get_pk_constraint(table)["constrained_columns"])
    for key in schema.get_foreign_keys(table):
        columns = key["constrained_columns"]
        assert columns in [names[: len(columns)] for names in indexed], columns


def test_a_review_does_not_read_outdated_transcripts(database: Database) -> None:
    with database.begin() as connection:
        batch_id = large_store.add_batches(connection, 1, files=2_000, files_per_shard=100)[0]
        large_store.do_half(connection, [batch_id], transcripts=1_000)
    Rows(database).change(tables.transcriptions, quality=0.5, status="outdated")
    with database.begin() as connection:
        connection.execute(text("ANALYZE"))
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        with recorded() as statements:
            assert review.worst(connection, batch_id, 20) == []
        (statement,) = statements
        (plan,) = connection.exec_driver_sql(
            f"EXPLAIN (ANALYZE, FORMAT JSON) {statement.sql}", dict(statement.parameters)
        ).scalars()
    assert "stt_transcriptions" in str(plan)
    assert re.findall(r"'Rows Removed by Filter': [1-9]", str(plan)) == []
