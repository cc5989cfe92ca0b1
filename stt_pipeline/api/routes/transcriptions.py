"""Transcripts, minutes and their exports. The formats are in ``minutes.formats``."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from stt_pipeline.api.dependencies import Reads, Store
from stt_pipeline.api.downloads import FileResponse, attachment, documented_files
from stt_pipeline.api.paging import Id
from stt_pipeline.api.problems import documented
from stt_pipeline.api.subtitle_parameters import Subtitles
from stt_pipeline.audio.address import display_name
from stt_pipeline.backends import FORMATS, FormatName
from stt_pipeline.batches.queries import export
from stt_pipeline.minutes.exports import export_format
from stt_pipeline.minutes.missing import review_notes
from stt_pipeline.minutes.model import ActionItem
from stt_pipeline.speech.transcript import Segment, SpeakerTurn, TimeSpan
from stt_pipeline.store.database import Database
from stt_pipeline.store.results import transcriptions
from stt_pipeline.store.results.transcriptions import TranscriptionStatus

router = APIRouter(prefix="/transcriptions", tags=["transcriptions"])


class TranscriptionView(BaseModel):
    """The transcript of a recording with times and speakers. Times are seconds from its start."""

    id: int = Field(examples=[345])
    batch_id: int = Field(examples=[12])
    audio_file_id: int = Field(examples=[345])
    uri: str = Field(examples=["file:///data/meetings/2026-03/board.m4a"])
    file_name: str = Field(examples=["board.m4a"])
    status: TranscriptionStatus = Field(
        description="transcribed: without speakers yet. outdated: it is going to be transcribed again."
    )
    language: str = Field(description="Language of the text.", examples=["ko"])
    detected_language: str | None = Field(
        description="Most likely language of the speech, also where the batch gives the language.",
        examples=["ko"],
    )
    duration: float = Field(description="Seconds.", examples=[3605.2])
    model: str = Field(examples=["large-v3"])
    notes: list[str] = Field(description="Notes for the reader of this transcript.", examples=[[]])
    speech_seconds: float = Field(description="Seconds of speech.", examples=[3120.4])
    untranscribed_speech_seconds: float = Field(description="Seconds of it without text.", examples=[6.4])
    untranscribed_parts: list[TimeSpan] = Field(description="Where that speech is.", examples=[[]])
    quality_notes: list[str] = Field(
        description="What is missing or doubtful, with places.",
        examples=[["4 s of speech without text: 12:03-12:07"]],
    )
    created_at: datetime
    text: str = Field(examples=["그럼 회의를 시작하겠습니다."])
    segments: list[Segment]
    speaker_turns: list[SpeakerTurn]


class MinutesView(BaseModel):
    """The structured summary of a recording."""

    id: int = Field(examples=[345])
    transcription_id: int = Field(examples=[345])
    batch_id: int = Field(examples=[12])
    created_at: datetime
    title: str = Field(examples=["주간 예산 회의"])
    summary: str = Field(examples=["보고서 초안을 보내기로 했다."])
    topics: list[str] = Field(examples=[["예산"]])
    decisions: list[str] = Field(examples=[["예산안을 다음 주에 확정한다."]])
    action_items: list[ActionItem]
    keywords: list[str] = Field(examples=[["예산", "보고서"]])
    model: str = Field(description="The summarizer that wrote them.", examples=["extractive"])
    tokens_used: int = Field(description="0 without a language model.", examples=[0])
    notes: list[str] = Field(
        description="Notes about the transcript, and what is missing or doubtful in it.",
        examples=[["4 s of speech without text: 12:03-12:07"]],
    )


@router.get("/{transcription_id}", response_model=TranscriptionView, responses=documented(404))
async def get_transcription(transcription_id: Id, store: Store, reads: Reads) -> Response:
    """Show a transcript with its words."""
    # as text, because FastAPI would write an hour of words while all other requests wait
    view = await reads.run(_written_transcription, store, transcription_id)
    return Response(view, media_type="application/json")


def _written_transcription(store: Database, transcription_id: int) -> str:
    with store.begin() as connection:
        stored = transcriptions.get(connection, transcription_id)
    transcript = stored.transcript
    view = TranscriptionView(
        id=stored.id,
        batch_id=stored.batch_id,
        audio_file_id=stored.audio_file_id,
        uri=stored.audio_file_path,
        file_name=display_name(stored.audio_file_path),
        status=stored.status,
        language=transcript.language,
        detected_language=transcript.detected_language,
        duration=transcript.duration,
        model=transcript.model,
        notes=list(transcript.notes),
        speech_seconds=transcript.speech_seconds,
        untranscribed_speech_seconds=transcript.untranscribed_speech_seconds,
        untranscribed_parts=list(transcript.untranscribed_parts),
        quality_notes=review_notes(transcript, "en"),
        created_at=stored.created_at,
        text=transcript.text,
        segments=list(transcript.segments),
        speaker_turns=list(stored.turns),
    )
    return view.model_dump_json()


@router.get("/{transcription_id}/minutes", responses=documented(404))
async def get_minutes(transcription_id: Id, store: Store, reads: Reads) -> MinutesView:
    """Show the minutes of a transcript; 404 until they exist."""
    stored, summary = await reads.run(export.minutes_of, store, transcription_id)
    minutes = summary.minutes
    return MinutesView(
        id=summary.id,
        transcription_id=stored.id,
        batch_id=stored.batch_id,
        created_at=summary.created_at,
        title=minutes.title,
        summary=minutes.summary,
        topics=list(minutes.topics),
        decisions=list(minutes.decisions),
        action_items=list(minutes.action_items),
        keywords=list(minutes.keywords),
        model=minutes.model,
        tokens_used=minutes.tokens_used,
        notes=[*stored.transcript.notes, *review_notes(stored.transcript, "en")],
    )


@router.get(
    "/{transcription_id}/export",
    response_class=FileResponse,
    status_code=200,
    responses=documented(404, 409) | documented_files(*(export_format(name).media_type for name in FORMATS)),
)
async def export_transcription(
    transcription_id: Id,
    store: Store,
    reads: Reads,
    subtitles: Subtitles,
    format: Annotated[FormatName, Query(description=FORMATS.help())],
) -> FileResponse:
    """Download a transcript in an export format.

    A format of speaker turns (rttm) is refused with 409 until the speakers are known.
    """
    file = await reads.run(export.export_transcription, store, transcription_id, format, subtitles)
    return FileResponse(file.content, media_type=file.media_type, headers=attachment(file.name))
