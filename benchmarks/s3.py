"""A bucket of a million objects: how fast it is listed, and how long the sensor tick of a watch takes.

The server answers listings only (``listing_server``), with the latency of S3. First, the product's source and boto3's
paginator list it in turns. Then the real sensor watches the bucket, on a real Postgres and Dagster instance: until all objects
are known, then with new objects at the end of the bucket, then with the same number anywhere in it.
"""

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import text

from benchmarks.instances import closing_database, own_database, print_status, sensor_tick
from benchmarks.listing_server import BUCKET, key_of, listing_server, put
from stt_pipeline.audio.access import SourceAccess
from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.audio.opening import open_source
from stt_pipeline.batches.requests.batch_request import WatchRequest
from stt_pipeline.batches.requests.create import create_watch
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.manifest import watches

SOURCE = f"s3://{BUCKET}/seoul"
ROUNDS = 3
_SENSOR = "s3_audio_sensor"


def main() -> None:
    """Measure, and print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--listed", type=int, default=200_000)
    arguments.add_argument("--known", type=int, default=1_000_000)
    arguments.add_argument("--new", type=int, default=1_000)
    arguments.add_argument("--latency", type=float, default=0.1, help="seconds of each request")
    arguments.add_argument(
        "--database-url", default="", help="of a server on which a database may be created"
    )
    options = arguments.parse_args()
    os.environ |= {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "AWS_REGION": "us-east-1"}
    with (
        tempfile.TemporaryDirectory(prefix="stt-s3-") as folder,
        own_database(Path(folder), options.database_url) as settings,
        closing_database(settings.database_url) as database,
    ):
        with listing_server(options.listed, latency=options.latency) as address:
            listed = _listings(address, options.listed)
        with listing_server(options.known, latency=options.latency) as address:
            os.environ["STT_S3_ENDPOINT_URL"] = address
            found = _ticks(database, address, options.known, options.new)
    print(
        json.dumps(
            {
                **listed,
                "known_objects": options.known,
                "new_objects": options.new,
                **found,
                "latency_seconds": options.latency,
                "cores": os.cpu_count(),
            }
        )
    )


def _listings(address: str, objects: int) -> dict[str, object]:
    """List a bucket with the product's source and with boto3's paginator, in turns."""
    import boto3

    def ours() -> int:
        settings = Settings(s3_endpoint_url=address, _env_file=None)
        source = open_source(SOURCE, access=SourceAccess.of(settings))
        return sum(1 for _ in source.list_objects(wait=True))

    def paginator() -> int:
        client = boto3.client("s3", endpoint_url=address)
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix="seoul/")
        return sum(page["KeyCount"] for page in pages)

    rates: dict[Callable[[], int], list[float]] = {ours: [], paginator: []}
    for _ in range(ROUNDS):
        for listing, measured in rates.items():
            started = time.perf_counter()
            listed = listing()
            measured.append(listed / (time.perf_counter() - started))
            if listed != objects:
                raise SystemExit(f"{listed} objects were listed, not {objects}.")
            print_status(f"{listing.__name__}: {measured[-1]:,.0f} objects a second")
    medians = {listing.__name__: statistics.median(measured) for listing, measured in rates.items()}
    return {
        "objects_per_second": round(medians["ours"]),
        "paginator_objects_per_second": round(medians["paginator"]),
        "ours_over_paginator": round(medians["ours"] / medians["paginator"], 2),
        "listed_objects": objects,
    }


def _ticks(database: Database, address: str, known: int, new: int) -> dict[str, object]:
    import dagster as dg

    settings = Settings()
    watch = create_watch(
        database,
        WatchRequest(source_path=SOURCE, name="calls of the day"),
        allowed=AllowedSources.for_users("", SourceAccess.of(settings)),
    )
    with dg.DagsterInstance.get() as instance:

        def tick() -> float:
            started = time.perf_counter()
            sensor_tick(instance, _SENSOR)
            return time.perf_counter() - started

        catching_up = [tick()]
        while _files(database, watch.id) < known:
            catching_up.append(tick())
            print_status(f"{_files(database, watch.id):,} known, tick {catching_up[-1]:.2f} s")
        _settle(database)
        tick()
        idle = tick()

        print_status(f"idle: {idle:.2f} s; {new:,} new objects at the end")
        put(address, [key_of(known + number) for number in range(new)])
        at_end = tick()
        if _files(database, watch.id) != known + new:
            raise SystemExit(f"A tick found {_files(database, watch.id) - known} of {new} new objects.")

        print_status(f"{at_end:.2f} s; {new:,} new objects anywhere")
        chance = random.Random(1)
        put(
            address,
            [key_of(number).replace("call-", "late-") for number in chance.sample(range(known), new)],
        )
        anywhere = [tick()]
        while _files(database, watch.id) < known + 2 * new:
            anywhere.append(tick())
        print_status(f"found in {len(anywhere)} ticks of at most {max(anywhere):.2f} s")
    return {
        "tick_seconds": round(at_end, 2),
        "idle_tick_seconds": round(idle, 2),
        "worst_tick_seconds": round(max(at_end, *anywhere), 2),
        "ticks_until_late_ones_are_found": len(anywhere),
        "ticks_until_all_was_known": len(catching_up),
        "worst_tick_until_all_was_known": round(max(catching_up), 2),
    }


def _files(database: Database, watch_id: int) -> int:
    with database.begin() as connection:
        return watches.get(connection, watch_id).files


def _settle(database: Database) -> None:
    print_status("VACUUM ANALYZE")
    with database.scratch() as connection:
        # in production these rows arrive over months, and autovacuum runs meanwhile
        connection.execution_options(isolation_level="AUTOCOMMIT").execute(text("VACUUM ANALYZE"))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
