"""What we ask Dagster's webserver, over its GraphQL API. Only questions, no mutations."""

import json
import urllib.error
import urllib.request
from typing import Any

from stt_pipeline.cli.environment import LOCATION

_READINESS = """
query Readiness {
  instance { daemonHealth { allDaemonStatuses { required lastHeartbeatTime } } }
  workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError { __typename } } } }
}
"""
# the own machine is never behind a proxy, whatever the environment says
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def ask(ui_url: str, query: str, *, timeout: float = 10) -> dict[str, Any]:
    """Return the ``data`` of a GraphQL query.

    Args:
        ui_url: address of the Dagster UI.
        query: GraphQL without variables.
        timeout: in seconds.

    Raises:
        OSError: no webserver answers.
        ValueError: what answers is not Dagster.
    """
    request = urllib.request.Request(
        f"{ui_url}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with _opener.open(request, timeout=timeout) as response:
        data: dict[str, Any] = json.load(response)["data"]
        return data


def daemon_beats(ui_url: str) -> list[float]:
    """Return when each daemon that has to run was last alive, in seconds since 1970; 0 for never.

    Raises:
        OSError, ValueError: as ``ask``.
    """
    return _beats(ask(ui_url, _READINESS))


def is_ready(ui_url: str, *, daemon_since: float) -> bool:
    """Return whether the UI answers, our definitions are loaded, and every daemon has had a heartbeat.

    Args:
        ui_url: address of the Dagster UI.
        daemon_since: only heartbeats later than this count, in seconds since 1970: earlier ones are another daemon's.
    """
    try:
        data = ask(ui_url, _READINESS)
    except (OSError, ValueError):
        return False
    entries = data["workspaceOrError"].get("locationEntries", [])
    loaded = {entry["name"]: entry["locationOrLoadError"] for entry in entries}
    location = loaded.get(LOCATION) or {}
    return (
        min(_beats(data), default=0.0) >= daemon_since and location.get("__typename") == "RepositoryLocation"
    )


def answers(address: str) -> bool:
    """Return whether a web server answers at ``address``, whatever it says."""
    try:
        _opener.open(address, timeout=10).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _beats(data: dict[str, Any]) -> list[float]:
    daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return [daemon["lastHeartbeatTime"] or 0.0 for daemon in daemons if daemon["required"]]
