"""Cuts a recording into chunks for Whisper: regions with speech, packed into windows, while the recording is being read.

This is the "VAD cut and merge" of WhisperX (Bain et al., 2023, arXiv:2303.00747), as a stream, and with long pauses cut
out: memory holds the longest chunk, the current region and one block. No model but Silero VAD, and no text.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.engine.packing import Chunk, Excerpt
from stt_pipeline.speech.voice_activity import (
    FRAME,
    FRAME_SECONDS,
    LONG_PAUSE,
    SPEECH,
    SpeechRegions,
    VoiceActivity,
)

# Frames of 32 ms of silence that stay around speech; longer pauses are shortened to twice this. Also the shortest pause in
# which a chunk may end. With Whisper base, ten Korean talks, two meetings and eight noisy versions have 774 errors with 12
# frames and 862 with 4.
_PADDING = 12

# Whisper base leaves the last sentence of a window of 27 s and more to the next window in 20 of 24 cases, of a shorter one in
# 5 of 41: the rest is then a window of its own.
_MAX_SECONDS = 26.0

# Where languages may change, a chunk with this many frames (5 s) ends in the next pause: it is decoded in one language, which
# is detected reliably from that much.
_LANGUAGE_FRAMES = 156


class Cutter:
    """Cuts one channel, or the mix, of a recording into chunks while it is being read, and measures its length."""

    def __init__(
        self,
        max_seconds: float,
        *,
        separate_languages: bool = False,
        channel: int | None = None,
        channels: int = 1,
    ) -> None:
        """Make chunks of at most ``max_seconds``, shorter ones if they should not hold two languages.

        ``channel`` is one of ``channels`` that are cut apart: no two chunks of a recording have the same index.
        """
        self._max_frames = int(min(max_seconds, _MAX_SECONDS) / FRAME_SECONDS)
        self._separate_languages = separate_languages
        self._activity = VoiceActivity()
        self._regions = SpeechRegions(threshold=SPEECH, min_pause=_PADDING)
        self._buffer = _Buffer()
        self._pieces: list[_Samples] = []  # of the next chunk, which may still grow
        self._cut_until = 0  # frames that are in earlier pieces
        self._speech_end = 0  # of the last region
        self._channel = channel
        self._index = channel or 0  # of the next chunk
        self._step = channels

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
            yield from self.feed(block)
        yield from self.finish()

    def feed(self, block: Samples) -> Iterator[Chunk]:
        """Add a block; yield the chunks that are complete."""
        self._buffer.append(block)
        yield from self._add_probabilities(self._activity.feed(block))
        self._buffer.discard_before(self._first_needed_frame())

    def finish(self) -> Iterator[Chunk]:
        """Yield the chunks that are left at the end of the recording."""
        yield from self._add_probabilities(self._activity.flush())
        for region in self._regions.flush():
            yield from self._add_region(region)
        yield from self._emit()

    def _add_probabilities(self, probabilities: npt.NDArray[np.float32]) -> Iterator[Chunk]:
        self._buffer.append_probabilities(probabilities)
        for region in self._regions.feed(probabilities):
            yield from self._add_region(region)
        if self._regions.start is None and self._is_apart(self._buffer.frames):
            yield from self._emit()
        # speech that ends now exceeds the limit too, so the result does not depend on where blocks end
        while (
            self._regions.start is not None
            and self._buffer.frames - self._padded_start(self._regions.start) >= self._max_frames + _PADDING
        ):
            yield from self._emit(before=self._regions.start)
            yield from self._cut_speech(self._padded_start(self._regions.start))
            self._regions.cut(self._cut_until)

    def _add_region(self, region: tuple[int, int]) -> Iterator[Chunk]:
        start, end = self._padded_start(region[0]), min(region[1] + _PADDING, self._buffer.frames)
        fits = self._frames + end - start <= self._max_frames
        if not fits or self._is_apart(region[0]) or self._may_change_language:
            yield from self._emit(before=region[0])
            start = self._padded_start(region[0])
            while end - start > self._max_frames:
                yield from self._cut_speech(start)
                start = self._cut_until
        self._add_piece(start, end, region[1])

    @property
    def _frames(self) -> int:
        """Length of the next chunk so far."""
        return sum(piece.frames for piece in self._pieces)

    def _is_apart(self, start: int) -> bool:
        """Return whether speech from ``start`` on is no part of the next chunk, which then waits no longer for it."""
        return (start - self._speech_end) * FRAME_SECONDS >= LONG_PAUSE

    @property
    def _may_change_language(self) -> bool:
        """Whether the next chunk ends in this pause, because what follows may be in another language."""
        return self._separate_languages and self._frames >= _LANGUAGE_FRAMES

    def _cut_speech(self, start: int) -> Iterator[Chunk]:
        """Make a chunk of speech without a pause, up to the frame with the lowest probability of speech."""
        half = start + self._max_frames // 2
        lowest = int(np.argmin(self._buffer.probabilities(half, start + self._max_frames)))
        self._add_piece(start, half + lowest, half + lowest)
        yield from self._emit()

    def _padded_start(self, start: int) -> int:
        return max(start - _PADDING, self._cut_until)

    def _add_piece(self, start: int, end: int, speech_end: int) -> None:
        self._pieces.append(
            _Samples(start, self._buffer.samples(start, end), self._buffer.probabilities(start, end))
        )
        self._cut_until, self._speech_end = end, speech_end

    def _emit(self, *, before: int | None = None) -> Iterator[Chunk]:
        """Make a chunk of the pieces so far; one in a short pause before speech that starts at ``before`` has half of it."""
        if not self._pieces:
            return
        pieces, self._pieces = self._pieces, []
        if before is not None and before - _PADDING < self._cut_until:
            surplus = self._cut_until - (self._speech_end + before) // 2
            pieces[-1] = pieces[-1].shortened(surplus)
            self._cut_until -= surplus
        probabilities = np.concatenate([piece.probabilities for piece in pieces])
        if probabilities.max() < SPEECH:
            return  # what is left of speech that was cut
        samples = np.concatenate([piece.samples for piece in pieces])
        yield Chunk(self._index, _joined(pieces), samples, probabilities, self._channel)
        self._index += self._step

    def _first_needed_frame(self) -> int:
        """Return the first frame that can still become part of a chunk."""
        start = self._regions.start
        needed = self._padded_start(self._buffer.frames if start is None else start)
        # the padding of the last piece may be given to the next one
        return min(needed, self._speech_end) if self._pieces and needed == self._cut_until else needed


@dataclass(frozen=True, slots=True, eq=False)
class _Samples:
    """Samples and probabilities of a piece, from a frame on."""

    first: int
    samples: Samples
    probabilities: npt.NDArray[np.float32]

    @property
    def frames(self) -> int:
        return len(self.probabilities)

    def shortened(self, frames: int) -> "_Samples":
        """Return it without its last ``frames``."""
        kept = self.frames - frames
        return _Samples(self.first, self.samples[: kept * FRAME], self.probabilities[:kept])


def _joined(pieces: Iterable[_Samples]) -> tuple[Excerpt, ...]:
    """Return the pieces, those that follow each other without a gap as one."""
    found: list[Excerpt] = []
    for piece in pieces:
        start, length = piece.first * FRAME, len(piece.samples)
        if found and found[-1].end == start:
            start, length = found[-1].start, found[-1].length + length
            del found[-1]
        found.append(Excerpt(start, length))
    return tuple(found)


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
