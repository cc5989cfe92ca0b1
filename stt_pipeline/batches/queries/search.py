"""Search in transcripts and minutes. Hits are lines with their time and speaker."""

from dataclasses import dataclass

from stt_pipeline.audio.address import display_name
from stt_pipeline.search.query import parse_query
from stt_pipeline.search.snippets import Hit, hits
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import search as store
from stt_pipeline.store.results.search import FoundBlock, Part


@dataclass(frozen=True, slots=True)
class Match:
    """A part of a recording, or its minutes, with lines that match a search.

    ``language`` is that of the recording (ISO 639-1), ``start`` is in seconds.
    """

    id: int
    transcription_id: int
    batch_id: int
    audio_file_id: int
    file_name: str
    language: str
    part: Part
    start: float | None
    hits: list[Hit]


@dataclass(frozen=True, slots=True)
class Matches:
    """The newest matches. ``before`` is the cursor of the next page, or None at the end; a page may have no match."""

    items: list[Match]
    before: int | None


def search(
    database: Database, text: str, *, limit: int, batch_id: int | None = None, before: int | None = None
) -> Matches:
    """Return the matches of ``text``, newest first.

    Args:
        text: words that must all occur within about three minutes; words in quotes must be consecutive.
        before: ``before`` of the previous page.

    Raises:
        InvalidRequestError: ``text`` has no word that can be searched.
    """
    query = parse_query(text)
    with database.begin() as connection:
        found = store.find(connection, query, limit=limit, batch_id=batch_id, before=before)

    def match(block: FoundBlock) -> Match:
        places = [block.term_starts[place - 1] for place in query.places(block.positions)]
        return Match(
            id=block.id,
            transcription_id=block.transcription_id,
            batch_id=block.batch_id,
            audio_file_id=block.audio_file_id,
            file_name=display_name(block.audio_file_path),
            language=block.language,
            part=block.part,
            start=block.start,
            hits=hits(block.text, places, block.line_starts, block.speakers),
        )

    return Matches([match(block) for block in found.blocks], found.before)
