"""Query parameters that an endpoint does not have, or that come twice, are refused: a typo must not widen a list.

The OpenAPI description says which parameters an endpoint has, so a new endpoint needs nothing here.
"""

from collections import Counter
from difflib import get_close_matches

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError


def refuse_unknown(request: Request) -> None:
    """Check the names of a request's query parameters; a dependency of every endpoint.

    Raises:
        RequestValidationError: a name is unknown, or is given twice.
    """
    given = Counter(name for name, _ in request.query_params.multi_items())
    if not given:
        return
    allowed = _parameters(request.app, request.scope["route"].name)
    errors = []
    for name, times in given.items():
        shown = name[:100]
        if name not in allowed:
            errors.append({"type": "unknown", "loc": ("query", shown), "msg": _unknown(shown, allowed)})
        elif times > 1:
            errors.append({"type": "repeated", "loc": ("query", shown), "msg": "give it once"})
    if errors:
        raise RequestValidationError(errors[:20])


def _unknown(name: str, allowed: frozenset[str]) -> str:
    if not allowed:
        return "unknown parameter; this endpoint has no query parameters"
    close = get_close_matches(name, allowed, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    return f"unknown parameter; this endpoint has {', '.join(sorted(allowed))}.{hint}"


def _parameters(app: FastAPI, endpoint: str) -> frozenset[str]:
    """Return the names of the query parameters of an endpoint, from the description of all endpoints."""
    known: dict[str, frozenset[str]] | None = getattr(app.state, "query_parameters", None)
    if known is None:
        known = {
            operation["operationId"]: frozenset(
                parameter["name"]
                for parameter in operation.get("parameters", ())
                if parameter["in"] == "query"
            )
            for operations in app.openapi()["paths"].values()
            for operation in operations.values()
        }
        app.state.query_parameters = known
    return known.get(endpoint, frozenset())
