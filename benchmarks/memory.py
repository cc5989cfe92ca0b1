"""Memory that speech work takes: whether it grows from shard to shard, and with the length of a recording.

Of shards: 200 of one short recording each go through the transcribe stage of one process, ten a run, on a real Postgres;
the growth is from after the tenth shard to after the last. Of length: a recording of ten minutes and one of ``--hours``
are transcribed and diarized, each in a process of its own, and their peaks are compared. All with the demo model,
model batches of 8 and the embedded diarizer.
"""

import argparse
import gc
import json
import subprocess
import sys
import tempfile
import time
import uuid
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.instances import closing_database, own_database, print_status
from benchmarks.spliced_speech import splice
from stt_pipeline.audio.sound import Sound, SoundFile
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.ingest.scan import scan_batch
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.speech.diarization import load_diarizer
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.store.database import Database

SHARDS, SHARDS_A_RUN = 200, 10
MODEL_BATCH = 8
SHORT_MINUTES = 10
_PIECES = 6  # of ten minutes each, which a longer recording has over and over


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--hours", type=float, default=0.0, help="length of the long recording; 0 leaves it out"
    )
    parser.add_argument("--shards", type=int, default=SHARDS, help="0 leaves them out")
    parser.add_argument("--database-url", default="", help="a server; empty: an embedded one")
    parser.add_argument("--hear", type=Path, help=argparse.SUPPRESS)
    wishes = parser.parse_args()
    if wishes.hear:
        print(json.dumps(_hear(wishes.hear)))
        return
    result: dict[str, object] = {"model_batch": MODEL_BATCH}
    with tempfile.TemporaryDirectory(prefix="stt-memory-") as name:
        folder = Path(name)
        if wishes.shards:
            result |= _shards(folder, wishes.shards, wishes.database_url)
        if wishes.hours:
            result |= _lengths(folder, wishes.hours)
    print(json.dumps(result))


def _shards(folder: Path, count: int, server: str) -> dict[str, object]:
    splice(folder / "recordings", [(3.0, 20.0)] * count)
    with own_database(folder, server) as settings, closing_database(settings.database_url) as database:
        keys = _scanned(database, folder / "recordings")
        engine = Engine(load_model("demo", "cpu"), batch_size=MODEL_BATCH)
        diarizer = load_diarizer("embedded")
        resident = []
        for first in range(0, count, SHARDS_A_RUN):
            claim = ClaimRequest(keys[first : first + SHARDS_A_RUN], "transcribe", str(uuid.uuid4()))
            with ShardClaims(database, claim, lease_seconds=120, max_attempts=1) as work:
                probe_files(work)
                transcribe_files(work, FixedBackend(engine))
                find_speakers(work, lambda options: diarizer)
            failed = [failure for shard in work.shards for failure in shard.failures]
            if failed:
                raise SystemExit(f"{failed[0].name}: {failed[0].error}")
            gc.collect()
            resident.append(_own_mb("VmRSS"))
            print_status(f"{first + SHARDS_A_RUN} of {count} shards: {resident[-1]:.0f} MB")
    return {
        "shards": count,
        "mb_after_ten_shards": round(resident[0], 1),
        "mb_after_all_shards": round(resident[-1], 1),
        "shards_growth_mb": round(resident[-1] - resident[0], 1),
    }


def _scanned(database: Database, recordings: Path) -> list[str]:
    """Make a batch of a folder, one file a shard, and return the keys of its shards."""
    batch = create_batch(database, BatchRequest(source_path=str(recordings)))
    keys: list[str] = []
    with claimed_batch(database, batch.id, run_id=str(uuid.uuid4()), token=None, lease_seconds=60) as work:
        scan_batch(work, add_partitions=keys.extend, max_file_bytes=1 << 30)
    return keys


def _lengths(folder: Path, hours: float) -> dict[str, object]:
    pieces = [
        one.path
        for one in splice(folder / "pieces", [(SHORT_MINUTES * 60.0, SHORT_MINUTES * 60.0 + 6.0)] * _PIECES)
    ]
    long = _repeated(folder / "long.wav", pieces, hours * 3600)
    short, longer = (_heard_alone(path) for path in (pieces[0], long))
    return {
        "hours": hours,
        "peak_mb_ten_minutes": short["peak_mb"],
        "peak_mb_long": longer["peak_mb"],
        "peak_growth_mb": round(longer["peak_mb"] - short["peak_mb"], 1),
        "long_rtfx": round(hours * 3600 / longer["seconds"], 1),
        "long_segments": longer["segments"],
        "long_speakers": longer["speakers"],
    }


def _repeated(path: Path, pieces: list[Path], seconds: float) -> Path:
    """Write the pieces to ``path`` one after the other, over and over, until it is so long."""
    with wave.open(str(path), "wb") as long:
        number = 0
        while long.getnframes() == 0 or long.print_result() < seconds * long.getframerate():
            with wave.open(str(pieces[number % len(pieces)])) as piece:
                if not number:
                    long.setparams(piece.getparams())
                long.writeframes(piece.readframes(piece.getnframes()))
            number += 1
    return path


def _heard_alone(path: Path) -> dict[str, float]:
    print_status(f"hearing {path.name}")
    command = [sys.executable, "-m", "benchmarks.memory", "--hear", str(path)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    print_status(f"{path.name}: {figures}")
    return figures


def _hear(path: Path) -> dict[str, float]:
    """Transcribe and diarize one recording, and return the peak of this process' memory."""
    engine = Engine(load_model("demo", "cpu"), batch_size=MODEL_BATCH)
    diarizer = load_diarizer("embedded")

    @contextmanager
    def opened() -> Iterator[Sound]:
        yield SoundFile(path)

    started = time.monotonic()
    (outcome,) = WithPostprocessing(engine).transcribe([Recording("it", opened)])
    if isinstance(outcome.result, Exception):
        raise outcome.result
    transcribed = peak_mb()
    turns = diarizer.diarize(SoundFile(path))
    transcript = assign_speakers(outcome.result, turns)
    return {
        "peak_mb": round(peak_mb(), 1),
        "peak_mb_before_diarization": round(transcribed, 1),
        "seconds": round(time.monotonic() - started, 1),
        "segments": len(transcript.segments),
        "speakers": len(transcript.speakers),
    }


def peak_mb() -> float:
    """Return the most memory that this process has had; getrusage would tell its parent's peak if that was higher."""
    return _own_mb("VmHWM")


def _own_mb(what: str) -> float:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(what)]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
