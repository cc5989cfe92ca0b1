"""``notifications``: mails the minutes of each recording, once. With it a file has succeeded."""

from typing import Any

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.execution.shard_claims import ShardClaims
from stt_pipeline.batches.stages.delivery import mail_of, recipients_of
from stt_pipeline.batches.stages.mail_content import MailContent
from stt_pipeline.batches.stages.publish import notify
from stt_pipeline.defs.assets.meeting_minutes import meeting_minutes
from stt_pipeline.defs.shard_step import Outputs, ShardConfig, run_step, shard_asset
from stt_pipeline.notify.notifier import NotifierFor
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database

_SHOWN = 20  # files
_MAILS = {
    "each": "one for each recording",
    "digest": "one digest when the batch ends",
    "report": "the batch's report only",
}


@shard_asset(
    "notifications",
    deps=[meeting_minutes],
    kinds={"python", "postgres"},
    checks={
        "every_mail_handed_over": "The mail server, or the outbox, accepted every mail with minutes of the shard."
    },
    description="Mails with the minutes of each recording, to the notify_emails of its batch.",
)
def notifications(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
    notifiers: ResourceParam[NotifierFor],
) -> Outputs:
    """Send the mails that have not been sent."""

    def work(claims: ShardClaims) -> None:
        notify(claims, notifiers, MailContent.of(settings))

    def describe(shard: ClaimedShard) -> dict[str, Any]:
        recipients = recipients_of(shard.batch)
        names = dict.fromkeys(notifiers(recipient).name for recipient in recipients)
        return {
            "recipients": ", ".join(map(str, recipients)) or "none: the batch has no notify_emails",
            "notifiers": ", ".join(names) or "none",
            "mails": _MAILS[mail_of(shard.options, shard.batch.total_files)],
            **({"not mailed": "\n".join(shard.notes[:_SHOWN])} if shard.notes else {}),
        }

    yield from run_step(context, config, database, settings, sources, work=work, describe=describe)
