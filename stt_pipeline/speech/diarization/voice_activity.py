"""Where somebody speaks: the Silero VAD that faster-whisper carries in its package. Nothing here knows who speaks."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE

# Silero's default is 0.5; 0.4 finds more of the far voices of real meetings, and 0.3 hears speech in pauses
_THRESHOLD = 0.4
_MIN_SPEECH_MS = 100
_MIN_SILENCE_MS = (
    200  # speakers change in pauses, so short ones count, unlike in a VAD that cuts windows for Whisper
)
_PAD_MS = 30


class Region(NamedTuple):
    """A stretch of speech, in seconds."""

    start: float
    end: float


def speech_regions(samples: npt.NDArray[np.float32]) -> tuple[Region, ...]:
    """Return the stretches with speech in order of time; none in silence, noise or an empty recording.

    Args:
        samples: float32[n], 16 kHz mono, any loudness.
    """
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    if not len(samples):
        return ()
    options = VadOptions(
        threshold=_THRESHOLD,
        min_speech_duration_ms=_MIN_SPEECH_MS,
        min_silence_duration_ms=_MIN_SILENCE_MS,
        speech_pad_ms=_PAD_MS,
    )
    found = get_speech_timestamps(samples, options)
    return tuple(Region(chunk["start"] / SAMPLE_RATE, chunk["end"] / SAMPLE_RATE) for chunk in found)
