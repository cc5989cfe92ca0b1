"""Errors and speed of the engine against loops over faster-whisper, with a real model on real recordings with references.

All three use one loaded model with the same threads, in turns: the engine, `WhisperModel.transcribe` and
`BatchedInferencePipeline.transcribe`, both with faster-whisper's own decoder, chunks and temperature fallback, VAD and word
times. The language is detected. Decoding audio and voice activity detection are part of the time; loading the model and a first
recording are not. The batch size of the pipeline is 1 or the engine's, whichever is faster.

A set is a subfolder of the folder of recordings. Two more sets are spliced from the sentences of ``--voices``: ``clips``, 200 clips
of 3 to 20 s, and ``hour``, one recording of an hour. The sum leaves out recordings whose channels cancel each other, which a loop
over faster-whisper mixes to silence, and the spliced sets.
"""

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.compared_engines import (
    Texts,
    Transcribe,
    errors_of,
    fastest,
    loop,
    native_text,
    transcripts_of,
    warm_up,
)
from benchmarks.instances import print_status
from benchmarks.spliced_speech import ReferenceRecording, splice
from benchmarks.transcription import lengths_of
from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.settings import Settings
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.evaluation import ErrorRate
from stt_pipeline.speech.evaluation.references import read_corpus
from stt_pipeline.speech.models import load_model

SPLICED = {"clips": "short", "hour": "long"}
"""The spliced sets, and the kind of `benchmarks.transcription` whose lengths they have."""

_CANCELLED = 0.1  # level of the mix over that of the channels, below which the channels cancel each other


class EncodedWindows:
    """Counts the windows that a model encodes."""

    def __init__(self, model: Any) -> None:
        """Wrap the ``encode`` of a `WhisperModel`, through which all three engines call the encoder."""
        self._encode = model.encode
        self._lock = threading.Lock()
        self.count = 0
        model.encode = self._counted

    def _counted(self, features: npt.NDArray[np.float32]) -> Any:
        with self._lock:
            self.count += features.shape[0] if features.ndim == 3 else 1
        return self._encode(features)


@dataclass
class Figures:
    """What one engine did with a set: a value for each round, and the errors and windows of the last one."""

    seconds: list[float] = field(default_factory=list)
    cpu_seconds: list[float] = field(default_factory=list)
    windows: int = 0
    texts: Texts = field(default_factory=dict)


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=Path, required=True, help="folder with a subfolder for each set")
    parser.add_argument("--model", default=Settings().model, help="default: STT_MODEL")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--sets", default="talks,meetings,noisy,clips,hour")
    parser.add_argument("--voices", default="talks", help="set whose sentences make the sets clips and hour")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--part", type=float, default=1.0, help="share of the recordings (for the hour: of its length)"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        sets = {name: _recordings(name, arguments, Path(folder)) for name in arguments.sets.split(",")}
        print(json.dumps(_measured(sets, arguments)))


def _recordings(name: str, arguments: argparse.Namespace, folder: Path) -> list[ReferenceRecording]:
    if kind := SPLICED.get(name):
        voices = list(read_corpus(arguments.recordings / arguments.voices).references)
        return splice(folder / name, lengths_of(kind, arguments.part), recordings=voices)
    references = read_corpus(arguments.recordings / name).references
    found = [
        ReferenceRecording(path, len(decode(path)) / SAMPLE_RATE, annotation.text or "")
        for path, annotation in references.items()
    ]
    return found[: max(1, round(len(found) * arguments.part))]


