"""Lists the files of a batch for users, in pages. The work on files is in ``execution``."""

from dataclasses import dataclass

from stt_pipeline.audio.address import display_path
from stt_pipeline.errors import ErrorClass, InvalidRequestError
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import files
from stt_pipeline.store.manifest.files import AudioFile, FileStatus
from stt_pipeline.store.manifest.repeats import Original, originals
from stt_pipeline.store.queue import batches
from stt_pipeline.store.results import transcriptions


@dataclass(frozen=True, slots=True)
class FileCursor:
    """The position after a file in a list. ``group`` is the number of its shard or, in lists of failed files, its error class."""

    group: int | str
    id: int


@dataclass(frozen=True, slots=True)
class ListedFile:
    """A file in a list.

    Attributes:
        path: path within the batch's source.
        transcription_id: None without a transcript.
        cursor: the position from which the next page continues.
        repeats: the first file with the same content, of this batch or an earlier one; None if this file is the first.
    """

    file: AudioFile
    path: str
    transcription_id: int | None
    cursor: FileCursor
    repeats: Original | None = None


def list_files(
    database: Database,
    batch_id: int,
    limit: int,
    *,
    status: FileStatus | None = None,
    error_class: ErrorClass | None = None,
    after: FileCursor | None = None,
) -> list[ListedFile]:
    """Return a page of a batch's files in order of its shards; failed files are in order of error class first.

    Args:
        status: None means any status or, with an error class, failed.
        error_class: only files that failed with this class; ``email`` means undelivered minutes.
        after: cursor of the last file of the previous page.

    Raises:
        NotFoundError: there is no such batch.
        InvalidRequestError: an error class with another status than failed, or a cursor of a list in the other order.
    """
    if error_class is not None and status not in (None, "failed"):
        raise InvalidRequestError(
            f"Only failed files have an error_class: leave out error_class, or status={status}."
        )
    by_class = status == "failed" or error_class is not None
    if after is not None and isinstance(after.group, str) != by_class:
        raise InvalidRequestError("The cursor belongs to another list: leave it out for the first page.")
    with database.snapshot() as connection:
        source = batches.get(connection, batch_id).source_path
        found: list[tuple[int | str, AudioFile]]
        if by_class:
            last_failed = (str(after.group), after.id) if after else None
            failed = files.failed(connection, batch_id, limit, error_class=error_class, after=last_failed)
            found = [(file.error_class or "", file) for file in failed]
        else:
            last = (int(after.group), after.id) if after else (-1, 0)
            found = [*files.in_order_of_shards(connection, batch_id, limit, status=status, after=last)]
        listed = [file for _, file in found]
        ids = transcriptions.ids(connection, listed) if found else {}
        repeated = originals(connection, listed)
    return [
        ListedFile(
            file,
            display_path(file.uri, source),
            ids.get(file.id),
            FileCursor(group, file.id),
            repeated.get(file.id),
        )
        for group, file in found
    ]
