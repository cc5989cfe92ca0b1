"""One batch of millions of files: its scan, and the time of queries and dispatcher ticks when half of the batch is done.

A process scans a synthetic source with the product's own code, as in production, into a real Postgres (embedded, or
--database-url) that Dagster's instance shares; there are small batches, too. Then SQL marks half of the shards as done.
Frequent queries are timed, and the plans of all queries are checked.
"""

import argparse
import json
import os
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import text

from benchmarks.instances import closing_database, own_database, print_status, sensor_tick
from stt_pipeline.audio.memory import MemorySource
from stt_pipeline.audio.sources import Source, SourceObject
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.settings import Settings
from stt_pipeline.store import tables
from stt_pipeline.store.database import Database
from tools.query_plans import Statement, recorded, wasteful_scans

CALLS = 200
TICKS = 10
TRANSCRIPTS = 200_000
SMALL_BATCHES = 200
FILES_PER_RUN = 2_000  # as the dispatcher groups them
PAGE = 100


class CallCenter(MemorySource):
    """Lists ``count`` recordings of telephone calls, without content: in order of path, about 70 characters each."""

    def __init__(self, count: int) -> None:
        """Keep nothing in memory."""
        super().__init__({}, address="s3://customer-recordings")
        self._count = count

    def list_objects(self, after: str = "", *, wait: bool = False) -> Iterator[SourceObject]:
        """Yield every object; ``after`` is not supported."""
        modified_at = datetime.now(UTC)
        for number in range(self._count):
            if number % 1_000_000 == 0:
                print_status(f"{number:,} objects listed")
            scattered = number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % (1 << 128)
            day, call = divmod(number, 20_000)
            uri = f"{self.uri}/seoul/2026/day-{day:03d}/agent-{call // 50:04d}/call-{number:010d}.wav"
            yield SourceObject(uri, 200_000 + scattered % 4_000_000, f"{scattered:032x}", modified_at)


