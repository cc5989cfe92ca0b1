"""The admin API with 32 concurrent clients: requests per second and p95 of progress, list and create.

`stt api` runs in a separate process, on a real Postgres (embedded) with one large batch, half done, and many small ones. Each
client is a thread with its own connection. The OpenAPI page needs no database, so its figures are the upper limit of the web
server and the clients on this machine.
"""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import text

from stt_pipeline.api import keys
from stt_pipeline.cli.environment import environment
from stt_pipeline.cli.processes import ReservedPorts
from stt_pipeline.cli.webserver import is_reachable
from stt_pipeline.settings import Settings
from stt_pipeline.store.access.audit import Actor
from stt_pipeline.store.database import Database
from stt_pipeline.store.migrations import upgrade
from stt_pipeline.store.server.embedded import with_database

CLIENTS = 32
BATCHES = "/api/v1/admin/stt-batches"

Request = tuple[str, str, bytes | None]


def main() -> None:
    """Measure, and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=1_000_000, help="of the large batch")
    arguments.add_argument("--seconds", type=float, default=15.0, help="for each kind of request")
    arguments.add_argument("--small-batches", type=int, default=500, help="beside the large one")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="stt-api-") as folder:
        source = Path(folder) / "recordings"
        source.mkdir()
        settings = Settings(home=Path(folder) / "home", database_url="", _env_file=None)
        with with_database(settings) as url:
            upgrade(url)
            database = Database(url)
            large = _filled(database, options.files, options.small_batches)
            _, key = keys.create(database, name="benchmark", role="admin", actor=Actor("benchmark"))
            database.dispose()
            with served_api(settings, url, source) as (port, _):
                figures = _measure(port, key, large, source, options.seconds)
    print(json.dumps({"clients": CLIENTS, "files": options.files, **figures, "cores": os.cpu_count()}))


def _filled(database: Database, files: int, small_batches: int) -> int:
    """Fill the store, and return the id of the large batch."""
    from stt_pipeline_tests.store import large_store

    with database.begin() as connection:
        small = large_store.add_batches(connection, small_batches, files=20, files_per_shard=1)
        (large,) = large_store.add_batches(
            connection, 1, files=files, files_per_shard=max(1, files // 10_000)
        )
        large_store.do_half(connection, [*small, large], transcripts=0)
    with database.scratch() as connection:
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        autocommit.execute(text("VACUUM ANALYZE"))
        autocommit.execute(text("CHECKPOINT"))
    return large


@contextmanager
def served_api(settings: Settings, url: str, source: Path) -> Iterator[tuple[int, int]]:
    """Run `stt api`; the values are its port and its process id."""
    variables = {
        **os.environ,
        **environment(settings, url),
        "STT_ALLOWED_SOURCES": source.as_uri(),
        "STT_API_RATE_LIMIT": "100000000/minute",
    }
    with ReservedPorts() as entered:
        port = entered.reserve("127.0.0.1", 0, what="The benchmark", setting="")
        command = [sys.executable, "-m", "stt_pipeline.cli.main", "api", "--port", str(port)]
        process = entered.enter_context(subprocess.Popen(command, env=variables, stdout=subprocess.DEVNULL))
        try:
            while not is_reachable(f"http://127.0.0.1:{port}/health"):
                if process.poll() is not None:
                    raise SystemExit(f"stt api exited with code {process.returncode}; its log is above.")
                time.sleep(0.2)
            yield port, process.pid
        finally:
            process.terminate()


def _measure(port: int, key: str, large: int, source: Path, seconds: float) -> dict[str, object]:
    new = json.dumps({"source_path": source.as_uri(), "name": "benchmark"}).encode()
    requests: dict[str, Request] = {
        "description": ("GET", "/openapi.json", None),
        "progress": ("GET", f"{BATCHES}/{large}/progress", None),
        "list": ("GET", f"{BATCHES}?limit=20", None),
        "create": ("POST", BATCHES, new),
    }
    figures: dict[str, object] = {}
    for name, request in requests.items():
        _load(port, key, request, 1.0)  # warm connections, caches and plans
        latencies = _load(port, key, request, seconds)
        figures |= {
            f"{name}_per_second": round(len(latencies) / seconds, 1),
            f"{name}_p50_ms": round(statistics.median(latencies) * 1000, 1),
            f"{name}_p95_ms": round(statistics.quantiles(latencies, n=20)[-1] * 1000, 1),
        }
        print(f"{name}: {figures[f'{name}_per_second']} requests per second", file=sys.stderr)
    return figures


def _load(port: int, key: str, request: Request, seconds: float) -> list[float]:
    """Send the request from 32 clients for ``seconds``, and return the latency of each response in seconds."""
    end = time.perf_counter() + seconds
    errors: list[str] = []

    def client(_: int) -> list[float]:
        method, path, body = request
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        latencies: list[float] = []
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
            while (began := time.perf_counter()) < end and not errors:
                connection.request(method, path, body, headers)
                response = connection.getresponse()
                content = response.read()
                if response.status not in (200, 201):
                    errors.append(f"{response.status}: {content.decode()[:500]}")
                latencies.append(time.perf_counter() - began)
        return latencies

    with ThreadPoolExecutor(CLIENTS) as pool:
        latencies = [one for of_client in pool.map(client, range(CLIENTS)) for one in of_client]
    if errors:
        raise SystemExit(errors[0])
    return latencies


if __name__ == "__main__":
    main()
