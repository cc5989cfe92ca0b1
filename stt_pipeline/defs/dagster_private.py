"""Everything that we use of Dagster outside its documented API, each use with its reason.

An upgrade of Dagster may move any of it: ``test_dagster_private.py`` has one test a use, which then fails by its name.
Other modules take these names from here and import nothing from ``dagster._core``.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    GRPC_INFO_TAG,
    PRIORITY_TAG,
    RUN_KEY_TAG,
)

if TYPE_CHECKING:
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

# Tags of runs are strings in the documentation, and have names only in dagster._core.storage.tags.
# UnresolvedAssetJobDefinition is what define_asset_job returns; DagsterUserCodeUnreachableError is what a cancellation
# raises when the code server of a run is gone; FINISHED_STATUSES is the only list of the final statuses.
__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "FINISHED_STATUSES",
    "GRPC_INFO_TAG",
    "PRIORITY_TAG",
    "RUN_KEY_TAG",
    "AssetCheckEvaluationTargetMaterializationData",
    "DagsterUserCodeUnreachableError",
    "UnresolvedAssetJobDefinition",
    "add_partition_metadata",
    "check_targets",
    "delete_check_evaluations",
    "delete_partitions_with_prefix",
    "delete_run",
    "pool_connections",
    "selected_assets",
]


def pool_connections(instance: dg.DagsterInstance) -> None:
    """Let the instance's storages keep a pool of connections.

    By default they open a connection for each query in a run. Connections that idle for more than 10 seconds are
    opened again, because firewalls drop them. Only webservers have a documented way to this.
    """
    instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=10, max_overflow=10)


def selected_assets(context: dg.AssetExecutionContext) -> set[str]:
    """Return the names of the assets that this run materializes; the context has no public field for it."""
    selected = {key.path[-1] for key in context.job_def.asset_layer.executable_asset_keys}
    if context.run.step_keys_to_execute:  # a re-execution from failure
        selected &= set(context.run.step_keys_to_execute)
    return selected


def add_partition_metadata(context: dg.AssetExecutionContext, key: str, metadata: Mapping[str, Any]) -> None:
    """Add metadata to the materialization of one partition.

    ``context.add_asset_metadata`` does the same, but reads all partition keys of the asset at each call.
    """
    step = context.get_step_execution_context()
    step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(
        asset_key=context.asset_key, partition_key=key, metadata=metadata
    )


def check_targets(
    context: dg.AssetExecutionContext, keys: Collection[str]
) -> dict[str, AssetCheckEvaluationTargetMaterializationData]:
    """Return, for each partition, the reference from a check's evaluation to the newest materialization.

    ``AssetCheckResult`` loses the partition in a run over several, so evaluations are made one by one. Dagster shows an
    evaluation only while it refers to the newest materialization of its partition.
    """
    latest = context.instance.event_log_storage.get_latest_storage_id_by_partition(
        context.asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, set(keys)
    )
    return {
        key: AssetCheckEvaluationTargetMaterializationData(
            storage_id=latest[key], run_id=context.run.run_id, timestamp=time.time()
        )
        for key in keys
    }


def delete_partitions_with_prefix(
    instance: dg.DagsterInstance, partitions: dg.DynamicPartitionsDefinition, prefix: str
) -> None:
    """Delete the dynamic partitions whose keys begin with ``prefix``, by SQL.

    ``delete_dynamic_partition`` takes one key and 14 ms: over two minutes for the 10,000 shards of a large batch.
    """
    from dagster._core.storage.event_log.schema import DynamicPartitionsTable

    table = DynamicPartitionsTable.c
    chosen = (table.partitions_def_name == partitions.name) & table.partition.startswith(prefix)
    with _event_log(instance).index_connection() as connection:
        connection.execute(DynamicPartitionsTable.delete().where(chosen))


def delete_check_evaluations(
    instance: dg.DagsterInstance, checks: Collection[dg.AssetCheckSpec], runs: Sequence[dg.DagsterRun]
) -> None:
    """Delete the evaluations of checks by some runs; deleting a run leaves them behind."""
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable

    table = AssetCheckExecutionsTable.c
    with _event_log(instance).index_connection() as connection:
        connection.execute(
            AssetCheckExecutionsTable.delete().where(
                # the index is on asset and check, not on the run
                table.asset_key.in_({check.asset_key.to_string() for check in checks}),
                table.check_name.in_({check.name for check in checks}),
                table.run_id.in_([run.run_id for run in runs]),
            )
        )


def delete_run(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Delete a run with its logs and events.

    Unlike ``DagsterInstance.delete_run``, it also deletes the compute logs, and the run's own row goes last: a deletion
    that was interrupted finds the run again.
    """
    instance.compute_log_manager.delete_logs(prefix=[run.run_id])
    instance.event_log_storage.delete_events(run.run_id)
    instance.run_storage.delete_run(run.run_id)


def _event_log(instance: dg.DagsterInstance) -> "SqlEventLogStorage":
    return cast("SqlEventLogStorage", instance.event_log_storage)
