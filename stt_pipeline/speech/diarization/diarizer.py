"""The interface of diarization backends, and the simplest one: `none`, which reports a single speaker."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from stt_pipeline.audio.sound import Sound
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.diarization.voice_activity import speech_regions
from stt_pipeline.speech.transcript import SpeakerTurn


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """Limits on the number of speakers in a recording.

    Attributes:
        min_speakers: fewer are returned only where there is too little speech to separate them.
        max_speakers: None for no limit.

    Raises:
        InvalidRequestError: a limit is below 1, or the lower limit is above the upper one.
    """

    min_speakers: int = 1
    max_speakers: int | None = None

    def __post_init__(self) -> None:
        """Validate the limits."""
        if self.min_speakers < 1 or (self.max_speakers is not None and self.max_speakers < self.min_speakers):
            max_speakers = "any number of" if self.max_speakers is None else self.max_speakers
            raise InvalidRequestError(
                f"Between {self.min_speakers} and {max_speakers} speakers is impossible; "
                "give min_speakers >= 1 and max_speakers >= min_speakers, or leave them out."
            )


ANY_NUMBER = SpeakerCount()


class Diarizer(Protocol):
    """Finds who speaks when. Accepts any recording: empty, silent, noisy, or hours long. Silence and noise have no turns.

    Several threads may call ``diarize`` at the same time, each with its own recording.
    """

    name: str

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """Return the speaker turns in order of time, with labels SPEAKER_00, SPEAKER_01, ... in order of appearance.

        Args:
            sound: the recording; it may be read more than once, and need not fit into memory.
            speaker_count: limits on the number of speakers.

        Raises:
            FileError: the recording cannot be read, or the disk is too full for the temporary features.
        """
        ...


class SingleSpeaker:
    """Gives all speech to one speaker: for recordings with one speaker, and where speakers do not matter."""

    name = "none"

    def diarize(self, sound: Sound, speaker_count: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`; the limits are ignored."""
        return tuple(SpeakerTurn(region.start, region.end, "SPEAKER_00") for region in speech_regions(sound))


def relabel(turns: Iterable[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Return turns in order of time, with any labels replaced by SPEAKER_00, SPEAKER_01, ... in order of appearance."""
    names: dict[str, str] = {}
    return tuple(
        replace(turn, speaker=names.setdefault(turn.speaker, f"SPEAKER_{len(names):02d}"))
        for turn in sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))
    )
