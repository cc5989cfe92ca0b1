"""What all shard assets share: from partition keys to claimed shards, and from their outcome to Dagster's events.

The work itself is in ``batches``; an asset names the step, the check and what a person wants to see.
"""

import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.dispatch import SHARDS_PER_RUN
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.defs.run_tags import tag_batch, token_of
from stt_pipeline.defs.stages import POOL, STAGE_ASSETS
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.shards import Stage

Events = Iterator[dg.Output[Any] | dg.AssetCheckEvaluation]

# the marker is a dagster type to Dagster, but not to its own annotations
_NO_VALUE = cast(dg.DagsterType, dg.Nothing)

_SHOWN_FAILURES = 20


class ShardConfig(dg.Config):
    """How a person's run treats what was done before."""

    reprocess: bool = False
    """Start all files of the shard over, also those that succeeded. Off: only those that did not."""


def shard_asset(
    name: str,
    *,
    deps: Sequence[dg.AssetDep | dg.AssetsDefinition],
    kinds: set[str],
    check: str,
    check_description: str,
    description: str,
    io_manager_key: str | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return the decorator of an asset over shards: its stage decides group, pool and backfill policy.

    Args:
        check: name of the asset's check, which has a result for each partition.
        io_manager_key: who stores the asset's value; None for an asset that has none.
    """
    stage = _stage_of(name)
    with warnings.catch_warnings():
        # backfill policies and partitioned checks are a beta and a preview to Dagster; its version is pinned, and the
        # tests hold what we rely on
        warnings.simplefilter("ignore", dg.BetaWarning)
        warnings.simplefilter("ignore", dg.PreviewWarning)
        return dg.asset(
            name=name,
            partitions_def=audio_partitions,
            deps=deps,
            kinds=kinds,
            group_name=stage,
            pool=POOL[stage],
            backfill_policy=dg.BackfillPolicy.multi_run(SHARDS_PER_RUN[stage]),
            check_specs=[
                dg.AssetCheckSpec(
                    check, asset=name, partitions_def=audio_partitions, description=check_description
                )
            ],
            io_manager_key=io_manager_key,
            dagster_type=None if io_manager_key else _NO_VALUE,
            description=description,
        )


@contextmanager
def claimed_shards(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: Database,
    settings: Settings,
    sources: AllowedSources,
) -> Iterator[ShardClaims]:
    """Claim the shards of this run for one step, and give them back after the stage's last step in the run.

    Raises:
        dagster.Failure: none of the shards may be worked on; the message says why for each.
    """
    # Dagster's storage makes a connection for each query, unless it is told that the process lives on; what was not used
    # for some seconds is made anew all the same, as firewalls drop it
    context.instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=10, max_overflow=10)
    # before the claim: a cancellation finds every run that has shards
    tag_batch(context.instance, context.run, context.partition_keys)
    name = context.asset_key.path[-1]
    stage = _stage_of(name)
    order = [asset for assets in STAGE_ASSETS.values() for asset in assets]
    selected = {key.path[-1] for key in context.job_def.asset_layer.executable_asset_keys}
    if context.run.step_keys_to_execute:  # a run that goes on where another one failed
        selected &= set(context.run.step_keys_to_execute)
    claim = ClaimRequest(
        keys=context.partition_keys,
        stage=stage,
        run_id=context.run.run_id,
        token=token_of(context.run),
        first_step=not selected & set(order[: order.index(name)]),
        last_step=not selected & set(STAGE_ASSETS[stage][STAGE_ASSETS[stage].index(name) + 1 :]),
        reprocess=config.reprocess or _reprocesses(context.run),
    )
    work = ShardClaims(
        database,
        claim,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        open_source=sources.open,
    )
    with work:
        for key, reason in work.refused.items():
            context.log.warning(f"{key} is skipped: {reason}.")
        _require_shards(context, work)
        yield work


def _require_shards(context: dg.AssetExecutionContext, work: ShardClaims) -> None:
    """End a run that has no shard, or none any more, with the reasons; a dispatched one as cancelled, not as failed."""
    if work.shards:
        return
    if token_of(context.run):
        context.instance.report_run_canceling(context.run, "Its work was taken back.")
    reasons = [f"{key}: {reason}" for key, reason in work.refused.items()]
    more = [f"and {len(reasons) - _SHOWN_FAILURES} more"] if len(reasons) > _SHOWN_FAILURES else []
    raise dg.Failure(
        "\n".join(["There is nothing to do.", *reasons[:_SHOWN_FAILURES], *more]), allow_retries=False
    )


def events(
    context: dg.AssetExecutionContext,
    work: ShardClaims,
    *,
    describe: Callable[[ClaimedShard], Mapping[str, Any]],
    value: object = None,
) -> Events:
    """Yield the asset's output and a check result for each shard, with each partition's own metadata.

    ``AssetCheckResult`` would lose the partition in a run over several, so evaluations are given one by one, and the
    check's output beside them. They come after the materializations, which they have to name: a check counts for a
    partition only as long as it is about its latest materialization.

    Raises:
        dagster.Failure: every shard was lost meanwhile, as when the batch is cancelled.
    """
    _require_shards(context, work)
    for shard in work.shards:
        _add_metadata(context, shard.key, {**_figures(shard), **describe(shard)})
    for key, reason in work.refused.items():
        _add_metadata(context, key, {"skipped": reason})
    yield dg.Output(value)
    latest = context.instance.event_log_storage.get_latest_storage_id_by_partition(
        context.asset_key, dg.DagsterEventType.ASSET_MATERIALIZATION, {shard.key for shard in work.shards}
    )
    for check in context.selected_asset_check_keys:
        for shard in work.shards:
            target = AssetCheckEvaluationTargetMaterializationData(
                storage_id=latest[shard.key], run_id=context.run.run_id, timestamp=time.time()
            )
            yield _evaluation(check, shard, target)
        for key, reason in work.refused.items():
            yield dg.AssetCheckEvaluation(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=False,
                partition=key,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"This run skipped it: {reason}.",
            )
        yield dg.Output(None, output_name=f"{check.asset_key.to_python_identifier()}_{check.name}")


def _add_metadata(context: dg.AssetExecutionContext, key: str, metadata: Mapping[str, Any]) -> None:
    """Do what ``context.add_asset_metadata`` does, without reading every partition there is at each call."""
    step = context.get_step_execution_context()
    step._metadata_accumulator = step._metadata_accumulator.with_additional_asset_metadata(
        asset_key=context.asset_key, partition_key=key, metadata=metadata
    )


def _reprocesses(run: dg.DagsterRun) -> bool:
    """Whether the run's config asks for it on any asset: the first one has to know, wherever a person wrote it."""
    ops = cast(Mapping[str, Any], run.run_config.get("ops", {}))
    return any(op.get("config", {}).get("reprocess", False) for op in ops.values())


def _stage_of(asset: str) -> Stage:
    return next(stage for stage, assets in STAGE_ASSETS.items() if asset in assets)


def _figures(shard: ClaimedShard) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "files": shard.shard.total,
        "files done": shard.done,
        "files failed": len(shard.failures),
        "audio minutes": round(shard.audio_seconds / 60, 2),
        "busy seconds": round(shard.busy_seconds, 2),
    }
    if shard.new_audio_seconds:
        figures["real-time factor"] = round(shard.busy_seconds / shard.new_audio_seconds, 4)
    if shard.failures:
        figures["failures"] = dg.MetadataValue.md(_failure_table(shard))
    return figures


def _failure_table(shard: ClaimedShard) -> str:
    rows = [
        f"| {_cell(failure.name)} | {failure.error_class} | {_cell(failure.error)} |"
        for failure in shard.failures[:_SHOWN_FAILURES]
    ]
    more = len(shard.failures) - len(rows)
    return "\n".join(
        ["| file | class | what happened |", "|---|---|---|", *rows, *([f"and {more} more"] if more else [])]
    )


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())


def _evaluation(
    check: dg.AssetCheckKey, shard: ClaimedShard, target: AssetCheckEvaluationTargetMaterializationData
) -> dg.AssetCheckEvaluation:
    final = any(failure.final for failure in shard.failures)
    named = "; ".join(f"{failure.name}: {failure.error}" for failure in shard.failures[:_SHOWN_FAILURES])
    return dg.AssetCheckEvaluation(
        asset_key=check.asset_key,
        check_name=check.name,
        passed=not shard.failures,
        target_materialization_data=target,
        partition=shard.key,
        severity=dg.AssetCheckSeverity.ERROR if final else dg.AssetCheckSeverity.WARN,
        description=named or f"{shard.done} of {shard.shard.total} files went through.",
        metadata={"files": shard.shard.total, "files failed": len(shard.failures)},
    )
