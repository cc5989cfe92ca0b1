"""Cuts a recording into chunks for Whisper: regions with speech, cut in pauses, while the recording is being read.

This is the "VAD cut and merge" of WhisperX (Bain et al., 2023, arXiv:2303.00747), as a stream: memory holds the longest
chunk and one block. No model but Silero VAD, and no text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.voice_activity import FRAME, SpeechRegions, VoiceActivity

# A chunk may end in a pause of this many frames of 32 ms (about 300 ms), and keeps this much silence around speech
# (about 200 ms). On 21 minutes of synthetic Korean meetings the demo model gets 0.8 % of the characters wrong with these,
# 0.9 % with pauses of 200 or 500 ms, and 1.4 to 4 % with faster-whisper's own windows, which end anywhere.
_MIN_PAUSE = 10
_PADDING = 6
_THRESHOLD = 0.5  # Silero's default

_FRAME_SECONDS = FRAME / SAMPLE_RATE


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """A part of a recording with speech in it, at most as long as the model's window.

    Attributes:
        index: its position among the recording's chunks.
        start: its first sample, counted from the recording's start.
        samples: float32 ``(samples,)``, 16 kHz.
        probabilities: of speech, one for each 512 samples.
        silence: seconds without speech before it; 0 where it was cut out of speech.
    """

    index: int
    start: int
    samples: Samples
    probabilities: npt.NDArray[np.float32]
    silence: float

    @property
    def offset(self) -> float:
        """Its start in seconds."""
        return self.start / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech in it."""
        return float((self.probabilities >= _THRESHOLD).sum()) * _FRAME_SECONDS

    def part(self, start: float, end: float) -> "Chunk":
        """Return the part between two times, in seconds from the chunk's start; whole frames of 32 ms."""
        first = min(int(start / _FRAME_SECONDS), len(self.probabilities))
        last = max(first, min(round(end / _FRAME_SECONDS + 0.49), len(self.probabilities)))
        return Chunk(
            self.index,
            self.start + first * FRAME,
            self.samples[first * FRAME : last * FRAME],
            self.probabilities[first:last],
            self.silence if first == 0 else 0.0,
        )


class Cutter:
    """Cuts one recording into chunks while it is being read, and measures its length."""

    def __init__(self, max_seconds: float) -> None:
        """Make chunks of at most ``max_seconds``."""
        self._max_frames = int(max_seconds / _FRAME_SECONDS)
        self._activity = VoiceActivity()
        self._regions = SpeechRegions(threshold=_THRESHOLD, min_pause=_MIN_PAUSE)
        self._buffer = _Buffer()
        self._window: tuple[int, int] | None = None  # frames of the next chunk, which may still grow
        self._cut_until = 0  # frames that are in earlier chunks
        self._count = 0

    @property
    def seconds(self) -> float:
        """Seconds of the recording that were read."""
        return self._buffer.samples_written / SAMPLE_RATE

    @property
    def buffered_seconds(self) -> float:
        """Seconds of the recording that are in memory."""
        return len(self._buffer) / SAMPLE_RATE

    def cut(self, blocks: Iterable[Samples]) -> Iterator[Chunk]:
        """Yield the chunks of a recording in order."""
        for block in blocks:
            self._buffer.append(block)
            yield from self._add_probabilities(self._activity.feed(block))
            self._buffer.discard_before(self._first_needed_frame())
        yield from self._add_probabilities(self._activity.flush())
        for region in self._regions.flush():
            yield from self._add_region(region)
        yield from self._emit()

    def _add_probabilities(self, probabilities: npt.NDArray[np.float32]) -> Iterator[Chunk]:
        self._buffer.append_probabilities(probabilities)
        for region in self._regions.feed(probabilities):
            yield from self._add_region(region)
        if self._regions.start is not None:
            # speech that ends now exceeds the limit too, so the result does not depend on where blocks end
            start = self._padded_start(self._regions.start)
            while self._buffer.frames - start >= self._max_frames + _MIN_PAUSE:
                yield from self._cut_speech(start)
                start = self._cut_until
                self._regions.cut(start)
        if self._window and self._buffer.frames - self._window[0] > self._max_frames + _MIN_PAUSE + 1:
            yield from self._emit()  # no later speech fits into the window

    def _add_region(self, region: tuple[int, int]) -> Iterator[Chunk]:
        start, end = self._padded_start(region[0]), min(region[1] + _PADDING, self._buffer.frames)
        while end - start > self._max_frames:
            yield from self._cut_speech(start)
            start = self._cut_until
        if self._window and end - self._window[0] <= self._max_frames:
            self._window = (self._window[0], end)
            return
        yield from self._emit()
        self._window = (start, end)

    def _cut_speech(self, start: int) -> Iterator[Chunk]:
        """Make a chunk of speech without a pause, up to the frame with the lowest probability of speech."""
        yield from self._emit()
        half = start + self._max_frames // 2
        lowest = int(np.argmin(self._buffer.probabilities(half, start + self._max_frames)))
        self._window = (start, half + lowest)
        yield from self._emit()

    def _padded_start(self, start: int) -> int:
        taken = self._window[1] if self._window else self._cut_until
        return max(start - _PADDING, taken)

    def _emit(self) -> Iterator[Chunk]:
        if self._window is None:
            return
        (start, end), self._window = self._window, None
        silence = (start - self._cut_until) * _FRAME_SECONDS
        self._cut_until = end
        yield Chunk(
            self._count,
            start * FRAME,
            self._buffer.samples(start, end),
            self._buffer.probabilities(start, end),
            silence,
        )
        self._count += 1

    def _first_needed_frame(self) -> int:
        """Return the first frame that can still become part of a chunk."""
        if self._window:
            return self._window[0]
        start = self._regions.start
        return self._padded_start(self._buffer.frames if start is None else start)


class _Buffer:
    """The last part of the recording: samples and probabilities from some frame on."""

    def __init__(self) -> None:
        self._first = 0  # frame
        self._samples: Samples = np.zeros(0, np.float32)
        self._probabilities: npt.NDArray[np.float32] = np.zeros(0, np.float32)

    def __len__(self) -> int:
        """Samples in memory."""
        return len(self._samples)

    @property
    def samples_written(self) -> int:
        """Samples that were appended in all."""
        return self._first * FRAME + len(self._samples)

    @property
    def frames(self) -> int:
        """Frames in all that have a probability."""
        return self._first + len(self._probabilities)

    def append(self, block: Samples) -> None:
        self._samples = np.concatenate([self._samples, block])

    def append_probabilities(self, probabilities: npt.NDArray[np.float32]) -> None:
        self._probabilities = np.concatenate([self._probabilities, probabilities])

    def discard_before(self, frame: int) -> None:
        if frame > self._first:
            self._samples = self._samples[(frame - self._first) * FRAME :].copy()
            self._probabilities = self._probabilities[frame - self._first :].copy()
            self._first = frame

    def samples(self, start: int, end: int) -> Samples:
        return np.array(self._samples[(start - self._first) * FRAME : (end - self._first) * FRAME])

    def probabilities(self, start: int, end: int) -> npt.NDArray[np.float32]:
        return np.array(self._probabilities[start - self._first : end - self._first])
