"""Queries to Dagster's webserver over its GraphQL API. No mutations."""

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
# this machine is never behind a proxy, so the proxy variables of the environment do not apply
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def run_query(ui_url: str, query: str, *, timeout: float = 10) -> dict[str, Any]:
    """Return the ``data`` of a GraphQL query.

    Args:
        ui_url: address of the Dagster UI.
        query: GraphQL without variables.
        timeout: in seconds.

    Raises:
        OSError: no webserver answers.
        ValueError: the server that answers is not Dagster's.
    """
    request = urllib.request.Request(
        f"{ui_url}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with _opener.open(request, timeout=timeout) as response:
        data: dict[str, Any] = json.load(response)["data"]
        return data


def daemon_heartbeats(ui_url: str) -> list[float]:
    """Return the last heartbeat of each required daemon, in seconds since 1970; 0 for none.

    Raises:
        OSError, ValueError: as :func:`run_query`.
    """
    return _heartbeats(run_query(ui_url, _READINESS))


def is_ready(ui_url: str, *, daemon_since: float) -> bool:
    """Return whether the UI answers, our definitions are loaded, and every required daemon has sent a heartbeat.

    Args:
        ui_url: address of the Dagster UI.
        daemon_since: seconds since 1970; earlier heartbeats are those of a previous daemon.
    """
    try:
        data = run_query(ui_url, _READINESS)
    except (OSError, ValueError):
        return False
    entries = data["workspaceOrError"].get("locationEntries", [])
    loaded = {entry["name"]: entry["locationOrLoadError"] for entry in entries}
    location = loaded.get(LOCATION) or {}
    return (
        min(_heartbeats(data), default=0.0) >= daemon_since
        and location.get("__typename") == "RepositoryLocation"
    )


def is_reachable(address: str) -> bool:
    """Return whether a web server answers at ``address``, with any status."""
    try:
        _opener.open(address, timeout=10).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True


def _heartbeats(data: dict[str, Any]) -> list[float]:
    daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return [daemon["lastHeartbeatTime"] or 0.0 for daemon in daemons if daemon["required"]]
