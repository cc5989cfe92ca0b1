"""The migrations create the tables of ``store.tables``, keep the data of older versions, and can run at any time."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, inspect, text
from upath import UPath

from stt_pipeline.parquet import datasets
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import VERSION_TABLE, alembic_config, is_current, upgrade
from stt_pipeline.store.queue import shards
from stt_pipeline.store.results import transcriptions
from stt_pipeline.store.tables import metadata


def _is_partition(change: object) -> bool:
    """Return whether a difference is about a partition, which the metadata does not list."""
    return "stt_transcriptions_" in repr(change)


def test_migrations_and_tables_agree(database: Database) -> None:
    with database.begin() as connection:
        context = MigrationContext.configure(
            connection, opts={"version_table": VERSION_TABLE, "compare_type": True}
        )
        differences = [change for change in compare_metadata(context, metadata) if not _is_partition(change)]
    assert differences == []


def test_upgrade_can_run_again_and_concurrently(database: Database, database_url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(upgrade, [database_url] * 4))
    with database.begin() as connection:
        assert is_current(connection)


def test_partitions_of_months_are_created_once(database: Database) -> None:
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


def migrate(url: str, move: Callable[[Config, str], None], version: str) -> None:
    """Bring a database up or down to a version of the schema."""
    engine = create_engine(url)
    with engine.begin() as connection:
        move(alembic_config(connection), version)
    engine.dispose()


def test_every_migration_can_be_reverted(database: Database, database_url: str) -> None:
    migrate(database_url, command.downgrade, "base")
    with database.connect() as connection:
        assert [name for name in inspect(connection).get_table_names() if name != VERSION_TABLE] == []
    upgrade(database_url)
    test_migrations_and_tables_agree(database)


# as version 0006 wrote them: the names of columns and of keys in the JSON are older
_OLD_ROWS = (
    "INSERT INTO stt_batches (name, source_path, stage, deaths) VALUES ('old', 'file:///old', 'shards', 1)",
    """
    INSERT INTO stt_shards (batch_id, number, key, stage, total, deaths, file_in_hand)
    VALUES (1, 0, '000001-000000', 'publish', 1, 2, 1)
    """,
    """
    INSERT INTO stt_audio_files (batch_id, shard_id, uri, size, etag, status)
    VALUES (1, 1, 'file:///old/a.wav', 44, '1', 'transcribed')
    """,
    """
    INSERT INTO stt_transcriptions (
        batch_id, audio_file_id, created_at, audio_file_path, transcription_text, speaker_labels, segments, status,
        language, language_probability, duration, model, processing_completed_at, processing_duration,
        quality, speech_seconds, speech_seconds_without_text, suspect_segments)
    SELECT batch_id, id, created_at, uri, '네', '[]', '[{
            "start": 0.0, "end": 1.5, "text": "네", "suspect": ["speed"], "heard": "내",
            "words": [{"start": 0.0, "end": 1.5, "text": "네", "probability": 0.3, "unsure": true}]
        }]', 'completed', 'ko', 1, 1.5, 'large-v3', now(), 1, 0.5, 1.5, 0.25, 1
    FROM stt_audio_files
    """,
    "INSERT INTO stt_batches (name, source_path, stage) VALUES ('new', 'file:///new', 'intake')",
)


def test_data_of_the_version_before_the_renamed_columns_is_kept(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    migrate(database_url, command.downgrade, "0006")
    with database.begin() as connection:
        for statement in _OLD_ROWS:
            connection.execute(text(statement))
    migrate(database_url, command.upgrade, "head")
    with database.begin() as connection:
        stages = connection.execute(text("SELECT stage, crashes FROM stt_batches ORDER BY id")).all()
        assert stages == [("shards", 1), ("scan", 0)]
        shard = shards.get(connection, 1)
        assert (shard.crashes, shard.active_file_id) == (2, 1)
        transcript = transcriptions.get(connection, 1).transcript
        rows = transcriptions.rows_of_shard(connection, 1)
    assert transcript.untranscribed_speech_seconds == 0.25
    assert transcript.detected_language is transcript.detected_language_probability is None
    (segment,) = transcript.segments
    assert (segment.raw_text, segment.hallucination_reasons) == ("내", ("speed",))
    assert segment.words[0].low_confidence

    datasets.write(UPath(tmp_path / "a.parquet"), "transcripts", rows)
    (stored,) = datasets.read([UPath(tmp_path / "a.parquet")], "transcripts").to_dict("records")
    assert stored["untranscribed_speech_seconds"] == 0.25
    (segment,) = stored["segments"]
    assert (segment["raw_text"], list(segment["hallucination_reasons"])) == ("내", ["speed"])
    assert segment["words"][0]["low_confidence"]

    migrate(database_url, command.downgrade, "0006")
    with database.begin() as connection:
        assert connection.scalar(text("SELECT stage FROM stt_batches WHERE name = 'new'")) == "intake"
        crashed = connection.execute(text("SELECT deaths, file_in_hand FROM stt_shards")).one()
        missing = connection.scalar(text("SELECT speech_seconds_without_text FROM stt_transcriptions"))
    assert (*crashed, missing) == (2, 1, 0.25)


def test_mail_options_and_the_log_of_older_versions_are_kept(database: Database, database_url: str) -> None:
    migrate(database_url, command.downgrade, "0007")
    with database.begin() as connection:
        for value in ("true", "false", "null"):
            options = {"options": f'{{"mail_minutes": {value}, "model": "demo"}}'}
            for table in ("stt_batches", "stt_watches"):
                column, stage = ("stage", "done") if table == "stt_batches" else ("batching", "daily")
                query = f"INSERT INTO {table} (name, source_path, {column}, options) VALUES ('old', 'file:///old', '{stage}', :options)"
                connection.execute(text(query), options)
        connection.execute(
            text(
                "INSERT INTO stt_email_logs (batch_id, recipient_email, status) VALUES (1, 'kim@example.com', 'sent')"
            )
        )
    migrate(database_url, command.upgrade, "head")
    expected = [{"mail": "each", "model": "demo"}, {"mail": "report", "model": "demo"}, {"model": "demo"}]
    with database.begin() as connection:
        for table in ("stt_batches", "stt_watches"):
            assert list(connection.scalars(text(f"SELECT options FROM {table} ORDER BY id"))) == expected
        assert connection.scalar(text("SELECT kind FROM stt_email_logs")) == "report"
    migrate(database_url, command.downgrade, "0007")
    with database.begin() as connection:
        old = list(connection.scalars(text("SELECT options -> 'mail_minutes' FROM stt_batches ORDER BY id")))
    assert old == [True, False, None]
