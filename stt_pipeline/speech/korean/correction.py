"""The order of the corrections of a model's text. The rules are in the other modules of this package."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from stt_pipeline.speech.korean.fillers import filler_edits
from stt_pipeline.speech.korean.morphology import has_hangul
from stt_pipeline.speech.korean.numbers import number_edits
from stt_pipeline.speech.korean.sentence_ends import sentence_edits, sentence_starts
from stt_pipeline.speech.korean.spacing import spacing_edits
from stt_pipeline.speech.korean.terms import term_edits
from stt_pipeline.speech.korean.timed_text import TimedText
from stt_pipeline.speech.recordings import TranscriptionOptions
from stt_pipeline.speech.transcript import Segment, Word

_SHORTEST_PART = 1.0
"""Seconds. A shorter sentence stays with the one before it: "네." should not be a segment of its own."""


def correct(segments: Sequence[Segment], options: TranscriptionOptions) -> tuple[Segment, ...]:
    """Return ``segments`` with corrected text; `Segment.raw_text` keeps the model's text where that differs.

    Terms are restored in every language, fillers are removed from Korean and English. With ``options.correct``, the
    spacing, numbers and sentence ends of segments in ``ko`` are corrected, and the segments are split at sentence ends.
    Words keep their times; a split or merged word gets times interpolated by syllables. The start of the first and the
    end of the last segment do not change. A segment that contains fillers only is dropped.

    A segment whose words do not match its text is returned unchanged. The first Korean segment loads kiwipiepy, once per
    process. Safe to call from any thread.
    """
    return tuple(part for segment in segments for part in _correct(segment, options))


def _correct(segment: Segment, options: TranscriptionOptions) -> Iterator[Segment]:
    words = segment.words or (Word(segment.start, segment.end, segment.text, 1.0),)
    text = TimedText(words)
    if not segment.text.strip() or text.text.strip() != segment.text.strip():
        yield segment
        return
    is_korean = segment.language == "ko" and has_hangul(segment.text)
    text.edit(term_edits(text.text, options.terms, is_korean=segment.language == "ko"))
    if options.remove_fillers:
        text.edit(filler_edits(text.text, segment.language))
        if not text.text.strip():
            return
    starts = [0]
    if options.correct and is_korean:
        text.edit(spacing_edits(text.text))
        text.edit(number_edits(text.text))
        text.edit(sentence_edits(text.text))
        if segment.words and not segment.raw_text:  # an older raw text cannot be cut
            starts = _part_starts(text)
    yield from _parts(segment, text, starts)


def _part_starts(text: TimedText) -> list[int]:
    """Return the start offsets of the sentences that become segments."""
    starts = [0]
    for start in sentence_starts(text.text)[1:]:
        before, after = text.words(starts[-1], start), text.words(start)
        if (
            before
            and after
            and before[-1].end - before[0].start >= _SHORTEST_PART <= after[-1].end - after[0].start
        ):
            starts.append(start)
    return starts


def _parts(segment: Segment, text: TimedText, starts: Sequence[int]) -> Iterator[Segment]:
    if text.text.strip() == segment.text.strip() and len(starts) == 1:
        yield segment
        return
    ends = [*starts[1:], len(text.text)]
    for start, end in zip(starts, ends, strict=True):
        words = text.words(start, end)
        corrected, raw = text.text[start:end].strip(), text.raw(start, end)
        yield replace(
            segment,
            start=words[0].start if start else segment.start,
            end=words[-1].end if end < len(text.text) else segment.end,
            text=corrected,
            words=words if segment.words else (),
            raw_text=segment.raw_text or (raw if raw != corrected else ""),
        )
