"""Who may do what: the table of roles, and the way from a request's key to an answer.

A policy decision point (``STT_CERBOS_URL``) may decide instead of the table; keys are checked here in any case.
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
"""The least role for each endpoint, by the name of its function. ``/health`` alone asks for no key."""

RANKS: tuple[Role, ...] = get_args(Role)
"""Each role may do what those before it may."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a request. ``key_id`` is None in development mode without a key."""

    name: str
    role: Role
    key_id: int | None


class Policy(Protocol):
    """Decides what a role may do."""

    def allows(self, caller: Caller, endpoint: str, request: Request) -> bool:
        """Return whether ``caller`` may call the endpoint.

        Raises:
            HTTPException: 503, nobody can decide at the moment.
        """
        ...


class RoleTable:
    """The policy of :data:`ROLES`."""

    def allows(self, caller: Caller, endpoint: str, request: Request) -> bool:
        """Compare the caller's role with the least one that is needed."""
        return RANKS.index(caller.role) >= RANKS.index(ROLES[endpoint])


DEVELOPER = Caller("development", "admin", None)

_bearer = HTTPBearer(
    auto_error=False, scheme_name="API key", description="A key that `stt key create` made: `Bearer stt_...`"
)


def allowed_caller(
    request: Request,
    store: Store,
    credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)] = None,
) -> Actor:
    """Check key, rate and role of a request, and return who is to be named for what it changes.

    Raises:
        HTTPException: 401 without a valid key, 429 for too many requests, 403 where the role does not allow it.
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
        key = keys.verified(store, credentials.credentials) if credentials else None
        if key is None:
            # a right key from the same address is not held up: callers behind one proxy share theirs
            limits.count(f"without a key: {request.client.host if request.client else 'unknown'}")
            raise HTTPException(
                401,
                "Send an API key as `Authorization: Bearer stt_...`; `stt key create` makes one.",
                {"WWW-Authenticate": "Bearer"},
            )
        caller = Caller(key.name, key.role, key.id)
    limits.count(f"key: {caller.key_id}")
    endpoint = request.scope["route"].name
    if not request.app.state.policy.allows(caller, endpoint, request):
        raise HTTPException(403, f"The role {caller.role} may not do this ({endpoint}).")
    name = f"{caller.name} (API key {caller.key_id})" if caller.key_id else f"{caller.name} (API)"
    return Actor(name, request.state.request_id)


def _require_own_machine(request: Request) -> None:
    """Refuse what a page of somebody else makes a developer's browser send: there is no key that it would lack.

    Raises:
        HTTPException: 403.
    """
    origin = urlsplit(request.headers.get("Origin", "")).hostname
    if not is_loopback(request.url.hostname or "") or (origin is not None and not is_loopback(origin)):
        raise HTTPException(
            403, "In development mode the API answers this machine only: use http://127.0.0.1."
        )


def is_loopback(host: str) -> bool:
    """Return whether a host, as in an address, is the machine itself."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


CurrentActor = Annotated[Actor, Depends(allowed_caller)]
"""The parameter of an endpoint that changes something: who asks for it."""
