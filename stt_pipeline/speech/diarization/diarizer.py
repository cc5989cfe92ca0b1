"""What a diarizer is, and the one that sees a single speaker."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Protocol

from stt_pipeline.audio.sound import Sound
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.diarization.voice_activity import speech_regions
from stt_pipeline.speech.transcript import SpeakerTurn


@dataclass(frozen=True, slots=True)
class SpeakerCount:
    """How many people there may be in a recording.

    Attributes:
        min_speakers: at least this many, as far as there is enough speech to tell them apart.
        max_speakers: at most this many; None allows any number.

    Raises:
        InvalidRequestError: a bound is below 1, or the lower is above the upper.
    """

    min_speakers: int = 1
    max_speakers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no recording can meet."""
        if self.min_speakers < 1 or (self.max_speakers is not None and self.max_speakers < self.min_speakers):
            max_speakers = "any number of" if self.max_speakers is None else self.max_speakers
            raise InvalidRequestError(
                f"Between {self.min_speakers} and {max_speakers} speakers is impossible; "
                "give min_speakers >= 1 and max_speakers >= min_speakers, or leave them out."
            )


ANY_NUMBER = SpeakerCount()


class Diarizer(Protocol):
    """Finds who speaks when. Must accept any recording: empty, silent, noisy, or hours long.

    ``diarize`` may be called from several threads at once, each with its own recording.
    """

    name: str

    def diarize(self, sound: Sound, bounds: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """Return the turns in order of time, with labels SPEAKER_00, SPEAKER_01, ... in order of appearance.

        Args:
            sound: the recording; it may be heard more than once, and need not fit into memory.
            bounds: how many speakers there may be.

        Raises:
            FileError: the recording cannot be read, or there is no room on disk for what is kept of it.
        """
        ...


class SingleSpeaker:
    """Takes everybody for one speaker: for recordings known to have one, and for when speakers don't matter."""

    name = "none"

    def diarize(self, sound: Sound, bounds: SpeakerCount = ANY_NUMBER) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`; there is one speaker, whatever the bounds say."""
        return tuple(SpeakerTurn(region.start, region.end, "SPEAKER_00") for region in speech_regions(sound))


def in_order(turns: Iterable[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Return turns in order of time, with any labels replaced by SPEAKER_00, SPEAKER_01, ... in order of appearance."""
    names: dict[str, str] = {}
    return tuple(
        replace(turn, speaker=names.setdefault(turn.speaker, f"SPEAKER_{len(names):02d}"))
        for turn in sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))
    )
