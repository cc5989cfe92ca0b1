"""The memory of speech work: its growth from shard to shard, and with the length of a recording.

Shards: 200 shards with one short recording each go through the transcribe stage in one process, ten per run, on a real Postgres.
The growth is the difference between the memory after the last shard and after the tenth. Length: a recording of ten minutes and
one of ``--hours`` are transcribed and diarized, each in a new process, and their peaks are compared. The model is the demo model
with model batches of 8; the diarizer is embedded.
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
from stt_pipeline.backends import DIARIZERS
from stt_pipeline.batches.execution.batch_claim import claimed_batch
from stt_pipeline.batches.execution.shard_claims import ClaimRequest, ShardClaims
from stt_pipeline.batches.ingest.scan import scan_batch
from stt_pipeline.batches.requests.backend_choice import FixedBackend
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.batches.stages.transcribe import find_speakers, probe_files, transcribe_files
from stt_pipeline.settings import Settings
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.recordings import Recording
from stt_pipeline.speech.speakers import assign_speakers
from stt_pipeline.store.database import Database

SHARDS_PER_RUN = 10
MODEL_BATCH = 8
_PIECES = 6  # short recordings that the long one repeats


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=0.0, help="length of the long recording; 0 skips it")
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the short recording")
    parser.add_argument("--shards", type=int, default=200, help="a multiple of 10; 0 skips them")
    parser.add_argument("--database-url", default="", help="of a Postgres server; empty: the embedded one")
    parser.add_argument("--transcribe", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.transcribe:
        print(json.dumps(_transcribe(options.transcribe)))
        return
    result: dict[str, object] = {"model_batch": MODEL_BATCH}
    with tempfile.TemporaryDirectory(prefix="stt-memory-") as name:
        folder = Path(name)
        if options.shards:
            result |= _shards(folder, options.shards, options.database_url)
        if options.hours:
            result |= _lengths(folder, options.minutes, options.hours)
    print(json.dumps(result))


def _shards(folder: Path, count: int, server: str) -> dict[str, object]:
    splice(folder / "recordings", [(3.0, 20.0)] * count)
    with own_database(folder, server) as settings, closing_database(settings.database_url) as database:
        keys = _scanned(database, folder / "recordings")
        engine = Engine(load_model("demo", "cpu"), batch_size=MODEL_BATCH)
        diarizer = DIARIZERS.create("embedded", Settings())
        resident = []
        for first in range(0, count, SHARDS_PER_RUN):
            claim = ClaimRequest(keys[first : first + SHARDS_PER_RUN], "transcribe", str(uuid.uuid4()))
            with ShardClaims(database, claim, lease_seconds=120, max_attempts=1) as work:
                probe_files(work)
                transcribe_files(work, FixedBackend(engine))
                find_speakers(work, lambda options: diarizer)
            failed = [failure for shard in work.shards for failure in shard.failures]
            if failed:
                raise SystemExit(f"{failed[0].name}: {failed[0].error}")
            gc.collect()
            resident.append(_own_mb("VmRSS"))
            print_status(f"{first + SHARDS_PER_RUN} of {count} shards: {resident[-1]:.0f} MB")
    return {
        "shards": count,
        "mb_after_ten_shards": round(resident[0], 1),
        "mb_after_all_shards": round(resident[-1], 1),
        "shards_growth_mb": round(resident[-1] - resident[0], 1),
    }


def _scanned(database: Database, recordings: Path) -> list[str]:
    """Create a batch from a folder, one file per shard, scan it, and return the keys of its shards."""
    batch = create_batch(database, BatchRequest(source_path=str(recordings)))
    keys: list[str] = []
    with claimed_batch(database, batch.id, run_id=str(uuid.uuid4()), token=None, lease_seconds=60) as work:
        scan_batch(work, add_partitions=keys.extend, max_file_bytes=1 << 30)
    return keys


def _lengths(folder: Path, minutes: float, hours: float) -> dict[str, object]:
    length = (minutes * 60, minutes * 60 + 6)
    pieces = [one.path for one in splice(folder / "pieces", [length] * _PIECES)]
    long = _repeated(folder / "long.wav", pieces, hours * 3600)
    short, longer = (_in_new_process(path) for path in (pieces[0], long))
    return {
        "minutes": minutes,
        "hours": hours,
        "peak_mb_short": short["peak_mb"],
        "peak_mb_long": longer["peak_mb"],
        "peak_growth_mb": round(longer["peak_mb"] - short["peak_mb"], 1),
        "long_rtfx": round(hours * 3600 / longer["seconds"], 1),
        "long_segments": longer["segments"],
        "long_speakers": longer["speakers"],
    }


def _repeated(path: Path, pieces: list[Path], seconds: float) -> Path:
    """Write the pieces to ``path`` in turns, until it has this length."""
    with wave.open(str(path), "wb") as long:
        number = 0
        while long.getnframes() == 0 or long.tell() < seconds * long.getframerate():
            with wave.open(str(pieces[number % len(pieces)])) as piece:
                if not number:
                    long.setparams(piece.getparams())
                long.writeframes(piece.readframes(piece.getnframes()))
            number += 1
    return path


def _in_new_process(path: Path) -> dict[str, float]:
    print_status(f"transcribing {path.name}")
    command = [sys.executable, "-m", "benchmarks.memory", "--transcribe", str(path)]
    ended = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    figures: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    print_status(f"{path.name}: {figures}")
    return figures


def _transcribe(path: Path) -> dict[str, float]:
    """Transcribe and diarize one recording, and return the peak memory of this process."""
    engine = Engine(load_model("demo", "cpu"), batch_size=MODEL_BATCH)
    diarizer = DIARIZERS.create("embedded", Settings())

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
    """Return the peak memory of this process (getrusage returns the peak of the parent process if that is higher)."""
    return _own_mb("VmHWM")


def _own_mb(field: str) -> float:
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field)]
    return int(line.split()[1]) / 1024


if __name__ == "__main__":
    main()
