"""Canaries: one test for each use of Dagster outside its documented API. An upgrade that moves one fails it by name."""

import inspect
from collections.abc import Callable, Iterator
from typing import Any

import dagster as dg
import pytest
from dagster._core.event_api import PartitionKeyFilter
from dagster._core.execution.plan import execute_step
from dagster._core.storage.event_log import SqlEventLogStorage
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, DynamicPartitionsTable
from dagster_postgres import PostgresEventLogStorage
from sqlalchemy import event

from stt_pipeline.defs import dagster_private
from stt_pipeline.defs.assets import ASSETS
from stt_pipeline.defs.dagster_private import (
    check_target,
    delete_check_evaluations,
    delete_partitions_with_prefix,
    delete_run,
    latest_materializations,
    log_events,
    output_without_materialization,
    pool_connections,
    run_slots,
    selected_assets,
    version_tags,
)
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.defs.shard_step import shard_asset
from stt_pipeline_tests.defs.conftest import Product


def parameters(function: Callable[..., object]) -> set[str]:
    return set(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ASSET_PARTITION_RANGE_START_TAG", "dagster/asset_partition_range_start"),
        ("ASSET_PARTITION_RANGE_END_TAG", "dagster/asset_partition_range_end"),
        ("PRIORITY_TAG", "dagster/priority"),
        ("RUN_KEY_TAG", "dagster/run_key"),
        ("GRPC_INFO_TAG", ".dagster/grpc_info"),
        ("BACKFILL_ID_TAG", "dagster/backfill"),
    ],
)
def test_names_of_tags(name: str, value: str) -> None:
    assert getattr(dagster_private, name) == value


def test_finished_statuses() -> None:
    status = dg.DagsterRunStatus
    assert set(dagster_private.FINISHED_STATUSES) == {status.SUCCESS, status.FAILURE, status.CANCELED}


def test_unresolved_asset_job_definition() -> None:
    job = dg.define_asset_job("job", selection=dg.AssetSelection.assets("asset"))
    assert type(job) is dagster_private.UnresolvedAssetJobDefinition


def test_user_code_unreachable_error() -> None:
    assert issubclass(dagster_private.DagsterUserCodeUnreachableError, dg.DagsterError)


def test_optimize_for_webserver() -> None:
    assert parameters(dg.DagsterInstance.optimize_for_webserver) == {
        *("self", "statement_timeout", "pool_recycle", "max_overflow")
    }


@pytest.mark.parametrize("method", ["report_run_canceled", "report_run_canceling", "report_run_failed"])
def test_methods_that_end_runs(method: str) -> None:
    assert "message" in parameters(getattr(dg.DagsterInstance, method))


def test_metadata_of_an_output_without_materialization() -> None:
    source = inspect.getsource(execute_step)
    assert "if SYSTEM_METADATA_KEY_SOURCE_ASSET_OBSERVATION in output.metadata:\n        return" in source


def test_tags_of_versions() -> None:
    tags = version_tags(code="1", data="2", parents={dg.AssetKey("a"): 3, dg.AssetKey("b"): None})
    assert tags == {
        "dagster/code_version": "1",
        "dagster/data_version": "2",
        "dagster/data_version_is_user_provided": "true",
        "dagster/input_event_pointer/a": "3",
        "dagster/input_data_version/a": "3",
        "dagster/input_event_pointer/b": "NULL",
        "dagster/input_data_version/b": "NULL",
    }


def test_materialization_target_of_a_check_evaluation() -> None:
    target = dagster_private.AssetCheckEvaluationTargetMaterializationData(
        storage_id=1, run_id="run", timestamp=2.0
    )
    assert (target.storage_id, target.run_id, target.timestamp) == (1, "run", 2.0)
    assert "target_materialization_data" in parameters(dg.AssetCheckEvaluation.__new__)


