"""``batch_report``: the result of a batch. It closes the batch and mails its report."""

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.batches.stages.mail_content import MailContent
from stt_pipeline.batches.stages.report import close_batch
from stt_pipeline.defs.batch_step import claimed_partition
from stt_pipeline.defs.partitions import all_of, batch_partitions
from stt_pipeline.defs.previews import report_preview
from stt_pipeline.notify.notifier import NotifierFor
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@dg.asset(
    partitions_def=batch_partitions,
    deps=[all_of("notifications")],
    group_name="report",
    kinds={"python", "postgres", "report"},
    description="Counts, hours of audio, failures by class and mails of a batch. It closes the batch when every file has ended.",
)
def batch_report(
    context: dg.AssetExecutionContext,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    notifiers: ResourceParam[NotifierFor],
) -> dg.MaterializeResult[None]:
    """Close one batch and report it."""
    with claimed_partition(context, database, settings) as claim:
        report = close_batch(
            claim, notifiers, max_attempts=settings.max_attempts, content=MailContent.of(settings)
        )
    for recipient, error in report.mail_errors.items():
        context.log.error(f"The report could not be mailed to {recipient}: {error}")
    return dg.MaterializeResult(metadata=report_preview(report))
