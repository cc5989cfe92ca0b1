"""What is corrected in a text as a model wrote it, and in which order. The rules are in the modules beside this one."""

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
"""A sentence shorter than this, in seconds, stays with the one before it: nobody wants a line for every "네."."""


def correct(segments: Sequence[Segment], options: TranscriptionOptions) -> tuple[Segment, ...]:
    """Return ``segments`` as they should be written; `Segment.raw_text` keeps what the model wrote where that differs.

    Terms are put into every language, fillers are taken out of Korean and English. With ``options.correct``, segments
    whose language is ``ko`` get their spaces, numbers and sentence ends mended, and are split at sentence ends. Words
    keep their times; a split or merged one is interpolated by syllables. The start of the first and the end of the last
    segment stay, as do the times of words, but for those of fillers. A segment of nothing but fillers is left out.

    Where words and text of a segment contradict each other, it is returned as it is. kiwipiepy is loaded, once a
    process, when the first Korean segment comes; safe to call from any thread.
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
        if segment.words and not segment.raw_text:  # what was heard before cannot be cut
            starts = _part_starts(text)
    yield from _parts(segment, text, starts)


def _part_starts(text: TimedText) -> list[int]:
    """Return where the sentences begin that are long enough for a segment of their own."""
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
        written, heard = text.text[start:end].strip(), text.heard(start, end)
        yield replace(
            segment,
            start=words[0].start if start else segment.start,
            end=words[-1].end if end < len(text.text) else segment.end,
            text=written,
            words=words if segment.words else (),
            raw_text=segment.raw_text or (heard if heard != written else ""),
        )
