"""Authorization by a Cerbos policy decision point (``STT_CERBOS_URL``) instead of the product's own table of roles.

Keys and their roles stay in the store: Cerbos gets the role of the key and decides about one action, the name of an
endpoint. ``docker/cerbos`` has a policy that is equivalent to the table.
"""

import logging
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from fastapi import Request
from starlette.exceptions import HTTPException

from stt_pipeline.api.access import Caller, Policy
from stt_pipeline.errors import ConfigurationError
from stt_pipeline.settings import Settings

if TYPE_CHECKING:
    from cerbos.sdk.client import CerbosClient

RESOURCE_KIND = "stt_api"
_SECONDS = 2.0  # a decision takes about a millisecond
_log = logging.getLogger(__name__)


def load_policy(settings: Settings) -> Policy | None:
    """Return the policy of ``STT_CERBOS_URL``, or None if it is empty. The server does not have to run yet.

    Raises:
        ConfigurationError: the address is invalid, or the package ``cerbos`` is not installed.
    """
    return CerbosPolicy(settings.cerbos_url) if settings.cerbos_url else None


class CerbosPolicy:
    """Calls the server at ``url`` over HTTP: the gRPC client of the package needs a newer protobuf than Dagster."""

    def __init__(self, url: str) -> None:
        """Create the client; it connects with the first call.

        Raises:
            ConfigurationError: see :func:`load_policy`.
        """
        self._client = _client(url)

    def allows(self, caller: Caller, endpoint: str, request: Request) -> bool:
        """Return the decision of the server.

        Raises:
            HTTPException: 503, it does not answer, or its answer is not one of Cerbos.
        """
        from cerbos.sdk.model import Principal, Resource

        principal = Principal(
            id=str(caller.key_id or caller.name), roles={caller.role}, attr={"name": caller.name}
        )
        # path parameters, for policies that decide by more than roles
        parameters = {name: str(value) for name, value in request.path_params.items()}
        resource = Resource(id=request.url.path, kind=RESOURCE_KIND, attr=parameters)
        try:
            answer = self._client.is_allowed(endpoint, principal, resource, request.state.request_id)
        except Exception as error:  # no decision, so the call is not allowed
            _log.warning("The policy decision point (STT_CERBOS_URL) gives no decision: %r", error)
            raise HTTPException(
                503,
                "The policy decision point gives no decision, so this call is not allowed at the moment: try again.",
                {"Retry-After": "5"},
            ) from error
        return answer is True


def _client(url: str) -> "CerbosClient":
    parts = urlsplit(url)
    try:
        is_usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigurationError(
            "STT_CERBOS_URL must be the HTTP address of a Cerbos server, such as http://127.0.0.1:3592."
        )
    try:
        from cerbos.sdk.client import CerbosClient
    except ImportError as error:
        raise ConfigurationError(
            "STT_CERBOS_URL is set, but the package cerbos is not installed: pip install -e '.[cerbos]' in the checkout."
        ) from error
    return CerbosClient(url, timeout_secs=_SECONDS, raise_on_error=True)