def main() -> None:
    """Measure, and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=5_000_000)
    arguments.add_argument(
        "--database-url", default="", help="of a server on which a database may be created"
    )
    options = arguments.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="stt-scale-") as folder,
        own_database(Path(folder), options.database_url) as settings,
        closing_database(settings.database_url) as database,
    ):
        print(json.dumps(_measure(database, Path(folder), options.files)))


def _measure(database: Database, folder: Path, files: int) -> dict[str, object]:
    # imported here, so that the process of the scan is not forked from a large one
    from stt_pipeline_tests.store import large_store

    source = folder / "source"
    source.mkdir()
    with database.begin() as connection:
        version = connection.scalar(text("SHOW server_version"))
        small = large_store.add_batches(connection, SMALL_BATCHES, files=50, files_per_shard=1)
    large = create_batch(database, BatchRequest(source_path=str(source), name="Every call of the year")).id
    scanned = _scan(large, files)
    print_status(
        f"scanned at {files / scanned['scan_seconds']:,.0f} files per second; half of them are marked as done now"
    )
    with database.begin() as connection:
        large_store.do_half(connection, [*small, large], transcripts=TRANSCRIPTS)
        large_store.end(connection, small[:-20], days_ago=1)
        large_store.end(connection, small[:10], days_ago=100)
    print_status("VACUUM ANALYZE")
    with database.scratch() as connection:
        # in production these rows change over days, and autovacuum runs meanwhile
        autocommit = connection.execution_options(isolation_level="AUTOCOMMIT")
        autocommit.execute(text("VACUUM ANALYZE"))
        autocommit.execute(text("CHECKPOINT"))
    with database.begin() as connection:
        shards = connection.scalar(
            text("SELECT count(*) FROM stt_shards WHERE batch_id = :id"), {"id": large}
        )
    queries = _timed_queries(database, large)
    ticks, statements = _timed_ticks(database, large, files)
    return {
        "files": files,
        **scanned,
        "files_per_second": round(files / scanned["scan_seconds"]),
        "shards": shards,
        **queries,
        "dispatch_tick_seconds": round(max(ticks), 3),
        "plans_with_seq_scan": _bad_plans(
            database, statements, [large, small[-1], small[-2]], small[0], folder
        ),
        "postgres": version,
        "cores": os.cpu_count(),
    }


def _scan(batch_id: int, files: int) -> dict[str, float]:
    """Scan the source in a new process, and return its figures."""
    code = f"from benchmarks.scale import scan; scan({batch_id}, {files})"
    root = Path(__file__).parents[1]
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=root, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            output, _ = process.communicate()
        except BaseException:
            process.kill()
            raise
    if process.returncode:
        raise SystemExit(f"The scan ended with code {process.returncode}; see above.")
    figures: dict[str, float] = json.loads(output.splitlines()[-1])
    return figures


def scan(batch_id: int, files: int) -> None:
    """Scan the batch, as the asset ``audio_manifest`` does, and print the figures. The scanning process calls this."""
    import dagster as dg

    from stt_pipeline.batches.execution.batch_claim import claimed_batch
    from stt_pipeline.batches.ingest.scan import scan_batch

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    settings = Settings()
    partitions_seconds = 0.0

    def open_call_center(source_path: str, file_pattern: str) -> Source:
        return CallCenter(files)

    def add_partitions(keys: Sequence[str]) -> None:
        nonlocal partitions_seconds
        started = time.perf_counter()
        instance.add_dynamic_partitions("audio", list(keys))
        partitions_seconds += time.perf_counter() - started

    with (
        dg.DagsterInstance.get() as instance,
        closing_database(settings.database_url) as database,
        claimed_batch(
            database, batch_id, run_id="scan", token=None, lease_seconds=settings.lease_seconds
        ) as work,
    ):
        started = time.perf_counter()
        scan_batch(
            work,
            add_partitions=add_partitions,
            max_file_bytes=settings.max_file_bytes,
            open_source=open_call_center,
        )
        seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    figures = {
        "scan_seconds": round(seconds, 1),
        "peak_rss_mb": round(peak),
        "partitions_seconds": round(partitions_seconds, 2),
    }
    print(json.dumps(figures))


def _timed_queries(database: Database, batch_id: int) -> dict[str, float]:
    """Time the queries that users send often."""
    from stt_pipeline.batches.queries.file_search import find_files
    from stt_pipeline.batches.queries.progress import overviews, progress
    from stt_pipeline.store.manifest import files

    last: list[tuple[str, int]] = []

    def next_failures() -> None:
        with database.begin() as connection:
            page = files.failed(connection, batch_id, PAGE, after=last[-1] if last else None)
        if page:
            last.append((str(page[-1].error_class), page[-1].id))
        else:
            last.clear()

    started = time.perf_counter()
    find_files(database, "absent.wav", batch_id=batch_id, limit=20)
    absent = time.perf_counter() - started
    print_status(f"a name that no file has: {absent:.2f} s")
    return {
        "find_absent_name_s": round(absent, 2),
        "progress_p95_ms": _p95_ms("progress", lambda: progress(database, batch_id)),
        "list_batches_p95_ms": _p95_ms("list", lambda: overviews(database, 20)),
        "failures_page_p95_ms": _p95_ms("a page of failures", next_failures),
    }


def _p95_ms(name: str, call: Callable[[], object]) -> float:
    seconds = []
    for _ in range(CALLS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    p95 = 1000 * statistics.quantiles(seconds, n=20)[-1]
    print_status(
        f"{name}: {1000 * min(seconds):.1f} ms minimum, median {1000 * statistics.median(seconds):.1f}, p95 {p95:.1f}"
    )
    return round(p95, 2)


def _timed_ticks(database: Database, batch_id: int, files: int) -> tuple[list[float], list[Statement]]:
    """Evaluate the dispatcher's sensor as Dagster's code server does; the run storage has the runs of the first half."""
    import dagster as dg

    from stt_pipeline.defs.sensors.batch_dispatcher import batch_dispatcher

    seconds = []
    with dg.DagsterInstance.get() as instance:
        print_status("writing the runs of the first half")
        with database.begin() as connection:
            of_others = text("SELECT key FROM stt_shards WHERE batch_id <> :id ORDER BY id")
            instance.add_dynamic_partitions("audio", list(connection.scalars(of_others, {"id": batch_id})))
        for number in range(files // 2 // FILES_PER_RUN):
            instance.run_storage.add_run(
                dg.DagsterRun(
                    "transcribe_audio",
                    run_id=str(uuid.uuid4()),
                    status=dg.DagsterRunStatus.SUCCESS,
                    tags={
                        "dagster/run_key": str(uuid.uuid4()),
                        "stt/batch": str(batch_id),
                        "number": str(number),
                    },
                )
            )
        print_status("sensor ticks")
        with recorded() as statements:
            for _ in range(TICKS):
                started = time.perf_counter()
                found = sensor_tick(instance, batch_dispatcher.name)
                if not found.run_requests:  # such a tick waits, so its time says nothing
                    break
                seconds.append(time.perf_counter() - started)
                print_status(f"{len(found.run_requests)} runs in {seconds[-1]:.2f} s")
                _finish_active(database)
    if not seconds:
        raise SystemExit("No tick found shards to dispatch: use more --files.")
    return seconds, statements


def _finish_active(database: Database) -> None:
    """Move all active shards to the next stage, as their runs would."""
    from stt_pipeline_tests.rows import Rows

    active = tables.shards.c.token.is_not(None)
    later = datetime.now(UTC) + timedelta(days=1)
    free = {"token": None, "run_id": None, "lease_until": None}
    Rows(database).change(tables.shards, active, stage="publish", not_before=later, **free)


def _bad_plans(
    database: Database, ticks: list[Statement], at_work: Sequence[int], ended: int, folder: Path
) -> list[str]:
    """Return the plans that read a large table in full, as a test does at 200,000 files."""
    from stt_pipeline.store.manifest import staging
    from stt_pipeline_tests.store import large_store
    from stt_pipeline_tests.store.every_query import run_every_query

    print_status("running every query")
    with recorded() as statements:
        run_every_query(database, at_work=at_work, ended=ended, folder=folder)
    print_status("checking the plans")
    with database.connect() as connection:
        staging.begin(connection)
        found = wasteful_scans(connection, [*ticks, *statements], large_store.LARGE_TABLES)
        connection.rollback()
    return [str(scan) for scan in found]


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
