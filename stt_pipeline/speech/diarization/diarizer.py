"""What a diarizer is, and the one that sees a single speaker."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from stt_pipeline.audio.sound import Sound
from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.diarization.voice_activity import speech_regions
from stt_pipeline.speech.transcript import SpeakerTurn


class Diarizer(Protocol):
    """Finds who speaks when. Must accept any recording: empty, silent, noisy, or hours long.

    ``diarize`` may be called from several threads at once, each with its own recording.
    """

    name: str

    def diarize(
        self,
        sound: Sound,
        *,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> tuple[SpeakerTurn, ...]:
        """Return the turns in order of time, with labels SPEAKER_00, SPEAKER_01, ... in order of appearance.

        Args:
            sound: the recording; it may be heard more than once, and need not fit into memory.
            min_speakers: at least so many, as far as there is enough speech to tell them apart.
            max_speakers: at most so many.

        Raises:
            FileError: the recording cannot be read, or there is no room on disk for what is kept of it.
            InvalidRequestError: the limits are below 1, or the lower is above the upper.
        """
        ...


class SingleSpeaker:
    """Takes everybody for one speaker: for recordings known to have one, and for when speakers don't matter."""

    name = "none"

    def diarize(
        self,
        sound: Sound,
        *,
        min_speakers: int | None = None,
        max_speakers: int | None = None,
    ) -> tuple[SpeakerTurn, ...]:
        """See :meth:`Diarizer.diarize`; the limits are checked, and there is one speaker whatever they say."""
        check_speaker_limits(min_speakers, max_speakers)
        return tuple(SpeakerTurn(region.start, region.end, "SPEAKER_00") for region in speech_regions(sound))


def in_order(turns: Iterable[SpeakerTurn]) -> tuple[SpeakerTurn, ...]:
    """Return turns in order of time, with any labels replaced by SPEAKER_00, SPEAKER_01, ... in order of appearance."""
    names: dict[str, str] = {}
    return tuple(
        replace(turn, speaker=names.setdefault(turn.speaker, f"SPEAKER_{len(names):02d}"))
        for turn in sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker))
    )


def check_speaker_limits(min_speakers: int | None, max_speakers: int | None) -> None:
    """Raise InvalidRequestError for limits that no recording can meet."""
    limits = [limit for limit in (min_speakers, max_speakers) if limit is not None]
    if any(limit < 1 for limit in limits) or limits != sorted(limits):
        raise InvalidRequestError(
            f"Between {min_speakers} and {max_speakers} speakers is impossible; "
            "give min_speakers >= 1 and max_speakers >= min_speakers, or leave them out."
        )
