"""Dagster's events and log lines for the shards of one step, written while the step works.

A finished shard is materialized if it has new results. Otherwise an observation says why it is not: it is up to date, it
failed, or another run works on it.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import dagster as dg

from stt_pipeline.audio.address import display_name
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard, Done, FileFailure
from stt_pipeline.batches.execution.listener import StepListener
from stt_pipeline.defs.dagster_private import (
    BACKFILL_ID_TAG,
    check_target,
    latest_materializations,
    log_events,
    selected_assets,
)
from stt_pipeline.defs.partition_versions import PartitionVersions
from stt_pipeline.defs.run_tags import token_of
from stt_pipeline.defs.shard_checks import SHOWN_FAILURES, ShardCheck, every_file_passed, table
from stt_pipeline.defs.stages import STAGE_ASSETS, stage_of
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.shards import Stage

UP_TO_DATE = "nothing to do"
"""Name of the metadata of a partition that was asked for and is up to date."""

LONG_STEPS = ("transcripts", "meeting_minutes")
"""The steps that do most of the work of a stage."""


class ShardEvents(StepListener):
    """Writes the events of the shards of one step.

    Attributes:
        failed: the reason for each partition that has no result because all its files failed for good.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        database: Database,
        *,
        describe: Callable[[ClaimedShard], Mapping[str, Any]],
        store: Callable[[ClaimedShard], None] | None,
        checks: Mapping[str, ShardCheck],
    ) -> None:
        """Nothing is written before the first call."""
        self.failed: dict[str, str] = {}
        self._context = context
        self._describe = describe
        self._store = store
        self._checks = checks
        self._versions = PartitionVersions(context, database)
        self._logged_failures: dict[str, int] = {}

    def file_done(self, shard: ClaimedShard, done: Done[Any]) -> None:
        """Log a line for a recording."""
        work = f"{done.busy_seconds:.2f} s of work"
        if stage_of(self._context.asset_key.path[-1]) == "transcribe" and done.seconds:
            work += (
                f" on {done.seconds:.1f} s of audio, real-time factor {done.busy_seconds / done.seconds:.3f}"
            )
        self._log_file(shard, f"{shard.key}: {display_name(done.file.uri)} done, {work}")

    def file_failed(self, shard: ClaimedShard, failure: FileFailure) -> None:
        """Log a line for a recording, with the reason."""
        how = "failed for good" if failure.final else "failed and is tried again later"
        line = f"{shard.key}: {failure.name} {how} ({failure.error_class}): {failure.error}"
        count = self._logged_failures[shard.key] = self._logged_failures.get(shard.key, 0) + 1
        if count <= SHOWN_FAILURES:
            self._context.log.warning(line)
        else:
            _print(line)

    def shards_finished(self, shards: Sequence[ClaimedShard]) -> None:
        """Store the results of finished shards, and write their events."""
        if self._store:
            for shard in shards:
                self._store(shard)
        self._versions.read(shards)
        log_events(self._context, [self._event(shard) for shard in shards])
        self._evaluate({shard.key: shard for shard in shards})

    def skip(self, refused: Mapping[str, str]) -> None:
        """Write the events of partitions that the run did not process."""
        events: list[dg.AssetObservation | dg.AssetCheckEvaluation] = []
        for key, reason in refused.items():
            self._context.log.warning(f"{key} is skipped: {reason}.")
            events.append(self._observation(key, {"skipped": reason}))
            for check in self._context.selected_asset_check_keys:
                events.append(
                    dg.AssetCheckEvaluation(
                        asset_key=check.asset_key,
                        check_name=check.name,
                        passed=False,
                        partition=key,
                        severity=dg.AssetCheckSeverity.WARN,
                        description=f"This run skipped it: {reason}.",
                    )
                )
        log_events(self._context, events)

    def _event(self, shard: ClaimedShard) -> dg.AssetMaterialization | dg.AssetObservation:
        """Return a materialization, or an observation with the reason why there is none."""
        reasons = [*shard.failures, *shard.failed_elsewhere]
        if reasons and not shard.done:
            return self._event_without_result(shard, reasons)
        metadata = {**self._figures(shard), **self._versions.metadata(shard), **self._describe(shard)}
        if shard.new or not self._versions.is_materialized(shard.key):
            return self._materialization(shard.key, metadata, self._versions.tags(shard))
        reason = f"{shard.done} of {shard.shard.total} files are up to date; set reprocess to force"
        self._context.log.info(f"{shard.key}: {UP_TO_DATE}: {reason}.")
        metadata = {UP_TO_DATE: reason, **metadata}
        if self._context.run.tags.get(BACKFILL_ID_TAG):
            # a backfill counts a partition without a materialization by one of its runs as failed
            return self._materialization(shard.key, metadata, self._versions.tags(shard))
        return self._observation(shard.key, metadata, self._versions.tags(shard))

    def _event_without_result(
        self, shard: ClaimedShard, reasons: Sequence[FileFailure]
    ) -> dg.AssetObservation:
        reason = "; ".join(f"{one.name}: {one.error}" for one in reasons[:SHOWN_FAILURES])
        self._context.log.warning(f"{shard.key} is not materialized: {reason}")
        if all(one.final for one in reasons) and self._is_about_this_run(shard):
            self.failed[shard.key] = reason
        return self._observation(shard.key, {"not materialized": reason, **self._figures(shard)})

    def _figures(self, shard: ClaimedShard) -> dict[str, Any]:
        return figures(shard, stage_of(self._context.asset_key.path[-1]))

    def _is_about_this_run(self, shard: ClaimedShard) -> bool:
        """Return whether the run fails because of a shard without a result.

        A dispatched run over the publish stage does not fail because of what failed in an earlier run.
        """
        in_run = selected_assets(self._context) & set(STAGE_ASSETS["transcribe"])
        return bool(shard.failures or in_run or token_of(self._context.run) is None)

    def _evaluate(self, shards: Mapping[str, ClaimedShard]) -> None:
        """Log the evaluation of each shard by each check, after the materializations that they refer to."""
        targets = latest_materializations(self._context.instance, self._context.asset_key, shards)
        evaluations = []
        for key, shard in shards.items():
            for check in self._context.selected_asset_check_keys:
                outcome = self._checks.get(check.name, every_file_passed)(shard)
                evaluations.append(
                    dg.AssetCheckEvaluation(
                        asset_key=check.asset_key,
                        check_name=check.name,
                        passed=outcome.passed,
                        target_materialization_data=check_target(self._context, targets.get(key)),
                        partition=key,
                        severity=outcome.severity,
                        description=outcome.description,
                        metadata=outcome.metadata,
                    )
                )
        log_events(self._context, evaluations)

    def _materialization(
        self, key: str, metadata: Mapping[str, Any], tags: Mapping[str, str]
    ) -> dg.AssetMaterialization:
        return dg.AssetMaterialization(self._context.asset_key, partition=key, metadata=metadata, tags=tags)

    def _observation(
        self, key: str, metadata: Mapping[str, Any], tags: Mapping[str, str] | None = None
    ) -> dg.AssetObservation:
        return dg.AssetObservation(self._context.asset_key, partition=key, metadata=metadata, tags=tags)

    def _log_file(self, shard: ClaimedShard, line: str) -> None:
        """Log a done recording to Dagster's event log where a partition is one; else only to the run's compute log.

        Each event is a row in Postgres. So there is one a stage, in the step that does most of its work, and none for shards
        of several recordings: a large batch has thousands in each.
        """
        if shard.shard.total == 1 and self._context.asset_key.path[-1] in LONG_STEPS:
            self._context.log.info(line)
        else:
            _print(line)


