"""Health and the description of the API, which need no key, and metrics."""

from typing import get_args

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field

from stt_pipeline.api.access import authorize
from stt_pipeline.api.health_checks import Part, PartState
from stt_pipeline.api.problems import documented
from stt_pipeline.api.query_parameters import refuse_unknown
from stt_pipeline.health import State

_KNOWN_PARAMETERS = Depends(refuse_unknown)  # after the key, which decides first

router = APIRouter(tags=["operations"])


class Health(BaseModel):
    """The state of the product. With `warn` it works, with `fail` it does not; `stt doctor` prints what to do."""

    status: State = Field(description="The worst of the parts.", examples=["ok"])
    parts: dict[Part, PartState] = Field(
        description="queue is the dispatcher. `not configured`: the product runs without this part. `not checked`: its state is "
        "unknown.",
        examples=[{"database": "ok", "queue": "ok", "model": "ok", "llm": "not configured", "smtp": "ok"}],
    )


@router.get("/openapi.json", dependencies=[_KNOWN_PARAMETERS], include_in_schema=False)
def get_description(request: Request) -> JSONResponse:
    """Return the OpenAPI description."""
    return JSONResponse(request.app.openapi())


@router.get(
    "/health",
    dependencies=[_KNOWN_PARAMETERS],
    responses={503: {"model": Health, "description": "The database cannot be used."}, **documented(422)},
)
def get_health(request: Request, response: Response) -> Health:
    """Return the state of the product, without a key: 200 if the API can use the database, else 503."""
    parts = request.app.state.health.parts()
    worst = max((state for state in get_args(State) if state in parts.values()), key=get_args(State).index)
    if parts["database"] == "fail":
        response.status_code = 503
    return Health(status=worst, parts=dict(parts))


@router.get(
    "/metrics",
    dependencies=[Depends(authorize), _KNOWN_PARAMETERS],
    response_class=Response,
    responses={
        200: {
            "content": {"text/plain": {"schema": {"type": "string"}}},
            "description": "Prometheus' text format.",
        },
        **documented(401, 403, 422, 429, 503),
    },
)
def metrics(request: Request) -> Response:
    """Metrics for Prometheus: requests, batches, files by state and error class, audio hours, queue age, mails."""
    return Response(generate_latest(request.app.state.metrics.registry), media_type=CONTENT_TYPE_LATEST)
