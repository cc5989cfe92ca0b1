"""What is known about a meeting besides its recording: when it was, where, and who attended. Unknown facts are empty."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stt_pipeline.durations import clock
from stt_pipeline.minutes.labels import labels

# 2026-03-05, 20260305, 2026.3.5, 2026년 3월 5일 - and an optional time: 14:00, 14_00_30, 140000, T14-00
_FULL_DATE: Final = re.compile(
    r"(?<!\d)(20\d\d)(?:[-._]|년\s*)?(0?[1-9]|1[0-2])(?:[-._]|월\s*)?(0?[1-9]|[12]\d|3[01])일?(?!\d)"
    r"(?:[\sT_-]+(?:([01]\d|2[0-3])[:_.-]?([0-5]\d)(?:[:_.-]?[0-5]\d)?)(?!\d))?"
)
# call recorders of phones: 통화 녹음 홍길동_260305_140212.m4a
_SHORT_DATE: Final = re.compile(
    r"(?<!\d)(\d\d)(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])[_-]([01]\d|2[0-3])([0-5]\d)(?:[0-5]\d)?(?!\d)"
)
_WEEKDAYS: Final = "월화수목금토일"


@dataclass(frozen=True, slots=True)
class DocumentOptions:
    """How a document is written, and what a user has said about the meeting.

    Attributes:
        language: of the fixed texts, "ko" or another code for English; empty for the language of the transcript.
        place: where the meeting was.
        attendees: names.
    """

    language: str = ""
    place: str = ""
    attendees: tuple[str, ...] = ()


NO_OPTIONS: Final = DocumentOptions()


def meeting_time(file_name: str, language: str) -> str:
    """Return the date in a file's name as text, with the time if the name has one; "" without a valid date."""
    if found := _FULL_DATE.search(file_name):
        year, month, day, hour, minute = found.groups()
    elif found := _SHORT_DATE.search(file_name):
        year, month, day, hour, minute = found.groups()
        year = f"20{year}"
    else:
        return ""
    try:
        moment = datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0))
    except ValueError:  # such as 30 February
        return ""
    time = f" {moment:%H:%M}" if hour else ""
    if language == "ko":
        return f"{moment.year}년 {moment.month}월 {moment.day}일({_WEEKDAYS[moment.weekday()]}){time}"
    return f"{moment:%Y-%m-%d}{time}"


def place_and_attendees(options: DocumentOptions, language: str) -> list[tuple[str, str]]:
    """Return (label, value) of the place and the attendees, where they are known."""
    word = labels(language)
    facts = [(word["place"], options.place), (word["attendees"], ", ".join(options.attendees))]
    return [(label, value) for label, value in facts if value]


def meeting_facts(
    file_name: str, duration: float, speakers: Sequence[str], options: DocumentOptions, *, language: str
) -> list[tuple[str, str]]:
    """Return (label, value) of the known facts of a meeting, in the order of the head of Korean minutes.

    Args:
        duration: seconds.
        speakers: names as they are shown.
        language: of the labels.
    """
    word = labels(language)
    facts = [
        (word["when"], meeting_time(file_name, language)),
        *place_and_attendees(options, language),
        (word["recording"], file_name),
        (word["length"], clock(duration)),
        (word["speakers"], ", ".join(speakers) or word["none"]),
    ]
    return [(label, value) for label, value in facts if value]
