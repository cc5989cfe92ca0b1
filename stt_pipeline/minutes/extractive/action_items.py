"""Action items of a conversation: the drafts of single sentences, in order, completed by the answers to them.

"이 대리님, 예산안 검토는 언제까지 가능합니까?" - "금요일까지 가능합니다." is one item; the speaker who accepts a request owns it.
Drafts of single sentences come from `korean_actions` and `english_actions`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from stt_pipeline.minutes.extractive.answers import completed_by_answer, is_refusal
from stt_pipeline.minutes.extractive.clauses import resolve_reference, topic_of
from stt_pipeline.minutes.extractive.drafts import Draft
from stt_pipeline.minutes.extractive.english_actions import english_drafts
from stt_pipeline.minutes.extractive.korean_actions import called_person, korean_drafts
from stt_pipeline.minutes.extractive.sentences import Sentence
from stt_pipeline.minutes.model import ActionItem

# sentences: an answer follows directly or after one remark; the name of a called person is valid as long
ANSWER_WITHIN: Final = 2


def action_items(sentences: Sequence[Sentence]) -> tuple[ActionItem, ...]:
    """Return the action items of a conversation in order of time.

    A repeated task is one item; if only one mention has a due date, the item gets it.
    """
    items: list[ActionItem] = []
    for item in sorted(_collect(sentences), key=lambda item: item.start):
        same = next((n for n, one in enumerate(items) if _is_repeated(one, item)), None)
        if same is None:
            items.append(item)
        else:
            items[same] = replace(items[same], due=items[same].due or item.due)
    return tuple(items)


@dataclass(frozen=True, slots=True)
class _Pending:
    """A request or question without an answer yet, and its age in sentences."""

    draft: Draft
    sentence: Sentence
    age: int = 0


def _collect(sentences: Sequence[Sentence]) -> Iterator[ActionItem]:
    pending: _Pending | None = None
    called, called_at = None, 0
    topic = ""
    for number, sentence in enumerate(sentences):
        drafts = korean_drafts(sentence) if sentence.is_korean else english_drafts(sentence)
        name = called_person(sentence) if sentence.is_korean else None
        if name and pending and pending.draft.owner is None:  # "내일까지 처리해 주세요, 백 대리님."
            pending = replace(pending, draft=replace(pending.draft, owner=name))
            continue
        if pending:
            complete = completed_by_answer(pending.draft, sentence, pending.sentence, drafts)
            if complete:
                yield _item(complete, pending.sentence)
                pending = None
                continue
            pending = replace(pending, age=pending.age + 1)
            if drafts or pending.age >= ANSWER_WITHIN or is_refusal(sentence):
                yield from _unanswered(pending)
                pending = None
        for draft in drafts:
            if draft.kind == "request" and draft.owner is None and number - called_at <= ANSWER_WITHIN:
                draft = replace(draft, owner=called)
            draft = replace(draft, task=resolve_reference(draft.task, topic))
            is_complete = draft.kind == "statement" or (draft.kind == "request" and draft.owner and draft.due)
            if not is_complete:
                yield from _unanswered(pending)
                pending = _Pending(draft, sentence)
            elif draft.task:
                yield _item(draft, sentence)
        if name:
            called, called_at = name, number
        last_task = next((draft.task for draft in drafts if draft.task), "")
        topic = last_task or (topic_of(sentence) if sentence.is_korean else "")
    yield from _unanswered(pending)


def _unanswered(pending: _Pending | None) -> Iterator[ActionItem]:
    """Yield a request that got no answer; an unanswered question gives no item."""
    if pending and pending.draft.kind == "request" and pending.draft.task:
        yield _item(pending.draft, pending.sentence)


def _item(draft: Draft, sentence: Sentence) -> ActionItem:
    return ActionItem(task=draft.task, owner=draft.owner, due=draft.due, start=sentence.start)


def _is_repeated(one: ActionItem, other: ActionItem) -> bool:
    same_due = one.due == other.due or one.due is None or other.due is None
    return one.task == other.task and one.owner == other.owner and same_due
