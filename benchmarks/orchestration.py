"""The overhead of a file beside speech work: the product as `stt up` runs it, on 2,000 tiny recordings in 20 shards.

Postgres, daemon, code server, a process per run, Parquet and the outbox are real; transcriber, diarizer and summarizer return
at once (``instant_speech``). The wall clock runs from the end of the batch's scan to its completion: Dagster, the latency of
the dispatcher, process starts, imports, Postgres, Parquet and the report. ``speech_seconds`` are subtracted: one probe and two
decodings of each file, measured on the same files afterwards. Up to 1,000 files (``--files``) have a shard each.

CPU time depends less on other programs than wall time. It is of all processes, from the creation of the batch to the end of its
runs, less that of the speech work; ``servers`` are webserver, daemon and code server, which also take some without a batch.
"""

import argparse
import json
import os
import tempfile
import time
import wave
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import psutil

from benchmarks.cpu_time import cpu_seconds, stack_cpu_seconds
from benchmarks.instances import closing_database
from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.opening import open_source
from stt_pipeline.audio.probe import probe
from stt_pipeline.batches.queries.progress import progress
from stt_pipeline.batches.requests.batch_request import BatchRequest
from stt_pipeline.batches.requests.create import create_batch
from stt_pipeline.cli.supervisor import Stack
from stt_pipeline.settings import Settings
from stt_pipeline.store.queue import batch_stats, batches

SECONDS = 1.0  # of audio in each file


def main(module: str = "benchmarks.instant_speech") -> None:
    """Run one batch and print its figures."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--files", type=int, default=2_000)
    files: int = arguments.parse_args().files
    with tempfile.TemporaryDirectory(prefix="stt-orchestration-") as folder:
        recordings = Path(folder, "recordings")
        write_recordings(recordings, files)
        settings = Settings(home=Path(folder, "home"), database_url="", smtp_url="", ui_port=0)
        with (
            Stack(settings, print_status=print, module=module) as stack,
            closing_database(stack.database_url) as database,
        ):
            print(f"Ready after {stack.start_seconds:.1f} s: {files} files in {recordings}.")
            cpu = stack_cpu_seconds(settings.postgres_folder)
            batch = create_batch(
                database, BatchRequest(source_path=str(recordings), notify_emails=["team@example.com"])
            )
            while not (figures := progress(database, batch.id)).is_over:
                stack.check()
                time.sleep(0.5)
            if figures.completed != files:
                raise SystemExit(f"{figures.completed} of {files} files are completed: {figures.error}")
            with database.begin() as connection:
                batch = batches.get(connection, batch.id)
                shards = batch_stats.sums(connection, batch.id).shards
            os.environ |= stack.environment
            with dg.DagsterInstance.get() as instance:
                while not all(run.is_finished for run in instance.get_runs()):
                    time.sleep(0.5)
                runs = [_Run(instance, run.run_id) for run in instance.get_runs(ascending=True)]
            cpu = {part: to - cpu[part] for part, to in stack_cpu_seconds(settings.postgres_folder).items()}
        speech, speech_cpu = _speech_seconds(recordings)
    assert batch.scanned_at is not None and batch.completed_at is not None
    begin, end = batch.scanned_at, batch.completed_at
    wall = (end - begin).total_seconds()
    counted = [run for run in runs if "audio_manifest" not in run.steps]
    print(
        json.dumps(
            {
                "files": files,
                "shards": shards,
                "runs": len(counted),
                "wall_seconds": round(wall, 2),
                "speech_seconds": round(speech, 2),
                "overhead_ms_per_file": round(1000 * (wall - speech) / files, 2),
                "cpu_ms_per_file": {
                    "overhead": round(1000 * (sum(cpu.values()) - speech_cpu) / files, 2),
                    "speech": round(1000 * speech_cpu / files, 2),
                    **{part: round(1000 * spent / files, 2) for part, spent in cpu.items()},
                },
                "seconds": _split(counted, begin.timestamp(), end.timestamp()),
                "creation_to_completion_seconds": round((end - batch.created_at).total_seconds(), 2),
            }
        )
    )


class _Run:
    """Times of a run (launch, start, end) and the start and end of each of its steps, as Unix times."""

    def __init__(self, instance: dg.DagsterInstance, run_id: str) -> None:
        stats: Any = instance.get_run_stats(run_id)
        self.launched: float = stats.launch_time
        self.started: float = stats.start_time
        self.ended: float = stats.end_time
        self.steps = {
            step.step_key: (step.start_time or 0.0, step.end_time or 0.0)
            for step in instance.get_run_step_stats(run_id)
        }


def _split(runs: list[_Run], begin: float, end: float) -> dict[str, float]:
    """Return the seconds between two times by what they were used for; these runs do not overlap."""
    # the run of the report goes on after the batch is completed
    seconds = {
        asset: max(0.0, min(to, end) - since) for run in runs for asset, (since, to) in run.steps.items()
    }
    working = sum(min(run.ended, end) - run.started for run in runs)
    seconds["between steps"] = working - sum(seconds.values())
    seconds["starting processes"] = sum(run.started - run.launched for run in runs)
    seconds["waiting"] = end - begin - working - seconds["starting processes"]
    return {name: round(spent, 2) for name, spent in seconds.items()}


def write_recordings(folder: Path, files: int) -> None:
    """Write ``files`` recordings of one second."""
    folder.mkdir()
    tone = 0.2 * np.sin(2 * np.pi * 220 * np.arange(int(16_000 * SECONDS)) / 16_000)
    for number in range(files):
        with wave.open(str(folder / f"{number:05d}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(16_000)
            file.writeframes((tone * 32767).astype("<i2").tobytes())


def _speech_seconds(folder: Path) -> tuple[float, float]:
    """Return the wall and CPU seconds of the work on the recordings that a model needs."""
    source = open_source(str(folder))
    uris = [found.uri for found in source.list_objects()]
    with source.open_local(uris[0]) as path:
        probe(path), decode(path)  # imports are not speech work
    began, cpu = time.perf_counter(), cpu_seconds(psutil.Process())
    for work in (probe, decode, decode):
        for uri in uris:
            with source.open_local(uri) as path:
                work(path)
    return time.perf_counter() - began, cpu_seconds(psutil.Process()) - cpu


if __name__ == "__main__":
    main()
