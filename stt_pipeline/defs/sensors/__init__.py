"""The sensors, one file each: the dispatcher of batches, the two that find new recordings, and the alerts."""

from collections.abc import Sequence

import dagster as dg

from stt_pipeline.defs.sensors.batch_dispatcher import batch_dispatcher
from stt_pipeline.defs.sensors.run_failures import run_failure_alerts
from stt_pipeline.defs.sensors.s3_audio import s3_audio_sensor
from stt_pipeline.defs.sensors.s3_events import s3_event_sensor

SENSORS: Sequence[dg.SensorDefinition] = (
    batch_dispatcher,
    s3_audio_sensor,
    s3_event_sensor,
    run_failure_alerts,
)
