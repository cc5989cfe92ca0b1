"""Probability of speech every 32 ms: Silero VAD over a recording that comes in blocks, and the speech regions.

The state of the model is kept from block to block, so the result does not depend on where blocks end. Chunks and
speaker turns are made elsewhere.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.whisper_internals import VAD_CONTEXT, VAD_STATE_SHAPE, vad_session

FRAME = 512
"""Samples of one frame of Silero VAD: 32 ms at 16 kHz (https://github.com/snakers4/silero-vad)."""

FRAME_SECONDS = FRAME / SAMPLE_RATE

SPEECH = 0.5
"""Frames with at least this probability are speech: Silero's default."""

LONG_PAUSE = 60.0
"""Seconds without speech that separate what is said before from what is said behind them."""

_MAX_FRAMES_PER_CALL = 2_000  # one minute, so that memory does not grow with the size of the blocks


class VoiceActivity:
    """Silero VAD for one recording. Feed its blocks in order, then flush."""

    def __init__(self) -> None:
        """Start with silence before the recording."""
        self._session = vad_session()
        self._h = np.zeros(VAD_STATE_SHAPE, np.float32)
        self._c = np.zeros(VAD_STATE_SHAPE, np.float32)
        self._context = np.zeros(VAD_CONTEXT, np.float32)
        self._incomplete = np.zeros(0, np.float32)

    def feed(self, block: Samples) -> npt.NDArray[np.float32]:
        """Return the probabilities of the frames that ``block`` completes, float32 ``(frames,)``, between 0 and 1."""
        samples = np.concatenate([self._incomplete, block])
        whole = len(samples) // FRAME * FRAME
        self._incomplete = samples[whole:].copy()
        return self._predict(samples[:whole])

    def flush(self) -> npt.NDArray[np.float32]:
        """Return the probability of the last frame, padded with silence; nothing if the recording ended with a frame."""
        if not len(self._incomplete):
            return np.zeros(0, np.float32)
        last = np.pad(self._incomplete, (0, FRAME - len(self._incomplete)))
        self._incomplete = self._incomplete[:0]
        return self._predict(last)

    def _predict(self, samples: Samples) -> npt.NDArray[np.float32]:
        probabilities = [np.zeros(0, np.float32)]
        for first in range(0, len(samples), _MAX_FRAMES_PER_CALL * FRAME):
            part = samples[first : first + _MAX_FRAMES_PER_CALL * FRAME]
            frames = part.reshape(-1, FRAME)
            context = np.concatenate([self._context[None], frames[:-1, -VAD_CONTEXT:]])
            self._context = frames[-1, -VAD_CONTEXT:].copy()
            output, self._h, self._c = self._session.run(
                None, {"input": np.concatenate([context, frames], axis=1), "h": self._h, "c": self._c}
            )
            probabilities.append(np.asarray(output, np.float32).reshape(-1))
        return np.concatenate(probabilities)


class SpeechRegions:
    """Finds where speech starts and ends in a stream of probabilities. All times are frames.

    Speech starts at ``threshold`` and ends when the probability was under ``threshold - 0.15`` for ``min_pause`` frames,
    as in Silero's reference code.
    """

    def __init__(self, *, threshold: float, min_pause: int, min_speech: int = 0) -> None:
        """Start at frame 0, in silence."""
        self._threshold = threshold
        self._silence_threshold = max(threshold - 0.15, 0.01)
        self._min_pause = min_pause
        self._min_speech = min_speech
        self._frame = 0
        self._pause_start: int | None = None
        self.start: int | None = None
        """First frame of the current region; None in silence."""

    def feed(self, probabilities: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
        """Yield ``(start, end)`` of the regions that end within these probabilities."""
        for probability in probabilities.tolist():
            if probability >= self._threshold:
                self._pause_start = None
                if self.start is None:
                    self.start = self._frame
            elif self.start is not None and probability < self._silence_threshold:
                if self._pause_start is None:
                    self._pause_start = self._frame
                if self._frame - self._pause_start >= self._min_pause:
                    yield from self._close(self._pause_start)
            self._frame += 1

    def flush(self) -> Iterator[tuple[int, int]]:
        """Yield the region that is open at the end of the recording, if there is one."""
        if self.start is not None:
            yield from self._close(self._frame)

    def cut(self, frame: int) -> None:
        """Move the start of the current region to ``frame``."""
        self.start = frame

    def _close(self, end: int) -> Iterator[tuple[int, int]]:
        start, self.start, self._pause_start = self.start, None, None
        if start is not None and end - start > self._min_speech:
            yield start, end
