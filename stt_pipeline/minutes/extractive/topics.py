"""The announced agenda of a meeting, and the date of the next one. Frequent terms are in `keywords`."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from stt_pipeline.minutes.extractive.dates import english_dates, korean_dates
from stt_pipeline.minutes.extractive.sentences import Sentence
from stt_pipeline.speech.korean import Morpheme

_AGENDA: Final = frozenset({"안건", "주제", "의제"})
_NEXT_MEETING: Final = re.compile(r"(?:다음|차기)\s?(?:번\s?)?(?:회의|미팅|모임)(?:는|은|를|을|도)?(?=\s)")
_ENGLISH_NEXT: Final = re.compile(r"\bnext meeting\b", re.IGNORECASE)
_ENGLISH_AGENDA: Final = (
    re.compile(
        r"\b(?:first|second|third|fourth|fifth|next|last|final) (?:agenda )?(?:item|topic|point)(?: on the agenda)? is (?P<topic>.+)$",
        re.IGNORECASE,
    ),
    re.compile(
        r"\b(?:agenda|topic)s?(?: (?:for )?today| for this meeting)? (?:is|are) (?P<topic>.+)$", re.IGNORECASE
    ),
)


def announced_topics(sentences: Sequence[Sentence]) -> tuple[str, ...]:
    """Return the announced topics ("첫 번째 안건은 예산입니다"), in order, without duplicates."""
    found = [topic for sentence in sentences for topic in _announced(sentence)]
    return tuple(dict.fromkeys(found))


def next_meeting(sentences: Sequence[Sentence]) -> str | None:
    """Return the date of the next meeting as spoken ("다음 주 월요일 오후 2시"); the last mention counts."""
    when = None
    for sentence in sentences:
        if sentence.is_korean and _NEXT_MEETING.search(sentence.text):
            dates = [date for date in korean_dates(sentence.text) if not date.text.startswith("다음 회의")]
        elif not sentence.is_korean and _ENGLISH_NEXT.search(sentence.text):
            dates = [date for date in english_dates(sentence.text) if "meeting" not in date.text]
        else:
            continue
        when = dates[0].text if dates else when
    return when


def _announced(sentence: Sentence) -> Iterator[str]:
    if not sentence.is_korean:
        text = sentence.text.strip().rstrip(".!")
        for rule in _ENGLISH_AGENDA:
            match = rule.search(text)
            if match:
                yield from (part for part in re.split(r",\s*(?:and\s+)?|\s+and\s+", match["topic"]) if part)
                return
        return
    parts = sentence.morphemes
    for n, part in enumerate(parts[:-1]):
        if part.form not in _AGENDA:
            continue
        if parts[n + 1].form in ("은", "는", "으로", "로") and parts[n + 1].is_particle:
            yield from _noun_phrases(sentence.text, parts[n + 2 :])
            return
        if parts[n + 1].form == "부터" or (parts[n + 1].tag == "JKO" and n):
            yield from _noun_phrases(sentence.text, parts[_phrase_start(parts, n) : n])
            return


def _noun_phrases(text: str, parts: Sequence[Morpheme]) -> Iterator[str]:
    """Yield the noun phrases before the copula, separated by 과, 와, 및, 하고 or a comma; numbers are not topics."""
    start: int | None = None
    end = 0
    for part in parts:
        nominal = part.is_noun or part.tag == "JKG"
        if nominal and not (start is None and part.tag in ("SN", "NR")):
            start, end = part.start if start is None else start, part.end
            continue
        if start is not None:
            yield from _topic(text[start:end])
            start = None
        if not (part.tag in ("JC", "SP", "MAJ", "JKB") or part.form in ("및", "하고")):
            return
    if start is not None:
        yield from _topic(text[start:end])


def _topic(words: str) -> Iterator[str]:
    topic = re.sub(r"\s?(?:건|관련|문제|안건)$", "", words).strip()
    if len(topic) > 1 and topic not in ("다음", "오늘", "회의", "첫", "이번"):
        yield topic


def _phrase_start(parts: Sequence[Morpheme], end: int) -> int:
    start = end
    while start and (parts[start - 1].is_noun or parts[start - 1].tag in ("JKG", "JC")):
        start -= 1
    return start
