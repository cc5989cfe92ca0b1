"""Reads and writes RTTM, the file format of speaker turns."""

from collections.abc import Iterable
from pathlib import Path

from stt_pipeline.errors import InvalidRequestError
from stt_pipeline.speech.transcript import SpeakerTurn


def read_rttm(path: Path) -> tuple[SpeakerTurn, ...]:
    """Return the turns of an RTTM file in order of time; lines of other types than SPEAKER are skipped.

    The format is NIST's (Rich Transcription 2009 evaluation plan, appendix A): type, file, channel, start, duration,
    two unused fields, speaker.

    Raises:
        InvalidRequestError: a SPEAKER line cannot be read.
    """
    turns = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.startswith("SPEAKER"):
            continue
        try:
            _, _, _, start, duration, _, _, speaker = line.split()[:8]
            turns.append(SpeakerTurn(float(start), float(start) + float(duration), speaker))
        except ValueError as error:
            raise InvalidRequestError(
                f"{path}, line {number}, is not RTTM: expected 'SPEAKER file channel start duration <NA> <NA> speaker', "
                f"found {line!r}."
            ) from error
    return tuple(sorted(turns, key=lambda turn: (turn.start, turn.end)))


def write_rttm(turns: Iterable[SpeakerTurn], uri: str) -> str:
    """Return the turns of the recording ``uri`` as the text of an RTTM file; :func:`read_rttm` reads it.

    Spaces separate the fields, so spaces in names become underscores.
    """
    name = _field(uri)
    return "".join(
        f"SPEAKER {name} 1 {turn.start:.3f} {turn.end - turn.start:.3f} <NA> <NA> {_field(turn.speaker)} <NA> <NA>\n"
        for turn in turns
    )


def _field(name: str) -> str:
    return "_".join(name.split()) or "<NA>"
