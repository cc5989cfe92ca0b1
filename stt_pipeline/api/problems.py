"""Error responses: problem details (RFC 9457) with the request id and without stack traces."""

import logging
import re
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionError
from starlette.exceptions import HTTPException

from stt_pipeline.errors import (
    ConfigurationError,
    ConflictError,
    InvalidRequestError,
    NotFoundError,
    SourceUnavailableError,
)

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Bad request",
    401: "No valid API key",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    408: "Too slow",
    409: "Not possible now",
    413: "Too large",
    422: "Invalid request",
    429: "Too many requests",
    500: "Internal error",
    503: "Unavailable",
}
_log = logging.getLogger(__name__)


class FieldError(BaseModel):
    """An invalid field of a request."""

    where: str = Field(examples=["body.priority"])
    message: str = Field(examples=["Input should be 'high', 'normal' or 'low'"])


class Problem(BaseModel):
    """Why a request was rejected or failed."""

    type: str = "about:blank"
    title: str = Field(examples=["Not possible now"])
    status: int = Field(examples=[409])
    detail: str = Field(examples=["Batch 12 is completed and cannot be paused."])
    instance: str = Field(examples=["/api/v1/admin/stt-batches/12"])
    request_id: str = Field(examples=["4f9c1e5b7a8d4c0e"])
    errors: list[FieldError] = Field([], description="The invalid fields of the request, if any.")


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the ``responses`` of an endpoint for these error statuses."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _TITLES[status], "content": content} for status in statuses}


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    errors: list[FieldError] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Return an error response."""
    body = Problem(
        title=_TITLES.get(status, "Error"),
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request.state.request_id,
        errors=errors or [],
    )
    return JSONResponse(body.model_dump(), status, headers=headers, media_type=MEDIA_TYPE)


def add_handlers(app: FastAPI) -> None:
    """Add handlers for all expected errors; ``middleware`` answers unexpected ones."""

    @app.exception_handler(RequestValidationError)
    def invalid_fields(request: Request, error: RequestValidationError) -> JSONResponse:
        wrong = [
            FieldError(
                where=".".join(str(part) for part in one["loc"]),
                message=one["msg"].removeprefix("Value error, "),
            )
            for one in error.errors()
        ]
        if any(one["type"] == "json_invalid" for one in error.errors()):
            return problem(request, 422, "The body is not valid JSON.", errors=wrong)
        detail = "; ".join(f"{one.where}: {one.message}" for one in wrong[:5])
        return problem(request, 422, detail, errors=wrong)

    @app.exception_handler(NotFoundError)
    def not_found(request: Request, error: NotFoundError) -> JSONResponse:
        return problem(request, 404, str(error))

    @app.exception_handler(ConflictError)
    def conflict(request: Request, error: ConflictError) -> JSONResponse:
        return problem(request, 409, str(error))

    @app.exception_handler(InvalidRequestError)
    def invalid_request(request: Request, error: InvalidRequestError) -> JSONResponse:
        return problem(request, 422, str(error))

    @app.exception_handler(SourceUnavailableError)
    def source_unavailable(request: Request, error: SourceUnavailableError) -> JSONResponse:
        return problem(request, 503, str(error), headers={"Retry-After": "30"})

    @app.exception_handler(ConfigurationError)
    def misconfigured(request: Request, error: ConfigurationError) -> JSONResponse:
        # callers must not see the settings of the server
        _log.error("%s %s, request %s: %s", request.method, request.url.path, request.state.request_id, error)
        detail = "A setting of the server is wrong, such as its credentials; its log has the details under this request id."
        return problem(request, 503, detail)

    @app.exception_handler(HTTPException)
    def http_error(request: Request, error: HTTPException) -> JSONResponse:
        detail, headers = str(error.detail), dict(error.headers or {})
        if error.status_code == 400:
            detail = "The body is not JSON in UTF-8."
        elif error.status_code == 405:
            # starlette returns the methods of one endpoint of the path, not of all
            headers["Allow"] = ", ".join(_methods(app, request.url.path))
        return problem(request, error.status_code, detail, headers=headers)

    @app.exception_handler(OperationalError)
    @app.exception_handler(NoConnectionError)
    def database_unavailable(request: Request, error: DBAPIError) -> JSONResponse:
        _log.warning(
            "%s %s, request %s: %s", request.method, request.url.path, request.state.request_id, error
        )
        took_too_long = "statement timeout" in str(error)
        detail = (
            "The query took too long, or waited too long for another one: request less, or try again."
            if took_too_long
            else "The database does not answer at the moment: try again."
        )
        return problem(request, 503, detail, headers={"Retry-After": "5"})


def _methods(app: FastAPI, path: str) -> list[str]:
    """Return the methods of a path; a literal path has priority over one with a path parameter."""
    paths = app.openapi()["paths"]
    templates = [path] if path in paths else paths
    return [
        method.upper()
        for template in templates
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path)
        for method in paths[template]
    ]
