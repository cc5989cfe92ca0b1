"""The schedules: ``daily_maintenance``, and nothing else runs by the clock."""

import dagster as dg

from stt_pipeline.defs.jobs import maintenance

daily_maintenance = dg.ScheduleDefinition(
    name="daily_maintenance",
    job=maintenance,
    cron_schedule="17 3 * * *",  # UTC
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Makes the coming months of stt_transcriptions and retires the partitions of old batches.",
)
