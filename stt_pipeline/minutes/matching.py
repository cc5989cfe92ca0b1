"""Counts the expected action items that were found, for the demo and the tests. Nothing is extracted here."""

import re
import unicodedata
from collections.abc import Mapping, Sequence

from stt_pipeline.minutes.model import ActionItem

_OWNER_TAIL = re.compile(r"(님|씨)?(께서|이|가|은|는)?$")
_DUE_TAIL = re.compile(r"(까지|중으로|안으로|내로|안에|중|에)+$")
_OBJECT_PARTICLE = re.compile(r"(?<=[가-힣]{2})[을를]$")
_DUE_HEAD = re.compile(r"^(by|on|before)\b", re.IGNORECASE)


def matched_action_items(expected: Sequence[Mapping[str, str | None]], found: Sequence[ActionItem]) -> int:
    """Return how many of ``expected`` are in ``found``; each found item matches at most one.

    Items match if owner and due date are equal apart from spaces, case, honorifics and particles, and the found task
    contains the object of the expected one ("예산안" of "예산안 제출"). A missing owner or due date matches only a missing one.
    The matching is a maximum one (Kuhn's augmenting paths), so the order of the lists does not matter.
    """
    pairs: dict[int, int] = {}

    def place(row: int, tried: set[int]) -> bool:
        for column, item in enumerate(found):
            if column in tried or not _same(expected[row], item):
                continue
            tried.add(column)
            if column not in pairs or place(pairs[column], tried):
                pairs[column] = row
                return True
        return False

    return sum(place(row, set()) for row in range(len(expected)))


def _same(expected: Mapping[str, str | None], item: ActionItem) -> bool:
    return (
        normal_owner(expected.get("owner")) == normal_owner(item.owner)
        and normal_due(expected.get("due")) == normal_due(item.due)
        and _same_object(expected.get("task") or "", item.task)
    )


def normal_owner(owner: str | None) -> str:
    """Return an owner without spaces, honorific and particle, lower case: "김 과장님께서" is "김과장"."""
    text = _squeeze(owner)
    return _OWNER_TAIL.sub("", text, count=1) if len(text) > 2 else text


def normal_due(due: str | None) -> str:
    """Return a due date without spaces and particles, lower case: "12월 3일까지" is "12월3일", "by Friday" "friday"."""
    return _DUE_TAIL.sub("", _squeeze(_DUE_HEAD.sub("", (due or "").strip())))


def _same_object(expected: str, found: str) -> bool:
    """Return whether ``found`` contains the object of the expected task: its words without the action and particles."""
    words = re.findall(r"\w+", unicodedata.normalize("NFC", expected).lower())
    korean = re.search(r"[가-힣]", expected) is not None
    # the verb comes last in Korean ("예산안 제출") and first in English ("send the budget")
    about = (words[:-1] if korean else [word for word in words[1:] if word != "the"]) or words
    return all(_OBJECT_PARTICLE.sub("", word) in _squeeze(found) for word in about)


def _squeeze(text: str | None) -> str:
    return "".join(unicodedata.normalize("NFC", text or "").lower().split())
