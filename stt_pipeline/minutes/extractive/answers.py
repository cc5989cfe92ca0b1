"""Whether a sentence answers the request or question before it, and what the answer adds: an owner, a due date."""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from stt_pipeline.minutes.extractive.clauses import topic_of
from stt_pipeline.minutes.extractive.dates import DateMention, due_date, english_dates, korean_dates
from stt_pipeline.minutes.extractive.drafts import Draft
from stt_pipeline.minutes.extractive.predicates import is_question
from stt_pipeline.minutes.extractive.sentences import Sentence

_YES: Final = re.compile(
    r"(?:네|예|넵|넹|그럼요|물론|알겠|그렇게|그러겠|그럴게|문제없)|(?:yes|yeah|sure|okay|ok|of course|i will|i can|will do|no problem)\b",
    re.IGNORECASE,
)
_NO: Final = re.compile(
    r"어렵|힘들|불가능|못 |못합|안 됩|안 될|안 돼|곤란|아니[요오]|\b(?:can't|cannot|won't|not|afraid)\b",
    re.IGNORECASE,
)
_ABLE: Final = re.compile(
    r"가능|될|됩니다|돼요|드리|드릴|하겠|할게|끝내|마치|수 있|예정|까지(?:요|입니다|이에요)|\b(?:i can|i'll|i will|ready|done)\b",
    re.IGNORECASE,
)


def answered(asked: Draft, by: Sentence, to: Sentence, drafts: Sequence[Draft]) -> Draft | None:
    """Return ``asked`` completed by its answer, or None when the sentence answers something else, or says no.

    Args:
        asked: the request or question.
        by: the sentence that may answer it.
        to: the sentence in which it was asked.
        drafts: what ``by`` holds as possible items of its own.
    """
    if not asked.task or is_refusal(by) or is_question(by.text, by.morphemes) or _has_own_matter(by, drafts):
        return None
    due = _due(by)
    if asked.kind == "when_question":
        able = due and (due.role == "until" or _ABLE.search(by.text))
        return _completed(asked, by, due) if able else None
    same_action = any(draft.task == asked.task.split()[-1] for draft in drafts)
    takes_it = any(not draft.task for draft in drafts)  # "제가 할게요"
    if asked.kind == "can_question":
        return _completed(asked, by, due) if _YES.match(by.text) or "가능" in by.text else None
    if not (_YES.match(by.text) or same_action or takes_it):
        return None
    another = by.speaker is not None and by.speaker != to.speaker
    return _completed(asked, by, due) if asked.owner or due or another else None


def is_refusal(sentence: Sentence) -> bool:
    """Tell whether a sentence says no."""
    return _NO.search(sentence.text) is not None


def _has_own_matter(sentence: Sentence, drafts: Sequence[Draft]) -> bool:
    """Tell whether a sentence speaks of something by itself: "제가 보고서를 작성하겠습니다", "다음 회의는 ..."."""
    named = topic_of(sentence) if sentence.is_korean else ""
    return bool(named) or any(" " in draft.task for draft in drafts)


def _completed(asked: Draft, answer: Sentence, due: DateMention | None) -> Draft:
    return replace(asked, owner=asked.owner or answer.speaker, due=due.text if due else asked.due)


def _due(sentence: Sentence) -> DateMention | None:
    return due_date(korean_dates(sentence.text) if sentence.is_korean else english_dates(sentence.text))
