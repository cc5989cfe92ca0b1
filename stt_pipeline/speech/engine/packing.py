"""A chunk: speech of one recording packed into one window of the model, and the way back to times of the recording."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np
import numpy.typing as npt

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples
from stt_pipeline.speech.transcript import Segment, TimeSpan, Word
from stt_pipeline.speech.voice_activity import FRAME, FRAME_SECONDS, SPEECH


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a recording without a gap.

    Attributes:
        start: its first sample, counted from the recording's start.
        length: its samples.
    """

    start: int
    length: int

    @property
    def end(self) -> int:
        """The sample after its last one."""
        return self.start + self.length


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Pieces of a recording with speech in them, one behind the other, together at most as long as the model's window.

    The pauses between the pieces are cut out. Times of the chunk are seconds from its start; :meth:`placed` gives those of
    the recording.

    Attributes:
        index: its position among the recording's chunks.
        pieces: in order of time, without overlap, in whole frames of 32 ms; only the recording's last one may be shorter.
        samples: float32 ``(samples,)``, 16 kHz: those of all pieces.
        probabilities: of speech, one for each 512 samples.
        channel: of the recording, from 0; None if its channels are mixed.
    """

    index: int
    pieces: tuple[Excerpt, ...]
    samples: Samples
    probabilities: npt.NDArray[np.float32]
    channel: int | None = None

    @classmethod
    def of(cls, index: int, start: int, samples: Samples, probabilities: npt.NDArray[np.float32]) -> "Chunk":
        """Return a chunk of one piece, whose first sample is ``start``."""
        return cls(index, (Excerpt(start, len(samples)),), samples, probabilities)

    @property
    def seconds(self) -> float:
        """Its length, without the pauses that were cut out."""
        return len(self.samples) / SAMPLE_RATE

    @property
    def end(self) -> float:
        """Where it ends, in seconds of the recording."""
        return self.pieces[-1].end / SAMPLE_RATE if self.pieces else 0.0

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech in it."""
        return float((self.probabilities >= SPEECH).sum()) * FRAME_SECONDS

    def part(self, start: float, end: float) -> "Chunk":
        """Return the part between two times of the chunk, in whole frames of 32 ms."""
        first = min(int(start / FRAME_SECONDS), len(self.probabilities))
        last = max(first, min(round(end / FRAME_SECONDS + 0.49), len(self.probabilities)))
        samples = self.samples[first * FRAME : last * FRAME]
        return Chunk(
            self.index,
            tuple(self._pieces_between(first * FRAME, first * FRAME + len(samples))),
            samples,
            self.probabilities[first:last],
            self.channel,
        )

    def _pieces_between(self, first: int, last: int) -> list[Excerpt]:
        found, begin = [], 0
        for piece in self.pieces:
            start, end = max(first, begin), min(last, begin + piece.length)
            if start < end:
                found.append(Excerpt(piece.start + start - begin, end - start))
            begin += piece.length
        return found

    def placed(self, segment: Segment) -> Segment:
        """Return ``segment``, which has times of the chunk, with times of the recording and its channel.

        A word that touches two pieces belongs to the one that has more of it: no word lasts over a pause that was cut out.
        """
        words = tuple(self._placed_word(word) for word in segment.words)
        if words:
            return replace(
                segment, start=words[0].start, end=words[-1].end, words=words, channel=self.channel
            )
        start, end = self._place(segment.start, is_end=False), self._place(segment.end, is_end=True)
        return replace(segment, start=start, end=max(start, end), channel=self.channel)

    def placed_span(self, span: TimeSpan) -> list[TimeSpan]:
        """Return the parts of the recording that a time span of the chunk consists of: pauses were cut out between them."""
        part = self._pieces_between(round(span.start * SAMPLE_RATE), round(span.end * SAMPLE_RATE))
        return [TimeSpan(one.start / SAMPLE_RATE, one.end / SAMPLE_RATE) for one in part]

    def _placed_word(self, word: Word) -> Word:
        first, last = self._piece_at(word.start, is_end=False), self._piece_at(word.end, is_end=True)
        borders = self._borders()
        most = max(
            range(first, max(first, last) + 1),
            key=lambda at: min(word.end, borders[at + 1]) - max(word.start, borders[at]),
        )
        low, high = borders[most], borders[most + 1]
        moved = self.pieces[most].start / SAMPLE_RATE - low
        start, end = (min(max(time, low), high) + moved for time in (word.start, word.end))
        return replace(word, start=start, end=max(start, end))

    def _place(self, time: float, *, is_end: bool) -> float:
        at = self._piece_at(time, is_end=is_end)
        borders = self._borders()
        return (
            min(max(time, borders[at]), borders[at + 1]) - borders[at] + self.pieces[at].start / SAMPLE_RATE
        )

    def _piece_at(self, time: float, *, is_end: bool) -> int:
        """Return the index of the piece at a time of the chunk; at a border the one before it if something ends there."""
        borders = self._borders()
        at = (bisect_left if is_end else bisect_right)(borders, time) - 1
        return min(max(at, 0), len(self.pieces) - 1)

    def _borders(self) -> Sequence[float]:
        """Where pieces start in the chunk, and its end, in seconds."""
        return [at / SAMPLE_RATE for at in accumulate((one.length for one in self.pieces), initial=0)]
