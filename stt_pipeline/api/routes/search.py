"""Search in transcripts and minutes. Queries are parsed in ``search/`` and run in ``store/results/search``."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, Field

from stt_pipeline.api.dependencies import Store
from stt_pipeline.api.paging import TEXT, Cursor, Limit, Page, digits, id_of
from stt_pipeline.batches.queries import search as searching
from stt_pipeline.search.query import LONGEST_QUERY
from stt_pipeline.store.results.search import Part
from stt_pipeline.store.tables import LARGEST_ID

router = APIRouter(prefix="/search", tags=["search"])


class HitView(BaseModel):
    """A line with at least one of the words."""

    start: float | None = Field(
        description="Seconds from the start of the recording; null for a line of minutes without a time.",
        examples=[754.2],
    )
    speaker: str | None = Field(description="Null if unknown, and in minutes.", examples=["SPEAKER_01"])
    snippet: str = Field(
        description="HTML: escaped text, in which `<mark>` is around each word that was found.",
        examples=["다음 주 <mark>회의에서</mark> 확정하겠습니다."],
    )


class MatchView(BaseModel):
    """About three minutes of a transcript, or the minutes of a recording, that match the query."""

    transcription_id: int = Field(examples=[345])
    batch_id: int = Field(examples=[12])
    audio_file_id: int = Field(examples=[345])
    file_name: str = Field(examples=["board.m4a"])
    language: str = Field(description="Language of the recording (ISO 639-1).", examples=["ko"])
    part: Part
    start: float | None = Field(
        description="Start of the passage in seconds; null for minutes without times.",
        examples=[721.0],
    )
    hits: list[HitView] = Field(description="The first five lines with one of the words.")


class MatchPage(Page):
    """Matches, the newest first. A page with a `next_cursor` may have few items or none: the search continues there."""

    items: list[MatchView]


@router.get("")
def search(
    q: Annotated[
        str,
        Query(
            min_length=1,
            max_length=LONGEST_QUERY,
            pattern=TEXT,
            description="Words that all occur within about three minutes, in any inflected form: 회의 finds 회의를 and "
            '정기회의에서. Words in double quotes must follow each other: "예산안 확정".',
            examples=["회의에서 예산"],
        ),
    ],
    store: Store,
    batch_id: Annotated[
        int | None,
        BeforeValidator(digits),
        Query(ge=1, le=LARGEST_ID, description="Only in this batch.", examples=[12]),
    ] = None,
    limit: Limit = 20,
    cursor: Cursor = None,
) -> MatchPage:
    """Search transcripts and minutes, the newest first, with the time and speaker of each hit."""
    found = searching.search(store, q, limit=limit, batch_id=batch_id, before=id_of(cursor))
    items = [MatchView.model_validate(match, from_attributes=True) for match in found.items]
    return MatchPage(items=items, next_cursor=None if found.before is None else str(found.before))
