"""A Cerbos policy decision point decides who may do what, instead of the product's own table (``STT_CERBOS_URL``).

Keys are still the product's: Cerbos is told the key's role and is asked about one action, the name of an endpoint. The
policy that says the same as the table is in ``docker/cerbos``.
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
    """Return the policy of ``STT_CERBOS_URL``, or None where it is empty. The server need not be up yet.

    Raises:
        ConfigurationError: the address cannot be used, or the package ``cerbos`` is not installed.
    """
    return CerbosPolicy(settings.cerbos_url) if settings.cerbos_url else None


class CerbosPolicy:
    """Asks the server at ``url`` over HTTP: the package's gRPC client wants a newer protobuf than Dagster has."""

    def __init__(self, url: str) -> None:
        """Prepare a connection, which is made with the first question.

        Raises:
            ConfigurationError: see :func:`load_policy`.
        """
        self._client = _client(url)

    def allows(self, caller: Caller, endpoint: str, request: Request) -> bool:
        """Return what the server says; only a clear yes is one.

        Raises:
            HTTPException: 503, it does not answer, or not as Cerbos does.
        """
        from cerbos.sdk.model import Principal, Resource

        principal = Principal(
            id=str(caller.key_id or caller.name), roles={caller.role}, attr={"name": caller.name}
        )
        # what the path names, for policies that know more than roles
        named = {name: str(value) for name, value in request.path_params.items()}
        resource = Resource(id=request.url.path, kind=RESOURCE_KIND, attr=named)
        try:
            answer = self._client.is_allowed(endpoint, principal, resource, request.state.request_id)
        except Exception as error:  # whatever it is, it is no yes
            _log.warning("The policy decision point (STT_CERBOS_URL) gives no decision: %r", error)
            raise HTTPException(
                503,
                "The policy decision point gives no decision, so nobody may do this at the moment: try again.",
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
            "STT_CERBOS_URL is the HTTP address of a Cerbos server, as in http://127.0.0.1:3592."
        )
    try:
        from cerbos.sdk.client import CerbosClient
    except ImportError as error:
        raise ConfigurationError(
            "STT_CERBOS_URL is set, but the package cerbos is not installed: pip install 'stt_pipeline[cerbos]'."
        ) from error
    return CerbosClient(url, timeout_secs=_SECONDS, raise_on_error=True)
