"""Authentication and authorization: API keys, rate limits and the table of roles.

A policy decision point (``STT_CERBOS_URL``) can replace the table; keys are always checked here.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Protocol, get_args
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.exceptions import HTTPException

from stt_pipeline.api import keys
from stt_pipeline.api.dependencies import Store
from stt_pipeline.store.access.api_keys import Role
from stt_pipeline.store.access.audit import Actor

ROLES: Mapping[str, Role] = {
    "list_batches": "viewer",
    "get_batch": "viewer",
    "get_progress": "viewer",
    "stream_progress": "viewer",
    "list_files": "viewer",
    "list_failures": "viewer",
    "review_batch": "viewer",
    "export_batch": "viewer",
    "get_transcription": "viewer",
    "get_minutes": "viewer",
    "export_transcription": "viewer",
    "search": "viewer",
    "metrics": "viewer",
    "list_watches": "viewer",
    "get_watch": "viewer",
    "estimate_source": "operator",
    "create_batch": "operator",
    "change_batch": "operator",
    "retry_batch": "operator",
    "cancel_batch": "operator",
    "add_watch": "operator",
    "remove_watch": "operator",
    "delete_batch": "admin",
}
"""The minimum role of each endpoint, by the name of its function. Only ``/health`` needs no key."""

RANKS: tuple[Role, ...] = get_args(Role)
"""Roles in ascending order: each includes the rights of those before it."""


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request. ``key_id`` is None in development mode without a key."""

    name: str
    role: Role
    key_id: int | None


class Policy(Protocol):
    """Decides which endpoints a caller may call."""

    def allows(self, caller: Caller, endpoint: str, request: Request) -> bool:
        """Return whether ``caller`` may call the endpoint.

        Raises:
            HTTPException: 503, no decision is available at the moment.
        """
        ...


class RoleTable:
    """The policy of :data:`ROLES`."""

    def allows(self, caller: Caller, endpoint: str, request: Request) -> bool:
        """Compare the caller's role with the minimum role of the endpoint."""
        return RANKS.index(caller.role) >= RANKS.index(ROLES[endpoint])


DEVELOPER = Caller("development", "admin", None)

_bearer = HTTPBearer(
    auto_error=False, scheme_name="API key", description="A key from `stt key create`: `Bearer stt_...`"
)


def authorize(
    request: Request,
    store: Store,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None,
) -> Actor:
    """Check key, rate and role of a request, and return the actor that the audit log records for its changes.

    Raises:
        HTTPException: 401 without a valid key, 429 for too many requests, 403 if the role does not allow the call.
    """
    limits = request.app.state.limits
    caller: Caller
    if (
        credentials is None
        and request.app.state.settings.development
        and "authorization" not in request.headers
    ):
        _require_own_machine(request)
        caller = DEVELOPER
    else:
        key = keys.verify(store, credentials.credentials) if credentials else None
        if key is None:
            # counted apart from valid keys, because callers behind one proxy share its address
            limits.count(f"without a key: {request.client.host if request.client else 'unknown'}")
            raise HTTPException(
                401,
                "Send an API key as `Authorization: Bearer stt_...`; `stt key create` creates one.",
                {"WWW-Authenticate": "Bearer"},
            )
        caller = Caller(key.name, key.role, key.id)
        request.state.key_id = key.id  # `request_limits` checks it again while a response is sent
    limits.count(f"key: {caller.key_id}")
    endpoint = request.scope["route"].name
    if not request.app.state.policy.allows(caller, endpoint, request):
        raise HTTPException(403, f"The role {caller.role} may not do this ({endpoint}).")
    name = f"{caller.name} (API key {caller.key_id})" if caller.key_id else f"{caller.name} (API)"
    return Actor(name, request.state.request_id)


def _require_own_machine(request: Request) -> None:
    """Reject requests that another site's page sends from a developer's browser: without keys it could change data.

    Raises:
        HTTPException: 403.
    """
    origin = urlsplit(request.headers.get("Origin", "")).hostname
    if not is_loopback(request.url.hostname or "") or (origin is not None and not is_loopback(origin)):
        raise HTTPException(
            403, "In development mode the API answers only this machine: use http://127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Return whether a host name or IP address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


CurrentActor = Annotated[Actor, Depends(authorize)]
"""Parameter of endpoints that change something: the actor for the audit log."""
