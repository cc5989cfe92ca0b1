"""The estimate of a source, before a batch of it is created. The work is in ``batches/requests/estimate``."""

from fastapi import APIRouter
from starlette.exceptions import HTTPException

from stt_pipeline.api.dependencies import Config, Sources, Store
from stt_pipeline.api.problems import documented
from stt_pipeline.batches.requests.batch_request import SourceRequest
from stt_pipeline.batches.requests.estimate import Estimate, estimate

router = APIRouter(prefix="/stt-batches", tags=["batches"])


@router.post("/estimate", responses=documented(409))
def estimate_source(request: SourceRequest, store: Store, sources: Sources, config: Config) -> Estimate:
    """Poll a source for some seconds and estimate its size and the time of its transcription. Nothing is written."""
    return estimate(store, request, allowed=sources, max_file_bytes=config.max_file_bytes)


@router.api_route(
    "/estimate", methods=["GET", "PUT", "DELETE"], name="estimate_source", include_in_schema=False
)
def refuse_method() -> None:
    """Refuse methods that would otherwise reach the routes of a batch."""
    raise HTTPException(405, "Send a POST.", {"Allow": "POST"})
