"""Creates the FastAPI application: endpoints, error handlers, limits and access."""

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.openapi.utils import get_openapi

from stt_pipeline.api.access import Policy, RoleTable, authorize
from stt_pipeline.api.cerbos import load_policy
from stt_pipeline.api.health_checks import HealthChecks
from stt_pipeline.api.metrics import Metrics, MetricsMiddleware
from stt_pipeline.api.middleware import BodyLimit, RequestIdMiddleware
from stt_pipeline.api.problems import Problem, add_handlers, documented
from stt_pipeline.api.progress_feed import ProgressFeed
from stt_pipeline.api.query_parameters import refuse_unknown
from stt_pipeline.api.rate_limits import RateLimits
from stt_pipeline.api.request_limits import RequestLimits
from stt_pipeline.api.routes import (
    batches,
    estimate,
    files,
    operations,
    progress,
    search,
    transcriptions,
    watches,
)
from stt_pipeline.api.transcript_reads import TranscriptReads
from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.sqs import QueueAccess
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database

_ADMIN = "/api/v1/admin"
_DESCRIPTION = """Batches of meeting recordings, their transcripts and minutes.

Every call except `/health` needs an API key: `Authorization: Bearer stt_...`. `stt key create --role operator` creates one.
Errors are problem details (RFC 9457) with a `request_id`, which is also in the header `X-Request-ID` of every response.
"""


def create_app(settings: Settings, database: Database, policy: Policy | None = None) -> FastAPI:
    """Return the API on ``database``.

    Args:
        policy: decides about access; None takes that of STT_CERBOS_URL, or the product's own table of roles.

    Raises:
        ConfigurationError: a setting is invalid.
    """
    app = FastAPI(
        title="stt_pipeline",
        version="1",
        description=_DESCRIPTION,
        # FastAPI's pages load scripts from another host into a page where users enter their key
        docs_url=None,
        openapi_url=None,  # an endpoint of `operations`, where the rules of all endpoints apply
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.sources = AllowedSources.for_api(settings.allowed_sources, SourceAccess.interactive(settings))
    app.state.queues = QueueAccess.of(settings)
    app.state.policy = policy or load_policy(settings) or RoleTable()
    app.state.feed = ProgressFeed(database)
    app.state.reads = TranscriptReads()
    app.state.health = HealthChecks(settings, database)
    app.state.metrics = Metrics(database)
    app.state.limits = RateLimits(settings.api_rate_limit)
    guards = [Depends(authorize), Depends(refuse_unknown)]
    errors = documented(400, 401, 403, 408, 413, 422, 429, 503)
    for module in (estimate, batches, progress, files, transcriptions, search, watches):
        app.include_router(module.router, prefix=_ADMIN, dependencies=guards, responses=errors)
    app.include_router(operations.router)
    add_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(RequestLimits, database=lambda: app.state.database)
    app.add_middleware(RequestIdMiddleware)
    app.add_middleware(MetricsMiddleware, metrics=app.state.metrics)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # FastAPI's documented way
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """Return the OpenAPI description, with the schema of errors, which no endpoint returns itself."""
    if app.openapi_schema is None:
        page = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        problem = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
        page["components"]["schemas"] |= {**problem.pop("$defs"), "Problem": problem}
        app.openapi_schema = page
    return app.openapi_schema
