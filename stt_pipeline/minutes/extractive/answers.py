"""Decides whether a sentence answers the request or question before it, and adds the owner and due date of the answer."""

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


def completed_by_answer(
    request: Draft, answer: Sentence, question: Sentence, drafts: Sequence[Draft]
) -> Draft | None:
    """Return ``request`` completed by ``answer``, or None if the sentence is not an answer, or refuses.

    Args:
        request: the draft of the request or question.
        answer: the sentence that may answer it.
        question: the sentence that contains the request.
        drafts: the drafts of ``answer`` itself.
    """
    if (
        not request.task
        or is_refusal(answer)
        or is_question(answer.text, answer.morphemes)
        or _has_own_topic(answer, drafts)
    ):
        return None
    due = _due(answer)
    if request.kind == "when_question":
        able = due and (due.role == "until" or _ABLE.search(answer.text))
        return _completed(request, answer, due) if able else None
    is_same_action = any(draft.task == request.task.split()[-1] for draft in drafts)
    is_bare_promise = any(not draft.task for draft in drafts)  # "제가 할게요"
    if request.kind == "can_question":
        return _completed(request, answer, due) if _YES.match(answer.text) or "가능" in answer.text else None
    if not (_YES.match(answer.text) or is_same_action or is_bare_promise):
        return None
    is_other_speaker = answer.speaker is not None and answer.speaker != question.speaker
    return _completed(request, answer, due) if request.owner or due or is_other_speaker else None


def is_refusal(sentence: Sentence) -> bool:
    """Return whether a sentence is a refusal."""
    return _NO.search(sentence.text) is not None


def _has_own_topic(sentence: Sentence, drafts: Sequence[Draft]) -> bool:
    """Return whether a sentence has a topic of its own: "제가 보고서를 작성하겠습니다", "다음 회의는 ..."."""
    topic = topic_of(sentence) if sentence.is_korean else ""
    return bool(topic) or any(" " in draft.task for draft in drafts)


def _completed(request: Draft, answer: Sentence, due: DateMention | None) -> Draft:
    return replace(request, owner=request.owner or answer.speaker, due=due.text if due else request.due)


def _due(sentence: Sentence) -> DateMention | None:
    return due_date(korean_dates(sentence.text) if sentence.is_korean else english_dates(sentence.text))
