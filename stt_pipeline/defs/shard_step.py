"""What all shard assets share: from partition keys to claimed shards, and from their results to Dagster events.

The work itself is in ``batches``; an asset names the step, its check and its metadata.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

import dagster as dg

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.dispatch import SHARDS_PER_RUN
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.defs.dagster_private import (
    AssetCheckEvaluationTargetMaterializationData,
    add_partition_metadata,
    check_targets,
    pool_connections,
    selected_assets,
)
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.defs.run_tags import tag_batch, token_of
from stt_pipeline.defs.stages import POOL, STAGE_ASSETS, stage_of
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database

Events = Iterator[dg.Output[Any] | dg.AssetCheckEvaluation]

# Dagster accepts this marker as a type; its annotations do not
_NO_VALUE = cast(dg.DagsterType, dg.Nothing)

_SHOWN_FAILURES = 20


class ShardConfig(dg.Config):
    """How a run that a user starts treats existing results."""

    reprocess: bool = False
    """Process all files of the shard again, also those that succeeded. Off: only those that did not succeed."""


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
    """Return the decorator of an asset over shards; its stage determines group, pool and backfill policy.

    Args:
        check: name of the asset's check, which has an evaluation for each partition.
        io_manager_key: the IO manager of the asset's value; None for an asset without one.
    """
    stage = stage_of(name)
    with warnings.catch_warnings():
        # backfill policies are a beta and partitioned checks a preview; Dagster's version is pinned, and tests cover
        # what we rely on
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
    """Claim the shards of this run for one step, and release them after the stage's last step in the run.

    Raises:
        dagster.Failure: the run may work on none of the shards; the message gives the reason for each.
    """
    pool_connections(context.instance)
    # before the claim: a cancellation finds every run that has shards
    tag_batch(context.instance, context.run, context.partition_keys)
    name = context.asset_key.path[-1]
    stage = stage_of(name)
    order = [asset for assets in STAGE_ASSETS.values() for asset in assets]
    selected = selected_assets(context)
    request = ClaimRequest(
        keys=context.partition_keys,
        stage=stage,
        run_id=context.run.run_id,
        token=token_of(context.run),
        first_step=not selected & set(order[: order.index(name)]),
        last_step=not selected & set(STAGE_ASSETS[stage][STAGE_ASSETS[stage].index(name) + 1 :]),
        reprocess=config.reprocess or _reprocesses(context.run),
    )
    claims = ShardClaims(
        database,
        request,
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        open_source=sources.open,
    )
    with claims:
        for key, reason in claims.refused.items():
            context.log.warning(f"{key} is skipped: {reason}.")
        _require_shards(context, claims)
        yield claims


def _require_shards(context: dg.AssetExecutionContext, claims: ShardClaims) -> None:
    """Fail a run that has no shard left, with the reasons; a dispatched run ends as cancelled instead."""
    if claims.shards:
        return
    if token_of(context.run):
        context.instance.report_run_canceling(context.run, "Its order was revoked.")
    reasons = [f"{key}: {reason}" for key, reason in claims.refused.items()]
    more = [f"and {len(reasons) - _SHOWN_FAILURES} more"] if len(reasons) > _SHOWN_FAILURES else []
    raise dg.Failure(
        "\n".join(["There is nothing to do.", *reasons[:_SHOWN_FAILURES], *more]), allow_retries=False
    )


def events(
    context: dg.AssetExecutionContext,
    claims: ShardClaims,
    *,
    describe: Callable[[ClaimedShard], Mapping[str, Any]],
    value: object = None,
) -> Events:
    """Yield the asset's output, with metadata for each partition, and then a check evaluation for each partition.

    Evaluations come after the materializations, because they refer to them.

    Args:
        describe: returns metadata of a shard, besides the counts and durations that every asset shows.
        value: what the IO manager stores.

    Raises:
        dagster.Failure: the run has lost every shard, as when the batch is cancelled.
    """
    _require_shards(context, claims)
    for shard in claims.shards:
        add_partition_metadata(context, shard.key, {**_figures(shard), **describe(shard)})
    for key, reason in claims.refused.items():
        add_partition_metadata(context, key, {"skipped": reason})
    yield dg.Output(value)
    targets = check_targets(context, [shard.key for shard in claims.shards])
    for check in context.selected_asset_check_keys:
        for shard in claims.shards:
            yield _evaluation(check, shard, targets[shard.key])
        for key, reason in claims.refused.items():
            yield dg.AssetCheckEvaluation(
                asset_key=check.asset_key,
                check_name=check.name,
                passed=False,
                partition=key,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"This run skipped it: {reason}.",
            )
        yield dg.Output(None, output_name=f"{check.asset_key.to_python_identifier()}_{check.name}")


def _reprocesses(run: dg.DagsterRun) -> bool:
    """Return whether the run config sets ``reprocess`` on any asset: already the first one needs to know."""
    ops = cast(Mapping[str, Any], run.run_config.get("ops", {}))
    return any(op.get("config", {}).get("reprocess", False) for op in ops.values())


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
        ["| file | class | error |", "|---|---|---|", *rows, *([f"and {more} more"] if more else [])]
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
        description=named or f"{shard.done} of {shard.shard.total} files passed.",
        metadata={"files": shard.shard.total, "files failed": len(shard.failures)},
    )
