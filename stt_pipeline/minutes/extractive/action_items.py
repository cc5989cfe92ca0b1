"""Action items of a conversation: the drafts of single sentences, read in order and joined with the answers to them.

"이 대리님, 예산안 검토는 언제까지 가능합니까?" - "금요일까지 가능합니다." is one item; a request that another speaker
accepts is his. What a sentence means by itself is in `korean_actions` and `english_actions`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stt_pipeline.minutes.extractive.answers import answered, is_refusal
from stt_pipeline.minutes.extractive.clauses import pointing_resolved, topic_of
from stt_pipeline.minutes.extractive.drafts import Draft
from stt_pipeline.minutes.extractive.english_actions import english_drafts
from stt_pipeline.minutes.extractive.korean_actions import called_person, korean_drafts
from stt_pipeline.minutes.extractive.sentences import Sentence
from stt_pipeline.minutes.model import ActionItem

# An answer comes at once, or after one remark in between; a person who was called is meant as long.
ANSWER_WITHIN: Final = 2


def action_items(sentences: Sequence[Sentence]) -> tuple[ActionItem, ...]:
    """Return the action items of a conversation in the order in which they were raised.

    A task that is said again is one item: with the due date, when only one of the times named it.
    """
    items: list[ActionItem] = []
    for item in sorted(_read(sentences), key=lambda item: item.start):
        same = next((n for n, one in enumerate(items) if _is_again(one, item)), None)
        if same is None:
            items.append(item)
        else:
            items[same] = replace(items[same], due=items[same].due or item.due)
    return tuple(items)


@dataclass(frozen=True, slots=True)
class _Open:
    """A request or question that waits for its answer, and how many sentences ago it was said."""

    draft: Draft
    said: Sentence
    age: int = 0


def _read(sentences: Sequence[Sentence]) -> Iterator[ActionItem]:
    waiting: _Open | None = None
    called, called_at = None, 0
    topic = ""
    for number, sentence in enumerate(sentences):
        drafts = korean_drafts(sentence) if sentence.is_korean else english_drafts(sentence)
        name = called_person(sentence) if sentence.is_korean else None
        if name and waiting and waiting.draft.owner is None:  # "내일까지 처리해 주세요, 백 대리님."
            waiting = replace(waiting, draft=replace(waiting.draft, owner=name))
            continue
        if waiting:
            complete = answered(waiting.draft, sentence, waiting.said, drafts)
            if complete:
                yield _item(complete, waiting.said)
                waiting = None
                continue
            waiting = replace(waiting, age=waiting.age + 1)
            if drafts or waiting.age >= ANSWER_WITHIN or is_refusal(sentence):
                yield from _unanswered(waiting)
                waiting = None
        for draft in drafts:
            if draft.kind == "request" and draft.owner is None and number - called_at <= ANSWER_WITHIN:
                draft = replace(draft, owner=called)
            draft = replace(draft, task=pointing_resolved(draft.task, topic))
            settled = draft.kind == "statement" or (draft.kind == "request" and draft.owner and draft.due)
            if not settled:
                yield from _unanswered(waiting)
                waiting = _Open(draft, sentence)
            elif draft.task:
                yield _item(draft, sentence)
        if name:
            called, called_at = name, number
        spoken_of = next((draft.task for draft in drafts if draft.task), "")
        topic = spoken_of or (topic_of(sentence) if sentence.is_korean else "")
    yield from _unanswered(waiting)


def _unanswered(waiting: _Open | None) -> Iterator[ActionItem]:
    """A request stands without an answer; a question does not."""
    if waiting and waiting.draft.kind == "request" and waiting.draft.task:
        yield _item(waiting.draft, waiting.said)


def _item(draft: Draft, said: Sentence) -> ActionItem:
    return ActionItem(task=draft.task, owner=draft.owner, due=draft.due, start=said.start)


def _is_again(one: ActionItem, other: ActionItem) -> bool:
    same_due = one.due == other.due or one.due is None or other.due is None
    return one.task == other.task and one.owner == other.owner and same_due
