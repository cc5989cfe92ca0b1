"""``s3_event_sensor``: reads the queues that tell what arrives at watched buckets. What becomes of it is in ``batches.events``."""

import logging
import time
from collections.abc import Sequence
from functools import partial

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.batches.ingest.objects import Intake
from stt_pipeline.batches.ingest.queue_consumer import Drained, drain
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
# for a first message in any of them. Shorter than the interval: who stops the product waits for the tick, too
_WAITING_SECONDS = 4.0
_TICK_SECONDS = 40.0  # nothing is waited for after this; Dagster gives a tick up after 60


@dg.sensor(
    minimum_interval_seconds=_EVERY_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reads what the queues of `stt watch add --queue` tell about new recordings, and puts them into batches.",
)
def s3_event_sensor(
    context: dg.SensorEvaluationContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
) -> dg.SkipReason:
    """Read each queue for a while."""
    with database.begin() as connection:
        queues = watches.of_queues(connection)
    if not queues:
        return dg.SkipReason("No source is watched through a queue.")
    begun = time.monotonic()
    access = QueueAccess.of(settings)
    intake = Intake.of(settings, partial(context.instance.add_dynamic_partitions, str(audio_partitions.name)))
    told = []
    in_turn = sorted(queues.items(), key=lambda queue: _last_looked_at(queue[1]))
    for place, (url, of_queue) in enumerate(in_turn):
        passed = time.monotonic() - begun
        if passed > _READING_SECONDS:
            break
        seconds = (_READING_SECONDS - passed) / (len(in_turn) - place)
        wait = max(1.0, _WAITING_SECONDS / len(in_turn))

        def read(
            url: str = url, of_queue: Sequence[Watch] = of_queue, seconds: float = seconds, wait: float = wait
        ) -> Drained:
            queue = access.open(url)
            return drain(database, queue, of_queue, sources, intake, seconds=seconds, wait_seconds=wait)

        try:
            drained = within(_TICK_SECONDS - passed, f"queue {url}", read)
        except SttError as error:
            _note(database, of_queue, str(error))
        except Exception as error:
            _log.exception("%s", url)
            _note(database, of_queue, f"The queue could not be read. {type(error).__name__}: {error}")
        else:
            told += _words(url, drained)
    return dg.SkipReason(" ".join(told) or "The queues have nothing new.")


def _last_looked_at(of_queue: Sequence[Watch]) -> float:
    return min((watch.looked_at.timestamp() if watch.looked_at else 0.0) for watch in of_queue)


def _note(database: Database, of_queue: Sequence[Watch], words: str) -> None:
    with database.begin() as connection:
        for watch in of_queue:
            watches.set_error(connection, watch.id, words)


def _words(url: str, drained: Drained) -> list[str]:
    if not drained.messages:
        return []
    batches = f" in batches {', '.join(map(str, drained.batch_ids))}" if drained.batch_ids else ""
    kept = f" {drained.buried} became dead letters." if drained.buried else ""
    left = f" {drained.left} stay in the queue." if drained.left else ""
    name = url.rpartition("/")[2]
    return [f"{name}: {drained.messages} messages, {drained.new} new files{batches}.{kept}{left}"]
