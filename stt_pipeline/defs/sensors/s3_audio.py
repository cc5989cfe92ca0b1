"""``s3_audio_sensor``: polls the watched sources that have no queue, each for a short time, in turn.

What a poll does is in ``batches.ingest.poll``.
"""

import logging
import time
from functools import partial

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.ingest.objects import IngestConfig
from stt_pipeline.batches.ingest.poll import PollResult, poll
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.defs.sensors.time_limit import within
from stt_pipeline.errors import ConflictError, NotFoundError, SttError
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch

_EVERY_SECONDS = 30
_POLLING_SECONDS = 20.0  # no further poll begins after this
_TICK_SECONDS = 40.0  # and the tick waits for none after this; Dagster ends a tick after 60
_MOST_WATCHES = 1_000

_log = logging.getLogger(__name__)


@dg.sensor(
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Polls the sources of `stt watch add` that have no queue, and puts new recordings into batches.",
)
def s3_audio_sensor(
    context: dg.SensorEvaluationContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
) -> dg.SkipReason:
    """Evaluate one sensor tick."""
    add_partitions = partial(context.instance.add_dynamic_partitions, str(audio_partitions.name))
    return dg.SkipReason(
        poll_watches(database, sources, IngestConfig.from_settings(settings, add_partitions))
    )


def poll_watches(
    database: Database, sources: AllowedSources, config: IngestConfig, *, tick_seconds: float = _TICK_SECONDS
) -> str:
    """Poll the watches that have waited longest, for up to 20 seconds, and return a line about what was found.

    Args:
        tick_seconds: the last poll continues in the background after this time.
    """
    begun = time.monotonic()
    with database.begin() as connection:
        waiting = watches.next_to_poll(connection, _MOST_WATCHES)
    if not waiting:
        return "No source is watched by polling."
    new = []
    for watch in waiting:
        left = begun + tick_seconds - time.monotonic()
        found = _poll(database, watch, sources, config, left)
        if found and found.new_files:
            new.append(
                f"Watch {watch.id} ({watch.name}): {found.new_files} new files in batch {found.batch_id}."
            )
        if time.monotonic() - begun > _POLLING_SECONDS:
            break
    return " ".join(new) or "Nothing new at the watched sources."


def _poll(
    database: Database, watch: Watch, sources: AllowedSources, config: IngestConfig, seconds: float
) -> PollResult | None:
    """Poll one watch; an error is shown on the watch, and the next watches are polled."""
    try:
        return within(seconds, f"watch {watch.id}", lambda: poll(database, watch, sources, config))
    except (ConflictError, NotFoundError) as error:
        # a run works on its batch, or the watch was removed: not an error to show
        _log.info("Watch %d: %s", watch.id, error)
        return None
    except SttError as error:
        message = str(error)
    except Exception as error:
        _log.exception("Watch %d", watch.id)
        message = f"The poll failed; see the log of the code server. {type(error).__name__}: {error}"
    with database.begin() as connection:
        watches.set_error(connection, watch.id, message)
    return None
