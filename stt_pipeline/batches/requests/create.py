"""Writes batches and watches: a request becomes a row, and an entry of the audit log."""

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.allowed import ALLOW_ALL, AllowedSources
from stt_pipeline.audio.manifest_reader import is_file_list
from stt_pipeline.audio.sqs import AWS_QUEUES, QueueAccess
from stt_pipeline.batches.keys import clean_name
from stt_pipeline.batches.requests.batch_request import BatchRequest, WatchRequest
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.access import audit
from stt_pipeline.store.access.audit import NOBODY, Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches
from stt_pipeline.store.manifest.watches import Watch
from stt_pipeline.store.queue import batches
from stt_pipeline.store.queue.batches import Batch


def create_batch(
    database: Database,
    request: BatchRequest,
    *,
    allowed: AllowedSources = ALLOW_ALL,
    actor: Actor = NOBODY,
) -> Batch:
    """Write a batch, and return it. The dispatcher scans its source at the next tick.

    Args:
        allowed: the places that the source may be in.
        actor: who requests it, for the audit log and as ``created_by``.

    Raises:
        InvalidRequestError: the source or the pattern is invalid; nothing is written.
        SourceUnavailableError: the source does not answer at the moment.
    """
    source = allowed.open(request.source_path, request.file_pattern)
    values = request.row(source.uri)
    with database.begin() as connection:
        batch = batches.create(
            connection, values, partition_name=clean_name(values["name"]), created_by=actor.name
        )
        audit.record(connection, actor, "batch.create", batch_id=batch.id, details=values)
        return batch


def create_watch(
    database: Database,
    request: WatchRequest,
    *,
    allowed: AllowedSources,
    queues: QueueAccess = AWS_QUEUES,
    actor: Actor = NOBODY,
) -> Watch:
    """Write a watch, and return it. The sensors poll its source from then on.

    Args:
        allowed: the places that the source may be in.
        queues: the queues that may be read.
        actor: who requests it.

    Raises:
        InvalidRequestError: the source, the pattern or the queue is invalid; nothing is written.
        SourceUnavailableError: the source does not answer at the moment.
    """
    source = allowed.open(request.source_path, request.file_pattern)
    _check_queue(request.queue_url, source.uri, queues)
    values = request.row(source.uri)
    with database.begin() as connection:
        watch = watches.create(connection, values, created_by=actor.name)
        audit.record(connection, actor, "watch.add", details={"watch_id": watch.id, **values})
        return watch


def remove_watch(database: Database, watch_id: int, *, actor: Actor = NOBODY) -> Watch:
    """Delete a watch, and return it as it was. Its batches stay; the open one gets no more files.

    Raises:
        NotFoundError: there is no such watch.
    """
    with database.begin() as connection:
        watch = watches.get(connection, watch_id, lock=True)
        watches.remove(connection, watch_id)
        audit.record(connection, actor, "watch.remove", details={"watch_id": watch_id, "name": watch.name})
        return watch


def _check_queue(queue_url: str, source: str, queues: QueueAccess) -> None:
    if not queue_url:
        return
    queues.check(queue_url)
    if Address.parse(source).scheme != "s3" or is_file_list(source):
        raise InvalidRequestError(
            "A queue has the events of a bucket: give a bucket or a prefix (s3://), or leave out the queue."
        )
