"""Checks of freshness: a watch that is not polled, and a batch whose report is late.

Dagster's freshness policies compare an asset's newest materialization with a time window. Here nothing is due while there is
no watch and no batch, so the checks ask Postgres. The sensor ``freshness_checks`` evaluates them; a user can run them too.
"""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.defs.catalog import RECORDINGS
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.queue import batches

# a tick of the sensors takes up to 40 s, and each tick polls many watches; a restart of `stt up` takes a minute
_POLL_OVERDUE = timedelta(minutes=15)
# a report is made within seconds, and its run may wait for other runs
_REPORT_OVERDUE = timedelta(hours=1)
_SHOWN = 20
_REPEAT_SECONDS = 6 * 3600  # a result that stays the same is written again after this time


@dg.asset_check(
    asset=RECORDINGS,
    description="Every watch was polled, or its queue was read, within the last 15 minutes, and without an error.",
)
def every_watch_polled(database: ResourceParam[Database]) -> dg.AssetCheckResult:
    """Find the watches that miss new recordings."""
    return _watches_polled(database)


@dg.asset_check(
    asset="batch_report",
    description="Every batch whose last file ended more than an hour ago has its report.",
)
def every_batch_reported(database: ResourceParam[Database]) -> dg.AssetCheckResult:
    """Find the batches whose report is late."""
    return _batches_reported(database)


def _watches_polled(database: Database) -> dg.AssetCheckResult:
    limit = datetime.now(UTC) - _POLL_OVERDUE
    with database.begin() as connection:
        overdue = watches.overdue(connection, limit)
    problems = [
        f"Watch {watch.id} ({watch.name}): {watch.error}"
        if watch.looked_at and watch.looked_at >= limit
        else f"Watch {watch.id} ({watch.name}) was last polled {_shown(watch.looked_at)}: start `stt up`, or turn on the sensor "
        f"{'s3_event_sensor' if watch.queue_url else 's3_audio_sensor'}."
        for watch in overdue
    ]
    return _result(problems, "Every watch is polled.")


def _batches_reported(database: Database) -> dg.AssetCheckResult:
    with database.begin() as connection:
        late = batches.overdue_reports(connection, datetime.now(UTC) - _REPORT_OVERDUE)
    problems = [
        f"Batch {batch.id} ({batch.name}) waits for its report: "
        f"{batch.error or 'look at the runs of report_batch, and turn on the sensor batch_dispatcher'}."
        for batch in late
    ]
    return _result(problems, "No report is late.")


@dg.sensor(
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Evaluates the checks of freshness every five minutes, and writes a result when it changes or is old.",
)
def freshness_checks(
    context: dg.SensorEvaluationContext, database: ResourceParam[Database]
) -> dg.SensorResult | dg.SkipReason:
    """Evaluate one sensor tick."""
    written = json.loads(context.cursor) if context.cursor else {}
    now = time.time()
    events = []
    for check, evaluate in _EVALUATIONS.items():
        (key,) = check.check_keys
        # not by a call of the check, which would make an instance of Dagster for it
        result = evaluate(database)
        passed, at = written.get(key.name, (None, 0.0))
        # not the description: the time in it would change at each tick
        if passed is not result.passed or now - at > _REPEAT_SECONDS:
            events.append(
                dg.AssetCheckEvaluation(
                    key.asset_key,
                    key.name,
                    passed=result.passed,
                    severity=result.severity,
                    description=result.description,
                )
            )
            written[key.name] = (result.passed, now)
    if not events:
        return dg.SkipReason("Nothing changed.")
    return dg.SensorResult(asset_events=events, cursor=json.dumps(written))


_EVALUATIONS: Mapping[dg.AssetChecksDefinition, Callable[[Database], dg.AssetCheckResult]] = {
    every_watch_polled: _watches_polled,
    every_batch_reported: _batches_reported,
}
FRESHNESS_CHECKS: Sequence[dg.AssetChecksDefinition] = tuple(_EVALUATIONS)


def _result(problems: Sequence[str], good: str) -> dg.AssetCheckResult:
    more = [f"and {len(problems) - _SHOWN} more"] if len(problems) > _SHOWN else []
    return dg.AssetCheckResult(
        passed=not problems,
        severity=dg.AssetCheckSeverity.WARN,
        description="\n".join([*problems[:_SHOWN], *more]) or good,
    )


def _shown(time: datetime | None) -> str:
    return f"at {time.astimezone():%Y-%m-%d %H:%M %Z}" if time else "never"
