"""What all shard assets share: their decorator, the claim of a run's shards, and the end of a run.

The work itself is in ``batches``; an asset names the step, its check and its metadata. ``shard_events`` makes the events.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, cast

import dagster as dg
from pydantic import Field

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.run_size import SHARDS_PER_RUN
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.defs.dagster_private import (
    output_without_materialization,
    pool_connections,
    selected_assets,
)
from stt_pipeline.defs.partitions import audio_partitions
from stt_pipeline.defs.run_tags import FAILED_RECORDINGS_TAG, tag_batch, token_of
from stt_pipeline.defs.shard_checks import ShardCheck
from stt_pipeline.defs.shard_events import ShardEvents, listed, repeat_up_to_date
from stt_pipeline.defs.stages import CODE_VERSIONS, POOL, STAGE_ASSETS, stage_of
from stt_pipeline.defs.worker_process import tag_process
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database

Outputs = Iterator[dg.Output[None]]

# Dagster accepts this marker as a type; its annotations do not
_NO_VALUE = cast(dg.DagsterType, dg.Nothing)


class ShardConfig(dg.Config):
    """How a run that a user starts treats existing results."""

    reprocess: bool = Field(
        False,
        description="Process every file again, also those that are up to date. Off: only files that failed, are missing, "
        "or are stale, which means that they were made with another model or other options than are set now. "
        "Mails are not sent again.",
    )


def shard_asset(
    name: str,
    *,
    deps: Sequence[dg.AssetDep | dg.AssetsDefinition],
    kinds: set[str],
    checks: Mapping[str, str],
    description: str,
    io_manager_key: str | None = None,
) -> Callable[[Callable[..., Any]], dg.AssetsDefinition]:
    """Return the decorator of an asset over shards; its stage determines group, pool and backfill policy.

    Args:
        checks: name and description of the asset's checks, each of which has an evaluation for each partition.
        io_manager_key: the IO manager that loads the asset's value; None for an asset without one.
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
            code_version=CODE_VERSIONS.get(name),
            backfill_policy=dg.BackfillPolicy.multi_run(SHARDS_PER_RUN[stage]),
            check_specs=[
                dg.AssetCheckSpec(check, asset=name, partitions_def=audio_partitions, description=says)
                for check, says in checks.items()
            ],
            io_manager_key=io_manager_key,
            dagster_type=None if io_manager_key else _NO_VALUE,
            description=description,
        )


def run_step(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: Database,
    settings: Settings,
    sources: AllowedSources,
    *,
    work: Callable[[ShardClaims], None],
    describe: Callable[[ClaimedShard], Mapping[str, Any]],
    store: Callable[[ClaimedShard], None] | None = None,
    checks: Mapping[str, ShardCheck] = MappingProxyType({}),
) -> Outputs:
    """Take the shards of the run through one step, log an event for each as it finishes, and yield the outputs.

    In the stage's last step of the run a shard is released when it is finished, while the run goes on with the others.

    Args:
        work: takes the claimed shards through the step.
        describe: returns metadata of a shard, besides the counts and durations that every asset shows.
        store: stores the results of a shard outside Postgres, before it is materialized.
        checks: evaluate a shard, by the name of the check; a check without one passes if every file passed the step.

    Raises:
        dagster.Failure: the run may work on none of the shards, and the message gives the reason for each; or, in the
            last step of the run, recordings have failed for good.
    """
    pool_connections(context.instance)
    # before the claim: a cancellation finds every run that has shards
    tag_batch(context.instance, context.run, context.partition_keys)
    tag_process(context.instance, context.run)
    shard_events = ShardEvents(context, database, describe=describe, store=store, checks=checks)
    claims = ShardClaims(
        database,
        _claim_request(context, config),
        lease_seconds=settings.lease_seconds,
        max_attempts=settings.max_attempts,
        open_source=sources.open,
        settings=settings,
        listener=shard_events,
    )
    with claims:
        _require_shards(context, claims)
        try:
            work(claims)
        finally:
            claims.finished.flush()  # also of a step that fails: what has passed it has its results
        _require_shards(context, claims)
    shard_events.skip(claims.refused)
    yield output_without_materialization()
    for check in context.selected_asset_check_keys:
        yield dg.Output(None, output_name=f"{check.asset_key.to_python_identifier()}_{check.name}")
    if not selected_assets(context) & set(_later_assets(context)):
        _end_run(context, shard_events.failed)


def _claim_request(context: dg.AssetExecutionContext, config: ShardConfig) -> ClaimRequest:
    name = context.asset_key.path[-1]
    stage = stage_of(name)
    selected = selected_assets(context)
    before = selected - {name, *_later_assets(context)}
    later = selected & set(_later_assets(context))
    later_of_stage = later & set(STAGE_ASSETS[stage])
    return ClaimRequest(
        keys=context.partition_keys,
        stage=stage,
        run_id=context.run.run_id,
        token=token_of(context.run),
        first_step=not before & {asset for assets in STAGE_ASSETS.values() for asset in assets},
        first_of_stage=not before & set(STAGE_ASSETS[stage]),
        last_step=not later_of_stage,
        runs_next_stage=bool(later - later_of_stage),
        reprocess=config.reprocess or _reprocesses(context.run),
    )


def _later_assets(context: dg.AssetExecutionContext) -> list[str]:
    """Return the shard assets downstream of this one, of both stages."""
    order = [asset for assets in STAGE_ASSETS.values() for asset in assets]
    return order[order.index(context.asset_key.path[-1]) + 1 :]


def _require_shards(context: dg.AssetExecutionContext, claims: ShardClaims) -> None:
    """Fail a run that has no shard left, with the reasons; a dispatched run ends as cancelled instead."""
    if claims.shards:
        return
    if token_of(context.run):
        context.instance.report_run_canceling(context.run, "Its order was revoked.")
    raise dg.Failure(
        "\n".join(["There is nothing to do.", *listed(claims.refused)]),
        allow_retries=False,
    )


def _end_run(context: dg.AssetExecutionContext, failed: Mapping[str, str]) -> None:
    """Fail the run if recordings have failed for good, after all its steps did their work.

    Dagster shows a partition as failed only if it is not materialized by a run that failed. So the other partitions of
    the run are materialized before.
    """
    if not failed:
        return
    repeat_up_to_date(context)
    context.instance.add_run_tags(context.run.run_id, {FAILED_RECORDINGS_TAG: str(len(failed))})
    total = len(context.partition_keys)
    others = " The other partitions are not affected." if total > len(failed) else ""
    raise dg.Failure(
        "\n".join(
            [
                f"{len(failed)} of {total} partitions have no result, because their recordings failed for good.{others}",
                *listed(failed),
            ]
        ),
        allow_retries=False,
    )


def _reprocesses(run: dg.DagsterRun) -> bool:
    """Return whether the run config sets ``reprocess`` on any asset: already the first one needs to know."""
    ops = cast(Mapping[str, Any], run.run_config.get("ops", {}))
    return any(op.get("config", {}).get("reprocess", False) for op in ops.values())
