"""What a transcript does not have and where it may be wrong, as sentences and marks for its readers.

The figures come from the transcript; which of them are worth a warning is decided in `stt_pipeline.speech.quality`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from stt_pipeline.durations import clock
from stt_pipeline.minutes.labels import labels
from stt_pipeline.speech.quality import Figures
from stt_pipeline.speech.transcript import Segment, TimeSpan, Transcript

MOST_PLACES: Final = 10
"""Places that a sentence names; of more, the longest."""


def review_notes(transcript: Transcript, language: str) -> list[str]:
    """Return a sentence for each of: speech without text, possible hallucinations, another language, low confidence."""
    doubtful = [one for one in transcript.segments if one.hallucination_reasons and one.text.strip()]
    figures = replace(Figures.of(transcript), suspect_segments=len(doubtful))
    return notes_of_figures(figures, language, missing=transcript.untranscribed_parts, doubtful=doubtful)


def notes_of_figures(
    figures: Figures, language: str, *, missing: Sequence[TimeSpan] = (), doubtful: Sequence[Segment] = ()
) -> list[str]:
    """Return the sentences of :func:`review_notes`; those without places end with a full stop."""
    word, notes = labels(language), list[str]()

    def add(label: str, parts: Sequence[TimeSpan | Segment], **fields: int) -> None:
        sentence = word[label].format(**fields)
        notes.append(f"{sentence}: {places(parts, language)}" if parts else f"{sentence}.")

    if missing or figures.missing_text_notes:
        seconds = max(figures.untranscribed_speech_seconds, sum(part.end - part.start for part in missing))
        add("missing_note", missing, seconds=max(round(seconds), 1))
    if count := figures.suspect_segments:
        add("doubtful_note" if count > 1 else "doubtful_note_of_one", doubtful, count=count)
    if figures.detected_language and figures.language_notes([figures.language]):
        notes.append(
            word["language_note"].format(
                detected=figures.detected_language,
                probability=figures.detected_language_probability or 0.0,
                language=figures.language,
            )
        )
    if figures.confidence_notes:
        notes.append(word["confidence_note"].format(quality=figures.quality or 0.0))
    return notes


def places(parts: Sequence[TimeSpan | Segment], language: str) -> str:
    """Return where the parts are, in order of time: ``0:12-0:15, 3:40-3:44``; of many, the longest and the number of others."""
    longest = sorted(parts, key=lambda part: part.start - part.end)[:MOST_PLACES]
    shown = [_place(part) for part in sorted(longest, key=lambda part: part.start)]
    others = len(parts) - len(shown)
    return ", ".join([*shown, labels(language)["more_places"].format(count=others)] if others else shown)


def missing_text(part: TimeSpan, language: str) -> str:
    """Return the mark of a part with speech but without text, such as ``[… 4 s of speech without text …]``."""
    return labels(language)["missing_text"].format(seconds=max(round(part.end - part.start), 1))


def _place(part: TimeSpan | Segment) -> str:
    start, end = clock(part.start), clock(part.end)
    return start if start == end else f"{start}-{end}"
