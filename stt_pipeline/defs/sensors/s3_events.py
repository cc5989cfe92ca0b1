"""``s3_event_sensor``: reads the queues that announce new objects in watched buckets.

What a message does is in ``batches.ingest.queue_consumer``.
"""

import logging
import time
from collections.abc import Sequence
from functools import partial

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.batches.ingest.objects import IngestConfig
from stt_pipeline.batches.ingest.queue_consumer import ConsumeResult, consume
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.defs.sensors.time_limit import within
from stt_pipeline.errors import SttError
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch

_log = logging.getLogger(__name__)

_EVERY_SECONDS = 5
_READING_SECONDS = 15.0  # of all queues together
# for the first message of any queue. Shorter than the interval, because a shutdown waits for the tick
_WAIT_SECONDS = 4.0
_TICK_SECONDS = 40.0  # the tick waits for no queue after this; Dagster ends a tick after 60


@dg.sensor(
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads the queues of `stt watch add --queue`, and puts the announced recordings into batches.",
)
def s3_event_sensor(
    context: dg.SensorEvaluationContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
) -> dg.SkipReason:
    """Evaluate one sensor tick."""
    config = IngestConfig.from_settings(
        settings, partial(context.instance.add_dynamic_partitions, str(audio_partitions.name))
    )
    return dg.SkipReason(read_queues(database, QueueAccess.of(settings), sources, config))


def read_queues(
    database: Database,
    access: QueueAccess,
    sources: AllowedSources,
    config: IngestConfig,
    *,
    wait_seconds: float = _WAIT_SECONDS,
) -> str:
    """Read each queue for a share of 15 seconds, and return a line about what was found.

    Args:
        wait_seconds: the time to wait for the first messages, of all queues together.
    """
    with database.begin() as connection:
        queues = watches.of_queues(connection)
    if not queues:
        return "No source is watched through a queue."
    begun = time.monotonic()
    found = []
    in_turn = sorted(queues.items(), key=lambda queue: _last_read_at(queue[1]))
    for place, (url, of_queue) in enumerate(in_turn):
        passed = time.monotonic() - begun
        if passed > _READING_SECONDS:
            break
        seconds = (_READING_SECONDS - passed) / (len(in_turn) - place)
        wait = max(1.0, wait_seconds / len(in_turn))

        def read(
            url: str = url, of_queue: Sequence[Watch] = of_queue, seconds: float = seconds, wait: float = wait
        ) -> ConsumeResult:
            queue = access.open(url)
            return consume(database, queue, of_queue, sources, config, seconds=seconds, wait_seconds=wait)

        try:
            result = within(_TICK_SECONDS - passed, f"queue {url}", read)
        except SttError as error:
            _show_error(database, of_queue, str(error))
        except Exception as error:
            _log.exception("%s", url)
            _show_error(database, of_queue, f"The queue could not be read. {type(error).__name__}: {error}")
        else:
            found += _lines(url, result)
    return " ".join(found) or "The queues have nothing new."


def _last_read_at(of_queue: Sequence[Watch]) -> float:
    return min((watch.looked_at.timestamp() if watch.looked_at else 0.0) for watch in of_queue)


def _show_error(database: Database, of_queue: Sequence[Watch], message: str) -> None:
    with database.begin() as connection:
        for watch in of_queue:
            watches.set_error(connection, watch.id, message)


def _lines(url: str, result: ConsumeResult) -> list[str]:
    if not result.messages:
        return []
    batches = f" in batches {', '.join(map(str, result.batch_ids))}" if result.batch_ids else ""
    dead = f" {result.dead_letters} became dead letters." if result.dead_letters else ""
    left = f" {result.kept} stay in the queue." if result.kept else ""
    name = url.rpartition("/")[2]
    return [f"{name}: {result.messages} messages, {result.new_files} new files{batches}.{dead}{left}"]
