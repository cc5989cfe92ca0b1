"""The search index: blocks of transcripts and minutes, made when these are written, or later for all.

Blocks are made before the transaction that writes them: their analysis takes up to a second and must not hold row locks.
"""

from collections.abc import Iterator

from stt_pipeline.minutes.model import Minutes
from stt_pipeline.search.blocks import minutes_blocks, transcript_blocks
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import search, summaries, transcriptions
from stt_pipeline.store.results.search import Indexed
from stt_pipeline.store.results.transcriptions import Transcription

_AT_A_TIME = 100


def indexed_transcript(stored: Transcription) -> Indexed:
    """Return the blocks of a transcript."""
    blocks = transcript_blocks(stored.transcript)
    return Indexed(stored.id, stored.created_at, stored.batch_id, "transcript", blocks)


def indexed_minutes(stored: Transcription, minutes: Minutes) -> Indexed:
    """Return the blocks of a transcription's minutes."""
    return Indexed(stored.id, stored.created_at, stored.batch_id, "minutes", minutes_blocks(minutes))


def reindex(database: Database, *, force: bool = False) -> Iterator[int]:
    """Index the transcriptions that are not indexed, and yield the id of each; runs may write meanwhile.

    It may be interrupted at any time and called again, and then continues.

    Args:
        force: index all, such as after a change of the analyser; each call starts from the beginning.
    """
    last = 0
    while True:
        with database.begin() as connection:
            ids = search.to_index(connection, after=last, limit=_AT_A_TIME, force=force)
        for last in ids:
            with database.begin() as connection:
                if not search.lock_transcription(connection, last):
                    continue
                stored = transcriptions.get(connection, last)
                indexed = [indexed_transcript(stored)]
                summary = summaries.of_transcription(connection, stored)
                if summary:
                    indexed.append(indexed_minutes(stored, summary.minutes))
                search.replace(connection, indexed)
            yield last
        if len(ids) < _AT_A_TIME:
            return
