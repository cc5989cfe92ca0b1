"""``batch_dispatcher``: requests the runs that ``batches.execution.dispatch`` orders, and cancels those of cancelled batches."""

import time
from collections.abc import Mapping, Sequence
from functools import partial

import dagster as dg
from dagster import ResourceParam

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
from stt_pipeline.defs.dagster_private import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PRIORITY_TAG,
    RUN_KEY_TAG,
    run_slots,
)
from stt_pipeline.defs.jobs import (
    JOB_OF_ORDER,
    delete_batch,
    publish_minutes,
    report_batch,
    scan_source,
    transcribe_audio,
)
from stt_pipeline.defs.lost_runs import end_lost_run, end_lost_runs
from stt_pipeline.defs.partitions import audio_partitions, batch_partitions
from stt_pipeline.defs.run_tags import BATCH_TAG
from stt_pipeline.defs.stages import POOL, STAGE_ASSETS
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.shards import Stage

# a run's place within its batch lowers its priority, so that batches of equal priority take turns in the run queue
_PRIORITY = {"high": 1000, "normal": 0, "low": -1000}
_LAST_PLACE = 400

# Dagster evaluates sensors every 5 seconds. A tick that finds nothing polls again for most of that time, so that work
# that becomes ready in between starts at once. A tick may take 60 seconds.
_POLLING_SECONDS = 4.0
_POLL_INTERVAL_SECONDS = 0.5
# a run claims its shards a few seconds after its start; later, its process hangs
_CLAIM_SECONDS = 45.0
_RETRY_SECONDS = 5.0  # for retries in one poll; the next poll continues

_NO_HEARTBEAT = (
    "It sent no heartbeat for STT_LEASE_SECONDS: its process hangs, or a call in it (then the end of its stderr says which), "
    "or its machine is gone."
)
_NO_CLAIM = "It claimed no shard after its start: its process hangs, or its machine is gone."


@dg.sensor(
    jobs=[scan_source, transcribe_audio, publish_minutes, report_batch, delete_batch],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts the next runs of all batches: scans, stages of shards, reports, deletions. Cancels the runs of cancelled batches.",
)
def batch_dispatcher(
    context: dg.SensorEvaluationContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """Evaluate one sensor tick."""
    end = time.monotonic() + _POLLING_SECONDS
    slots = _run_slots(context.instance)
    end_lost_runs(context.instance, database)
    while True:
        _end_runs(context.instance, database)
        retry.process_retries(database, max_file_bytes=settings.max_file_bytes, seconds=_RETRY_SECONDS)
        orders = tick(
            database,
            max_shards_in_flight=settings.max_shards_in_flight,
            max_active_batches=settings.max_active_batches,
            max_attempts=settings.max_attempts,
            run_slots=slots,
            end_run=partial(end_lost_run, context.instance, reason=_NO_HEARTBEAT),
        )
        if to_start := _without_a_run(context.instance, orders, database):
            positions = _partition_positions(context.instance, to_start)
            return dg.SensorResult(
                run_requests=[request for order in to_start for request in _requests(order, positions)],
                dynamic_partitions_requests=_new_batches(context.instance, to_start),
            )
        if time.monotonic() > end:
            return dg.SkipReason("No batch waits for a run.")
        time.sleep(_POLL_INTERVAL_SECONDS)


def _run_slots(instance: dg.DagsterInstance) -> dict[Stage, int]:
    slots = {stage: run_slots(instance, pool) for stage, pool in POOL.items()}
    return {stage: limit for stage, limit in slots.items() if limit is not None}


def _end_runs(instance: dg.DagsterInstance, database: Database) -> None:
    """Cancel the runs of cancelled batches, and the queued runs of paused ones."""
    for batch_id in cancelled_batches(database):
        if end_runs(instance, batch_id):
            runs_ended(database, batch_id)
    unqueue_runs(instance, paused_batches(database), [JOB_OF_ORDER[stage] for stage in STAGE_ASSETS])


def _without_a_run(instance: dg.DagsterInstance, orders: Sequence[Order], database: Database) -> list[Order]:
    """Return the orders whose run must be requested; Dagster starts only one for each run key.

    The order of a run that ended without a claim is revoked, and a later tick makes a new one. A run that has started and
    claims nothing is ended.
    """
    if not orders:
        return []
    run_keys = {run_key: order for order in orders for run_key in _run_keys(order)}
    runs: dict[str, list[dg.DagsterRun]] = {}
    for record in instance.get_run_records(dg.RunsFilter(tags={RUN_KEY_TAG: list(run_keys)})):
        run = record.dagster_run
        runs.setdefault(run_keys[run.tags[RUN_KEY_TAG]].token, []).append(run)
        if not run.is_finished and record.start_time and time.time() - record.start_time > _CLAIM_SECONDS:
            end_lost_run(instance, run.run_id, _NO_CLAIM)
    to_start = []
    for order in orders:
        found = runs.get(order.token, [])
        if found and all(run.is_finished for run in found):
            reason = f"Run {found[0].run_id} ended before it claimed its work; see its log in the Dagster UI."
            revoke_order(database, order, reason)
        # a run that a daemon created and did not launch, because it died, is launched when it is requested again
        elif not found or any(run.status == dg.DagsterRunStatus.NOT_STARTED for run in found):
            to_start.append(order)
    return to_start


def _partition_positions(instance: dg.DagsterInstance, orders: Sequence[Order]) -> dict[str, int]:
    """Return the position of each shard's partition in Dagster, after adding those that were retired or deleted."""
    wanted = [key for order in orders if order.job in STAGE_ASSETS for key in order.keys]
    if not wanted:
        return {}
    name = str(audio_partitions.name)
    positions = _positions(instance, name)
    if missing := [key for key in wanted if key not in positions]:
        instance.add_dynamic_partitions(name, missing)
        positions = _positions(instance, name)
    return positions


def _positions(instance: dg.DagsterInstance, name: str) -> dict[str, int]:
    return {key: position for position, key in enumerate(instance.get_dynamic_partitions(name))}


def _requests(order: Order, positions: Mapping[str, int]) -> list[dg.RunRequest]:
    """Return the run request of an order: one over a range, if its shards are neighbours in Dagster, else one a shard."""
    priority = _PRIORITY[order.priority] - min(order.place, _LAST_PLACE)
    tags = {BATCH_TAG: str(order.batch_id), PRIORITY_TAG: str(priority)}
    job = JOB_OF_ORDER[order.job]
    if len(order.keys) == 1:
        return [dg.RunRequest(order.token, partition_key=order.keys[0], tags=tags, job_name=job)]
    first = positions[order.keys[0]]
    # a range of dynamic partitions is in order of insertion: if it contains shards of others, each shard gets a run
    if [positions[key] for key in order.keys] != list(range(first, first + len(order.keys))):
        single = zip(_run_keys(order)[1:], order.keys, strict=True)
        return [dg.RunRequest(run_key, partition_key=key, tags=tags, job_name=job) for run_key, key in single]
    ends = {
        ASSET_PARTITION_RANGE_START_TAG: order.keys[0],
        ASSET_PARTITION_RANGE_END_TAG: order.keys[-1],
    }
    return [dg.RunRequest(order.token, tags=tags | ends, job_name=job)]


def _run_keys(order: Order) -> list[str]:
    """Return the possible run keys of an order: of one run, or of a run for each shard."""
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
