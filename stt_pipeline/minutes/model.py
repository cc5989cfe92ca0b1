"""The minutes of a recording, as Python and as JSON. Writing them is in `summarizer`, formatting in `formats`."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ActionItem:
    """A task from the meeting.

    ``owner`` is a name as spoken ("김 과장"), or the label of the speaker who promised it; ``due`` is the date as spoken
    ("다음 주 금요일"); ``start`` is the position in the recording, in seconds.
    """

    task: str
    owner: str | None = None
    due: str | None = None
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Minutes:
    """The structured summary of one recording. ``model`` is the summarizer's name; ``tokens_used`` is 0 without an LLM."""

    title: str
    summary: str
    topics: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    action_items: tuple[ActionItem, ...] = ()
    keywords: tuple[str, ...] = ()
    model: str = "extractive"
    tokens_used: int = 0


def minutes_to_json(minutes: Minutes) -> dict[str, Any]:
    """Return minutes as a JSON-ready dict; :func:`minutes_from_json` reads it."""
    return asdict(minutes)


def minutes_from_json(row: Mapping[str, Any]) -> Minutes:
    """Return minutes from the dict of :func:`minutes_to_json`."""
    return Minutes(
        title=row["title"],
        summary=row["summary"],
        topics=tuple(row["topics"]),
        decisions=tuple(row["decisions"]),
        action_items=tuple(ActionItem(**item) for item in row["action_items"]),
        keywords=tuple(row["keywords"]),
        model=row["model"],
        tokens_used=row["tokens_used"],
    )
