"""Transcript to subtitle cues, for the formats srt and vtt.

The formats do not use a library: pysubs2 writes no WebVTT voice tags and parses braces as its own markup, webvtt-py does
not escape text, and neither sorts cues by time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from stt_pipeline.speech.transcript import Segment, Transcript

# Limits of the Netflix Timed Text Style Guide, general requirements: 7 s, and two lines of 42 characters.
MAX_CUE_SECONDS = 7.0
MAX_CUE_CHARACTERS = 84
MIN_CUE_MS = 100


@dataclass(frozen=True, slots=True)
class Cue:
    """One subtitle: ``start`` and ``end`` in milliseconds, text on one line, and the speaker's label."""

    start: int
    end: int
    text: str
    speaker: str | None


def subtitle_cues(transcript: Transcript) -> list[Cue]:
    """Return cues in order of time: not empty, at least 100 ms long, without overlap.

    Where two speakers overlap, the earlier cue ends when the later one starts.
    """
    pieces = [piece for segment in transcript.segments for piece in _pieces(segment)]
    cues: list[Cue] = []
    for cue in sorted(pieces, key=lambda cue: (cue.start, cue.end)):
        start = cue.start
        if cues and cues[-1].end > start:
            last = replace(cues[-1], end=max(start, cues[-1].start + MIN_CUE_MS))
            cues[-1] = last
            start = max(start, last.end)
        cues.append(replace(cue, start=start, end=max(cue.end, start + MIN_CUE_MS)))
    return cues


def _pieces(segment: Segment) -> Iterator[Cue]:
    """Split a long segment at words into readable cues; a segment without word times is one cue."""
    text = " ".join(segment.text.split())
    too_long = segment.end - segment.start > MAX_CUE_SECONDS or len(text) > MAX_CUE_CHARACTERS
    if not (too_long and segment.words):
        if text:
            yield _cue(segment.start, segment.end, text, segment.speaker)
        return
    start, end, line = segment.words[0].start, segment.words[0].start, ""
    for word in segment.words:
        if line.strip() and (
            word.end - start > MAX_CUE_SECONDS or len(line) + len(word.text) > MAX_CUE_CHARACTERS
        ):
            yield _cue(start, end, line, segment.speaker)
            start, line = word.start, ""
        line, end = line + word.text, word.end
    if line.strip():
        yield _cue(start, end, line, segment.speaker)


def _cue(start: float, end: float, text: str, speaker: str | None) -> Cue:
    return Cue(max(0, round(start * 1000)), max(0, round(end * 1000)), " ".join(text.split()), speaker)
