"""What a source would cost, before a batch of it is made. The look itself is in ``batches/estimate``."""

from dataclasses import asdict

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException

from stt_pipeline.api.dependencies import Config, Sources, Store
from stt_pipeline.api.problems import documented
from stt_pipeline.audio.allowed import MAX_ADDRESS_LENGTH
from stt_pipeline.audio.patterns import MAX_PATTERN_LENGTH
from stt_pipeline.batches.requests.estimate import estimate
from stt_pipeline.batches.requests.options import BatchOptions

router = APIRouter(prefix="/stt-batches", tags=["batches"])


class SourceToEstimate(BaseModel):
    """A source, as for a batch."""

    model_config = ConfigDict(extra="forbid")

    source_path: str = Field(
        min_length=1,
        max_length=MAX_ADDRESS_LENGTH,
        description="Where the recordings are; under one of STT_ALLOWED_SOURCES.",
        examples=["file:///data/meetings/2026-03"],
    )
    file_pattern: str = Field(
        "",
        max_length=MAX_PATTERN_LENGTH,
        description="Globs separated by commas; empty takes every known audio and video ending, at any depth.",
        examples=["**/*.wav,**/*.m4a"],
    )
    options: BatchOptions = Field(BatchOptions(), description="As for a batch; the model counts.")


class EstimateView(BaseModel):
    """What a source holds, and what its transcription takes."""

    files: int = Field(description="Files that match the pattern.", examples=[1250])
    bytes: int = Field(description="Of these files.", examples=[61_203_742_720])
    audio_hours: float = Field(
        description="How long they play, without those over the size limit.", examples=[1104.7]
    )
    is_complete: bool = Field(
        description="The whole source was listed; otherwise all figures are lower bounds.", examples=[True]
    )
    listed: int = Field(description="Names that were looked at, matching or not.", examples=[1312])
    sampled: int = Field(description="Files that were opened to learn how long they play.", examples=[20])
    unreadable: int = Field(description="Of these, the ones that hold no audio.", examples=[1])
    expected_hours: float = Field(
        description="Time that a batch of it takes, with one run at a time and no other batch before it.",
        examples=[23.2],
    )
    gpu_hours: float = Field(
        description="For how long the device of the speech model is busy.", examples=[23.2]
    )
    basis: str = Field(
        description="Where the figures come from.",
        examples=[
            "Lengths from 20 of 1,250 files; 0.0210 seconds of work a second of audio, as measured here on 3,402.0 "
            "hours of audio."
        ],
    )


@router.post("/estimate", responses=documented(409))
def estimate_source(asked: SourceToEstimate, store: Store, sources: Sources, config: Config) -> EstimateView:
    """Look at a source for some seconds, and say how much it holds. Nothing is written; a batch is made without it, too."""
    found = estimate(
        store,
        source_path=asked.source_path,
        file_pattern=asked.file_pattern,
        allowed=sources,
        model=asked.options.model,
        max_file_bytes=config.max_file_bytes,
    )
    return EstimateView(**asdict(found))


@router.api_route(
    "/estimate", methods=["GET", "PUT", "DELETE"], name="estimate_source", include_in_schema=False
)
def refuse_method() -> None:
    """Refuse what would otherwise be looked for as the batch of that name."""
    raise HTTPException(405, "Send a POST.", {"Allow": "POST"})
