"""How far the estimate of a batch is from the time that the batch takes, with the real engine and the demo model.

Two folders have copies of the sample recordings. A first batch measures the speed of this installation, as any earlier batch
does. Then the second folder is estimated, its batch runs through all that `stt up` runs, and the figures are compared.
"""

import argparse
import json
import shutil
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path

from benchmarks.instances import closing_database, print_status
from stt_pipeline.audio.allowed import ALLOW_ALL
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest, SourceRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.requests.estimate import estimate
from stt_pipeline.batches.requests.options import BatchOptions
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.settings import Settings
from stt_pipeline.store.database import Database
from stt_pipeline.store.queue import batch_stats, batches

SAMPLES = Path(__file__).parents[1] / "samples"
MODEL = "demo"


def main() -> None:
    """Run both batches and print the ratios of the estimate to the truth."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--first", type=int, default=10, help="recordings of the batch that measures the speed"
    )
    arguments.add_argument("--second", type=int, default=20, help="recordings of the batch that is estimated")
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="stt-estimate-") as folder:
        settings = Settings(home=Path(folder, "home"), database_url="", smtp_url="", ui_port=0)
        with (
            Stack(settings, print_status=print_status) as stack,
            closing_database(stack.database_url) as database,
        ):
            _run(database, stack, _copies(Path(folder, "first"), given.first))
            source = _copies(Path(folder, "second"), given.second)
            request = SourceRequest(source_path=str(source), options=BatchOptions(model=MODEL))
            expected = estimate(database, request, allowed=ALLOW_ALL, max_file_bytes=settings.max_file_bytes)
            print_status(expected.basis)
            audio_hours, gpu_hours, wall_hours = _run(database, stack, source)
    print(
        json.dumps(
            {
                "recordings": given.second,
                "audio_hours": round(audio_hours, 4),
                "gpu_hours": round(gpu_hours, 4),
                "wall_hours": round(wall_hours, 4),
                "estimated_by_true_audio_hours": round(expected.audio_hours / audio_hours, 2),
                "estimated_by_true_gpu_hours": round(expected.gpu_hours / gpu_hours, 2),
                "estimated_by_true_wall_hours": round(expected.wall_hours / wall_hours, 2),
            }
        )
    )


def _copies(folder: Path, count: int) -> Path:
    samples = sorted(path for path in SAMPLES.iterdir() if path.is_file() and path.suffix != ".md")
    folder.mkdir()
    for number, sample in enumerate(islice(cycle(samples), count)):
        shutil.copy(sample, folder / f"{number:03d}-{sample.name}")
    return folder


def _run(database: Database, stack: Stack, source: Path) -> tuple[float, float, float]:
    """Run a batch to its end, and return hours: of audio, of the transcribe stage, and of the wall clock."""
    request = BatchRequest(source_path=str(source), options=BatchOptions(model=MODEL))
    batch = create_batch(database, request)
    while not (figures := progress(database, batch.id)).is_over:
        stack.check()
        time.sleep(0.5)
    if figures.failed:
        raise SystemExit(f"{figures.failed} files failed: {figures.failures_by_class}")
    with database.begin() as connection:
        ended = batches.get(connection, batch.id)
        sums = batch_stats.sums(connection, batch.id)
    assert ended.scanned_at is not None and ended.completed_at is not None
    wall = (ended.completed_at - ended.scanned_at).total_seconds()
    print_status(f"batch {batch.id}: {wall:.0f} s for {sums.audio_seconds:.0f} s of audio")
    return sums.audio_seconds / 3600, sums.transcribe_seconds / 3600, wall / 3600


if __name__ == "__main__":
    main()
