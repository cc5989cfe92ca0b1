"""``batch_dispatcher``: gives Dagster the runs that ``batches.dispatch`` orders, ends those of cancelled batches, no more."""

import time
from collections.abc import Mapping, Sequence

import dagster as dg
from dagster import ResourceParam
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PRIORITY_TAG,
    RUN_KEY_TAG,
)

from stt_pipeline.batches.execution.dispatch import (
    Order,
    cancelled_batches,
    paused_batches,
    revoke_order,
    runs_ended,
    tick,
)
from stt_pipeline.batches.requests import retry
from stt_pipeline.defs.batch_records import end_runs, unqueue_runs
from stt_pipeline.defs.jobs import (
    BY_ORDER,
    delete_batch,
    publish_minutes,
    report_batch,
    scan_source,
    transcribe_audio,
)
from stt_pipeline.defs.partitions import audio_partitions, batch_partitions
from stt_pipeline.defs.run_tags import BATCH_TAG
from stt_pipeline.defs.stages import STAGE_ASSETS
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database

# a run's place within its batch is taken off, so that batches of equal priority take turns in Dagster's queue
_PRIORITY = {"high": 1000, "normal": 0, "low": -1000}
_LAST_PLACE = 400

# Dagster looks at sensors every 5 seconds. A tick that finds nothing stays and looks again for most of that time, so that
# work that becomes ready in between starts at once; a tick may last 60 seconds
_STAY_SECONDS = 4.0
_LOOK_SECONDS = 0.5
_RETRY_SECONDS = 5.0  # for retries in one look; what is left is done in the next


@dg.sensor(
    jobs=[scan_source, transcribe_audio, publish_minutes, report_batch, delete_batch],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts what batches wait for: scans, runs over shards, reports, deletions. Ends the runs of cancelled batches.",
)
def batch_dispatcher(
    context: dg.SensorEvaluationContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """Do one tick of the dispatcher."""
    end = time.monotonic() + _STAY_SECONDS
    while True:
        _end_runs(context.instance, database)
        retry.work_off(database, max_file_bytes=settings.max_file_bytes, seconds=_RETRY_SECONDS)
        orders = tick(
            database,
            max_shards_in_flight=settings.max_shards_in_flight,
            max_active_batches=settings.max_active_batches,
            max_attempts=settings.max_attempts,
        )
        if to_start := _without_a_run(context.instance, orders, database):
            known = _known_keys(context.instance, to_start)
            return dg.SensorResult(
                run_requests=[request for order in to_start for request in _requests(order, known)],
                dynamic_partitions_requests=_new_batches(context.instance, to_start),
            )
        if time.monotonic() > end:
            return dg.SkipReason("No batch waits for a run.")
        time.sleep(_LOOK_SECONDS)


def _end_runs(instance: dg.DagsterInstance, database: Database) -> None:
    """End the runs of cancelled batches, and take those of paused ones out of the queue."""
    for batch_id in cancelled_batches(database):
        if end_runs(instance, batch_id):
            runs_ended(database, batch_id)
    unqueue_runs(instance, paused_batches(database), [BY_ORDER[stage] for stage in STAGE_ASSETS])


def _without_a_run(instance: dg.DagsterInstance, orders: Sequence[Order], database: Database) -> list[Order]:
    """Return the orders whose run is to be asked for; Dagster starts only one for each run key.

    A run that ended without claiming its order gives it back, to be ordered anew.
    """
    if not orders:
        return []
    run_keys = {run_key: order for order in orders for run_key in _run_keys(order)}
    runs: dict[str, list[dg.DagsterRun]] = {}
    for run in instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: list(run_keys)})):
        runs.setdefault(run_keys[run.tags[RUN_KEY_TAG]].token, []).append(run)
    to_start = []
    for order in orders:
        found = runs.get(order.token, [])
        if found and all(run.is_finished for run in found):
            reason = (
                f"Run {found[0].run_id} ended before it began to work; its log in the Dagster UI says why."
            )
            revoke_order(database, order, reason)
        # a run that was made and never launched, by a daemon that died in between, is launched when asked for again
        elif not found or any(run.status == dg.DagsterRunStatus.NOT_STARTED for run in found):
            to_start.append(order)
    return to_start


def _known_keys(instance: dg.DagsterInstance, orders: Sequence[Order]) -> dict[str, int]:
    """Return the place of each shard's partition in Dagster, after adding those that were retired or deleted there."""
    wanted = [key for order in orders if order.job in STAGE_ASSETS for key in order.keys]
    if not wanted:
        return {}
    name = str(audio_partitions.name)
    known = _places(instance, name)
    if lost := [key for key in wanted if key not in known]:
        instance.add_dynamic_partitions(name, lost)
        known = _places(instance, name)
    return known


def _places(instance: dg.DagsterInstance, name: str) -> dict[str, int]:
    return {key: place for place, key in enumerate(instance.get_dynamic_partitions(name))}


def _requests(order: Order, known: Mapping[str, int]) -> list[dg.RunRequest]:
    """Return one run for the order: over a range where it has several shards that follow each other in Dagster."""
    priority = _PRIORITY[order.priority] - min(order.place, _LAST_PLACE)
    tags = {BATCH_TAG: str(order.batch_id), PRIORITY_TAG: str(priority)}
    job = BY_ORDER[order.job]
    if len(order.keys) == 1:
        return [dg.RunRequest(order.token, partition_key=order.keys[0], tags=tags, job_name=job)]
    first = known[order.keys[0]]
    # a range of dynamic partitions is one of insertion: if it would hold shards of others, each shard gets a run
    if [known[key] for key in order.keys] != list(range(first, first + len(order.keys))):
        single = zip(_run_keys(order)[1:], order.keys, strict=True)
        return [dg.RunRequest(run_key, partition_key=key, tags=tags, job_name=job) for run_key, key in single]
    ends = {
        ASSET_PARTITION_RANGE_START_TAG: order.keys[0],
        ASSET_PARTITION_RANGE_END_TAG: order.keys[-1],
    }
    return [dg.RunRequest(order.token, tags=tags | ends, job_name=job)]


def _run_keys(order: Order) -> list[str]:
    """Return the run keys under which an order may run: as one run, or as one for each shard."""
    return [order.token, *(f"{order.token}:{key}" for key in order.keys)]


def _new_batches(
    instance: dg.DagsterInstance, orders: Sequence[Order]
) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    name = str(batch_partitions.name)
    keys = sorted(
        {
            order.keys[0]
            for order in orders
            if order.job not in STAGE_ASSETS and not instance.has_dynamic_partition(name, order.keys[0])
        }
    )
    return [batch_partitions.build_add_request(keys)] if keys else []
