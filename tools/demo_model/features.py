"""The input of Whisper, 80 log-mel bands at a hundred frames per second, and its augmentations for training.

All functions use raw log10 mel power, before Whisper's normalisation. There, audio can be mixed, filtered and amplified
without the waveform: a training window takes microseconds instead of a Fourier transform.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from tools.demo_model.synthesis import SAMPLE_RATE

MELS = 80
FRAMES_PER_SECOND = 100
FLOOR = -10.0
"""Minimum of the log10 power: silence."""

_HOP, _FFT = SAMPLE_RATE // FRAMES_PER_SECOND, 400
_DYNAMIC_RANGE = 8.0  # Whisper cuts what is 80 dB below the loudest band
_TELEPHONE_BAND = (300.0, 3400.0)  # Hz, ITU-T G.712
_FILTER_ORDER = 4

Mel = NDArray[np.float32]


def log_mel(audio: NDArray[np.float32]) -> Mel:
    """Return log10 mel power ``(frames, 80)`` of mono 16 kHz audio, as faster-whisper computes it."""
    padded = np.pad(audio, _FFT // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP]
    window = np.hanning(_FFT + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(frames[: len(audio) // _HOP] * window)) ** 2
    return np.log10(np.maximum(power @ _mel_filters().T, 10.0**FLOOR)).astype(np.float32)


def normalized(mel: Mel, headroom: float = 0.0) -> Mel:
    """Return the input of the model: ``(max(x, loudest - 8) + 4) / 4``, faster-whisper's ``FeatureExtractor``.

    Args:
        mel: raw log10 mel power of a window.
        headroom: difference in log10 power between the loudest part of the recording and of this window.
    """
    loudest = mel.max() + headroom
    return (np.maximum(mel, loudest - _DYNAMIC_RANGE) + 4.0) / 4.0


def mixed(one: Mel, other: Mel) -> Mel:
    """Return the log mel power of the sum of two uncorrelated signals (their powers add up)."""
    return np.logaddexp(one * np.log(10.0), other * np.log(10.0)).astype(np.float32) / np.float32(
        np.log(10.0)
    )


def warped(mel: Mel, factor: float) -> Mel:
    """Return the audio with all frequencies scaled by ``factor``, as with another length of the vocal tract."""
    source = np.clip(np.arange(MELS) * factor, 0, MELS - 1)
    lower = source.astype(int)
    upper = np.minimum(lower + 1, MELS - 1)
    share = (source - lower).astype(np.float32)
    return mel[:, lower] * (1 - share) + mel[:, upper] * share


def telephoned(mel: Mel) -> Mel:
    """Return the audio limited to the telephone band: Butterworth slopes outside 300 to 3400 Hz."""
    return np.maximum(mel + _telephone_response(), FLOOR).astype(np.float32)


def noises(seconds: float, seed: int) -> NDArray[np.float32]:
    """Return five noises ``(5, frames, 80)`` from white to brown, each at an RMS of 0.1 of full scale."""
    rng = np.random.default_rng(seed)
    length = int(seconds * SAMPLE_RATE)
    frequencies = np.maximum(np.fft.rfftfreq(length, 1 / SAMPLE_RATE), 50.0)
    result = []
    for slope in (0.0, 0.5, 1.0, 1.4, 2.0):  # the power falls with the frequency to this exponent
        spectrum = np.fft.rfft(rng.standard_normal(length)) / frequencies ** (slope / 2)
        noise = np.fft.irfft(spectrum, length)
        result.append(log_mel((0.1 * noise / noise.std()).astype(np.float32)))
    return np.stack(result)


@cache
def _mel_filters() -> NDArray[np.float32]:
    from faster_whisper.feature_extractor import FeatureExtractor

    return np.asarray(FeatureExtractor().mel_filters, np.float32)


@cache
def _telephone_response() -> NDArray[np.float32]:
    centres = _mel_filters() @ np.fft.rfftfreq(_FFT, 1 / SAMPLE_RATE) / _mel_filters().sum(1)
    low, high = _TELEPHONE_BAND
    slopes = (low / centres) ** (2 * _FILTER_ORDER) + (centres / high) ** (2 * _FILTER_ORDER)
    return -np.log10(1.0 + slopes).astype(np.float32)
