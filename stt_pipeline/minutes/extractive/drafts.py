"""What the rules of a language hand to `action_items`: a possible action item, before the dialogue around it is read."""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["statement", "request", "when_question", "can_question"]


@dataclass(frozen=True, slots=True)
class Draft:
    """One possible action item of a sentence.

    A "statement" stands alone (a promise, an agreement, an assignment); a "request" may get its owner or its due date
    from the answer; a question becomes an item only when it is answered. ``owner`` is None when nobody was named.
    ``task`` may be empty: "제가 하겠습니다" takes it from what was said before.
    """

    kind: Kind
    task: str
    owner: str | None = None
    due: str | None = None
