"""The migrations make what the tables say, and can be run at any time."""

from concurrent.futures import ThreadPoolExecutor

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import VERSION_TABLE, is_current, upgrade
from stt_pipeline.store.results import transcriptions
from stt_pipeline.store.tables import metadata


def _is_partition(change: object) -> bool:
    """Whether a difference is about a month or the default of a partitioned table, which no metadata lists."""
    return "stt_transcriptions_" in repr(change)


def test_migrations_and_tables_agree(database: Database) -> None:
    with database.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        differences = [change for change in compare_metadata(context, metadata) if not _is_partition(change)]
    assert differences == []


def test_upgrade_can_run_again_and_side_by_side(database: Database, database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [database_url] * 4))
    with database.begin() as connection:
        assert is_current(connection)


def test_months_are_made_ahead_and_only_once(database: Database) -> None:
    for _ in range(2):
        with database.begin() as connection:
            transcriptions.ensure_months(connection, ahead=3)
    with database.begin() as connection:
        names = {
            name
            for name in inspect(connection).get_table_names()
            if name.startswith("stt_transcriptions_") and name != "stt_transcriptions_default"
        }
        this_month = connection.scalar(text("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')"))
    assert len(names) == 4
    assert f"stt_transcriptions_{this_month}" in names
