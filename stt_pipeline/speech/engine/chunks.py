"""From a recording to the chunks that Whisper hears at once: stretches with speech, cut where nobody talks.

The "VAD cut and merge" of WhisperX (Bain et al., 2023, arXiv:2303.00747), done while the recording is being read: no
more of it is held than the longest chunk and a block. No model but Silero's, and no text.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.speech.voice_activity import FRAME, SpeechRegions, VoiceActivity

# A pause this long may end a chunk, and this much of the silence around speech is kept, in frames of 32 ms (about 300
# and 200 ms). On 21 minutes of synthetic Korean meetings the demo model gets 0.8 % of the characters wrong with these,
# 0.9 % with pauses of 200 or 500 ms, and 1.4 to 4 % with faster-whisper's own windows, which end anywhere.
_SHORTEST_PAUSE = 10
_PADDING = 6
_THRESHOLD = 0.5  # Silero's own

_SAMPLE_SECONDS = FRAME / SAMPLE_RATE


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A stretch of a recording with speech in it, at most as long as the model hears at once.

    Attributes:
        index: its place among the recording's chunks.
        start: its first sample, counted from the recording's start.
        samples: the sound, float32 ``(samples,)``, 16 kHz.
        probabilities: of speech, for each 512 samples of it.
        silence: how long nobody talked before it, in seconds; 0 where it was cut out of speech.
    """

    index: int
    start: int
    samples: Samples
    probabilities: npt.NDArray[np.float32]
    silence: float

    @property
    def offset(self) -> float:
        """Where it starts, in seconds."""
        return self.start / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def speech_seconds(self) -> float:
        """How long somebody talks in it."""
        return float((self.probabilities >= _THRESHOLD).sum()) * _SAMPLE_SECONDS

    def part(self, start: float, end: float) -> "Chunk":
        """Return what is between two times, in seconds from its own start; whole frames of 32 ms."""
        first = min(int(start / _SAMPLE_SECONDS), len(self.probabilities))
        last = max(first, min(round(end / _SAMPLE_SECONDS + 0.49), len(self.probabilities)))
        return Chunk(
            self.index,
            self.start + first * FRAME,
            self.samples[first * FRAME : last * FRAME],
            self.probabilities[first:last],
            self.silence if first == 0 else 0.0,
        )


class Cutter:
    """Cuts one recording into chunks while it is being read, and counts its length."""

    def __init__(self, longest: float) -> None:
        """Make chunks of at most ``longest`` seconds."""
        self._longest = int(longest / _SAMPLE_SECONDS)  # frames
        self._activity = VoiceActivity()
        self._regions = SpeechRegions(threshold=_THRESHOLD, shortest_pause=_SHORTEST_PAUSE)
        self._tape = _Tape()
        self._window: tuple[int, int] | None = None  # frames; to be lengthened by the next speech if it fits
        self._cut_until = 0  # frames that earlier chunks have taken
        self._count = 0

    @property
    def seconds(self) -> float:
        """How much of the recording was read."""
        return self._tape.samples / SAMPLE_RATE

    def cut(self, sound: Sound) -> Iterator[Chunk]:
        """Yield the chunks of ``sound`` in order."""
        for block in sound.blocks():
            self._tape.write(block)
            yield from self._judge(self._activity.feed(block))
            self._tape.forget(self._needed())
        yield from self._judge(self._activity.rest())
        for region in self._regions.rest():
            yield from self._take(region)
        yield from self._emit()

    def _judge(self, probabilities: npt.NDArray[np.float32]) -> Iterator[Chunk]:
        self._tape.judge(probabilities)
        for region in self._regions.feed(probabilities):
            yield from self._take(region)
        if self._regions.start is not None:
            # speech that ends now would be over the limit too, so that it makes no difference where blocks end
            start = self._padded(self._regions.start)
            while self._tape.frames - start >= self._longest + _SHORTEST_PAUSE:
                yield from self._cut_speech(start)
                start = self._cut_until
                self._regions.cut(start)
        if self._window and self._tape.frames - self._window[0] > self._longest + _SHORTEST_PAUSE + 1:
            yield from self._emit()  # no speech that ends from now on would fit into it

    def _take(self, region: tuple[int, int]) -> Iterator[Chunk]:
        start, end = self._padded(region[0]), min(region[1] + _PADDING, self._tape.frames)
        while end - start > self._longest:
            yield from self._cut_speech(start)
            start = self._cut_until
        if self._window and end - self._window[0] <= self._longest:
            self._window = (self._window[0], end)
            return
        yield from self._emit()
        self._window = (start, end)

    def _cut_speech(self, start: int) -> Iterator[Chunk]:
        """Make a chunk of speech from ``start`` on, up to where it is least likely that somebody talks."""
        yield from self._emit()
        half = start + self._longest // 2
        self._window = (start, half + int(np.argmin(self._tape.probabilities(half, start + self._longest))))
        yield from self._emit()

    def _padded(self, start: int) -> int:
        taken = self._window[1] if self._window else self._cut_until
        return max(start - _PADDING, taken)

    def _emit(self) -> Iterator[Chunk]:
        if self._window is None:
            return
        (start, end), self._window = self._window, None
        silence = (start - self._cut_until) * _SAMPLE_SECONDS
        self._cut_until = end
        yield Chunk(
            self._count,
            start * FRAME,
            self._tape.sound(start, end),
            self._tape.probabilities(start, end),
            silence,
        )
        self._count += 1

    def _needed(self) -> int:
        """Return the first frame that may still become part of a chunk."""
        if self._window:
            return self._window[0]
        start = self._regions.start
        return self._padded(self._tape.frames if start is None else start)


class _Tape:
    """The end of the recording: samples and probabilities from some frame on."""

    def __init__(self) -> None:
        self._first = 0  # frame
        self._samples: Samples = np.zeros(0, np.float32)
        self._probabilities: npt.NDArray[np.float32] = np.zeros(0, np.float32)

    @property
    def samples(self) -> int:
        """How many samples were written in all."""
        return self._first * FRAME + len(self._samples)

    @property
    def frames(self) -> int:
        """How many frames were judged in all."""
        return self._first + len(self._probabilities)

    def write(self, block: Samples) -> None:
        self._samples = np.concatenate([self._samples, block])

    def judge(self, probabilities: npt.NDArray[np.float32]) -> None:
        self._probabilities = np.concatenate([self._probabilities, probabilities])

    def forget(self, frame: int) -> None:
        """Forget what is before ``frame``."""
        if frame > self._first:
            self._samples = self._samples[(frame - self._first) * FRAME :].copy()
            self._probabilities = self._probabilities[frame - self._first :].copy()
            self._first = frame

    def sound(self, start: int, end: int) -> Samples:
        return np.array(self._samples[(start - self._first) * FRAME : (end - self._first) * FRAME])

    def probabilities(self, start: int, end: int) -> npt.NDArray[np.float32]:
        return np.array(self._probabilities[start - self._first : end - self._first])
