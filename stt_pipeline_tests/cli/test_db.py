"""`stt db`, and the errors of other commands on a database that is not migrated."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from sqlalchemy import create_engine, inspect, make_url, text

from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.tables import metadata
from stt_pipeline_tests.cli.conftest import Stt
from stt_pipeline_tests.rows import Rows

_numbers = itertools.count()


def _execute(url: str, *statements: str) -> None:
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        for statement in statements:
            connection.execute(text(statement))
    engine.dispose()


@pytest.fixture
def empty_url(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database without tables, in STT_DATABASE_URL."""
    name = f"empty_{next(_numbers)}"
    _execute(postgres_url, f"CREATE DATABASE {name}")
    url = make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    monkeypatch.setenv("STT_DATABASE_URL", url)
    yield url
    _execute(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


def test_upgrade_creates_the_tables_and_can_run_again(stt: Stt, empty_url: str) -> None:
    for _ in range(2):
        ended = stt("db", "upgrade")
        assert (ended.code, ended.err) == (0, "")
        assert ended.out.startswith("The schema is current: ")
        assert make_url(empty_url).database in ended.out
    database = Database(empty_url)
    with database.begin() as connection:
        tables = set(inspect(connection).get_table_names())
    database.dispose()
    assert set(metadata.tables) <= tables
    assert f"stt_transcriptions_{datetime.now(UTC):%Y_%m}" in tables
    assert stt("batch", "list").code == 0


@pytest.mark.parametrize(
    "command",
    [("batch", "list"), ("batch", "create", "."), ("batch", "progress", "1"), ("export", "1")],
    ids=" ".join,
)
def test_a_database_that_is_not_migrated(stt: Stt, empty_url: str, command: tuple[str, ...]) -> None:
    ended = stt(*command)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err == "The database schema is not that of this version: run `stt db upgrade` first.\n"


def test_the_doctor_reports_a_database_that_is_not_migrated(stt: Stt, empty_url: str) -> None:
    ended = stt("doctor")
    assert ended.code == 1
    assert "Run `stt db upgrade`." in ended.shown
    assert "one process a recording" in ended.shown


def test_a_database_of_a_newer_release_is_not_changed(stt_on_database: Stt, database: Database) -> None:
    Rows(database).set_schema_version("from_the_future")
    assert "run `stt db upgrade` first" in stt_on_database("batch", "list").err
    ended = stt_on_database("db", "upgrade")
    assert ended.code == 2
    assert ended.err.startswith("The database was migrated by a newer release of stt_pipeline")
    assert ended.err.count("\n") == 1


def test_a_user_without_the_right_to_create_tables(
    stt: Stt, empty_url: str, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _execute(postgres_url, "CREATE ROLE guest LOGIN")
    try:
        guest = make_url(empty_url).set(username="guest").render_as_string(hide_password=False)
        monkeypatch.setenv("STT_DATABASE_URL", guest)
        ended = stt("db", "upgrade")
    finally:
        _execute(postgres_url, "DROP ROLE guest")
    assert ended.code == 1
    assert ended.err.startswith("Postgres: permission denied for schema public")
    assert "Traceback" not in ended.err


def test_reindex_adds_texts_that_are_not_in_the_index(
    stt_on_database: Stt, database: Database, ended_batch: int
) -> None:
    def rows() -> list[object]:
        with database.begin() as connection:
            return [*connection.execute(text("SELECT part, text FROM stt_search ORDER BY 1, 2"))]

    indexed = rows()
    assert stt_on_database("db", "reindex").out == "Indexed: 0 transcripts.\n"
    for lost in ((), (tables.search.c.part == "minutes",)):
        Rows(database).delete(tables.search, *lost)
        assert stt_on_database("db", "reindex").out == "Indexed: 2 transcripts.\n"
        assert rows() == indexed
    assert stt_on_database("db", "reindex", "--all").out == "Indexed: 2 transcripts.\n"
    assert rows() == indexed
