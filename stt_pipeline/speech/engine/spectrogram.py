"""The log-mel spectrogram of Whisper: faster-whisper's, equal to six digits, in less than half of its time.

With a GPU the CPU must prepare the spectrograms of the next chunks while the GPU decodes.
"""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.engine.packing import Chunk
from stt_pipeline.speech.voice_activity import FRAME, SPEECH
from stt_pipeline.speech.whisper_internals import feature_settings

if TYPE_CHECKING:
    from faster_whisper.feature_extractor import FeatureExtractor

_FLOOR = 1e-10
_DYNAMIC_RANGE = 8.0  # powers of ten below the maximum, as in OpenAI's log_mel_spectrogram

# Quieter speech is amplified, so that distant microphones are like those that Whisper was trained on (dBFS of the speech)
_QUIET_LEVEL = -40.0
_NORMAL_LEVEL = -25.0


class Spectrogram:
    """Computes spectrograms with the mel filters and the window of one model."""

    def __init__(self, extractor: "FeatureExtractor") -> None:
        """Take the settings of faster-whisper's extractor."""
        from scipy.sparse import csr_array

        settings = feature_settings(extractor)
        self._size, self._hop = settings.n_fft, settings.hop_length
        # Each band is a few frequencies wide. A product of dense matrices also starts the threads of BLAS, which then
        # wait in a busy loop on cores that the model needs.
        self._filters = csr_array(settings.mel_filters)
        self._window = np.hanning(self._size + 1)[:-1].astype(np.float32)

    def __call__(self, samples: Samples) -> npt.NDArray[np.float32]:
        """Return float32 ``(bands, frames)``, one frame for each 10 ms of ``samples``; ``samples`` may be empty."""
        from scipy.fft import rfft

        # one hop of silence at the end, then half a window of mirrored samples on both sides: frames are centred
        padded = np.pad(np.pad(samples, (0, self._hop)), self._size // 2, mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(padded, self._size)[:: self._hop]
        spectrum = rfft(frames[: len(samples) // self._hop] * self._window, axis=1)
        power = spectrum.real**2 + spectrum.imag**2
        log_mel = np.log10(np.maximum(self._filters @ power.T, _FLOOR))
        if log_mel.size:
            log_mel = np.maximum(log_mel, log_mel.max() - _DYNAMIC_RANGE)
        return np.asarray((log_mel + 4.0) / 4.0, np.float32)


def normalized(chunk: Chunk) -> npt.NDArray[np.float32]:
    """Return the samples of ``chunk``, amplified to a normal level if its speech is quiet."""
    frames = chunk.samples[: len(chunk.samples) // FRAME * FRAME].reshape(-1, FRAME)
    speech = frames[chunk.probabilities[: len(frames)] >= SPEECH]
    power = float(np.mean(speech**2)) if len(speech) else 0.0
    if power <= 0 or 10 * np.log10(power) >= _QUIET_LEVEL:
        return chunk.samples
    gain = np.sqrt(10 ** (_NORMAL_LEVEL / 10) / power)
    return np.asarray(np.clip(chunk.samples * gain, -1.0, 1.0), np.float32)
