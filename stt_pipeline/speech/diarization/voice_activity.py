"""Where somebody speaks, in stretches as short as turns are. Nothing here knows who speaks."""

from collections.abc import Iterable
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
        self._found: list[Region] = []

    def feed(self, block: Samples) -> None:
        """Hear the next block, float32 ``(samples,)``, 16 kHz, any loudness."""
        self._samples += len(block)
        self._take(self._regions.feed(self._activity.feed(block)))

    def rest(self) -> list[Region]:
        """Return the stretches in order of time; none in silence, noise or an empty recording."""
        self._take(self._regions.feed(self._activity.rest()))
        self._take(self._regions.rest())
        return self._found

    def _take(self, regions: Iterable[tuple[int, int]]) -> None:
        for start, end in regions:
            first, last = max(start * FRAME - _PAD, 0), min(end * FRAME + _PAD, self._samples)
            self._found.append(Region(first / SAMPLE_RATE, last / SAMPLE_RATE))


def speech_regions(sound: Sound) -> list[Region]:
    """Return the stretches with speech in order of time; none in silence, noise or an empty recording."""
    detector = SpeechDetector()
    for block in sound.blocks():
        detector.feed(block)
    return detector.rest()
