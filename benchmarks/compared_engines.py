"""The engine, and the loops over faster-whisper that benchmarks compare it with, each as one function of recordings."""

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from benchmarks.instances import print_status
from benchmarks.spliced_speech import ReferenceRecording, splice
from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.evaluation import ErrorRate, character_error_rate
from stt_pipeline.speech.recordings import Recording, TranscriptionOptions
from stt_pipeline.speech.transcript import Transcript

Texts = dict[Path, str]
Transcribe = Callable[[Sequence[ReferenceRecording], str], Texts]
"""Transcribes recordings in a language; with an empty one, it detects the language."""

TextOf = Callable[[Any, Path, str], str]
"""Returns the text of one recording, from a `WhisperModel` or `BatchedInferencePipeline`, a path and a language."""


def transcripts_of(
    engine: Engine, recordings: Sequence[ReferenceRecording], language: str
) -> dict[Path, Transcript]:
    """Return the engine's transcripts, without corrections.

    Raises:
        FileError: a recording failed.
    """

    def recording(path: Path) -> Recording:
        options = TranscriptionOptions(language=language, correct=False)
        return Recording(path, lambda: nullcontext(SoundFile(path)), options)

    found: dict[Path, Transcript] = {}
    for outcome in engine.transcribe(recording(one.path) for one in recordings):
        if isinstance(outcome.result, Exception):
            raise outcome.result
        found[Path(str(outcome.recording.key))] = outcome.result
    return found


def engine_texts(engine: Engine) -> Transcribe:
    """Return the engine as a function of recordings."""
    return lambda recordings, language: {
        path: transcript.text for path, transcript in transcripts_of(engine, recordings, language).items()
    }


def warm_up(*engines: Transcribe) -> None:
    """Transcribe a short recording, because the first one also pays for imports and memory."""
    with tempfile.TemporaryDirectory() as folder:
        recordings = splice(Path(folder), [(10.0, 20.0)])
        for transcribe in engines:
            transcribe(recordings, "")


def loop(model: Any, workers: int, text_of: TextOf, *, batched: bool = False) -> Transcribe:
    """Return a loop over faster-whisper: one recording after the other in each of ``workers`` threads.

    Args:
        model: a `WhisperModel`.
        workers: threads, as many as the model has workers.
        text_of: calls ``transcribe`` for one recording.
        batched: ``text_of`` gets a `BatchedInferencePipeline` of the model, not the model.
    """
    from faster_whisper import BatchedInferencePipeline

    def transcribe_one(one: ReferenceRecording, language: str) -> tuple[Path, str]:
        # a pipeline has state, so two threads cannot share one
        pipeline = BatchedInferencePipeline(model) if batched else model
        return one.path, text_of(pipeline, one.path, language)

    def transcribe(recordings: Sequence[ReferenceRecording], language: str) -> Texts:
        if workers == 1:
            return dict(transcribe_one(one, language) for one in recordings)
        with ThreadPoolExecutor(workers) as pool:
            return dict(pool.map(lambda one: transcribe_one(one, language), recordings))

    return transcribe


def native_text(pipeline: Any, path: Path, language: str, **options: Any) -> str:
    """Return the text with the chunks and defaults of faster-whisper, with VAD and with word times, as the engine has."""
    segments, _ = pipeline.transcribe(
        str(path), language=language or None, word_timestamps=True, vad_filter=True, **options
    )
    return " ".join(segment.text for segment in segments)


def timed(
    transcribe: Transcribe, recordings: Sequence[ReferenceRecording], language: str
) -> tuple[float, Texts]:
    """Return the seconds that a transcription took, and its texts."""
    began = time.perf_counter()
    texts = transcribe(recordings, language)
    return time.perf_counter() - began, texts


def fastest(
    name: str,
    variants: Mapping[str, Transcribe],
    recordings: Sequence[ReferenceRecording],
    language: str,
    rounds: int = 2,
) -> Transcribe:
    """Return the variant of a baseline that takes the shortest time; each gets its best of ``rounds``."""
    seconds = {
        variant: min(timed(transcribe, recordings, language)[0] for _ in range(rounds))
        for variant, transcribe in variants.items()
    }
    best = min(seconds, key=lambda variant: seconds[variant])
    print_status(
        f"{name}: {best} of {', '.join(f'{variant} {took:.1f} s' for variant, took in seconds.items())}"
    )
    return variants[best]


def errors_of(recordings: Sequence[ReferenceRecording], texts: Texts) -> ErrorRate:
    """Return the CER of all recordings together."""
    return sum((character_error_rate(one.text, texts[one.path]) for one in recordings), ErrorRate())
