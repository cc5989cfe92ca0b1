"""``s3_audio_sensor``: looks at watched sources that have no queue, each a little in turn. What a look is, is in ``batches``."""

import logging
import time
from functools import partial

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.ingest.objects import Intake
from stt_pipeline.batches.ingest.poll import Look, look
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.defs.sensors.time_limit import within
from stt_pipeline.errors import ConflictError, NotFoundError, SttError
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch

_EVERY_SECONDS = 30
_LOOKING_SECONDS = 20.0  # no further look begins after that
_TICK_SECONDS = 40.0  # and none is waited for after this; Dagster gives a tick up after 60
_MOST_WATCHES = 1_000

_log = logging.getLogger(__name__)


@dg.sensor(
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Looks for new recordings at the sources of `stt watch add` that have no queue, and puts them into batches.",
)
def s3_audio_sensor(
    context: dg.SensorEvaluationContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
) -> dg.SkipReason:
    """Look at the watches that wait longest."""
    begun = time.monotonic()
    with database.begin() as connection:
        waiting = watches.next_to_poll(connection, _MOST_WATCHES)
    if not waiting:
        return dg.SkipReason("No source is watched by listing it.")
    add_partitions = partial(context.instance.add_dynamic_partitions, str(audio_partitions.name))
    intake = Intake.of(settings, add_partitions)
    new = []
    for watch in waiting:
        rest = begun + _TICK_SECONDS - time.monotonic()
        looked = _looked(database, watch, sources, intake, rest)
        if looked and looked.new:
            new.append(f"Watch {watch.id} ({watch.name}): {looked.new} new files in batch {looked.batch_id}.")
        if time.monotonic() - begun > _LOOKING_SECONDS:
            break
    return dg.SkipReason(" ".join(new) or "Nothing new at the watched sources.")


def _looked(
    database: Database, watch: Watch, sources: AllowedSources, intake: Intake, seconds: float
) -> Look | None:
    """Look at one watch; what does not work is noted there, since the others go on."""
    try:
        return within(seconds, f"watch {watch.id}", lambda: look(database, watch, sources, intake))
    except (ConflictError, NotFoundError) as error:
        _log.info(
            "Watch %d: %s", watch.id, error
        )  # its batch is in hand, or it was removed: no error to show
        return None
    except SttError as error:
        words = str(error)
    except Exception as error:
        _log.exception("Watch %d", watch.id)
        words = f"The look failed, the log of the code server says where. {type(error).__name__}: {error}"
    with database.begin() as connection:
        watches.set_error(connection, watch.id, words)
    return None
