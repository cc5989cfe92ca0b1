"""The result of the language rules for one sentence: a possible action item, which `action_items` completes."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["statement", "request", "when_question", "can_question"]


@dataclass(frozen=True, slots=True)
class Draft:
    """One possible action item of a sentence.

    A "statement" is complete (a promise, an agreement, an assignment). A "request" may get its owner or its due date from
    the answer. A question becomes an item only with an answer. ``owner`` is None if no name was given. ``task`` may be
    empty: "제가 하겠습니다" takes it from the sentence before.
    """

    kind: Kind
    task: str
    owner: str | None = None
    due: str | None = None
