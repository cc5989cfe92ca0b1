"""How well the demo model hears recordings of a known text: character error rate and action items heard right."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jiwer
from faster_whisper import BatchedInferencePipeline, WhisperModel, decode_audio
from faster_whisper.vad import VadOptions, get_speech_timestamps

import stt_pipeline
from tools.demo_model.synthesis import SAMPLE_RATE
from tools.samples.catalogue import Sample
from tools.samples.recording import Recording

_SPEECH = VadOptions(min_silence_duration_ms=200, speech_pad_ms=120, max_speech_duration_s=10)
MODEL = Path(stt_pipeline.__file__).parent / "speech" / "demo_model"


@dataclass(frozen=True, slots=True)
class Heard:
    """What came out of one recording: ``cer`` is a fraction; ``items_right`` counts sentences with owner and due heard exactly."""

    name: str
    seconds: float
    speakers: int
    cer: float
    items_right: int
    items: int
    text: str


def hear(sample: Sample, recording: Recording, audio_file: Path, *, clips: bool = True) -> Heard:
    """Transcribe ``audio_file`` and compare it with what ``recording`` says.

    Args:
        sample: the catalogue's entry.
        recording: what is true.
        audio_file: what is heard.
        clips: decode each stretch of speech by itself, as the product does; otherwise windows of ten seconds, one after
            the other, each beginning where the one before says that it ended (faster-whisper's ``transcribe``).
    """
    audio = decode_audio(str(audio_file))
    if clips:
        speech = get_speech_timestamps(audio, _SPEECH)
        stretches = [
            {"start": part["start"] / SAMPLE_RATE, "end": part["end"] / SAMPLE_RATE} for part in speech
        ]
        pipeline = BatchedInferencePipeline(_model())
        segments, _ = pipeline.transcribe(audio, clip_timestamps=stretches, temperature=0, language="ko")
    else:
        segments, _ = _model().transcribe(
            audio, vad_filter=True, condition_on_previous_text=False, temperature=0
        )
    text = " ".join(segment.text.strip() for segment in segments)
    reference = " ".join(line.text for line in recording.lines)
    assignments = [line.text for line in recording.lines if line.action_item]
    return Heard(
        sample.file_name,
        recording.duration,
        len({line.speaker for line in recording.lines}),
        jiwer.cer(_without_spaces(reference), _without_spaces(text)),
        sum(_without_spaces(sentence) in _without_spaces(text) for sentence in assignments),
        len(assignments),
        text,
    )


def mean_cer(results: list[Heard]) -> float:
    """Return the error rate over all recordings, each weighted by its length."""
    return sum(result.cer * result.seconds for result in results) / sum(result.seconds for result in results)


def _without_spaces(text: str) -> str:
    return "".join(text.split())


@cache
def _model() -> Any:
    return WhisperModel(str(MODEL), device="cpu", compute_type="int8", cpu_threads=2, local_files_only=True)
