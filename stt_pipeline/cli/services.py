"""The processes of a `Stack`, one entry each. A run launcher that needs another process adds one here."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

from stt_pipeline.cli.environment import LOCATION

API = "api"
CODE_SERVER = "code-server"


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the stack.

    Attributes:
        name: for users and for the log file.
        command: program and arguments.
        needs_code_server: start it when the code server answers and the tables are migrated.
        serves_runs: it must stay while runs end, so it stops last.
    """

    name: str
    command: tuple[str, ...]
    needs_code_server: bool = False
    serves_runs: bool = False


def dagster_services(module: str, socket_path: Path, host: str, port: int) -> list[Service]:
    """Return code server, webserver and daemon, in order of their start.

    Args:
        module: the module of the Dagster definitions.
        socket_path: the socket of the code server; its folder also gets the workspace file.
        host: address of the webserver.
        port: its port.
    """
    # one code server for all; otherwise webserver and daemon would start one each
    location = {"grpc_server": {"socket": str(socket_path), "location_name": LOCATION}}
    workspace = socket_path.with_name("workspace.yaml")
    workspace.write_text(json.dumps({"load_from": [location]}))  # JSON is YAML
    code_server = ("dagster", "api", "grpc", "-m", module, "-s", str(socket_path))
    webserver = ("dagster_webserver", "-h", host, "-p", str(port), "-w", str(workspace))
    return [
        Service(CODE_SERVER, _module(*code_server), serves_runs=True),
        Service("webserver", _module(*webserver)),
        # its sensors call the code server and read tables
        Service("daemon", _module("dagster._daemon", "run", "-w", str(workspace)), needs_code_server=True),
    ]


def api_service(port: int) -> Service:
    """Return the admin API on this port."""
    return Service(API, _module("stt_pipeline.cli.main", "api", "--port", str(port)))


def _module(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", *arguments)
