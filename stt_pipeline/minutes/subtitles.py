"""Transcript to SubRip and WebVTT. The other formats are in `exports`.

Own code on purpose: pysubs2 writes no WebVTT voices and takes braces for its own markup, webvtt-py does not escape text,
and neither keeps cues in order of time. The two formats are a dozen lines each.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from stt_pipeline.durations import subtitle_time
from stt_pipeline.speech.transcript import Segment, Transcript

# A subtitle that stays longer than about 7 s is read twice, and two lines hold about 84 letters
# (Netflix Timed Text Style Guide, general requirements).
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
    """Return cues in order of time: none empty, each at least 100 ms long, none starting before the last one ends.

    Where two people talk at once, the earlier cue gives way when the later one starts.
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


def to_srt(transcript: Transcript) -> str:
    """Return SubRip text, speakers named at the start of a line.

    SubRip has no escapes: text stays as it is, but for an arrow, which a reader would take for a time line.
    """
    blocks = []
    for number, cue in enumerate(subtitle_cues(transcript), start=1):
        text = f"{cue.speaker}: {cue.text}" if cue.speaker else cue.text
        times = f"{subtitle_time(cue.start, ',')} --> {subtitle_time(cue.end, ',')}"
        blocks.append(f"{number}\n{times}\n{text.replace('-->', '->')}\n")
    return "\n".join(blocks)


def to_vtt(transcript: Transcript) -> str:
    """Return WebVTT text with a voice tag for each speaker (https://www.w3.org/TR/webvtt1/)."""
    blocks = ["WEBVTT\n"]
    for cue in subtitle_cues(transcript):
        text = _escape(cue.text)
        voice = f"<v {_escape(cue.speaker)}>{text}</v>" if cue.speaker else text
        blocks.append(f"{subtitle_time(cue.start, '.')} --> {subtitle_time(cue.end, '.')}\n{voice}\n")
    return "\n".join(blocks)


def _pieces(segment: Segment) -> Iterator[Cue]:
    """Cut a segment at words into readable cues; a segment without word times stays whole."""
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


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
