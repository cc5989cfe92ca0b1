"""Puts the segments of several channels in the order in which they were said. No audio and no model here."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import replace

from stt_pipeline.speech.transcript import Segment, Word

_MIN_PAUSE = 0.5  # seconds; a word of another channel in a shorter one is said while this channel talks on


def in_turns(segments: Sequence[Segment]) -> tuple[Segment, ...]:
    """Return segments in order of time, cut at pauses in which another channel talks.

    Whisper joins sentences of one channel, and pauses are cut out of its window: without the cuts, an answer on the other
    channel would come after the sentence that follows it.
    """
    channels = {segment.channel for segment in segments}
    if len(channels) > 1:
        middles = {
            channel: sorted(
                (word.start + word.end) / 2
                for segment in segments
                if segment.channel != channel
                for word in segment.words
            )
            for channel in channels
        }
        segments = [part for segment in segments for part in _cut(segment, middles[segment.channel])]
    return tuple(sorted(segments, key=lambda one: (one.start, one.end, one.channel or 0)))


def _cut(segment: Segment, others: Sequence[float]) -> Iterable[Segment]:
    """Return the parts of ``segment``; ``others`` are the middles of the words of the other channels."""
    parts: list[list[Word]] = []
    for word in segment.words:
        if parts:
            pause = parts[-1][-1].end, word.start
            talks = bisect_left(others, pause[1]) > bisect_left(others, pause[0])
        if parts and not (talks and pause[1] - pause[0] >= _MIN_PAUSE):
            parts[-1].append(word)
        else:
            parts.append([word])
    parts = _with_length(parts)
    if len(parts) < 2:
        return [segment]
    texts = ["".join(word.text for word in part).strip() for part in parts]
    return [
        replace(segment, start=part[0].start, end=part[-1].end, text=text, words=tuple(part))
        for part, text in zip(parts, texts, strict=True)
        if text
    ]


def _with_length(parts: Iterable[list[Word]]) -> list[list[Word]]:
    """Return the parts; one without a length, such as a single word of 0 s, is joined to the one before or behind it."""
    joined: list[list[Word]] = []
    for part in parts:
        if joined and not (part[0].start < part[-1].end and joined[-1][0].start < joined[-1][-1].end):
            joined[-1] = [*joined[-1], *part]
        else:
            joined.append(part)
    return joined
