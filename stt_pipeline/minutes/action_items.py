"""Action items of a conversation: the drafts of single sentences, joined with the answers that follow them.

"이 대리님, 예산안 검토는 언제까지 가능합니까?" - "금요일까지 가능합니다." is one item; a request that another speaker
accepts is his. What a sentence means by itself is in `korean_actions` and `english_actions`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stt_pipeline.minutes.clauses import pointing_resolved, topic_of
from stt_pipeline.minutes.dates import due_date, english_dates, korean_dates
from stt_pipeline.minutes.drafts import Draft
from stt_pipeline.minutes.english_actions import english_drafts
from stt_pipeline.minutes.korean_actions import called_person, korean_drafts
from stt_pipeline.minutes.model import ActionItem
from stt_pipeline.minutes.predicates import is_question
from stt_pipeline.minutes.sentences import Sentence

# An answer comes at once, or after one remark in between.
ANSWER_WITHIN: Final = 2

_YES: Final = re.compile(
    r"가능|^(?:네|예|넵)[,.!]?$|(?:네|예|넵)[,. ].*(?:알겠|가능|하겠|게요|됩니다|돼요)|알겠습니다|그렇게 하겠|그럴게요|그러겠습니다|"
    r"물론|할게요|하겠습니다|드리겠습니다|\b(?:yes|sure|okay|ok|of course|i will|will do|no problem|i can)\b",
    re.IGNORECASE,
)
_NO: Final = re.compile(
    r"어렵|힘들|불가능|못 |못합|안 됩|안 될|안 돼|곤란|\b(?:no|can't|cannot|won't|not)\b", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class _Open:
    """A draft that waits for its answer, and how many sentences ago it was said."""

    draft: Draft
    said: Sentence
    age: int = 0


def action_items(sentences: Sequence[Sentence]) -> tuple[ActionItem, ...]:
    """Return the action items of a conversation in the order in which they were raised, none twice."""
    items: dict[tuple[str, str | None], ActionItem] = {}
    for item in sorted(_read(sentences), key=lambda item: item.start):
        key = (item.task, item.owner)
        if key not in items or items[key].due is None:
            items[key] = replace(item, start=items[key].start) if key in items else item
    return tuple(items.values())


def _read(sentences: Sequence[Sentence]) -> Iterator[ActionItem]:
    waiting: _Open | None = None
    called: tuple[str, int] | None = None
    topic = ""
    for number, sentence in enumerate(sentences):
        drafts = korean_drafts(sentence) if sentence.is_korean else english_drafts(sentence)
        name = called_person(sentence) if sentence.is_korean else None
        if waiting and name and waiting.draft.owner is None:
            # "내일까지 처리해 주세요, 백 대리님."
            waiting = replace(waiting, draft=replace(waiting.draft, owner=name))
            continue
        if waiting:
            answered = _answer(waiting, sentence, drafts)
            if answered:
                yield _item(answered, waiting.said)
                waiting = None
                continue
            waiting = replace(waiting, age=waiting.age + 1)
            if drafts or waiting.age >= ANSWER_WITHIN or _refuses(sentence):
                yield from _unanswered(waiting)
                waiting = None
        for draft in drafts:
            if (
                draft.owner is None
                and called
                and number - called[1] <= ANSWER_WITHIN
                and draft.kind == "request"
            ):
                draft = replace(draft, owner=called[0])
            draft = replace(draft, task=pointing_resolved(draft.task, topic))
            if draft.kind == "statement" or (draft.owner and draft.due and draft.kind == "request"):
                if draft.task:
                    yield _item(draft, sentence)
            else:
                if waiting:
                    yield from _unanswered(waiting)
                waiting = _Open(draft, sentence)
        if sentence.is_korean:
            called = (name, number) if name else called
            topic = next((draft.task for draft in drafts if draft.task), "") or topic_of(sentence)
        else:
            topic = next((draft.task for draft in drafts if draft.task), "")
    if waiting:
        yield from _unanswered(waiting)


def _answer(waiting: _Open, sentence: Sentence, drafts: Sequence[Draft]) -> Draft | None:
    """Return the open draft completed by ``sentence``, or None when that is no answer to it."""
    asked = waiting.draft
    if _refuses(sentence) or _asks(sentence):
        return None
    # a promise with a task of its own ("제가 보고서를 작성하겠습니다") starts something new
    new_task = any(draft.task and " " in draft.task for draft in drafts)
    due = _due(sentence)
    if asked.kind == "when_question":
        return _complete(asked, sentence, due) if due and asked.task and not new_task else None
    agrees = _YES.search(sentence.text) is not None and not new_task
    other = sentence.speaker is not None and sentence.speaker != waiting.said.speaker
    if not agrees or not asked.task:
        return None
    if asked.kind == "can_question":
        return _complete(asked, sentence, due or asked.due)
    if asked.due is None and due:
        return _complete(asked, sentence, due)
    if asked.owner is None and other:
        return _complete(asked, sentence, asked.due or due)
    return None


def _complete(asked: Draft, answer: Sentence, due: str | None) -> Draft:
    return replace(asked, owner=asked.owner or answer.speaker, due=due)


def _unanswered(waiting: _Open) -> Iterator[ActionItem]:
    """A request stands without an answer; a question does not."""
    if waiting.draft.kind == "request" and waiting.draft.task:
        yield _item(waiting.draft, waiting.said)


def _item(draft: Draft, said: Sentence) -> ActionItem:
    return ActionItem(task=draft.task, owner=draft.owner, due=draft.due, start=said.start)


def _due(sentence: Sentence) -> str | None:
    found = due_date(korean_dates(sentence.text) if sentence.is_korean else english_dates(sentence.text))
    return found.text if found else None


def _asks(sentence: Sentence) -> bool:
    return is_question(sentence.text, sentence.morphemes)


def _refuses(sentence: Sentence) -> bool:
    return _NO.search(sentence.text) is not None
