"""Everything that we use of Dagster outside its documented API, each use with its reason.

An upgrade of Dagster may move any of it: ``test_dagster_private.py`` has one test a use, which then fails by its name.
Other modules take these names from here and import nothing from ``dagster._core``.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.definitions.source_asset import SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    BACKFILL_ID_TAG,
    GRPC_INFO_TAG,
    PRIORITY_TAG,
    RUN_KEY_TAG,
)

if TYPE_CHECKING:
    from dagster._core.execution.context.system import StepExecutionContext
    from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage

# Tags of runs are strings in the documentation, and have names only in dagster._core.storage.tags.
# UnresolvedAssetJobDefinition is what define_asset_job returns; DagsterUserCodeUnreachableError is what a cancellation
# raises when the code server of a run is gone; FINISHED_STATUSES is the only list of the final statuses.
__all__ = [
    "ASSET_PARTITION_RANGE_END_TAG",
    "ASSET_PARTITION_RANGE_START_TAG",
    "BACKFILL_ID_TAG",
    "FINISHED_STATUSES",
    "GRPC_INFO_TAG",
    "PRIORITY_TAG",
    "RUN_KEY_TAG",
    "AssetCheckEvaluationTargetMaterializationData",
    "DagsterUserCodeUnreachableError",
    "UnresolvedAssetJobDefinition",
    "check_target",
    "delete_check_evaluations",
    "delete_partitions_with_prefix",
    "delete_run",
    "latest_materializations",
    "log_events",
    "output_without_materialization",
    "pool_connections",
    "run_slots",
    "selected_assets",
    "version_tags",
]


def run_slots(instance: dg.DagsterInstance, pool: str) -> int | None:
    """Return how many runs of a pool can run at the same time, or None without a limit.

    The command line shows the limits (`dagster instance concurrency get`); no documented function returns them.
    """
    config = instance.get_concurrency_config()
    limits = {limit.name: limit.limit for limit in instance.event_log_storage.get_pool_limits()}
    queue = config.run_queue_config
    known = [limits.get(pool, config.pool_config.default_pool_limit), queue and queue.max_concurrent_runs]
    return min((limit for limit in known if limit is not None and limit >= 0), default=None)


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


def latest_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, keys: Collection[str]
) -> Mapping[str, int]:
    """Return the storage id of the newest materialization of each partition that has one, in one query.

    The documented way reads the events themselves, one partition at a time.
    """
    return instance.event_log_storage.get_latest_storage_id_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, set(keys)
    )


def check_target(
    context: dg.AssetExecutionContext, storage_id: int | None
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """Return the reference from a check's evaluation to a materialization of its partition, or None without one.

    ``AssetCheckResult`` loses the partition in a run over several, so evaluations are made one by one. Dagster shows an
    evaluation only while it refers to the newest materialization of its partition.
    """
    if storage_id is None:
        return None
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=storage_id, run_id=context.run.run_id, timestamp=time.time()
    )


def log_events(
    context: dg.AssetExecutionContext,
    events: Sequence[dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation],
) -> None:
    """Log events of one step together: all materializations, then all observations, then all evaluations of checks.

    ``context.log_event`` takes up to seven statements and five transactions for one event. Dagster writes materializations
    and observations in batches itself, where it makes them; for evaluations it has no batch. Storages other than Postgres
    (`dagster dev` in a fresh clone) get one event at a time.
    """
    from dagster_postgres import PostgresEventLogStorage

    storage = context.instance.event_log_storage
    if not isinstance(storage, PostgresEventLogStorage):
        for event in events:
            context.log_event(event)
        return
    collected = _CollectedEvents(context.get_step_execution_context())
    for event in events:
        collected.add(event)
    for kind in (dg.DagsterEventType.ASSET_MATERIALIZATION, dg.DagsterEventType.ASSET_OBSERVATION):
        if entries := collected.of_type(kind):
            storage.store_event_batch(entries)
    if entries := collected.of_type(dg.DagsterEventType.ASSET_CHECK_EVALUATION):
        _store_evaluations(storage, entries)
    # the step yields what is in this list, for the result of an execution in this process
    context.op_execution_context._events += [entry.get_dagster_event() for entry in collected.entries]


class _CollectedEvents:
    """The events of a step as entries of the event log: Dagster makes them, and logs them here instead of in its log."""

    def __init__(self, step: "StepExecutionContext") -> None:
        self.entries: list[dg.EventLogEntry] = []
        self.job_name, self.step, self.event_tags = step.job_name, step.step, step.event_tags  # of an event
        self.log = self
        self._run_id = step.run_id

    def add(self, event: dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation) -> None:
        step = cast("StepExecutionContext", self)
        if isinstance(event, dg.AssetMaterialization):
            dg.DagsterEvent.asset_materialization(step, event)
        elif isinstance(event, dg.AssetObservation):
            dg.DagsterEvent.asset_observation(step, event)
        else:
            dg.DagsterEvent.asset_check_evaluation(step, event)

    def log_dagster_event(
        self, level: int, msg: str, dagster_event: dg.DagsterEvent, batch_metadata: object
    ) -> None:
        self.entries.append(
            dg.EventLogEntry(  # type: ignore[no-untyped-call]
                error_info=None,
                level=level,
                user_message=msg,
                run_id=self._run_id,
                timestamp=time.time(),
                step_key=self.step.key,
                job_name=self.job_name,
                dagster_event=dagster_event,
            )
        )

    def of_type(self, kind: dg.DagsterEventType) -> list[dg.EventLogEntry]:
        return [entry for entry in self.entries if entry.dagster_event_type == kind]


def _store_evaluations(storage: "SqlEventLogStorage", entries: Sequence[dg.EventLogEntry]) -> None:
    """Store evaluations of checks of partitions with the same rows that ``store_event`` writes for one."""
    from dagster._core.storage.asset_check_execution_record import AssetCheckExecutionRecordStatus
    from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
    from dagster._serdes import serialize_value
    from sqlalchemy.dialects.postgresql import insert

    def row(entry: dg.EventLogEntry, event_id: int) -> dict[str, Any]:
        its = entry.get_dagster_event().asset_check_evaluation_data
        status = (
            AssetCheckExecutionRecordStatus.SUCCEEDED
            if its.passed
            else AssetCheckExecutionRecordStatus.FAILED
        )
        target = its.target_materialization_data
        return {
            "asset_key": its.asset_key.to_string(),
            "check_name": its.check_name,
            "run_id": entry.run_id,
            "partition": its.partition,
            "execution_status": status.value,
            "evaluation_event": serialize_value(entry),
            "evaluation_event_timestamp": datetime.fromtimestamp(entry.timestamp, UTC).replace(tzinfo=None),
            "evaluation_event_storage_id": event_id,
            "materialization_event_storage_id": target.storage_id if target else None,
        }

    unique = ("asset_key", "check_name", "run_id", "partition")  # a planned evaluation has a row already
    with storage.index_transaction() as connection:
        stored = storage.prepare_insert_event_batch(entries).returning(SqlEventLogStorageTable.c.id)
        event_ids = connection.execute(stored).scalars().all()
        rows = [row(entry, event_id) for entry, event_id in zip(entries, event_ids, strict=True)]
        evaluated = insert(AssetCheckExecutionsTable).values(rows)
        changed = {name: evaluated.excluded[name] for name in rows[0] if name not in unique}
        connection.execute(evaluated.on_conflict_do_update(index_elements=unique, set_=changed))


def output_without_materialization() -> dg.Output[None]:
    """Return the output of a step that has logged the materializations of its partitions itself.

    Dagster would log one for each partition of the run at the end of the step, also for those that failed or were
    skipped. It logs none if the output has this metadata, which it uses for observations of source assets. (An optional
    output that is not yielded is the documented way, but then Dagster skips the steps downstream.)
    """
    return dg.Output(None, metadata={SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION: True})


def version_tags(*, code: str, data: str, parents: Mapping[dg.AssetKey, int | None]) -> dict[str, str]:
    """Return the tags by which Dagster tells whether a materialization is stale; an output gets them by itself.

    Args:
        parents: the storage id of the materialization of each parent that was used; None for a parent whose new
            materializations do not make this one stale.
    """
    tags = {CODE_VERSION_TAG: code, DATA_VERSION_TAG: data, DATA_VERSION_IS_USER_PROVIDED_TAG: "true"}
    for parent, storage_id in parents.items():
        pointer = NULL_EVENT_POINTER if storage_id is None else str(storage_id)
        tags[get_input_event_pointer_tag(parent)] = pointer
        tags[get_input_data_version_tag(parent)] = pointer
    return tags


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
