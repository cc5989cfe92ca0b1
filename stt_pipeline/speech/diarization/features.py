"""Mel-frequency cepstral coefficients: one short vector per 10 ms. No speech detection, no clustering."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples

FRAME_RATE = 100
"""Frames per second: one every 10 ms, each 25 ms long, the usual choice (HTK book, section 5.2)."""

_HOP = SAMPLE_RATE // FRAME_RATE
_WINDOW = 400  # samples: 25 ms
_FFT = 512
_PRE_EMPHASIS = 0.97  # HTK's and Kaldi's default
_MEL_BANDS = 26  # HTK's usual number
_LOWEST_HZ, _HIGHEST_HZ = 80.0, 7600.0
# c1..c16: c0 is loudness, which depends on the microphone more than on the voice. Speech recognition stops at 12, but the
# finer shape separates speakers (of 12, 16 and 20, 16 is best on synthetic and on real speech)
_CEPSTRA = 16
_FLOOR = 1e-8  # keeps the logarithm finite in digital silence
_CHUNK_FRAMES = 1_500  # frames: 15 s, so that memory does not grow with the blocks


class Cepstra:
    """The cepstral coefficients c1..c16 of a recording that is fed block by block; block boundaries do not matter.

    All arrays are float32 ``(frames, 16)`` at :data:`FRAME_RATE`; frame ``i`` is centred on ``i / FRAME_RATE`` seconds.
    """

    def __init__(self) -> None:
        """Assume silence before the recording."""
        self._last = np.zeros(1, np.float32)  # the last sample of the block before
        self._pending = np.zeros(_WINDOW // 2, np.float32)  # emphasized samples of incomplete frames

    def feed(self, block: Samples) -> npt.NDArray[np.float32]:
        """Return the frames that ``block`` completes; it is float32 ``(samples,)``, 16 kHz, not empty."""
        emphasized = block - _PRE_EMPHASIS * np.concatenate([self._last, block[:-1]])
        self._last = block[-1:].copy()
        return self._frames(np.concatenate([self._pending, emphasized.astype(np.float32, copy=False)]))

    def finish(self) -> npt.NDArray[np.float32]:
        """Return the last frames; silence after the recording completes them."""
        return self._frames(np.pad(self._pending, (0, _WINDOW // 2)))

    def _frames(self, samples: Samples) -> npt.NDArray[np.float32]:
        count = max(0, (len(samples) - _WINDOW) // _HOP + 1)
        self._pending = samples[count * _HOP :].copy()
        found = [np.zeros((0, _CEPSTRA), np.float32)]
        for first in range(0, count, _CHUNK_FRAMES):
            part = samples[first * _HOP : (min(first + _CHUNK_FRAMES, count) - 1) * _HOP + _WINDOW]
            found.append(_cepstra(np.lib.stride_tricks.sliding_window_view(part, _WINDOW)[::_HOP]))
        return np.concatenate(found)


def _cepstra(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    from scipy.fft import dct, rfft

    power = np.abs(rfft(frames * np.hamming(_WINDOW).astype(np.float32), _FFT)) ** 2
    log_mel = np.log(power @ _mel_filters() + _FLOOR)
    cepstra: npt.NDArray[np.float32] = dct(log_mel, type=2, norm="ortho", axis=1)[:, 1 : _CEPSTRA + 1]
    return cepstra.astype(np.float32, copy=False)


@lru_cache(maxsize=1)
def _mel_filters() -> npt.NDArray[np.float32]:
    """Return triangular filters, float32[fft bins, bands], on the scale mel = 2595 log10(1 + Hz / 700) (O'Shaughnessy)."""
    lowest, highest = 2595 * np.log10(1 + np.array([_LOWEST_HZ, _HIGHEST_HZ]) / 700)
    edges = 700 * (10 ** (np.linspace(lowest, highest, _MEL_BANDS + 2) / 2595) - 1)
    left, centre, right = edges[:-2], edges[1:-1], edges[2:]
    hertz = np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE)[:, None]
    triangles = np.minimum((hertz - left) / (centre - left), (right - hertz) / (right - centre))
    return np.maximum(triangles, 0).astype(np.float32)
