"""Finds recordings that repeat the content of another file, by SHA-256."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.tables import audio_files


@dataclass(frozen=True, slots=True)
class Original:
    """The first file with the same content as another file."""

    id: int
    batch_id: int
    uri: str


def originals(connection: Connection, some: Sequence[AudioFile]) -> dict[int, Original]:
    """Return the first file with the same content for each file that is not the first, by file id."""
    ids = [file.id for file in some if file.content_sha256 is not None]
    if not ids:
        return {}
    copy, same = audio_files.alias("copy"), audio_files.alias("same")
    first = select(func.min(same.c.id)).where(same.c.content_sha256 == copy.c.content_sha256)
    rows = connection.execute(
        select(copy.c.id.label("of"), audio_files.c.id, audio_files.c.batch_id, audio_files.c.uri)
        .select_from(copy)
        .join(audio_files, audio_files.c.id == first.correlate(copy).scalar_subquery())
        .where(copy.c.id.in_(ids), audio_files.c.id < copy.c.id)
    )
    return {row.of: Original(row.id, row.batch_id, row.uri) for row in rows}