def repeat_up_to_date(context: dg.AssetExecutionContext) -> None:
    """Materialize again, with their old data version, the partitions that this run found to be up to date.

    It is for a run that ends as failed: Dagster would show them as failed, because the run did not materialize them.
    """
    entries = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.ASSET_OBSERVATION)
    observations = [
        entry.dagster_event.asset_observation_data.asset_observation
        for entry in entries
        if entry.dagster_event
    ]
    log_events(
        context,
        [
            dg.AssetMaterialization(
                one.asset_key, partition=one.partition, metadata=one.metadata, tags=one.tags
            )
            for one in observations
            if UP_TO_DATE in one.metadata
        ],
    )


def figures(shard: ClaimedShard, stage: Stage) -> dict[str, Any]:
    """Return the counts and durations that the assets of a stage show of a shard.

    A real-time factor compares the work with the length of the sound. That says nothing about minutes and mails.
    """
    failures = [*shard.failures, *shard.failed_elsewhere]
    shown: dict[str, Any] = {
        "dagster/row_count": shard.done,
        "files": shard.shard.total,
        "files done": shard.done,
        "files failed": len(failures),
        "processing seconds": round(shard.busy_seconds, 2),
    }
    if stage == "transcribe":
        shown["audio minutes"] = round(shard.audio_seconds / 60, 2)
    if stage == "transcribe" and shard.new_audio_seconds:
        shown["real-time factor"] = round(shard.busy_seconds / shard.new_audio_seconds, 4)
    if failures:
        shown["failures"] = dg.MetadataValue.md(
            table(
                ("file", "class", "error"),
                [(failure.name, failure.error_class, failure.error) for failure in failures],
            )
        )
    return shown


def listed(reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each of the first partitions with its reason, and the number of the others."""
    lines = [f"{key}: {reason}" for key, reason in list(reasons.items())[:SHOWN_FAILURES]]
    return [*lines, *([f"and {len(reasons) - SHOWN_FAILURES} more"] if len(reasons) > SHOWN_FAILURES else [])]


def _print(line: str) -> None:
    """Write a line to the run's compute log."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
