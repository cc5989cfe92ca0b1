"""Names of speakers in documents: ``SPEAKER_00`` is shown as 화자 1 or Speaker 1. Data formats keep the label."""

import re
from dataclasses import replace
from typing import Final

from stt_pipeline.minutes.labels import labels
from stt_pipeline.minutes.model import Minutes
from stt_pipeline.speech.transcript import Transcript

_LABEL: Final = re.compile(r"SPEAKER_(\d{2,})")


def speaker_name(label: str, language: str) -> str:
    """Return the name of a speaker for readers; other names stay as they are."""
    found = _LABEL.fullmatch(label)
    return f"{labels(language)['speaker']} {int(found[1]) + 1}" if found else label


def with_speaker_names(transcript: Transcript, language: str) -> Transcript:
    """Return a transcript whose segments have the names of :func:`speaker_name`; words keep their labels."""
    segments = (
        replace(segment, speaker=speaker_name(segment.speaker, language)) if segment.speaker else segment
        for segment in transcript.segments
    )
    return replace(transcript, segments=tuple(segments))


def minutes_with_speaker_names(minutes: Minutes, language: str) -> Minutes:
    """Return minutes in which owners of action items have the names of :func:`speaker_name`."""
    items = (
        replace(item, owner=speaker_name(item.owner, language)) if item.owner else item
        for item in minutes.action_items
    )
    return replace(minutes, action_items=tuple(items))
