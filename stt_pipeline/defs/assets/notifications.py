"""``notifications``: the minutes in people's mailboxes, once; with it a file has succeeded."""

from typing import Any

import dagster as dg
from dagster import ResourceParam

from stt_pipeline.audio.allowed import AllowedSources
from stt_pipeline.batches.execution.claimed_shard import ClaimedShard
from stt_pipeline.batches.stages.publish import notify
from stt_pipeline.defs.assets.meeting_minutes import meeting_minutes
from stt_pipeline.defs.resources import OpenMailer
from stt_pipeline.defs.shard_step import Events, ShardConfig, claimed_shards, events, shard_asset
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database


@shard_asset(
    "notifications",
    deps=[meeting_minutes],
    kinds={"python", "postgres", "email"},
    check="every_mail_handed_over",
    check_description="Every mail about the shard's minutes was handed over to the mail server, or to the outbox.",
    description="Mails with the minutes of each recording, to the people of its batch.",
)
def notifications(
    context: dg.AssetExecutionContext,
    config: ShardConfig,
    database: ResourceParam[Database],
    settings: ResourceParam[Settings],
    sources: ResourceParam[AllowedSources],
    open_mailer: ResourceParam[OpenMailer],
) -> Events:
    """Send what was not sent yet."""

    with claimed_shards(context, config, database, settings, sources) as work:
        mailer = open_mailer()

        def describe(shard: ClaimedShard) -> dict[str, Any]:
            people = ", ".join(shard.batch.notify_emails) or "nobody: the batch has no notify_emails"
            return {"recipients": people, "handed over by": mailer.name}

        notify(work, mailer)
        yield from events(context, work, describe=describe)