def _measured(
    sets: dict[str, list[ReferenceRecording]], arguments: argparse.Namespace
) -> dict[str, dict[str, Any] | Any]:
    loaded = load_model(arguments.model, arguments.device)
    engine = Engine(loaded)
    windows = EncodedWindows(loaded.whisper)
    missing: dict[Path, float] = {}

    def ours(recordings: Sequence[ReferenceRecording], language: str) -> Texts:
        found = transcripts_of(engine, recordings, language)
        missing.update((path, one.untranscribed_speech_seconds) for path, one in found.items())
        return {path: one.text for path, one in found.items()}

    looped = loop(loaded.whisper, loaded.workers, native_text)
    batched = {
        f"batches of {batch}": loop(
            loaded.whisper, loaded.workers, partial(native_text, batch_size=batch), batched=True
        )
        for batch in sorted({1, engine.batch_size})
    }
    warm_up(ours, looped)
    first = next(iter(sets.values()))[:1]
    engines: dict[str, Transcribe] = {
        "ours": ours,
        "fw": looped,
        "fw_batched": fastest("fw_batched", batched, first, "", rounds=1),
    }
    result: dict[str, Any] = {
        "model": Path(loaded.name).name,
        "compute_type": loaded.compute_type,
        "device": loaded.device,
        "rounds": arguments.rounds,
    }
    errors = {name: ErrorRate() for name in engines}
    for name, recordings in sets.items():
        found = _run(engines, recordings, windows, arguments.rounds)
        result[name] = _compared(found, recordings)
        result[name]["missing_seconds"] = round(sum(missing[one.path] for one in recordings), 1)
        print_status(f"{name}: {result[name]}")
        if name not in SPLICED:
            scored = [one for one in recordings if not _channels_cancel(one.path)]
            errors = {
                engine_name: errors[engine_name] + errors_of(scored, figures.texts)
                for engine_name, figures in found.items()
            }
    if errors["fw"].errors:
        result["sum"] = {
            **{f"errors_{name}": rate.errors for name, rate in errors.items()},
            **{f"cer_{name}": round(rate.rate, 4) for name, rate in errors.items()},
            "errors_over_fw": round(errors["ours"].errors / errors["fw"].errors, 3),
        }
    return result


def _run(
    engines: dict[str, Transcribe],
    recordings: Sequence[ReferenceRecording],
    windows: EncodedWindows,
    rounds: int,
) -> dict[str, Figures]:
    """Run the engines in turns."""
    found = {name: Figures() for name in engines}
    for _ in range(rounds):
        for name, transcribe in engines.items():
            figures = found[name]
            encoded, began, cpu = windows.count, time.perf_counter(), time.process_time()
            figures.texts = transcribe(recordings, "")
            figures.seconds.append(time.perf_counter() - began)
            figures.cpu_seconds.append(time.process_time() - cpu)
            figures.windows = windows.count - encoded
    return found


def _compared(found: dict[str, Figures], recordings: Sequence[ReferenceRecording]) -> dict[str, Any]:
    """Return the figures of a set; speeds are medians of the rounds, in seconds of audio per second."""
    total = sum(one.seconds for one in recordings)
    rates = {name: errors_of(recordings, figures.texts) for name, figures in found.items()}
    ours, batched = found["ours"], found["fw_batched"]
    ratios = [b / a for a, b in zip(ours.seconds, batched.seconds, strict=True)]
    return {
        "recordings": len(recordings),
        "seconds": round(total),
        **{f"cer_{name}": round(rate.rate, 4) for name, rate in rates.items()},
        **{f"errors_{name}": rate.errors for name, rate in rates.items()},
        **{
            f"rtfx_{name}": round(total / statistics.median(figures.seconds), 2)
            for name, figures in found.items()
        },
        "ours_over_fw_batched": round(statistics.median(ratios), 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        # more reliable than time on a busy machine
        "ours_over_fw_batched_cpu": round(
            statistics.median(batched.cpu_seconds) / statistics.median(ours.cpu_seconds), 3
        ),
        **{f"windows_{name}": figures.windows for name, figures in found.items()},
    }


def _channels_cancel(path: Path) -> bool:
    """Return whether the mix of both channels is nearly silent where each channel is not."""
    stereo = np.concatenate(list(SoundFile(path).stereo_blocks()))
    return bool(np.std(stereo.mean(axis=1)) < _CANCELLED * np.std(stereo, axis=0).max())


if __name__ == "__main__":
    main()
