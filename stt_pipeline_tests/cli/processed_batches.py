"""Processes a batch through both stages without Dagster, as data for the commands."""

from pathlib import Path

from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.stages.publish import notify, write_minutes
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.mail.notifier import MailNotifier
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.speech.diarization import Diarizer
from stt_pipeline.speech.transcriber import Transcriber
from stt_pipeline.store.database import Database
from stt_pipeline_tests.batches.recordings import report


def process(
    database: Database,
    batch_id: int,
    keys: list[str],
    transcriber: Transcriber,
    diarizer: Diarizer,
    outbox: Path,
) -> None:
    """Transcribe, publish and close a scanned batch; mails go to ``outbox``."""
    notifier = MailNotifier("", outbox, "stt@example.com")
    limits = {"lease_seconds": 60, "max_attempts": 1}
    with ShardClaims(database, ClaimRequest(keys, "transcribe", "run-1"), **limits) as work:
        probe_files(work)
        transcribe_files(work, FixedBackend(transcriber))
        find_speakers(work, lambda options: diarizer)
    with ShardClaims(database, ClaimRequest(keys, "publish", "run-2"), **limits) as work:
        write_minutes(work, lambda options: ExtractiveSummarizer())
        notify(work, lambda recipient: notifier)
    report(database, batch_id, notifier)
