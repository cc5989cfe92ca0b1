"""The cost of detecting the language of recordings whose language is given, against the same engine without detection.

Each recording is transcribed in both ways, one directly after the other, in changing order. CPU time counts, so the ratio is
right on a busy machine, too. Decoding audio and voice activity detection are part of it; loading the model is not.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.instances import print_status
from benchmarks.spliced_speech import ReferenceRecording, splice
from benchmarks.transcription import lengths_of
from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.engine.decoding import DecodeOptions, Decoder, Row
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcriber import transcribe_one

_KOREAN = TranscriptionOptions(language="ko", correct=False)


class _WithoutDetection(Decoder):
    """Detects nothing where the language is given."""

    def row(self, chunk: Chunk, options: DecodeOptions, *, language: str = "", detect: bool = False) -> Row:
        return super().row(chunk, options, language=language)


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--kinds", default="short,medium")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--part", type=float, default=1.0, help="share of the recordings")
    arguments = parser.parse_args()
    loaded = load_model(arguments.model, arguments.device)
    engines = {"with": Engine(loaded), "without": Engine(loaded, decoder=_WithoutDetection(loaded))}
    result: dict[str, Any] = {"model": arguments.model, "rounds": arguments.rounds}
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.kinds.split(","):
            recordings = splice(Path(folder) / kind, lengths_of(kind, arguments.part))
            for engine in engines.values():  # the first recording also pays for imports and memory
                _cpu_seconds(engine, recordings[0])
            result[kind] = _compared(engines, recordings, arguments.rounds)
            print_status(f"{kind}: {result[kind]}")
    print(json.dumps(result))


def _compared(
    engines: dict[str, Engine], recordings: list[ReferenceRecording], rounds: int
) -> dict[str, float | list[float]]:
    """Return the CPU time with detection over that without: of all rounds, and of each round."""
    ratios: list[float] = []
    total = dict.fromkeys(engines, 0.0)
    for turn in range(rounds):
        cpu = dict.fromkeys(engines, 0.0)
        for number, recording in enumerate(recordings):
            for name in sorted(engines, reverse=bool((turn + number) % 2)):
                cpu[name] += _cpu_seconds(engines[name], recording)
        ratios.append(cpu["with"] / cpu["without"])
        total = {name: total[name] + cpu[name] for name in total}
    return {
        "recordings": len(recordings),
        "cpu_ratio": round(total["with"] / total["without"], 4),
        "median_of_rounds": round(statistics.median(ratios), 4),
        "spread": [round(min(ratios), 4), round(max(ratios), 4)],
    }


def _cpu_seconds(engine: Engine, recording: ReferenceRecording) -> float:
    """Return the CPU time of one transcription, all threads included."""
    before = time.process_time()
    transcribe_one(engine, SoundFile(recording.path), _KOREAN)
    return time.process_time() - before


if __name__ == "__main__":
    main()
