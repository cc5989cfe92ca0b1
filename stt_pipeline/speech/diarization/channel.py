"""Diarization backend `channel`: one speaker per channel, for calls and podcasts recorded with one microphone each.

Recordings whose channels carry the same audio go to another diarizer. So do recordings with speech in only one channel,
where at least two speakers are requested.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.speech.diarization.diarizer import ANY_NUMBER, Diarizer, SpeakerCount, relabel
from stt_pipeline.speech.diarization.embedded import EmbeddedDiarizer
from stt_pipeline.speech.diarization.voice_activity import Region, SpeechDetector
from stt_pipeline.speech.transcript import SpeakerTurn

_FRAME = SAMPLE_RATE // 50  # samples per measured level: 20 ms
_FRAMES_PER_SECOND = 50

_SAME_AUDIO_RANGE = 6.0
"""Decibels: if the level difference of the channels varies less than this, both carry the same audio."""

_BLEED_MARGIN = 6.0
"""Decibels below the other channel, gains equalized, from which on speech counts as the other channel's bleed."""

_SHORTEST_TURN, _SHORTEST_PAUSE = 0.2, 0.3  # seconds


class ChannelDiarizer:
    """Takes each of two channels for one speaker; both may speak at once. Three or more speakers need another diarizer."""

    name = "channel"

    def __init__(self, fallback: Diarizer | None = None) -> None:
        """Use ``fallback`` for recordings without one speaker per channel; the embedded diarizer by default."""
        self._fallback = fallback or EmbeddedDiarizer()

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`."""
        min_speakers, max_speakers = speaker_count.min_speakers, speaker_count.max_speakers
        if min_speakers <= 2 and (max_speakers is None or max_speakers >= 2):
            channels = _Channels()
            for block in sound.stereo_blocks():
                channels.feed(block)
            turns = relabel(channels.turns())
            speakers = {turn.speaker for turn in turns}
            if channels.is_silent or len(speakers) >= min_speakers:
                return turns
        return self._fallback.diarize(sound, speaker_count)


class _Channels:
    """Levels and speech regions of two channels."""

    def __init__(self) -> None:
        self._detectors = (SpeechDetector(), SpeechDetector())
        self._levels: list[npt.NDArray[np.float16]] = []
        self._pending = np.zeros((0, 2), np.float32)

    def feed(self, block: npt.NDArray[np.float32]) -> None:
        for channel, detector in enumerate(self._detectors):
            detector.feed(np.ascontiguousarray(block[:, channel]))
        samples = np.concatenate([self._pending, block])
        whole = len(samples) // _FRAME * _FRAME
        self._pending = samples[whole:].copy()
        self._levels.append(_decibels(samples[:whole].reshape(-1, _FRAME, 2)))

    def turns(self) -> Iterator[SpeakerTurn]:
        """Yield the turns of each channel without bleed; none where both channels carry the same audio."""
        last = _decibels(np.pad(self._pending, ((0, 1), (0, 0)))[None])
        levels = np.concatenate([*self._levels, last]).astype(np.float32)
        speech = np.stack([_frames(detector.finish(), len(levels)) for detector in self._detectors], axis=1)
        self.is_silent = not speech.any()
        difference = _smooth(levels[:, 0] - levels[:, 1])  # above 0 where the first channel is louder
        margin = _BLEED_MARGIN
        if speech.any(axis=0).all():
            lowest, highest = np.percentile(difference[speech.any(axis=1)], [5, 95])
            if highest - lowest < _SAME_AUDIO_RANGE:
                return
            difference = difference - (lowest + highest) / 2  # the microphones may have different gains
            margin = min(_BLEED_MARGIN, (highest - lowest) / 4)
        for channel, lead in ((0, difference), (1, -difference)):
            yield from _turns(speech[:, channel] & (lead > -margin), str(channel))


def _decibels(frames: npt.NDArray[np.float32]) -> npt.NDArray[np.float16]:
    """Return the level of each frame and channel, float16 ``(frames, 2)``; digital silence is at -100."""
    power = np.square(frames, dtype=np.float32).mean(axis=1)
    return np.asarray(10 * np.log10(power + 1e-10), dtype=np.float16)


def _frames(regions: list[Region], frames: int) -> npt.NDArray[np.bool_]:
    found = np.zeros(frames, dtype=np.bool_)
    for start, end in regions:
        found[round(start * _FRAMES_PER_SECOND) : round(end * _FRAMES_PER_SECOND)] = True
    return found


def _smooth(levels: Samples) -> Samples:
    """Return means over a fifth of a second, since single frames may lie between syllables."""
    from scipy.ndimage import uniform_filter1d

    smooth: Samples = uniform_filter1d(levels, _FRAMES_PER_SECOND // 5)
    return smooth


def _turns(is_active: npt.NDArray[np.bool_], speaker: str) -> Iterator[SpeakerTurn]:
    """Yield the runs of ``is_active``, joined over short pauses, without the short ones."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_active, [False]]).astype(np.int8)))
    starts, ends = edges[::2] / _FRAMES_PER_SECOND, edges[1::2] / _FRAMES_PER_SECOND
    joined: list[tuple[float, float]] = []
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if joined and start - joined[-1][1] < _SHORTEST_PAUSE:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return (SpeakerTurn(start, end, speaker) for start, end in joined if end - start >= _SHORTEST_TURN)
