"""What minutes are, and the one interface of everything that writes them. No extraction or formatting here."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from stt_pipeline.speech.transcript import Transcript


@dataclass(frozen=True, slots=True)
class ActionItem:
    """Something that somebody is to do.

    ``owner`` is a name as spoken ("김 과장"), or a speaker label when the speaker promised it; ``due`` is the
    date as spoken ("다음 주 금요일"); ``start`` is where in the recording it was said, in seconds.
    """

    task: str
    owner: str | None = None
    due: str | None = None
    start: float = 0.0


@dataclass(frozen=True, slots=True)
class Minutes:
    """The structured summary of one recording. ``model`` names who wrote it; ``tokens_used`` is 0 without an LLM."""

    title: str
    summary: str
    topics: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()
    action_items: tuple[ActionItem, ...] = ()
    keywords: tuple[str, ...] = ()
    model: str = "extractive"
    tokens_used: int = 0


class Summarizer(Protocol):
    """Turns a transcript into minutes. Must accept an empty transcript and any language."""

    name: str

    def summarize(self, transcript: Transcript) -> Minutes:
        """Return the minutes of ``transcript``.

        Raises:
            SummaryError: the minutes could not be made; the transcript is safe.
        """
        ...


def minutes_to_json(minutes: Minutes) -> dict[str, Any]:
    """Return minutes as a JSON-ready dict; :func:`minutes_from_json` is the way back."""
    return asdict(minutes)


def minutes_from_json(row: Mapping[str, Any]) -> Minutes:
    """Rebuild minutes from what :func:`minutes_to_json` made."""
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
