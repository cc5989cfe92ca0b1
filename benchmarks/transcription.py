"""Speed and errors of the engine against loops over faster-whisper, on short, medium and long recordings.

All decode the same speech regions (``clip_timestamps``) with the same beam_size, compute type and timestamps, at temperature 0.
With ``--native``, each uses its own chunks and its own temperature fallback; the options are word_timestamps and
condition_on_previous_text=False only. Audio decoding and voice activity detection are part of the time; loading the models
and a first recording are not. The baseline is the faster of one model with two threads and two workers with one thread; of the
batched pipeline, also of batch size 1 (better for the caches of a CPU) and the engine's batch size. The engine also runs its
hallucination checks, but no corrections.
"""

import argparse
import json
import statistics
import tempfile
from collections.abc import Sequence
from functools import partial
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.compared_engines import (
    Transcribe,
    engine_texts,
    errors_of,
    fastest,
    loop,
    native_text,
    timed,
    warm_up,
)
from benchmarks.instances import print_status
from benchmarks.spliced_speech import ReferenceRecording, splice
from stt_pipeline.audio.decode import decode
from stt_pipeline.audio.sound import SoundInMemory
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.engine.chunks import Cutter
from stt_pipeline.speech.models import find_files, load_model

LENGTHS = {
    "short": [(3.0, 20.0)] * 200,
    "medium": [(120.0, 126.0)] * 20,
    "long": [(3600.0, 3606.0)],
}
THREADS = 2
BEAM = 5


def main() -> None:
    """Run the benchmark and print its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="demo")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--kinds", default="short,medium,long")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--part", type=float, default=1.0, help="share of the recordings (for the long one: of its length)"
    )
    parser.add_argument("--native", action="store_true", help="chunks and defaults of each engine")
    arguments = parser.parse_args()
    engine = Engine(load_model(arguments.model, arguments.device))
    ours = {"ours": engine_texts(engine)}
    warm_up(*ours.values())
    sequential, batched = _faster_whisper(arguments, engine.batch_size)
    result: dict[str, Any] = {"native": arguments.native, "rounds": arguments.rounds}
    with tempfile.TemporaryDirectory() as folder:
        for kind in arguments.kinds.split(","):
            recordings = splice(Path(folder) / kind, lengths_of(kind, arguments.part))
            result[kind] = {
                "recordings": len(recordings),
                "seconds": round(sum(one.seconds for one in recordings)),
            }
            for language, suffix in (("", ""), ("ko", "_language_given")):
                some = recordings[: max(2, len(recordings) // 10)]
                engines = ours | {
                    "fw": fastest("fw", sequential, some, language),
                    "fw_batched": fastest("fw_batched", batched, some, language),
                }
                result[kind] |= {
                    f"{name}{suffix}": value
                    for name, value in _compare(engines, recordings, language, arguments.rounds).items()
                }
                print_status(f"{kind}{suffix}: {result[kind]}")
    print(json.dumps(result))


def lengths_of(kind: str, part: float) -> list[tuple[float, float]]:
    """Return the shortest and longest length in seconds of each recording of a kind; ``part`` is the share to take."""
    lengths = LENGTHS[kind]
    if len(lengths) == 1:
        return [(shortest * part, shortest * part + longest - shortest) for shortest, longest in lengths]
    return lengths[: max(1, round(len(lengths) * part))]


def _compare(
    engines: dict[str, Transcribe], recordings: Sequence[ReferenceRecording], language: str, rounds: int
) -> dict[str, Any]:
    """Run the engines in turn, and return their RTFx (seconds of audio per second; median) and CER."""
    total = sum(one.seconds for one in recordings)
    speeds: dict[str, list[float]] = {name: [] for name in engines}
    errors: dict[str, float] = {}
    for _ in range(rounds):
        for name, transcribe in engines.items():
            seconds, texts = timed(transcribe, recordings, language)
            speeds[name].append(total / seconds)
            errors[name] = errors_of(recordings, texts).rate
    ratios = [ours / theirs for ours, theirs in zip(speeds["ours"], speeds["fw_batched"], strict=True)]
    return {
        **{f"{name}_rtfx": round(statistics.median(found), 1) for name, found in speeds.items()},
        "ours_over_fw": round(
            statistics.median(a / b for a, b in zip(speeds["ours"], speeds["fw"], strict=True)), 3
        ),
        "ours_over_fw_batched": round(statistics.median(ratios), 3),
        "spread": [round(min(ratios), 3), round(max(ratios), 3)],
        **{f"cer_{name}": round(rate, 4) for name, rate in errors.items()},
    }


def _faster_whisper(
    arguments: argparse.Namespace, batch_size: int
) -> tuple[dict[str, Transcribe], dict[str, Transcribe]]:
    """Return the loops over `WhisperModel.transcribe` and over `BatchedInferencePipeline.transcribe`."""
    from faster_whisper import WhisperModel

    text_of = partial(native_text, condition_on_previous_text=False) if arguments.native else _text
    compute_type = load_model(arguments.model, arguments.device).compute_type
    models = {
        name: (
            WhisperModel(
                str(find_files(arguments.model)),
                device=arguments.device,
                compute_type=compute_type,
                cpu_threads=threads,
                num_workers=workers,
            ),
            workers,
        )
        for name, threads, workers in (("two threads", THREADS, 1), ("two workers", 1, THREADS))
    }
    return (
        {name: loop(model, workers, text_of) for name, (model, workers) in models.items()},
        {
            f"{name}, batches of {batch}": loop(
                model, workers, partial(text_of, batch_size=batch), batched=True
            )
            for name, (model, workers) in models.items()
            for batch in sorted({1, batch_size})
        },
    )


def _text(pipeline: Any, path: Path, language: str, batch_size: int = 0) -> str:
    """Return the text; ``batch_size`` is 0 for a `WhisperModel`, which decodes one chunk at a time."""
    samples = decode(path)
    model = pipeline.model if batch_size else pipeline
    chunks = list(Cutter(model.feature_extractor.chunk_length).cut(SoundInMemory(samples).blocks()))
    if not chunks:
        return ""
    samples = np.concatenate([chunk.samples for chunk in chunks])
    clips = list(pairwise(accumulate((chunk.seconds for chunk in chunks), initial=0.0)))
    options: dict[str, Any] = {
        "language": language or None,
        "beam_size": BEAM,
        "temperature": 0.0,
        "word_timestamps": True,
        "condition_on_previous_text": False,
        "without_timestamps": False,
        "vad_filter": False,
    }
    if batch_size:
        options["batch_size"] = batch_size
        options["clip_timestamps"] = [{"start": start, "end": end} for start, end in clips]
    else:
        options["clip_timestamps"] = [seconds for clip in clips for seconds in clip]
    segments, _ = pipeline.transcribe(samples, **options)
    return " ".join(segment.text for segment in segments)


if __name__ == "__main__":
    main()
