"""One speaker a channel: for telephone calls and podcasts that were recorded with a microphone for each of two people.

Recordings whose channels are the same, or hear the same, are left to another diarizer; so are those of which only one
channel hears anybody, where two speakers are asked for.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, Diarizer, SpeakerCount, in_order
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer
from stt_pipeline.speech.diarization.voice_activity import Region, SpeechDetector
from stt_pipeline.speech.transcript import SpeakerTurn

_FRAME = SAMPLE_RATE // 50  # samples: 20 ms, in which a level is measured
_FRAMES_A_SECOND = 50

_SAME_SOUND = 6.0
"""Decibels: where the lead of one channel over the other varies less than this, both hear the same."""

_BLEED_BELOW = 6.0
"""Decibels by which a channel must be below the other, gains made equal, to be taken for its echo."""

_SHORTEST_TURN, _SHORTEST_PAUSE = 0.2, 0.3  # seconds


class ChannelDiarizer:
    """Finds who speaks by the channel that hears it; both may speak at once. Three or more people need another diarizer."""

    name = "channel"

    def __init__(self, otherwise: Diarizer | None = None) -> None:
        """Leave recordings that have not one speaker a channel to ``otherwise``, the embedded diarizer by default."""
        self._otherwise = otherwise or EmbeddedDiarizer()

    def diarize(self, sound: Sound, bounds: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`."""
        if bounds.min_speakers <= 2 and (bounds.max_speakers is None or bounds.max_speakers >= 2):
            channels = _Channels()
            for block in sound.stereo_blocks():
                channels.feed(block)
            turns = in_order(channels.turns())
            speakers = {turn.speaker for turn in turns}
            if channels.is_silent or len(speakers) >= bounds.min_speakers:
                return turns
        return self._otherwise.diarize(sound, bounds)


class _Channels:
    """Levels and speech of two channels."""

    def __init__(self) -> None:
        self._detectors = (SpeechDetector(), SpeechDetector())
        self._levels: list[npt.NDArray[np.float16]] = []
        self._left = np.zeros((0, 2), np.float32)

    def feed(self, block: npt.NDArray[np.float32]) -> None:
        for channel, detector in enumerate(self._detectors):
            detector.feed(np.ascontiguousarray(block[:, channel]))
        samples = np.concatenate([self._left, block])
        whole = len(samples) // _FRAME * _FRAME
        self._left = samples[whole:].copy()
        self._levels.append(_decibels(samples[:whole].reshape(-1, _FRAME, 2)))

    def turns(self) -> Iterator[SpeakerTurn]:
        """Yield each channel's turns without the other's echo; none where the channels hear the same."""
        levels = np.concatenate(
            [*self._levels, _decibels(np.pad(self._left, ((0, 1), (0, 0)))[None])]
        ).astype(np.float32)
        heard = np.stack([_frames(detector.rest(), len(levels)) for detector in self._detectors], axis=1)
        self.is_silent = not heard.any()
        leads = _smooth(levels[:, 0] - levels[:, 1])  # above 0 where the first channel is louder
        spoken = leads[heard.any(axis=1)]
        below = _BLEED_BELOW
        if heard.any(axis=0).all():
            lowest, highest = np.percentile(spoken, [5, 95])
            if highest - lowest < _SAME_SOUND:
                return
            leads = leads - (lowest + highest) / 2  # one microphone may simply be set louder than the other
            below = min(_BLEED_BELOW, (highest - lowest) / 4)
        for channel, lead in ((0, leads), (1, -leads)):
            yield from _turns(heard[:, channel] & (lead > -below), str(channel))


def _decibels(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Return the level of each frame and channel, float16 ``(frames, 2)``; digital silence is at -100."""
    power = np.square(frames, dtype=np.float32).mean(axis=1)
    return np.asarray(10 * np.log10(power + 1e-10), dtype=np.float16)


def _frames(regions: list[Region], frames: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(frames, dtype=np.bool_)
    for start, end in regions:
        found[round(start * _FRAMES_A_SECOND) : round(end * _FRAMES_A_SECOND)] = True
    return found


def _smooth(levels: Samples) -> Samples:
    """Return means over a fifth of a second: single frames lie between syllables."""
    from scipy.ndimage import uniform_filter1d

    smooth: Samples = uniform_filter1d(levels, _FRAMES_A_SECOND // 5)
    return smooth


def _turns(talks: npt.NDArray[np.bool_], speaker: str) -> Iterator[SpeakerTurn]:
    """Yield the runs of ``talks``, joined over short pauses; short ones are left out."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], talks, [False]]).astype(np.int8)))
    starts, ends = edges[::2] / _FRAMES_A_SECOND, edges[1::2] / _FRAMES_A_SECOND
    joined: list[tuple[float, float]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if joined and start - joined[-1][1] < _SHORTEST_PAUSE:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return (SpeakerTurn(start, end, speaker) for start, end in joined if end - start >= _SHORTEST_TURN)
