"""Speech regions at the resolution of speaker turns. The speaker is not known here."""

from collections.abc import Iterable
from typing import NamedTuple

from stt_pipeline.audio.decode import SAMPLE_RATE
from stt_pipeline.audio.sound import Samples, Sound
from stt_pipeline.speech.voice_activity import FRAME, SpeechRegions, VoiceActivity

# Silero's default is 0.5; 0.4 finds more distant speech in real meetings, and 0.3 reports speech in pauses
_THRESHOLD = 0.4
_SHORTEST_SPEECH = 3  # frames of 32 ms
# frames; speakers change in pauses, so short ones count here, unlike in a VAD that cuts windows
_SHORTEST_PAUSE = 7
_PAD = 480  # samples: 30 ms, less than half a pause, so that regions never touch


class Region(NamedTuple):
    """A speech region, in seconds."""

    start: float
    end: float


class SpeechDetector:
    """Finds the speech regions of a recording that is fed block by block."""

    def __init__(self) -> None:
        """Start at the beginning of the recording."""
        self._activity = VoiceActivity()
        self._regions = SpeechRegions(
            threshold=_THRESHOLD, min_pause=_SHORTEST_PAUSE, min_speech=_SHORTEST_SPEECH
        )
        self._samples = 0
        self._found: list[Region] = []

    def feed(self, block: Samples) -> None:
        """Process the next block, float32 ``(samples,)``, 16 kHz, any loudness."""
        self._samples += len(block)
        self._add(self._regions.feed(self._activity.feed(block)))

    def finish(self) -> list[Region]:
        """Return the speech regions in order of time; none for silence, noise or an empty recording."""
        self._add(self._regions.feed(self._activity.flush()))
        self._add(self._regions.flush())
        return self._found

    def _add(self, regions: Iterable[tuple[int, int]]) -> None:
        for start, end in regions:
            first, last = max(start * FRAME - _PAD, 0), min(end * FRAME + _PAD, self._samples)
            self._found.append(Region(first / SAMPLE_RATE, last / SAMPLE_RATE))


def speech_regions(sound: Sound) -> list[Region]:
    """Return the speech regions in order of time; none for silence, noise or an empty recording."""
    detector = SpeechDetector()
    for block in sound.blocks():
        detector.feed(block)
    return detector.finish()
