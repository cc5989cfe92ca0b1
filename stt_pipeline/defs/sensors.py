"""``batch_dispatcher``: gives Dagster the runs that ``batches.dispatch`` orders, and nothing more."""

import time
from collections.abc import Sequence

import dagster as dg
from dagster import ResourceParam
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PRIORITY_TAG,
    RUN_KEY_TAG,
)

from stt_pipeline.batches.dispatch import Order, retire, tick
from stt_pipeline.defs.jobs import BY_ORDER, publish_minutes, report_batch, scan_source, transcribe_audio
from stt_pipeline.defs.partitions import audio_partitions, batch_partitions
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database

_PRIORITY = {"high": "10", "normal": "0", "low": "-10"}


# Dagster looks at sensors every 5 seconds. A tick that finds nothing stays and looks again for most of that time, so that
# work that becomes ready in between starts at once; a tick may last 60 seconds
_STAY_SECONDS = 4.0
_LOOK_SECONDS = 0.5


@dg.sensor(
    jobs=[scan_source, transcribe_audio, publish_minutes, report_batch],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Starts what batches wait for: scans of sources, runs over shards, reports.",
)
def batch_dispatcher(
    context: dg.SensorEvaluationContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
) -> dg.SensorResult | dg.SkipReason:
    """Do one tick of the dispatcher."""
    end = time.monotonic() + _STAY_SECONDS
    while True:
        orders = tick(
            database,
            max_shards_in_flight=settings.max_shards_in_flight,
            max_attempts=settings.max_attempts,
        )
        to_start = [order for order in orders if _needs_a_run(context.instance, order, database)]
        if to_start:
            return dg.SensorResult(
                run_requests=[
                    request for order in to_start for request in _requests(context.instance, order)
                ],
                dynamic_partitions_requests=_new_batches(context.instance, to_start),
            )
        if time.monotonic() > end:
            return dg.SkipReason("No batch waits for a run.")
        time.sleep(_LOOK_SECONDS)


def _needs_a_run(instance: dg.DagsterInstance, order: Order, database: Database) -> bool:
    """Return whether to ask for the order's run, which Dagster starts only once for each token.

    A run that ended without claiming its order gives it back, to be ordered anew.
    """
    run_keys = [order.token, *(_key_of_single_run(order, key) for key in order.keys)]
    runs = instance.get_runs(dg.RunsFilter(tags={RUN_KEY_TAG: run_keys}))
    if runs and all(run.is_finished for run in runs):
        retire(database, order)
        return False
    # a run that was made and never launched, by a daemon that died in between, is launched when asked for again
    return not runs or any(run.status == dg.DagsterRunStatus.NOT_STARTED for run in runs)


def _requests(instance: dg.DagsterInstance, order: Order) -> list[dg.RunRequest]:
    """Return one run for the order: over a range where it has several shards that follow each other in Dagster."""
    tags = {"stt/batch": str(order.batch_id), PRIORITY_TAG: _PRIORITY[order.priority]}
    job = BY_ORDER[order.job]
    if len(order.keys) == 1:
        return [dg.RunRequest(order.token, partition_key=order.keys[0], tags=tags, job_name=job)]
    if not _contiguous(instance, order.keys):
        # the range between the ends would hold shards of others; the claim compares tokens, and so do single runs
        return [
            dg.RunRequest(_key_of_single_run(order, key), partition_key=key, tags=tags, job_name=job)
            for key in order.keys
        ]
    ends = {
        ASSET_PARTITION_RANGE_START_TAG: order.keys[0],
        ASSET_PARTITION_RANGE_END_TAG: order.keys[-1],
    }
    return [dg.RunRequest(order.token, tags=tags | ends, job_name=job)]


def _key_of_single_run(order: Order, key: str) -> str:
    return f"{order.token}:{key}"


def _contiguous(instance: dg.DagsterInstance, keys: Sequence[str]) -> bool:
    """Check that nothing was inserted between ``keys``: a range of dynamic partitions is one of insertion."""
    known = instance.get_dynamic_partitions(str(audio_partitions.name))
    try:
        first = known.index(keys[0])
    except ValueError:
        return False
    return known[first : first + len(keys)] == list(keys)


def _new_batches(
    instance: dg.DagsterInstance, orders: Sequence[Order]
) -> list[dg.AddDynamicPartitionsRequest | dg.DeleteDynamicPartitionsRequest]:
    name = str(batch_partitions.name)
    keys = sorted(
        {
            order.keys[0]
            for order in orders
            if order.job in ("intake", "report") and not instance.has_dynamic_partition(name, order.keys[0])
        }
    )
    return [batch_partitions.build_add_request(keys)] if keys else []
