"""The page that `stt demo` ends with: transcripts and minutes of the samples, with their audio, in one HTML file."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from stt_pipeline.audio.address import Address
from stt_pipeline.audio.playable import mp3
from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.batches.queries.export import recordings
from stt_pipeline.minutes.exports import ExportContent
from stt_pipeline.minutes.page import html_page
from stt_pipeline.parquet import files
from stt_pipeline.store.database import Database


def write_page(database: Database, batch_id: int, path: Path) -> bool:
    """Write the recordings of a batch over a local folder to ``path``; return False if none has a transcript.

    Raises:
        ConfigurationError: the file cannot be written.
        FileError: a recording cannot be read any more.
    """
    from upath import UPath

    contents = list(_contents(database, batch_id))
    if contents:
        title = f"{len(contents)} meeting{'s' * (len(contents) != 1)}"
        files.write(UPath(path), html_page(contents, title=title))
    return bool(contents)


def _contents(database: Database, batch_id: int) -> Iterator[ExportContent]:
    for recording in recordings(database, batch_id):
        sound = SoundFile(Address.parse(recording.file.uri).path)
        yield replace(recording.content, audio=partial(mp3, sound))
