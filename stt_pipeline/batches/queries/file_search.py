"""Finds recordings by name: in one batch, or in all of them, the newest batch first."""

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from urllib.parse import quote

from stt_pipeline.audio.address import display_path
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import file_search as store
from stt_pipeline.store.manifest.files import AudioFile
from stt_pipeline.store.manifest.repeats import Original, originals
from stt_pipeline.store.queue import batches
from stt_pipeline.store.queue.batches import Batch, Filter
from stt_pipeline.store.results import transcriptions

WINDOW = 100_000
"""Files that one query reads. A search in five million files takes 50 queries (docs/benchmarks.md)."""

_BATCHES = 100


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file whose name matches.

    Attributes:
        path: path within the batch's source.
        transcription_id: None without a transcript.
        repeats: the first file with the same content; None if this file is the first.
    """

    file: AudioFile
    batch: Batch
    path: str
    transcription_id: int | None
    repeats: Original | None = None


def find_files(
    database: Database, name: str, *, batch_id: int | None = None, limit: int, window: int = WINDOW
) -> list[FoundFile]:
    """Return files whose path within their source contains ``name``; upper and lower case are equal.

    Args:
        name: a part of a name or path, or the whole address of a file. Korean is found in NFC and in NFD.
        batch_id: only in this batch; None searches all batches, the newest first.
        window: number of files that one query reads.

    Raises:
        NotFoundError: there is no such batch.
        InvalidRequestError: ``name`` is empty.
    """
    if not name.strip():
        raise InvalidRequestError("The name is empty: give a part of the file's name.")
    if batch_id is None:
        searched = _newest_first(database)
    else:
        with database.begin() as connection:
            searched = iter([batches.get(connection, batch_id)])
    found = (match for batch in searched for match in _of_batch(database, batch, name, window))
    return list(islice(found, limit))


def _newest_first(database: Database) -> Iterator[Batch]:
    before: int | None = None
    while True:
        with database.begin() as connection:
            page = batches.latest(connection, _BATCHES, before=before, filters=Filter())
        yield from page
        if len(page) < _BATCHES:
            return
        before = page[-1].id


def _of_batch(database: Database, batch: Batch, name: str, window: int) -> Iterator[FoundFile]:
    # as in paths for display, where bytes that are not UTF-8 are U+FFFD
    wanted = unicodedata.normalize("NFC", os.fsencode(name).decode(errors="replace")).casefold()
    spellings = _spellings(name)
    last: int | None = 0
    while last is not None:
        with database.begin() as connection:
            files = store.containing(connection, batch.id, spellings, after=last, window=window)
            paths = [(file, display_path(file.uri, batch.source_path)) for file in files]
            # the address also has the folder of the source
            matches = [(file, path) for file, path in paths if wanted in path.casefold() or name == file.uri]
            matching = [file for file, _ in matches]
            ids = transcriptions.ids(connection, matching) if matches else {}
            repeated = originals(connection, matching)
            last = store.end_of_window(connection, batch.id, after=last, window=window)
        for file, path in matches:
            yield FoundFile(file, batch, path, ids.get(file.id), repeated.get(file.id))


def _spellings(name: str) -> set[str]:
    """Return the texts that an address with this name can contain: NFC and NFD, as it is and percent-encoded."""
    forms = {name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))}
    # a name that is not UTF-8 is in the store in its percent-encoded form only
    in_clear = {form for form in forms if not any("\udc80" <= char <= "\udcff" for char in form)}
    return in_clear | {quote(form, errors="surrogateescape") for form in forms}
