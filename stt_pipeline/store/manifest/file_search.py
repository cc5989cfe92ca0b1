"""Finds files of the manifest by a part of their address.

No index knows parts of names, because it would slow down the scan of millions of files. So a search reads a batch in
windows of files, and ends with the window that fills its page: :mod:`stt_pipeline.batches.queries.file_search`.
"""

from collections.abc import Collection

from sqlalchemy import Connection, or_, select

from stt_pipeline.store.manifest.files import FILE_COLUMNS, AudioFile
from stt_pipeline.store.tables import audio_files


def containing(
    connection: Connection, batch_id: int, texts: Collection[str], *, after: int, window: int
) -> list[AudioFile]:
    """Return files whose address contains one of ``texts``, among the next files of a batch, in order of id.

    Upper and lower case are equal.

    Args:
        after: the files have higher ids than this.
        window: number of files that are read.
    """
    read = (
        select(*FILE_COLUMNS)
        .where(audio_files.c.batch_id == batch_id, audio_files.c.id > after)
        .order_by(audio_files.c.id)
        .limit(window)
        .subquery()
    )
    rows = connection.execute(
        select(read)
        .where(or_(*(read.c.uri.icontains(text, autoescape=True) for text in texts)))
        .order_by(read.c.id)
    )
    return [AudioFile(**row._mapping) for row in rows]


def end_of_window(connection: Connection, batch_id: int, *, after: int, window: int) -> int | None:
    """Return the id of the last file that :func:`containing` reads, or None if the batch has fewer files."""
    found: int | None = connection.scalar(
        select(audio_files.c.id)
        .where(audio_files.c.batch_id == batch_id, audio_files.c.id > after)
        .order_by(audio_files.c.id)
        .offset(window - 1)
        .limit(1)
    )
    return found
