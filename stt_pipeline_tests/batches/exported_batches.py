"""A batch that went through both stages, for tests of its exports."""

from collections.abc import Sequence
from pathlib import Path

from stt_pipeline.store.database import Database
from stt_pipeline.store.queue.batches import Batch
from stt_pipeline_tests.batches.recordings import CountingTranscriber, OneSpeaker, scanned, write_tone
from stt_pipeline_tests.cli.processed_batches import process

HOSTILE = '회의 "1월"\n; filename=x.exe.wav'
"""A file name that would break out of a header."""


def processed_batch(
    database: Database, folder: Path, names: Sequence[str], *, files_per_shard: int = 1
) -> Batch:
    """Create a batch of recordings with these names and an unreadable file, and process it."""
    for number, name in enumerate(names):
        write_tone(folder / name, 1.0 + 0.1 * number)
    (folder / "zz broken.wav").write_text("not a recording")
    batch, _, keys = scanned(database, folder, files_per_shard=files_per_shard)
    process(database, batch.id, keys, CountingTranscriber(), OneSpeaker(), folder.parent / "outbox")
    return batch
