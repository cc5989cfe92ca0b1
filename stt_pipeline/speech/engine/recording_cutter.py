"""Cuts a recording into chunks: its mix, or each of its channels where they are apart. No threads here."""

from collections.abc import Callable, Iterator

import numpy as np

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Sound
from stt_pipeline.speech.channels import read_channels
from stt_pipeline.speech.engine.chunks import Cutter
from stt_pipeline.speech.engine.packing import Chunk


class RecordingCutter:
    """Cuts one recording, and measures its length.

    Attributes:
        seconds: of the recording that were read.
    """

    def __init__(self, max_seconds: float, *, separate_languages: bool = False) -> None:
        """See :class:`Cutter`."""
        self._max_seconds = max_seconds
        self._separate_languages = separate_languages
        self.seconds = 0.0

    def cut(self, sound: Sound, is_wanted: Callable[[], bool] = lambda: True) -> Iterator[Chunk]:
        """Yield the chunks; those of a channel are in order. Reading ends when ``is_wanted`` returns false.

        Raises:
            FileError: the recording cannot be read; it can be raised after some chunks.
        """
        apart, blocks = read_channels(sound, is_wanted)
        channels: list[int | None] = [None] if apart is None else list(range(apart.count))
        cutters = [
            Cutter(
                self._max_seconds,
                separate_languages=self._separate_languages,
                channel=channel,
                channels=len(channels),
            )
            for channel in channels
        ]
        samples = 0
        for block in blocks:
            samples += len(block)
            self.seconds = samples / SAMPLE_RATE
            for column, cutter in enumerate(cutters):
                yield from cutter.feed(np.ascontiguousarray(block[:, column]))
        for cutter in cutters:
            yield from cutter.finish()
