"""``run_failure_alerts``: mails the failed runs to STT_ALERT_EMAILS, together and at most six times an hour.

Dagster's own failure sensor calls its function once a run: an outage that fails a thousand runs would be a thousand mails.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.defs.run_tags import BATCH_TAG, FAILED_RECORDINGS_TAG
from stt_pipeline.errors import SttError
from stt_pipeline.mail.alerts import FailedRun, run_failure_mail
from stt_pipeline.mail.mailer import load_mailer
from stt_pipeline.settings import Settings

_BETWEEN_MAILS = timedelta(minutes=10)
_SHOWN_RUNS = 20
_MOST_RUNS = 1_000  # of one mail; more are in the next one
_LONGEST_REASON = 1_000  # characters


@dataclass(frozen=True, slots=True)
class _Cursor:
    """The time of the newest run that was mailed or passed over, and of the last mail, in seconds since 1970."""

    updated_after: float
    mailed_at: float = 0.0

    @classmethod
    def parse(cls, text: str | None) -> "_Cursor":
        """Return the cursor of the last tick; the first tick begins now, and mails no older failure."""
        return cls(**json.loads(text)) if text else cls(datetime.now(UTC).timestamp())

    def __str__(self) -> str:
        return json.dumps({"updated_after": self.updated_after, "mailed_at": self.mailed_at})


@dg.sensor(
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Mails runs that failed as a whole to STT_ALERT_EMAILS, at most every ten minutes. "
    "Runs in which only single recordings failed are not mailed: the report of their batch names these.",
)
def run_failure_alerts(
    context: dg.SensorEvaluationContext, settings: ResourceParam[Settings]
) -> dg.SkipReason:
    """Evaluate one sensor tick."""
    cursor = _Cursor.parse(context.cursor)
    context.update_cursor(str(cursor))
    if not settings.alert_recipients:
        # not kept from before: who sets the addresses later wants no mail about old failures
        context.update_cursor("")
        return dg.SkipReason("STT_ALERT_EMAILS is empty.")
    now = datetime.now(UTC)
    next_mail = datetime.fromtimestamp(cursor.mailed_at, UTC) + _BETWEEN_MAILS
    if now < next_mail:
        return dg.SkipReason(f"The next mail may go at {next_mail:%H:%M:%S} UTC.")
    failed, newest = _failed_runs(context.instance, cursor.updated_after)
    if not failed:
        context.update_cursor(str(_Cursor(newest, cursor.mailed_at)))
        return dg.SkipReason("No run failed.")
    runs = [_described(context.instance, record, settings) for record in failed[:_SHOWN_RUNS]]
    _send(context, settings, runs, total=len(failed))
    context.update_cursor(str(_Cursor(newest, now.timestamp())))
    return dg.SkipReason(f"Mailed {len(failed)} failed runs to {', '.join(settings.alert_recipients)}.")


def _failed_runs(instance: dg.DagsterInstance, updated_after: float) -> tuple[list[dg.RunRecord], float]:
    """Return the failed runs after a time, oldest first, and the time of the newest run that was considered."""
    records = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.FAILURE], updated_after=datetime.fromtimestamp(updated_after, UTC)
        ),
        limit=_MOST_RUNS,
        order_by="update_timestamp",
        ascending=True,
    )
    newest = max((_updated_at(record) for record in records), default=updated_after)
    return [record for record in records if FAILED_RECORDINGS_TAG not in record.dagster_run.tags], newest


def _updated_at(record: dg.RunRecord) -> float:
    # naive in the run storage of Postgres, and in UTC
    return record.update_timestamp.replace(tzinfo=UTC).timestamp()


def _described(instance: dg.DagsterInstance, record: dg.RunRecord, settings: Settings) -> FailedRun:
    run = record.dagster_run
    ended = record.end_time or _updated_at(record)
    return FailedRun(
        run.run_id,
        job=run.job_name,
        batch=run.tags.get(BATCH_TAG, ""),
        reason=_reason(instance, run.run_id)[:_LONGEST_REASON],
        ended_at=datetime.fromtimestamp(ended, ZoneInfo(settings.timezone)),
        url=f"{settings.ui_url}/runs/{run.run_id}" if settings.ui_url else "",
    )


def _reason(instance: dg.DagsterInstance, run_id: str) -> str:
    """Return the error of the first failed step, else what ended the run."""
    for kind in (dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.RUN_FAILURE):
        for record in instance.get_records_for_run(run_id, of_type=kind, limit=1).records:
            event = record.event_log_entry.get_dagster_event()
            if kind == dg.DagsterEventType.STEP_FAILURE:
                data = event.step_failure_data
                if data.user_failure_data and data.user_failure_data.description:
                    return str(data.user_failure_data.description)
                if data.error:
                    cause = data.error.cause or data.error
                    return cause.message.strip()
            return str(event.message or "")
    return "Dagster has no error of this run: see its page."


def _send(
    context: dg.SensorEvaluationContext, settings: Settings, runs: Sequence[FailedRun], *, total: int
) -> None:
    """Send the mail to each recipient.

    Raises:
        SttError: no recipient got it; the next tick tries again. One wrong address is only logged.
    """
    mailer = load_mailer(settings.smtp_url, settings.outbox, settings.mail_from)
    errors = []
    with mailer:
        for recipient in settings.alert_recipients:
            try:
                mailer.send(run_failure_mail(runs, recipient, total=total))
            except SttError as error:
                context.log.error(f"The failed runs could not be mailed to {recipient}: {error}")
                errors.append(error)
    if len(errors) == len(settings.alert_recipients):
        raise errors[0]
