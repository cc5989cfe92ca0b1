"""The files of a batch, a page at a time, for people who look at them. Work on files is in ``work``."""

from dataclasses import dataclass

from stt_pipeline.audio.address import display_path
from stt_pipeline.errors import ErrorClass, InvalidRequestError
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile, FileStatus
from stt_pipeline.store.queue import batches
from stt_pipeline.store.results import transcriptions


@dataclass(frozen=True, slots=True)
class Place:
    """A place in a list: behind the file ``id`` in the shard of a number, or under an error class for failed files."""

    group: int | str
    id: int


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file in a list.

    Attributes:
        path: where it is within the batch's source.
        transcription_id: None where it has no transcript.
        place: what the list goes on behind.
    """

    file: AudioFile
    path: str
    transcription_id: int | None
    place: Place


def list_files(
    database: Database,
    batch_id: int,
    limit: int,
    *,
    status: FileStatus | None = None,
    error_class: ErrorClass | None = None,
    after: Place | None = None,
) -> list[ListedFile]:
    """Return a page of a batch's files in the order of its shards or, of failed ones, by error class first.

    Args:
        status: None is any, unless there is an error class.
        error_class: only files that failed under it.
        after: of the last file of the page before.

    Raises:
        NotFoundError: there is no such batch.
        InvalidRequestError: an error class of files that did not fail, or a place in a list of the other order.
    """
    if error_class is not None and status not in (None, "failed"):
        raise InvalidRequestError(
            f"error_class is about failed files: leave it out, or status={status}; files that are {status} have none."
        )
    by_class = status == "failed" or error_class is not None
    if after is not None and isinstance(after.group, str) != by_class:
        raise InvalidRequestError("The cursor is of another list: leave it out for the first page.")
    with database.snapshot() as connection:
        source = batches.get(connection, batch_id).source_path
        found: list[tuple[int | str, AudioFile]]
        if by_class:
            place = (str(after.group), after.id) if after else None
            failed = files.failed(connection, batch_id, limit, error_class=error_class, after=place)
            found = [(file.error_class or "", file) for file in failed]
        else:
            behind = (int(after.group), after.id) if after else (-1, 0)
            found = [*files.in_order_of_shards(connection, batch_id, limit, status=status, after=behind)]
        ids = transcriptions.ids(connection, [file for _, file in found]) if found else {}
    return [
        ListedFile(file, display_path(file.uri, source), ids.get(file.id), Place(group, file.id))
        for group, file in found
    ]
