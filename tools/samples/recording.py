"""Makes one recording from the lines of a meeting: voices, pauses, background noise, optionally the telephone band.

It also encodes the recording to a file with ffmpeg.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, resample_poly, sosfiltfilt

from tools.demo_model.synthesis import SAMPLE_RATE, Voice, speak
from tools.samples.meeting import ActionItem, Line

TELEPHONE_RATE = 8_000
_TELEPHONE_BAND = (300, 3400)  # Hz, ITU-T G.712

_LEAD, _TAIL = 0.6, 0.8  # seconds of silence at both ends
_PAUSE_OF_ONE_SPEAKER, _PAUSE_BETWEEN_SPEAKERS = (0.3, 0.5), (0.4, 0.8)  # seconds
_LOUDNESS_VARIATION = (0.85, 1.0)
_PEAK = 0.7
_NOISE_LEVEL = 0.0008  # RMS; speech is about 0.1

_ENCODERS = {
    ".wav": ("-c:a", "pcm_s16le"),
    ".flac": ("-c:a", "flac", "-sample_fmt", "s16"),
    ".mp3": ("-c:a", "libmp3lame", "-b:a", "64k"),
    ".opus": ("-c:a", "libopus", "-b:a", "24k"),
    ".ogg": ("-c:a", "libopus", "-b:a", "32k"),
    ".m4a": ("-c:a", "aac", "-b:a", "64k"),
}


@dataclass(frozen=True, slots=True)
class SpokenLine:
    """A line and its times, in seconds from the start of the recording."""

    start: float
    end: float
    speaker: int
    text: str
    action_item: ActionItem | None


@dataclass(frozen=True, slots=True)
class Recording:
    """Mono audio between -1 and 1, ``rate`` Hz, and its lines."""

    audio: NDArray[np.float32]
    rate: int
    lines: tuple[SpokenLine, ...]

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return len(self.audio) / self.rate


def record(
    lines: Sequence[Line], voices: Sequence[Voice], rng: np.random.Generator, *, telephone: bool = False
) -> Recording:
    """Synthesize every line in the voice of its speaker, one after the other without overlap.

    Args:
        lines: in order.
        voices: one for each speaker index in ``lines``.
        rng: for pauses, loudness and noise.
        telephone: limit the band to a telephone's, and return 8 kHz instead of 16.
    """
    pieces = [np.zeros(int(_LEAD * SAMPLE_RATE), np.float32)]
    position, spoken = len(pieces[0]), list[SpokenLine]()
    for index, line in enumerate(lines):
        speech = speak(line.sentence.spoken, "ko", voices[line.speaker]) * np.float32(
            rng.uniform(*_LOUDNESS_VARIATION)
        )
        start, end = position / SAMPLE_RATE, (position + len(speech)) / SAMPLE_RATE
        spoken.append(SpokenLine(start, end, line.speaker, line.sentence.written, line.action_item))
        if index == len(lines) - 1:
            pause = _TAIL
        elif lines[index + 1].speaker == line.speaker:
            pause = rng.uniform(*_PAUSE_OF_ONE_SPEAKER)
        else:
            pause = rng.uniform(*_PAUSE_BETWEEN_SPEAKERS)
        pieces += [speech, np.zeros(int(pause * SAMPLE_RATE), np.float32)]
        position += len(pieces[-2]) + len(pieces[-1])
    audio = np.concatenate(pieces)
    audio *= _PEAK / np.abs(audio).max()
    audio += _NOISE_LEVEL * _room_noise(len(audio), rng)
    if telephone:
        return Recording(_through_telephone(audio), TELEPHONE_RATE, tuple(spoken))
    return Recording(audio, SAMPLE_RATE, tuple(spoken))


def encode(recording: Recording, file: Path, *, rate: int | None = None, channels: int = 1) -> None:
    """Write a recording to ``file``; its suffix decides the codec. Existing files are replaced.

    Args:
        recording: to write.
        file: .wav, .flac, .mp3, .opus, .ogg (Opus) or .m4a (AAC).
        rate: Hz of the file; by default that of the recording.
        channels: 1, or 2 with the same audio.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise RuntimeError("ffmpeg is not installed: on Debian and Ubuntu, apt-get install ffmpeg")
    source = ("-f", "f32le", "-ar", str(recording.rate), "-ac", "1", "-i", "pipe:0")
    target = ("-ar", str(rate or recording.rate), "-ac", str(channels), *_ENCODERS[file.suffix])
    reproducible = ("-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact")
    command = [ffmpeg, "-hide_banner", "-loglevel", "error", "-y", *source, *target, *reproducible, str(file)]
    subprocess.run(command, input=recording.audio.astype("<f4").tobytes(), check=True)


def _room_noise(length: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return pink noise of RMS 1, with more power at low frequencies, as in a room."""
    spectrum = np.fft.rfft(rng.standard_normal(length))
    spectrum /= np.sqrt(np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE), 50.0))
    noise = np.fft.irfft(spectrum, length)
    return np.asarray(noise / noise.std(), np.float32)


def _through_telephone(audio: NDArray[np.float32]) -> NDArray[np.float32]:
    band = butter(4, _TELEPHONE_BAND, "bandpass", fs=SAMPLE_RATE, output="sos")
    return np.asarray(resample_poly(sosfiltfilt(band, audio), TELEPHONE_RATE, SAMPLE_RATE), np.float32)
