"""Test recordings of any number and length with their text, spliced from the sentences of recordings with references."""

import json
import random
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE, decode
from stt_pipeline.speech.evaluation.references import SUBFOLDER

SAMPLES = Path(__file__).parent.parent / "samples"

_MARGIN = 0.15  # seconds that are kept around a sentence
_PAUSE = (0.3, 1.2)  # seconds between sentences: minimum, maximum


@dataclass(frozen=True, slots=True)
class ReferenceRecording:
    """An audio file of ``seconds``, and the text of its speech."""

    path: Path
    seconds: float
    text: str


def splice(
    folder: Path, lengths: list[tuple[float, float]], seed: int = 0, *, recordings: Sequence[Path] = ()
) -> list[ReferenceRecording]:
    """Write a 16 kHz WAV file for each (shortest, longest) length in seconds, and return them.

    Each has consecutive sentences from random recordings; ``seed`` decides which. The default are the sample meetings, but
    not the telephone recording, because the demo model was not trained for it.

    Args:
        folder: for the files.
        lengths: in seconds.
        seed: of the random numbers.
        recordings: where sentences are taken from; each has a reference with times, NAME.json beside it or in ``reference/``.
    """
    draw = random.Random(seed)
    meetings = [_sentences(path) for path in recordings or _sample_meetings()]
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number, (shortest, longest) in enumerate(lengths):
        aim = draw.uniform(shortest, longest)
        parts: list[npt.NDArray[np.float32]] = []
        sentences: list[str] = []
        seconds = 0.0
        while seconds < shortest:
            meeting = draw.choice(meetings)
            for samples, text in meeting[draw.randrange(len(meeting)) :]:
                pause = draw.uniform(*_PAUSE)
                more = len(samples) / SAMPLE_RATE + pause
                if seconds + more > aim and seconds + more > longest:
                    break
                parts += [samples, np.zeros(int(pause * SAMPLE_RATE), np.float32)]
                sentences.append(text)
                seconds += more
                if seconds >= aim:
                    break
        path = folder / f"{number:04d}.wav"
        _write(path, np.concatenate(parts))
        made.append(ReferenceRecording(path, seconds, " ".join(sentences)))
    return made


def _sample_meetings() -> list[Path]:
    return [
        path
        for path in sorted(SAMPLES.iterdir())
        if path.suffix != ".md" and "tele" not in path.name
        if path.is_file()
    ]


def _sentences(path: Path) -> list[tuple[npt.NDArray[np.float32], str]]:
    samples = decode(path)
    places = (path.parent, path.parent / SUBFOLDER)
    page = next(place / f"{path.stem}.json" for place in places if (place / f"{path.stem}.json").is_file())
    reference = json.loads(page.read_text(encoding="utf-8"))
    return [
        (
            samples[
                max(0, int((segment["start"] - _MARGIN) * SAMPLE_RATE)) : int(
                    (segment["end"] + _MARGIN) * SAMPLE_RATE
                )
            ],
            segment["text"],
        )
        for segment in reference["segments"]
    ]


def _write(path: Path, samples: npt.NDArray[np.float32]) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
