"""Assigns speakers to the words of a transcript, given the speaker turns of the same recording."""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, groupby, pairwise

from stt_pipeline.speech.transcript import Segment, SpeakerTurn, Transcript, Word

_SENTENCE_ENDS = (".", "?", "!", "…", "。", "？", "！")

_WHOLE_SENTENCE = 0.7
"""A speaker with this share of a sentence gets all of it: word times are rough, and speakers change at sentence ends."""


def assign_speakers(transcript: Transcript, turns: Sequence[SpeakerTurn]) -> Transcript:
    """Return the transcript with a speaker on every word and segment.

    A sentence spoken mostly by one speaker is assigned to that speaker as a whole. Otherwise each word goes to the
    speaker with the longest overlap, or else to the nearest turn; a single word between two words of another speaker goes
    to that speaker. Segments are split where the speaker changes: words keep their times, and each part has the time of
    its words. Words that another speaker overlaps for long are marked as ``overlap``. All parts keep the
    ``hallucination_reasons``; only the first keeps ``raw_text``, since there is no alignment to split it.

    Args:
        transcript: with or without words; existing speakers are replaced.
        turns: speaker turns in any order; they may overlap. Without turns, all speakers are None. A segment of a channel
            gets the speakers of this channel, if there are any.
    """
    if not turns:
        return transcript.with_segments([_with_speaker(segment, None) for segment in transcript.segments])
    timeline = _Timeline.of(turns)
    of_channel: dict[int | None, _Timeline] = {
        channel: _Timeline.of(own)
        for channel in transcript.channels
        if (own := [turn for turn in turns if turn.channel == channel])
    }
    parts = [
        _with_overlaps(part, timeline)
        for segment in transcript.segments
        for part in _split(segment, of_channel.get(segment.channel, timeline))
    ]
    return transcript.with_segments(sorted(parts, key=lambda part: part.start) if of_channel else parts)


_MIN_OVERLAP = 0.3  # share of a word's time above which the word is marked as overlap


@dataclass(frozen=True, slots=True)
class _Timeline:
    """Turns sorted by start, with ``last_end[i]`` the latest end of turns 0..i, so that lookups are bisections."""

    turns: list[SpeakerTurn]
    starts: list[float]
    last_end: list[float]

    @classmethod
    def of(cls, turns: Sequence[SpeakerTurn]) -> "_Timeline":
        ordered = sorted(turns, key=lambda turn: (turn.start, turn.end))
        return cls(
            ordered,
            [turn.start for turn in ordered],
            list(accumulate((turn.end for turn in ordered), max)),
        )

    def speech(self, start: float, end: float) -> dict[str, float]:
        """Return the seconds of speech of each speaker between ``start`` and ``end``, without silent speakers."""
        seconds: dict[str, float] = {}
        for turn in self.turns[bisect_right(self.last_end, start) : bisect_left(self.starts, end)]:
            overlap = min(end, turn.end) - max(start, turn.start)
            if overlap > 0:
                seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + overlap
        return seconds

    def covered(self, start: float, end: float) -> float:
        """Return the seconds between ``start`` and ``end`` with speech of at least one speaker."""
        seconds, done = 0.0, start
        for turn in self.turns[bisect_right(self.last_end, start) : bisect_left(self.starts, end)]:
            first, last = max(turn.start, done), min(turn.end, end)
            if last > first:
                seconds += last - first
                done = last
        return seconds

    def speaker_at(self, start: float, end: float) -> str:
        """Return the speaker with the most speech between ``start`` and ``end``, else that of the nearest turn."""
        seconds = self.speech(start, end)
        if seconds:
            return max(seconds, key=lambda speaker: seconds[speaker])
        after = bisect_left(self.starts, end)
        before = bisect_left(self.last_end, self.last_end[after - 1]) if after else 0
        nearest = min(
            self.turns[before : after + 1],
            key=lambda turn: max(turn.start - end, start - turn.end),
        )
        return nearest.speaker


def _split(segment: Segment, timeline: _Timeline) -> list[Segment]:
    if not segment.words:
        return [_with_speaker(segment, timeline.speaker_at(segment.start, segment.end))]
    speakers = [
        speaker
        for sentence, start, end in _sentences(segment)
        for speaker in _speakers_of_sentence(sentence, start, end, timeline)
    ]
    groups = groupby(zip(segment.words, speakers, strict=True), key=lambda pair: pair[1])
    parts = [(speaker, tuple(word for word, _ in pairs)) for speaker, pairs in groups]
    if len(parts) == 1:
        return [_with_speaker(segment, parts[0][0])]
    bounds = [(words[0].start, words[-1].end) for _, words in parts]
    bounds[0] = (segment.start, bounds[0][1])
    bounds[-1] = (bounds[-1][0], segment.end)
    return [
        _with_speaker(
            replace(
                segment,
                start=start,
                end=end,
                text="".join(word.text for word in words).strip(),
                words=words,
                raw_text="" if index else segment.raw_text,
            ),
            speaker,
        )
        for index, ((speaker, words), (start, end)) in enumerate(zip(parts, bounds, strict=True))
    ]


def _sentences(segment: Segment) -> list[tuple[tuple[Word, ...], float, float]]:
    """Return the sentences of a segment with start and end; the outer edges are the segment's, which are more exact."""
    ends = [i + 1 for i, word in enumerate(segment.words) if word.text.rstrip().endswith(_SENTENCE_ENDS)]
    cuts = sorted({0, *ends, len(segment.words)})
    sentences = []
    for first, last in pairwise(cuts):
        words = segment.words[first:last]
        start = segment.start if first == 0 else words[0].start
        end = segment.end if last == len(segment.words) else words[-1].end
        sentences.append((words, start, end))
    return sentences


def _speakers_of_sentence(words: Sequence[Word], start: float, end: float, timeline: _Timeline) -> list[str]:
    seconds = timeline.speech(start, end)
    speaker = timeline.speaker_at(start, end)
    if not seconds or seconds[speaker] >= _WHOLE_SENTENCE * sum(seconds.values()):
        return [speaker] * len(words)
    speakers = [timeline.speaker_at(word.start, word.end) for word in words]
    for i in range(1, len(speakers) - 1):
        if speakers[i - 1] == speakers[i + 1]:
            speakers[i] = speakers[i - 1]
    return speakers


def _with_overlaps(segment: Segment, timeline: _Timeline) -> Segment:
    return replace(
        segment, words=tuple(replace(word, overlap=_overlaps(word, timeline)) for word in segment.words)
    )


def _overlaps(word: Word, timeline: _Timeline) -> bool:
    """Return whether two speakers overlap during much of a word, given that its edges are rough."""
    seconds = sorted(timeline.speech(word.start, word.end).values())
    # speakers of the first and the second half do not overlap, so their sum must exceed the time that they cover
    both = sum(seconds) - timeline.covered(word.start, word.end)
    return len(seconds) > 1 and both > _MIN_OVERLAP * (word.end - word.start)


def _with_speaker(segment: Segment, speaker: str | None) -> Segment:
    words = tuple(replace(word, speaker=speaker, overlap=False) for word in segment.words)
    return replace(segment, speaker=speaker, words=words)
