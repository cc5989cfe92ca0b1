"""The one schedule, ``daily_maintenance``."""

import dagster as dg

from stt_pipeline.defs.jobs import maintenance

daily_maintenance = dg.ScheduleDefinition(
    name="daily_maintenance",
    job=maintenance,
    cron_schedule="17 3 * * *",  # UTC
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Creates the coming monthly partitions of stt_transcriptions, compacts Parquet files where that failed, "
    "and retires the partitions of old batches.",
)
