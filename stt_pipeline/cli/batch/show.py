"""`stt batch show`: prints the request and the state of a batch. `stt batch progress` prints its progress."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime

from stt_pipeline.audio.address import display_source
from stt_pipeline.batches.queries.progress import status_text
from stt_pipeline.cli.batch.arguments import AsJson, BatchId
from stt_pipeline.cli.batch.formatting import local_time
from stt_pipeline.cli.connection import connected
from stt_pipeline.cli.terminal import print_facts, print_json
from stt_pipeline.store.queue import batch_stats, batches
from stt_pipeline.store.queue.batch_stats import FileCounts, StageCount
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline.store.results import emails


def show(batch_id: BatchId, as_json: AsJson = False) -> None:
    """Show a batch: its request, its author and its state."""
    with connected() as database, database.snapshot() as connection:
        batch = batches.get(connection, batch_id)
        counts = batch_stats.file_counts(connection, [batch_id]).get(batch_id, FileCounts())
        shards = batch_stats.stages(connection, batch_id)
        mails = emails.sent_of_batch(connection, batch_id)
    if as_json:
        by_stage = {stage: asdict(count) for stage, count in shards.items()}
        print_json({**asdict(batch), "shards": by_stage, "mails_sent": mails})
    else:
        print_facts(_facts(batch, shards, mails, status_text(batch.status, counts.failed, counts.total)))


def _facts(batch: Batch, shards: Mapping[str, StageCount], mails: int, status: str) -> dict[str, str]:
    options = ", ".join(f"{name}={value}" for name, value in batch.options.items())
    facts = {
        "batch": f"{batch.id} {batch.name}",
        "status": status,
        "stage": batch.stage,
        "priority": batch.priority,
        "source": display_source(batch.source_path),
        "pattern": batch.file_pattern or "every known audio and video extension",
        "options": options or "none: those of the settings",
        "mail to": ", ".join(batch.notify_emails) or "none",
        "mails sent": f"{mails:,}",
        "files": "not scanned yet" if batch.total_files is None else f"{batch.total_files:,}",
        "files per shard": str(batch.files_per_shard or "not scanned yet"),
        "shards": "; ".join(_shards(stage, count) for stage, count in shards.items()) or "none",
        "created": f"{local_time(batch.created_at)}, by {batch.created_by or 'unknown'}",
        "scanned": _when(batch.scanned_at),
        "ended": _when(batch.completed_at),
        "open": _open(batch),
        "partitions": f"retired {local_time(batch.retired_at)}" if batch.retired_at else "in Dagster",
    }
    if batch.watch_id is None:
        del facts["open"]
    return facts | ({"note": batch.error} if batch.error else {})


def _shards(stage: str, count: StageCount) -> str:
    active = {"dispatched": count.dispatched, "in progress": count.in_progress}
    by_state = ", ".join(f"{shards:,} {state}" for state, shards in active.items() if shards)
    return f"{count.shards:,} {stage}" + (f" ({by_state})" if by_state else "")


def _open(batch: Batch) -> str:
    if batch.open_until is None or batch.completed_at is not None:
        return f"no: new files of watch {batch.watch_id} go into another batch"
    return f"accepts new files of watch {batch.watch_id} until {local_time(batch.open_until)}"


def _when(moment: datetime | None) -> str:
    return local_time(moment) if moment else "not yet"
