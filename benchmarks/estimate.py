"""How far the estimate of a batch is from the time that the batch takes, with the real engine and the demo model.

Folders have copies of the sample recordings. Each is estimated, then its batch runs through all that `stt up` runs, and the
figures are compared. Each batch also measures the speed for the estimates of those after it, as on any installation.
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
from stt_pipeline.store.queue import batch_stats
from stt_pipeline.store.queue import batches as batch_rows

SAMPLES = Path(__file__).parents[1] / "samples"
MODEL = "demo"


def main() -> None:
    """Run the batches and print the ratios of the estimate to the truth."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument(
        "--sizes", type=int, nargs="+", default=[5, 10, 20, 5, 40], help="recordings of each batch"
    )
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="stt-estimate-") as folder:
        settings = Settings(home=Path(folder, "home"), database_url="", smtp_url="", ui_port=0)
        with (
            Stack(settings, print_status=print_status) as stack,
            closing_database(stack.database_url) as database,
        ):
            batches = [
                _compare(database, stack, _copies(Path(folder, str(number)), size), settings.max_file_bytes)
                for number, size in enumerate(given.sizes)
            ]
    print(json.dumps({"batches": batches}))


def _compare(database: Database, stack: Stack, source: Path, max_file_bytes: int) -> dict[str, float]:
    """Estimate a batch, run it, and return its figures and the ratios of the estimate to them."""
    request = SourceRequest(source_path=str(source), options=BatchOptions(model=MODEL))
    expected = estimate(database, request, allowed=ALLOW_ALL, max_file_bytes=max_file_bytes)
    print_status(expected.basis)
    audio_hours, gpu_hours, wall_hours = _run(database, stack, source)
    return {
        "recordings": expected.files,
        "audio_hours": round(audio_hours, 4),
        "gpu_hours": round(gpu_hours, 4),
        "wall_hours": round(wall_hours, 4),
        "estimated_by_true_audio_hours": round(expected.audio_hours / audio_hours, 2),
        "estimated_by_true_gpu_hours": round(expected.gpu_hours / gpu_hours, 2),
        "estimated_by_true_wall_hours": round(expected.wall_hours / wall_hours, 2),
    }


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
        ended = batch_rows.get(connection, batch.id)
        sums = batch_stats.sums(connection, batch.id)
    assert ended.scanned_at is not None and ended.completed_at is not None
    wall = (ended.completed_at - ended.scanned_at).total_seconds()
    print_status(f"batch {batch.id}: {wall:.0f} s for {sums.audio_seconds:.0f} s of audio")
    return sums.audio_seconds / 3600, sums.transcribe_seconds / 3600, wall / 3600


if __name__ == "__main__":
    main()
