"""Where somebody speaks, in stretches as short as turns are. Nothing here knows who speaks."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.speech.voice_activity import FRAME, SpeechRegions, VoiceActivity

# Silero's default is 0.5; 0.4 finds more of the far voices of real meetings, and 0.3 hears speech in pauses
_THRESHOLD = 0.4
_SHORTEST_SPEECH = 3  # frames of 32 ms
_SHORTEST_PAUSE = (
    7  # frames; speakers change in pauses, so short ones count, unlike in a VAD that cuts windows
)
_PAD = 480  # samples: 30 ms, less than half a pause, so that stretches never touch


class Region(NamedTuple):
    """A stretch of speech, in seconds."""

    start: float
    end: float


class SpeechDetector:
    """Finds the stretches with speech in a recording that is fed block by block."""

    def __init__(self) -> None:
        """Start at the recording's beginning."""
        self._activity = VoiceActivity()
        self._regions = SpeechRegions(
            threshold=_THRESHOLD, shortest_pause=_SHORTEST_PAUSE, shortest_speech=_SHORTEST_SPEECH
        )
        self._samples = 0

    def feed(self, block: Samples) -> Iterator[Region]:
        """Yield the stretches that end within ``block``, float32 ``(samples,)``, 16 kHz, any loudness."""
        self._samples += len(block)
        yield from self._in_seconds(self._regions.feed(self._activity.feed(block)))

    def rest(self) -> Iterator[Region]:
        """Yield what is left at the recording's end."""
        yield from self._in_seconds(self._regions.feed(self._activity.rest()))
        yield from self._in_seconds(self._regions.rest())

    def _in_seconds(self, regions: Iterable[tuple[int, int]]) -> Iterator[Region]:
        for start, end in regions:
            first, last = max(start * FRAME - _PAD, 0), min(end * FRAME + _PAD, self._samples)
            yield Region(first / SAMPLE_RATE, last / SAMPLE_RATE)


def speech_regions(sound: Sound) -> Iterator[Region]:
    """Yield the stretches with speech in order of time; none in silence, noise or an empty recording."""
    detector = SpeechDetector()
    for block in sound.blocks():
        yield from detector.feed(block)
    yield from detector.rest()
