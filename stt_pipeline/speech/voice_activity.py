"""How likely it is, every 32 ms, that somebody speaks: Silero's VAD over a recording that comes in blocks.

Its state is carried over from block to block, so that it makes no difference where they end. What is done about the
probabilities (cutting windows, finding turns) is for those who ask.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.sound import Samples

FRAME = 512
"""Samples that Silero judges at once: 32 ms at 16 kHz (https://github.com/snakers4/silero-vad)."""

_CONTEXT = 64  # samples before a frame that Silero hears with it
_STATE = (1, 1, 128)
_AT_ONCE = 2_000  # frames: a minute, so that memory does not grow with the blocks


class VoiceActivity:
    """Silero VAD for one recording; feed it blocks in order, and ask for the rest at the end."""

    def __init__(self) -> None:
        """Start with silence before the recording."""
        from faster_whisper.vad import get_vad_model

        self._session = get_vad_model().session
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._context = np.zeros(_CONTEXT, np.float32)
        self._left = np.zeros(0, np.float32)

    def feed(self, block: Samples) -> npt.NDArray[np.float32]:
        """Return the probabilities of the frames that ``block`` completes, float32 ``(frames,)``, between 0 and 1."""
        samples = np.concatenate([self._left, block])
        whole = len(samples) // FRAME * FRAME
        self._left = samples[whole:].copy()
        return self._judge(samples[:whole])

    def rest(self) -> npt.NDArray[np.float32]:
        """Return the probability of the last frame, filled up with silence; none if the recording ended with a frame."""
        if not len(self._left):
            return np.zeros(0, np.float32)
        last = np.pad(self._left, (0, FRAME - len(self._left)))
        self._left = self._left[:0]
        return self._judge(last)

    def _judge(self, samples: Samples) -> npt.NDArray[np.float32]:
        found = [np.zeros(0, np.float32)]
        for first in range(0, len(samples), _AT_ONCE * FRAME):
            part = samples[first : first + _AT_ONCE * FRAME]
            frames = part.reshape(-1, FRAME)
            before = np.concatenate([self._context[None], frames[:-1, -_CONTEXT:]])
            self._context = frames[-1, -_CONTEXT:].copy()
            output, self._h, self._c = self._session.run(
                None, {"input": np.concatenate([before, frames], axis=1), "h": self._h, "c": self._c}
            )
            found.append(np.asarray(output, np.float32).reshape(-1))
        return np.concatenate(found)


class SpeechRegions:
    """Finds where speech starts and ends in a stream of probabilities; all times are counted in frames.

    Speech starts at ``threshold`` and goes on until the probability has been under ``threshold - 0.15`` for
    ``shortest_pause`` frames, as in Silero's own reference code.
    """

    def __init__(self, *, threshold: float, shortest_pause: int, shortest_speech: int = 0) -> None:
        """Start at frame 0, in silence."""
        self._threshold = threshold
        self._silence = max(threshold - 0.15, 0.01)
        self._shortest_pause = shortest_pause
        self._shortest_speech = shortest_speech
        self._frame = 0
        self._pause: int | None = None
        self.start: int | None = None
        """The first frame of the speech that goes on; None in silence."""

    def feed(self, probabilities: npt.NDArray[np.float32]) -> Iterator[tuple[int, int]]:
        """Yield the stretches ``(start, end)`` that end within these probabilities."""
        for probability in probabilities.tolist():
            if probability >= self._threshold:
                self._pause = None
                if self.start is None:
                    self.start = self._frame
            elif self.start is not None and probability < self._silence:
                if self._pause is None:
                    self._pause = self._frame
                if self._frame - self._pause >= self._shortest_pause:
                    yield from self._closed(self._pause)
            self._frame += 1

    def rest(self) -> Iterator[tuple[int, int]]:
        """Yield the stretch that goes on at the end of the recording, if there is one."""
        if self.start is not None:
            yield from self._closed(self._frame)

    def cut(self, frame: int) -> None:
        """Let the speech that goes on start at ``frame`` instead: what was before it is dealt with."""
        self.start = frame

    def _closed(self, end: int) -> Iterator[tuple[int, int]]:
        start, self.start, self._pause = self.start, None, None
        if start is not None and end - start > self._shortest_speech:
            yield start, end
