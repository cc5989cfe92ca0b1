"""Scores of the product with the demo model on recordings with known text, speakers and action items.

It uses the product's code without Dagster: decode, transcribe, diarize, write minutes. It needs neither espeak-ng nor ffmpeg.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from stt_pipeline.audio.sound import SoundFile
from stt_pipeline.minutes.extractive import ExtractiveSummarizer
from stt_pipeline.minutes.matching import matched_action_items
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer
from stt_pipeline.speech.engine import Engine
from stt_pipeline.speech.evaluation import (
    ErrorRate,
    character_error_rate,
    diarization_error_rate,
    read_rttm,
)
from stt_pipeline.speech.models import load_model
from stt_pipeline.speech.postprocess import WithPostprocessing
from stt_pipeline.speech.transcriber import transcribe_one


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one recording; ``items`` are the action items of the reference, ``items_found`` those in the minutes."""

    cer: ErrorRate
    der: ErrorRate
    speakers: int
    speakers_found: int
    items: int
    items_found: int


def score(audio_file: Path, references: Path) -> Scores:
    """Return the scores of the product on ``audio_file``; ``references`` is a folder with STEM.json and STEM.rttm."""
    reference = json.loads((references / f"{audio_file.stem}.json").read_text(encoding="utf-8"))
    sound = SoundFile(audio_file)
    transcript = transcribe_one(WithPostprocessing(Engine(load_model("demo", device="cpu"))), sound)
    turns = EmbeddedDiarizer().diarize(sound)
    minutes = ExtractiveSummarizer().summarize(transcript)
    text = " ".join(segment["text"] for segment in reference["segments"])
    return Scores(
        cer=character_error_rate(text, transcript.text),
        der=diarization_error_rate(read_rttm(references / f"{audio_file.stem}.rttm"), turns),
        speakers=reference["speakers"],
        speakers_found=len({turn.speaker for turn in turns}),
        items=len(reference["action_items"]),
        items_found=matched_action_items(reference["action_items"], minutes.action_items),
    )
