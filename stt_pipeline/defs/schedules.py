"""The one schedule, ``daily_maintenance``."""

import dagster as dg

from stt_pipeline.defs.jobs import maintenance
from stt_pipeline.defs.settings_at_load import settings_at_load

_settings = settings_at_load()

daily_maintenance = dg.ScheduleDefinition(
    name="daily_maintenance",
    job=maintenance,
    cron_schedule="17 3 * * *",
    execution_timezone=_settings.timezone if _settings else "UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="At 03:17 in STT_TIMEZONE: creates the coming monthly partitions of stt_transcriptions, compacts Parquet files where that failed, "
    "and retires the partitions of old batches.",
)