def test_tables_and_columns() -> None:
    assert {"partitions_def_name", "partition"} <= set(DynamicPartitionsTable.c.keys())
    assert {"asset_key", "check_name", "run_id"} <= set(AssetCheckExecutionsTable.c.keys())


def test_run_slots(product: Product) -> None:
    limits = dg.DagsterInstance.get_concurrency_config(product.instance)
    default = limits.pool_config.default_pool_limit
    assert run_slots(product.instance, "other") == default
    product.instance.event_log_storage.set_concurrency_slots("gpu", 3)
    assert run_slots(product.instance, "gpu") == 3


def test_event_log_storage(product: Product) -> None:
    storage = product.instance.event_log_storage
    assert isinstance(storage, SqlEventLogStorage)
    assert {"asset_key", "event_type", "partitions"} <= parameters(storage.get_latest_storage_id_by_partition)


@pytest.mark.slow
def test_each_function_in_a_real_run(product: Product) -> None:
    instance, key = product.instance, "000001-000000"
    instance.add_dynamic_partitions("audio", [key, "000002-000000"])
    seen: dict[str, Any] = {}

    @dg.asset(partitions_def=audio_partitions)
    def one(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None]]:
        pool_connections(context.instance)
        seen["selected"] = selected_assets(context)
        tags = version_tags(code="1", data="2", parents={})
        context.log_event(dg.AssetMaterialization("one", partition=key, metadata={"files": 3}, tags=tags))
        seen["latest"] = latest_materializations(context.instance, context.asset_key, [key, "other"])
        seen["target"] = check_target(context, seen["latest"][key])
        yield output_without_materialization()

    @dg.asset(partitions_def=audio_partitions, deps=[one])
    def two() -> None:
        """Dagster runs it, although the output of the first asset brings no materialization."""

    run = dg.materialize([one, two], instance=instance, partition_key=key)
    assert seen["selected"] == {"one", "two"}
    assert len(run.asset_materializations_for_node("two")) == 1
    (stored,) = instance.fetch_materializations(dg.AssetKey("one"), limit=9).records
    assert stored.asset_materialization is not None
    assert stored.asset_materialization.metadata["files"].value == 3
    assert seen["latest"] == {key: stored.storage_id}
    assert seen["target"].storage_id == stored.storage_id
    assert check_target(None, None) is None  # type: ignore[arg-type]

    delete_check_evaluations(
        instance, [check for asset in ASSETS for check in asset.check_specs], [run.dagster_run]
    )
    delete_run(instance, run.dagster_run)
    assert instance.get_run_by_id(run.run_id) is None
    assert not instance.all_logs(run.run_id)
    delete_partitions_with_prefix(instance, audio_partitions, "000001-")
    assert product.partitions("audio") == ["000002-000000"]


KEYS = ("000001-000000", "000001-000001", "000001-000002", "000001-000003")
Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


def events_of(key: str) -> list[Event]:
    """Return an event of each kind, and evaluations that passed and that did not."""
    return [
        dg.AssetMaterialization(
            "audio_files",
            partition=key,
            metadata={"files": 3},
            tags=version_tags(code="1", data="2", parents={}),
        ),
        dg.AssetObservation("audio_files", partition=key, metadata={"files": 4}),
        *(
            dg.AssetCheckEvaluation(
                asset_key=dg.AssetKey("audio_files"),
                check_name=name,
                passed=passed,
                partition=key,
                severity=dg.AssetCheckSeverity.WARN,
                description="It is a test.",
                metadata={"files": 5},
                target_materialization_data=dagster_private.AssetCheckEvaluationTargetMaterializationData(
                    storage_id=7, run_id="run", timestamp=2.0
                ),
            )
            for name, passed in (("passes", True), ("fails", False))
        ),
    ]


