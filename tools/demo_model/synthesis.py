"""Text to speech with espeak-ng, in one process per utterance."""

import io
import shutil
import subprocess
import wave
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from tools.demo_model.grammar import Language

SAMPLE_RATE = 16_000
"""Hz of all audio in this package: the input rate of Whisper."""

TRAINING_VARIANTS = (
    "", "m1", "m2", "m4", "m5", "m6", "m7", "m8", "f1", "f3", "f4", "f5",
    "Andy", "Annie", "linda", "steph", "max", "adam", "belinda", "ed",
)  # fmt: skip
"""Voice variants of espeak-ng in the training data; the empty one is the default voice of the language."""

HELD_OUT_VARIANTS = ("m3", "f2")
"""Voice variants for evaluation only."""

_ESPEAK_LANGUAGES: dict[Language, str] = {"ko": "ko", "en": "en-us"}
_SILENCE = 0.01  # of full scale: quieter samples at both ends are cut
_MARGIN_BEFORE, _MARGIN_AFTER = 160, 320  # samples kept around the speech


@dataclass(frozen=True, slots=True)
class Voice:
    """One synthetic speaker: a variant of espeak-ng, pitch (0 to 99, 50 is the variant's default), words per minute."""

    variant: str
    pitch: int = 50
    words_per_minute: int = 165


@cache
def espeak_path() -> str:
    """Return the path of espeak-ng.

    Raises:
        RuntimeError: it is not installed.
    """
    path = shutil.which("espeak-ng")
    if path is None:
        raise RuntimeError("espeak-ng is not installed: on Debian and Ubuntu, apt-get install espeak-ng")
    return path


def speak(text: str, language: Language, voice: Voice) -> NDArray[np.float32]:
    """Return ``text`` as mono speech of 16 kHz between -1 and 1, silence at both ends cut.

    Raises:
        RuntimeError: espeak-ng is missing, failed, or wrote silence.
    """
    name = _ESPEAK_LANGUAGES[language] + (f"+{voice.variant}" if voice.variant else "")
    command = [
        espeak_path(),
        "-v",
        name,
        "-p",
        str(voice.pitch),
        "-s",
        str(voice.words_per_minute),
        "--stdout",
        text,
    ]
    result = subprocess.run(command, capture_output=True, check=False)
    if result.returncode:
        raise RuntimeError(f"espeak-ng failed for {text!r}: {result.stderr.decode(errors='replace').strip()}")
    with wave.open(io.BytesIO(result.stdout)) as sound:
        rate = sound.getframerate()
        # the length in the header is a placeholder, because espeak-ng writes to a pipe
        samples = np.frombuffer(sound.readframes(len(result.stdout)), dtype="<i2").astype(np.float32) / 32768
    divisor = np.gcd(rate, SAMPLE_RATE)
    audio: NDArray[np.float32] = resample_poly(samples, SAMPLE_RATE // divisor, rate // divisor).astype(
        np.float32
    )
    loud = np.flatnonzero(np.abs(audio) > _SILENCE)
    if not len(loud):
        raise RuntimeError(f"espeak-ng wrote silence for {text!r} as {name}")
    return audio[max(0, loud[0] - _MARGIN_BEFORE) : loud[-1] + _MARGIN_AFTER]
