"""The checks of freshness tell of a watch that is not polled, and of a batch without its report."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.defs.freshness import every_batch_reported, every_watch_polled, freshness_checks
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline_tests.rows import Rows

OLD = datetime.now(UTC) - timedelta(days=1)


def _evaluated(check: dg.AssetChecksDefinition, database: Database) -> dg.AssetCheckResult:
    result = check(database)
    assert isinstance(result, dg.AssetCheckResult)
    return result


def _watch(database: Database, queue_url: str = "") -> int:
    request = WatchRequest(source_path="s3://calls/2026", name="Calls", queue_url=queue_url)
    with database.begin() as connection:
        return watches.create(connection, request.row(request.source_path), created_by="").id


@pytest.mark.parametrize(
    ("queue_url", "sensor"), [("", "s3_audio_sensor"), ("https://sqs.example.com/1/calls", "s3_event_sensor")]
)
def test_a_watch_that_no_sensor_polls_is_named_with_its_sensor(
    database: Database, queue_url: str, sensor: str
) -> None:
    assert _evaluated(every_watch_polled, database).passed
    watch_id = _watch(database, queue_url)
    assert _evaluated(every_watch_polled, database).passed  # it is new
    Rows(database).change(tables.watches, looked_at=OLD)
    result = _evaluated(every_watch_polled, database)
    assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert f"Watch {watch_id} (Calls) was last polled at" in str(result.description)
    assert sensor in str(result.description)


def test_a_watch_with_an_error_shows_it(database: Database) -> None:
    watch_id = _watch(database)
    with database.begin() as connection:
        watches.set_error(connection, watch_id, "The bucket calls does not exist.")
    result = _evaluated(every_watch_polled, database)
    assert (result.passed, result.description) == (
        False,
        f"Watch {watch_id} (Calls): The bucket calls does not exist.",
    )


def test_a_batch_whose_report_is_late_is_named(database: Database) -> None:
    rows = Rows(database)
    rows.batch(stage="shards", scanned_at=OLD)
    rows.batch(stage="report")  # it ended just now
    rows.batch(stage="report", scanned_at=OLD, open_until=datetime.now(UTC))
    assert _evaluated(every_batch_reported, database).passed
    late = rows.batch(stage="report", scanned_at=OLD, error="The disk is full.")
    result = _evaluated(every_batch_reported, database)
    assert not result.passed
    assert str(result.description).startswith(
        f"Batch {late} (meetings) waits for its report: The disk is full."
    )


def test_the_sensor_writes_a_result_when_it_changes(database: Database) -> None:
    cursor: str | None = None

    def tick() -> dict[str, bool]:
        nonlocal cursor
        context = dg.build_sensor_context(cursor=cursor, resources={"database": database})
        result = freshness_checks(context)
        if isinstance(result, dg.SkipReason):
            return {}
        assert isinstance(result, dg.SensorResult)
        cursor = result.cursor
        evaluations = [event for event in result.asset_events if isinstance(event, dg.AssetCheckEvaluation)]
        return {event.check_name: event.passed for event in evaluations}

    assert tick() == {"every_watch_polled": True, "every_batch_reported": True}
    assert tick() == {}
    _watch(database)
    Rows(database).change(tables.watches, looked_at=OLD)
    assert tick() == {"every_watch_polled": False}
    Rows(database).change(tables.watches, looked_at=datetime.now(UTC))
    assert tick() == {"every_watch_polled": True}