def run_with_events(
    instance: dg.DagsterInstance, log: Callable[[dg.AssetExecutionContext], None]
) -> dg.ExecuteInProcessResult:
    """Run an asset with two checks over all keys, whose function logs its events itself."""
    instance.add_dynamic_partitions("audio", list(KEYS))

    @shard_asset("audio_files", deps=[], kinds=set(), checks={"passes": "", "fails": ""}, description="")
    def audio_files(context: dg.AssetExecutionContext) -> Iterator[dg.Output[None]]:
        log(context)
        yield output_without_materialization()
        for check in context.selected_asset_check_keys:
            yield dg.Output(None, output_name=f"{check.asset_key.to_python_identifier()}_{check.name}")

    ends = {"start": KEYS[0], "end": KEYS[-1]}
    tags = {f"dagster/asset_partition_range_{end}": key for end, key in ends.items()}
    return dg.materialize([audio_files], instance=instance, tags=tags)


def stored_events(instance: dg.DagsterInstance, run_id: str, key: str) -> list[Any]:
    """Return what Dagster has stored of a partition's events, without times and ids."""
    storage, asset = instance.event_log_storage, dg.AssetKey("audio_files")
    logged = [
        (entry.level, entry.step_key, entry.job_name, its.event_type, its.message, its.event_specific_data)
        for entry in instance.all_logs(run_id)
        if (its := entry.dagster_event)
        and key in str(its.event_specific_data)
        and "PLANNED" not in its.event_type_value
    ]
    executions: list[tuple[Any, ...]] = []
    for name in ("passes", "fails"):
        (record,) = storage.get_asset_check_execution_history(
            dg.AssetCheckKey(asset, name), limit=9, partition_filter=PartitionKeyFilter(key=key)
        )
        assert record.event is not None and record.event.dagster_event is not None
        target = record.event.dagster_event.asset_check_evaluation_data.target_materialization_data
        executions.append((name, record.run_id, record.status, record.partition, target))
    (event_id,) = latest_materializations(instance, asset, [key]).values()
    return [*logged, *executions, *storage.get_event_tags_for_asset(asset, filter_event_id=event_id)]


def test_events_that_are_logged_together_are_stored_as_if_alone(product: Product) -> None:
    alone, together = KEYS[:2]

    def log(context: dg.AssetExecutionContext) -> None:
        for one in events_of(alone):
            context.log_event(one)
        log_events(context, events_of(together))

    result = run_with_events(product.instance, log)
    expected, found = (stored_events(product.instance, result.run_id, key) for key in (alone, together))
    assert len(expected) == 4 + 2 + 1  # events, executions of checks, and the tags of the materialization
    assert str(found) == str(expected).replace(alone, together)
    assert [
        len(result.asset_materializations_for_node("audio_files")),
        len(result.get_asset_check_evaluations()),
    ] == [2, 4]
    newest = product.instance.get_latest_materialization_event(dg.AssetKey("audio_files"))
    assert newest is not None and newest.get_dagster_event().partition == together


def test_events_that_are_logged_together_take_as_many_statements_as_one(product: Product) -> None:
    storage = product.instance.event_log_storage
    assert isinstance(storage, PostgresEventLogStorage)
    counts: list[int] = []

    def count(*_: object) -> None:
        counts[-1] += 1

    def log(context: dg.AssetExecutionContext) -> None:
        event.listen(storage._engine, "before_cursor_execute", count)
        for keys in (KEYS[:1], KEYS):
            counts.append(0)
            log_events(context, [one for key in keys for one in events_of(key)])
        event.remove(storage._engine, "before_cursor_execute", count)

    assert run_with_events(product.instance, log).success
    assert 0 < counts[0] == counts[1]


def test_events_are_logged_one_by_one_where_the_storage_is_not_postgres() -> None:
    with dg.instance_for_test() as instance:
        result = run_with_events(instance, lambda context: log_events(context, events_of(KEYS[0])))
        assert result.success
        assert len(instance.fetch_materializations(dg.AssetKey("audio_files"), limit=9).records) == 1
        assert len(result.get_asset_check_evaluations()) == 2
