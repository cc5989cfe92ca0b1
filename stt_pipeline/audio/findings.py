"""What the decoder found about a file, as notes for the readers of its transcript. Values of the child are checked here."""

from dataclasses import dataclass
from typing import Any, Final

from stt_pipeline.errors import UnreadableError

TRACK_NOTE: Final = "The recording has {count} audio tracks; track {number} was transcribed."
SILENT_TRACK_NOTE: Final = (
    "The recording has {count} audio tracks; track {silent} is silent, so track {number} was transcribed."
)
ALL_TRACKS_NOTE: Final = "The recording has {count} audio tracks; all of them were mixed and transcribed."

ENDS_EARLY_NOTE: Final = "The file ends after {end} s of {length} s."
DAMAGE_NOTE: Final = "{seconds} s could not be decoded at {places}."

_MOST_SECONDS = 1e7  # four months
_MOST_PLACES = 3
_MOST = 10_000  # tracks; FFmpeg opens up to 1,000 streams


@dataclass(frozen=True, slots=True)
class Findings:
    """``track`` of ``tracks`` was decoded (0: all mixed); ``silent_track`` was passed over (0: none).

    The file has ``end`` of the ``length`` seconds in its header (0 and 0: all of it). ``damaged_seconds`` inside could not be
    decoded, at the seconds ``damaged_at``, of which the first are given.
    """

    track: int = 1
    tracks: int = 1
    silent_track: int = 0
    end: float = 0.0
    length: float = 0.0
    damaged_seconds: float = 0.0
    damaged_at: tuple[float, ...] = ()

    @classmethod
    def of(cls, facts: dict[str, Any], name: str) -> "Findings":
        """Check the facts that a child sent about the recording ``name``.

        Raises:
            UnreadableError: a value is not what a decoder sends.
        """
        places = facts.get("damaged_at")
        if not isinstance(places, list) or len(places) > _MOST_PLACES:
            raise _invalid(name)
        return cls(
            track=_number(facts.get("track"), name),
            tracks=_number(facts.get("tracks"), name),
            silent_track=_number(facts.get("silent_track"), name),
            end=_seconds(facts.get("end"), name),
            length=_seconds(facts.get("length"), name),
            damaged_seconds=_seconds(facts.get("damaged_seconds"), name),
            damaged_at=tuple(_seconds(place, name) for place in places),
        )

    def notes(self) -> tuple[str, ...]:
        """Return a sentence for each finding that a reader should know; none for an ordinary file."""
        notes = []
        if self.length:
            notes.append(ENDS_EARLY_NOTE.format(end=f"{self.end:.1f}", length=f"{self.length:.1f}"))
        if self.damaged_at:
            places = ", ".join(f"{place:.1f} s" for place in self.damaged_at)
            notes.append(DAMAGE_NOTE.format(seconds=f"{self.damaged_seconds:.1f}", places=places))
        if self.tracks > 1:
            template = ALL_TRACKS_NOTE
            if self.track:
                template = SILENT_TRACK_NOTE if self.silent_track else TRACK_NOTE
            notes.append(template.format(count=self.tracks, number=self.track, silent=self.silent_track))
        return tuple(notes)


def _number(value: object, name: str) -> int:
    if not isinstance(value, int) or not 0 <= value <= _MOST:
        raise _invalid(name)
    return value


def _seconds(value: object, name: str) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= _MOST_SECONDS:
        raise _invalid(name)
    return float(value)


def _invalid(name: str) -> UnreadableError:
    return UnreadableError(
        f"{name} cannot be decoded: the decoder answered something invalid. Check that it plays, and export it again."
    )
