"""Decides whether the channels of a recording are apart: a speaker, or a side of a call, on each.

Channels are not apart if they carry the same audio, or if each microphone clearly picks up the others' speakers; such
recordings are mixed. No model here: levels, and the correlation of the channels.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import chain, takewhile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples, Sound, SoundInMemory, all_samples

_MAX_CHANNELS = 16  # the work grows with the square of their number; recorders of more are mixed

_FRAME = SAMPLE_RATE // 5  # samples of a level: 0.2 s, longer than most delays of an echo
_WINDOW_FRAMES = 5  # of a correlation: 1 s
_DECIMATION = 4  # to 4 kHz, where most of the energy of speech is
_MAX_LAG = int(0.3 * SAMPLE_RATE / _DECIMATION)  # of echoes and distant microphones

# Largest correlation of two channels, over all lags, from which on they share audio. Of 1 s of independent speech (pairs of
# Korean talks) 99 % have less; of a copy most have 0.99, and of one with 40 ms of reverberation 0.3 to 0.5.
_SHARED = 0.3

# Decibels, gains equalized: shared audio with a smaller difference of the levels is of one scene, and with a larger one it
# is bleed. Microphones on one table differ by 3 to 10, headsets in one room by 20 and more.
_SAME_SCENE = 12.0
_MAX_SAME_SCENE = 0.3  # share of the windows with speech; synthetic voices that say the same at once reach it
# Share of the windows in which a channel is that much quieter, and their number
_MIN_BLEED, _MIN_BLEED_WINDOWS = 0.25, 2
_BLEED_MARGIN = 6.0  # decibels above its usual level up to which audio counts as bleed

_MIN_LEVEL = -65.0  # dBFS of the loudest speech of a channel
_MIN_RANGE = 10.0  # decibels from pauses to loudest speech; steady noise has 3
_ACTIVE_RANGE = 20.0  # decibels below the loudest speech
_SILENCE = -100.0  # dBFS

# Reading ends early if the answer is clear: seconds with speech in all, and in each channel alone
_ENOUGH, _ENOUGH_ALONE, _CHECK_EVERY = 120, 30, 30
_MAX_WINDOWS = 3600  # an hour

Blocks = Iterable[npt.NDArray[np.float32]]
"""Blocks of float32 ``(samples, channels)``, 16 kHz."""


@dataclass(frozen=True, slots=True, eq=False)
class ApartChannels:
    """How to read channels that are apart.

    Attributes:
        bleed: float64 ``(channels, channels)``: decibels that the first channel has above the second where it carries only
            the second one's audio; -inf where it does not.
    """

    bleed: npt.NDArray[np.float64]

    @property
    def count(self) -> int:
        """The number of channels."""
        return len(self.bleed)

    def without_bleed(self, blocks: Blocks) -> Iterator[npt.NDArray[np.float32]]:
        """Yield ``blocks`` with silence where a channel carries only the audio of another one."""
        if not np.isfinite(self.bleed).any():
            yield from blocks
            return
        loudest = np.full((1, self.count), _SILENCE)  # of the frame before: echoes come late
        for frames in _in_frames(blocks, _FRAME):
            levels = _levels(frames)
            before = np.concatenate([loudest, levels[:-1]])
            loudest = levels[-1:]
            sources = np.maximum(levels, before)[:, None, :] + self.bleed + _BLEED_MARGIN
            is_own = levels >= sources.max(axis=2)
            yield (frames * is_own[:, None, :]).reshape(-1, self.count)


class ChannelSound:
    """One channel of a recording as a recording of its own (:class:`Sound`)."""

    def __init__(self, sound: Sound, apart: ApartChannels, channel: int) -> None:
        """Take the recording, and the index of the channel."""
        self._sound, self._apart, self._channel = sound, apart, channel

    def blocks(self) -> Iterator[Samples]:
        """See :meth:`Sound.blocks`."""
        for block in self._apart.without_bleed(self._sound.channel_blocks()):
            yield np.ascontiguousarray(block[:, self._channel])

    def stereo_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """See :meth:`Sound.stereo_blocks`."""
        return (np.stack([block] * 2, axis=1) for block in self.blocks())

    def channel_blocks(self) -> Iterator[npt.NDArray[np.float32]]:
        """See :meth:`Sound.channel_blocks`."""
        return (block[:, None] for block in self.blocks())

    @property
    def notes(self) -> tuple[str, ...]:
        """See :attr:`Sound.notes`."""
        return self._sound.notes

    def as_file(self) -> AbstractContextManager[Path]:
        """See :meth:`Sound.as_file`; a temporary WAV."""
        return SoundInMemory(all_samples(self)).as_file()


def read_channels(
    sound: Sound, is_wanted: Callable[[], bool] = lambda: True
) -> tuple[ApartChannels | None, Iterator[npt.NDArray[np.float32]]]:
    """Return how the channels of a recording are apart, and its blocks, float32 ``(samples, channels)``.

    If they are not apart, that is None, and the blocks have one channel, the mix. Up to an hour of a recording with several
    channels is read for the decision; memory holds a block and a few numbers for each second. Reading ends when
    ``is_wanted`` returns false.

    Raises:
        FileError: the recording cannot be read; it can also be raised by the iterator.
    """
    blocks = takewhile(lambda _: is_wanted(), sound.channel_blocks())
    first = next(blocks, None)
    if first is None:
        return None, iter(())
    blocks = chain([first], blocks)  # type: ignore[assignment]
    channels = first.shape[1]
    if channels == 1:
        return None, blocks
    apart = _find_apart(blocks, channels) if channels <= _MAX_CHANNELS else None
    del blocks  # ends the decoder
    if apart is None:
        return None, (block[:, None] for block in takewhile(lambda _: is_wanted(), sound.blocks()))
    return apart, takewhile(lambda _: is_wanted(), apart.without_bleed(sound.channel_blocks()))


def _find_apart(blocks: Blocks, channels: int) -> ApartChannels | None:
    levels: list[npt.NDArray[np.float64]] = []  # of frames
    shared: list[npt.NDArray[np.float64]] = []  # of windows
    for frames in _in_frames(blocks, _FRAME * _WINDOW_FRAMES):
        missing = _FRAME * _WINDOW_FRAMES - frames.shape[1]  # at the end of the recording
        for window in np.pad(frames, ((0, 0), (0, missing), (0, 0))):
            levels.append(_levels(window.reshape(_WINDOW_FRAMES, _FRAME, channels)))
            shared.append(_correlations(window))
            if len(shared) % _CHECK_EVERY == 0 and len(shared) >= _ENOUGH:
                decision = _Decision(np.concatenate(levels), np.array(shared))
                if decision.is_clear or len(shared) >= _MAX_WINDOWS:
                    return decision.apart
    return _Decision(np.concatenate(levels), np.array(shared)).apart if shared else None


class _Decision:
    """What the part of a recording that was read says."""

    def __init__(self, levels: npt.NDArray[np.float64], shared: npt.NDArray[np.float64]) -> None:
        """Take the levels ``(5 windows, channels)`` and the correlations ``(windows, channels, channels)``."""
        channels = levels.shape[1]
        at = min(max(_WINDOW_FRAMES, len(levels) // 100), len(levels)) - 1  # a second of speech is enough
        loudest = np.sort(levels, axis=0)[::-1][at]
        has_signal = (loudest > _MIN_LEVEL) & (loudest - np.percentile(levels, 10, axis=0) >= _MIN_RANGE)
        power = 10 ** (levels.reshape(-1, _WINDOW_FRAMES, channels) / 10)
        level = 10 * np.log10(power.mean(axis=1))  # of windows
        equalized = level - loudest
        active = (has_signal & (equalized > -_ACTIVE_RANGE)).any(axis=1)
        lead = equalized[:, :, None] - equalized[:, None, :]
        is_shared = (shared > _SHARED) & active[:, None, None] & has_signal[:, None] & has_signal
        same_scene = (is_shared & (abs(lead) < _SAME_SCENE)).sum(axis=0).max()
        is_one_scene = same_scene > _MAX_SAME_SCENE * max(active.sum(), 1)
        self.apart = None
        if has_signal.sum() >= 2 and not is_one_scene:
            difference = level[:, :, None] - level[:, None, :]
            is_quieter = active[:, None, None] & (lead <= -_SAME_SCENE)
            is_bleed = is_shared & is_quieter
            windows = np.maximum(_MIN_BLEED_WINDOWS, _MIN_BLEED * is_quieter.sum(axis=0))
            bleed = np.full((channels, channels), -np.inf)
            for pair in np.argwhere(is_bleed.sum(axis=0) >= windows):
                i, j = pair.tolist()
                bleed[i, j] = np.median(difference[is_bleed[:, i, j], i, j])
            self.apart = ApartChannels(bleed)
        others = np.where(np.eye(channels, dtype=bool), -np.inf, equalized[:, None, :]).max(axis=2)
        alone = (active[:, None] & (equalized - others > _SAME_SCENE))[:, has_signal].sum(axis=0)
        self.is_clear = bool(
            active.sum() >= _ENOUGH and (is_one_scene or (alone >= _ENOUGH_ALONE).sum() >= 2)
        )


def _in_frames(blocks: Blocks, length: int) -> Iterator[npt.NDArray[np.float32]]:
    """Yield float32 ``(frames, length, channels)``; the last frame of the recording may be shorter."""
    rest: npt.NDArray[np.float32] | None = None
    for block in blocks:
        samples = block if rest is None else np.concatenate([rest, block])
        whole = len(samples) // length * length
        rest = samples[whole:].copy()
        if whole:
            yield samples[:whole].reshape(-1, length, samples.shape[1])
    if rest is not None and len(rest):
        yield rest[None]


def _levels(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return dBFS ``(frames, channels)`` of ``(frames, samples, channels)``."""
    power = np.square(frames, dtype=np.float64).mean(axis=1)
    return np.asarray(10 * np.log10(power + 10 ** (_SILENCE / 10)))


def _correlations(window: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Return the largest correlation of each two channels over all lags, 0 to 1, ``(channels, channels)``."""
    from scipy.fft import irfft, next_fast_len, rfft

    channels = window.shape[1]
    found = np.zeros((channels, channels))
    samples = window.reshape(-1, _DECIMATION, channels).mean(axis=1).T
    energies = np.square(samples, dtype=np.float64).sum(axis=1)
    audible = np.flatnonzero(energies > samples.shape[1] * 10 ** (_SILENCE / 10 + 1))
    size = next_fast_len(samples.shape[1] + _MAX_LAG, real=True)
    spectra = {int(channel): rfft(samples[channel], size) for channel in audible}
    for i in spectra:
        for j in spectra:
            if i < j:
                product = irfft(spectra[i] * spectra[j].conj(), size)
                largest = max(np.abs(product[: _MAX_LAG + 1]).max(), np.abs(product[-_MAX_LAG:]).max())
                found[i, j] = found[j, i] = largest / np.sqrt(energies[i] * energies[j])
    return found
